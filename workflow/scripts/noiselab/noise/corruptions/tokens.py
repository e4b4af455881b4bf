"""Wrong tokens in the targets of a language model."""

from typing import Self

import numpy as np

from noiselab.noise.base import Corruption
from noiselab.run import Run

# Smallest probability before normalisation that denoising leaves to a token.
TINY = 1e-8


class UniformToken(Corruption):
    """Any token of the vocabulary, uniformly, the true one too (Algorithm 2)."""

    name = "uniform_token"
    families = ("language_model",)
    target = "token"

    def __init__(self, rate: float, vocabulary: int):
        self.rate, self.vocabulary = rate, vocabulary

    @classmethod
    def from_run(cls, run: Run) -> Self:
        return cls(run.error_rate, run.vocabulary)

    def replacements(self, targets: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.minimum(v * self.vocabulary, self.vocabulary - 0.5).astype(targets.dtype)

    def observed(self, p):
        """q = (1 - e) p + e / V. p: probabilities, any shape, array or tensor; those of single
        tokens or whole distributions."""
        return (1 - self.rate) * p + self.rate / self.vocabulary

    def denoised(self, q):
        """The clean conditional that a model of noisy tokens implies, p ~ max((q - e/V)/(1-e),
        tiny). q: probabilities [..., V], array or tensor. Says how much a noisy model really
        forgot."""
        return normalised((q - self.rate / self.vocabulary) / (1 - self.rate))

    def expected_nll(self, nll, mean_nll):
        """NLL expected on noisy targets: the true token with probability 1 - e, else any token.

        nll: of the true token; mean_nll: mean over the vocabulary; both in nats, any shape.
        """
        return (1 - self.rate) * nll + self.rate * mean_nll


def normalised(p):
    """Probabilities [..., V] that sum to 1, the smallest of them raised to `TINY` before."""
    p = p.clip(min=TINY)
    return p / p.sum(-1, keepdims=True)
