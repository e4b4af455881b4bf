"""Whole sequences written by a poor teacher."""

from typing import Self

import numpy as np

from noiselab import streams
from noiselab.noise.base import Corruption
from noiselab.run import Run


class Teacher(Corruption):
    """Some training pairs have the target that a noisy teacher wrote (Appendix K.3).

    selection: `permutation`: exactly round(e count), those at a small e are also corrupted at every
    larger one. `index` (published code): each pair whose index modulo 100 is below 100 e.
    """

    name = "teacher"
    families = ("seq2seq",)
    target = "sequence"
    resamples = ("fixed",)
    why_resamples = "a teacher's targets are made once"

    def __init__(self, rate: float, seed: int = 0, selection: str = "permutation"):
        self.rate, self.seed, self.selection = rate, seed, selection

    @classmethod
    def from_run(cls, run: Run) -> Self:
        return cls(run.error_rate, run.seed, run.selection)

    def chosen(self, count: int) -> np.ndarray:
        """Which of `count` training pairs have the teacher's target, bool [count]."""
        if self.selection == "index":
            return np.arange(count) % 100 < 100 * self.rate
        order = streams.permutation(self.seed, "noise", 0, count)
        corrupted = np.zeros(count, dtype=bool)
        corrupted[order[: round(self.rate * count)]] = True
        return corrupted

    def observed_nll(self, clean_nll, teacher_nll):
        """NLL of whole sequences under q(Y|x) = (1 - e) p_clean(Y|x) + e p_teacher(Y|x), in nats.

        clean_nll, teacher_nll: -log p(Y|x) of the clean model and of what writes the wrong targets,
        any shape. A teacher that decodes greedily writes one sequence with certainty: 0 for that
        one and infinite for all others. The result is at most -log(1 - e) above the clean NLL.
        """
        e = self.rate
        with np.errstate(divide="ignore"):  # log 0 where there is no noise
            return -np.logaddexp(np.log1p(-e) - clean_nll, np.log(e) - teacher_nll)

    @property
    def true_error_rate(self) -> None:
        """Unknown: a teacher may write the true target."""
        return None
