"""Noise stability in closed form.

Inputs are bits of -1 and 1, or standard normal numbers; rho: their correlation, -1 to 1, any shape.
"""

import numpy as np
from scipy import stats


def parity(rho, bits: int):
    """Of the product of so many bits: rho^bits. Of one, a dictator: rho."""
    return np.asarray(rho, dtype=np.float64) ** bits


def majority(rho, bits: int) -> np.ndarray:
    """Of the sign of the sum of an odd number of bits, by summing over how many are 1.

    A bit of Y is that of X with probability (1 + rho) / 2. With many bits it becomes
    (2 / pi) arcsin rho (Sheppard's formula).
    """
    if bits % 2 == 0:
        raise ValueError(f"a majority of {bits} bits may be a tie")
    flat = np.ravel(rho).astype(np.float64)
    ones, found = np.arange(bits + 1), np.zeros(flat.shape)
    signs, chances = np.sign(2 * ones - bits), stats.binom.pmf(ones, bits, 0.5)
    for place, each in enumerate(flat):
        same, other = (1 + each) / 2, (1 - each) / 2
        for k in ones:
            kept = stats.binom.pmf(np.arange(k + 1), k, same)
            turned = stats.binom.pmf(np.arange(bits - k + 1), bits - k, other)
            found[place] += chances[k] * signs[k] * (np.convolve(kept, turned) @ signs)
    return found.reshape(np.shape(rho))


def linear(rho, weights: np.ndarray, bias: float = 0.0):
    """Of <w, x> + b on normal inputs: rho |w|^2 + b^2. weights: float [d]."""
    return np.asarray(rho, dtype=np.float64) * np.sum(np.square(weights)) + bias**2


def relu(rho, weights: np.ndarray):
    """Of max(0, <w, x>) on normal inputs: |w|^2 times half of `arc_cosine`. weights: float [d]."""
    return np.sum(np.square(weights)) * arc_cosine(rho) / 2


def arc_cosine(rho):
    """(sqrt(1 - rho^2) + rho (pi - arccos rho)) / pi: the correlation after a wide layer of ReLU
    units without biases of inputs with correlation rho (Cho and Saul 2009, degree 1)."""
    rho = np.clip(rho, -1, 1)
    return (np.sqrt(1 - rho**2) + rho * (np.pi - np.arccos(rho))) / np.pi


def through_layers(rho, layers: int):
    """The correlation after so many wide ReLU layers: `arc_cosine` again and again, up to 1."""
    for _ in range(layers):
        rho = arc_cosine(rho)
    return rho


def residual_layers(rho, layers: int, branch: float = 0.5):
    """The correlation after so many wide ReLU layers that are added to their input, each with
    `branch` times the variance of its input: weights of variance 1 / inputs give a half."""
    for _ in range(layers):
        rho = (rho + branch * arc_cosine(rho)) / (1 + branch)
    return rho


def attention(rho, variance: float, width: int, tokens: int):
    """The share of an attention layer's output that survives: one head of so many units, and many
    tokens, independent and normal, among which one chooses by random weights.

    variance: s2, of the scores before the softmax. A score is <a, x> with a token x; a, which the
    asking token gives, has squared length s2, and that of a noisy copy <a, a'> = rho s2. Under the
    weights e^<a, x> tokens have the mean a, which is what the output tends to; around it are the
    deviations of a mean over tokens, whose products are moments of a normal law:

        rho (s2 + e^(rho^2 s2) (d + rho^2 s2) / T) / (s2 + e^(s2) (d + s2) / T).
    """
    rho = np.asarray(rho, dtype=np.float64)

    def spread(moment):
        return variance + np.exp(moment) * (width + moment) / tokens

    return rho * spread(rho**2 * variance) / spread(variance)
