"""No corruption."""

from typing import Self

import numpy as np

from noiselab.noise.base import Corruption
from noiselab.noise.corruptions.tokens import normalised
from noiselab.run import Run


class Clean(Corruption):
    """Every target is the true one: a run at noise ratio 0, of any family."""

    name = "none"
    resamples = ("none",)
    why_resamples = "there is nothing to draw"
    tie = 0.0
    rate = 0.0

    @classmethod
    def from_run(cls, run: Run) -> Self:
        return cls()

    def draw(self, targets: np.ndarray, u: np.ndarray | None = None):
        """The targets as they are, and that none is corrupted. u: not used."""
        return targets, np.zeros(targets.shape, dtype=bool)

    def chosen(self, count: int) -> np.ndarray:
        """No pair has another target, bool [count]."""
        return np.zeros(count, dtype=bool)

    def observed(self, p):
        return p.astype(np.float64) if isinstance(p, np.ndarray) else p

    def chance(self, labels: np.ndarray, observed: np.ndarray, index=None) -> np.ndarray:
        """1 where the label that is observed is the true one, float64 [n]."""
        return (labels == observed).astype(np.float64)

    def observed_agreement(self, agreement):
        """As it is."""
        return agreement

    def observed_nll(self, clean_nll, teacher_nll):
        """NLL of whole sequences: that of the clean model."""
        return clean_nll

    why_not_denoised = None

    def observed_tokens(self, log_p, tokens):
        """Of single tokens, as they are."""
        return log_p.gather(-1, tokens).exp()

    def wrong_mean(self, values, true):
        """Of the true token: none is wrong."""
        return values.gather(-1, true).squeeze(-1)

    def denoised(self, q):
        """Probabilities [..., V], with the smallest raised as `UniformToken.denoised` does."""
        return normalised(q)

    def expected_nll(self, nll, mean_nll):
        """NLL of targets as given: of the true ones."""
        return nll
