"""Two sources of text and one model of both: what calibration costs, and Proposition 1.

Each window of training text comes whole from the noise with probability α, or else from the clean
source: P_m = α P_n + (1 - α) P_c (Ru et al., 2025, arXiv 2502.06604, Eq. 1). The first part is what
a calibrated model of such windows predicts. The second is the paper's theory as functions: h* is a
model of the clean source with losses -log p_c on clean text and -log p_n on noise, and h gives up ε
of p_c to gain ε / k of p_n.
"""

import numpy as np

# ------------------------------------------------------------------------------- calibration


def mixture_nll(clean, noise, share: float, given=(0.0, 0.0)) -> np.ndarray:
    """NLL in nats of each token of some windows, by a calibrated model of the mixture.

    clean, noise: log-probabilities under either source of each token given those before it, float
    [n, L]; share: α, 0 <= α < 1; given: log-probabilities under either source of what the model is
    given without predicting it, such as a window's first token, two floats or two arrays [n].
    Returns float64 [n, L]. It does not know which source a window is of, and learns it on the way:
    the sum over a window is -log((1 - α) P_c + α P_n), less that of what was given.
    """
    sources = zip((1 - share, share), (clean, noise), given, strict=True)
    joint = [_cumulative(*source) for source in sources]
    return -np.diff(np.logaddexp(*joint), axis=1)


def _cumulative(share: float, log_p, given) -> np.ndarray:
    """Log-probability of a source and of the tokens so far, float64 [n, L + 1]."""
    log_p = np.asarray(log_p, dtype=np.float64)
    with np.errstate(divide="ignore"):
        start = np.log(share) + np.broadcast_to(np.float64(given), len(log_p))
    return np.cumsum(np.column_stack([start, log_p]), axis=1)


def masked_bound(seen, clean, noise, share: float) -> np.ndarray:
    """The most that a masked token of a clean window costs a calibrated model of the mixture, in
    nats, float64 [n]; what bounds is the mean over clean windows.

    seen: of each window, a number that follows from what the model reads; clean, noise: that of
    samples of windows of either source, float [n'] and [n'']. Any number will do; the best is the
    logarithm of how much likelier what is read is in clean text than in noise. share: α.

    A model that reads x gives the token at least the chance 1 - π(x) times that of the clean
    source, where π is that of noise. On clean windows the mean of -log(1 - π) is -log(1 - α) minus
    the divergence of P_c from P_m, of what is read. That is at least mean_c f - log mean_m exp f
    for any f (Donsker and Varadhan 1975). Here f is log(1 - π), as `seen` has it.
    """
    with np.errstate(divide="ignore"):
        odds = np.log(share) - np.log1p(-share)

    def kept(numbers) -> np.ndarray:
        return -np.logaddexp(0.0, odds - np.asarray(numbers, dtype=np.float64))

    mixed = mixture_loss(share, np.exp(kept(noise)).mean(), np.exp(kept(clean)).mean())
    return np.log(mixed) - np.log1p(-share) - kept(seen)


# ------------------------------------------------------------------------------- Proposition 1


def mixture_loss(share, noise_loss, clean_loss):
    """Lemma 1: the loss of a model on the mixture, from its losses on noise and on clean text,
    where no text can come from both. Any shape."""
    return share * noise_loss + (1 - share) * clean_loss


def exchange(clean_before, clean_after, noise_before, noise_after):
    """k = ε / (gain of p_n), Eq. 11 to 13: how much of p_c a model gave up for each p_n that it
    gained. Losses in nats of h* (before) and of h (after), any shape; infinite or negative where
    nothing was gained."""
    lost = np.exp(-np.float64(clean_before)) - np.exp(-np.float64(clean_after))
    with np.errstate(divide="ignore"):
        return lost / (np.exp(-np.float64(noise_after)) - np.exp(-np.float64(noise_before)))


def eta(share, p_clean, p_noise, k):
    """η = α p_c - (1 - α) k p_n: the ε of least loss on the mixture where it is positive, as the
    derivative of Eq. 17 is zero there alone. Any shape."""
    return share * p_clean - (1 - share) * k * p_noise


def threshold(p_clean, p_noise, k):
    """The share of noise up to which h* has the least loss on the mixture, too: k p_n / (p_c + k
    p_n), cases 1 and 2."""
    return k * p_noise / (p_clean + k * p_noise)


def advantage(epsilon, share, p_clean, p_noise, k):
    """L(P_m, h*) - L(P_m, h) in nats, Eq. 14: above 0 where the model that learns noise has the
    lower loss on the mixture. epsilon: 0 <= ε < p_c; any shape."""
    clean = np.log1p(-np.float64(epsilon) / p_clean)
    return (1 - share) * clean + share * np.log1p(np.float64(epsilon) / (k * p_noise))


def largest_effect(share: float, p_clean: float, p_noise: float, k: float) -> float:
    """The ε from which on h has no lower loss than h*, by the three cases: 0 in case 1; 3 η or 2 η
    in case 3; not a number where the proposition says nothing."""
    if share <= threshold(p_clean, p_noise, k):
        return 0.0
    own = eta(share, p_clean, p_noise, k)
    odds = k * p_noise / p_clean * (1 - share)
    if share < 1 / 3 and odds > share * (1 - 3 * share) / (2 - 3 * share):
        return 3 * own
    if share > 1 / 2 and odds > share - 1 / 2:
        return 2 * own
    return np.nan
