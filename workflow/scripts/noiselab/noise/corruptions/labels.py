"""Wrong labels: all that a transition matrix describes, and those that need no file."""

from collections.abc import Sequence
from functools import cached_property
from typing import Self

import numpy as np

from noiselab.errors import NoiselabError
from noiselab.noise.alias import AliasTable
from noiselab.noise.base import Corruption
from noiselab.noise.matrix import matrix_mistake
from noiselab.run import Run

# Scores whose floor is that of the clean run's decisions, where noise leaves decisions as they are.
OF_DECISIONS = {
    "denoising_accuracy": "denoising errors are no probabilities",
    "train_accuracy": "of training images only decisions are kept",
    "noisy_train_accuracy": "of training images only decisions are kept",
}
FEW = 20  # classes whose rates are said one by one
ROUNDED = 1e-6  # a smaller rate of a class that becomes no other is what rounding has left


class LabelCorruption(Corruption):
    """Labels that become others by chance: T = (1 - e) I + e W.

    Subclasses say W in `wrong_labels`. T[y, z] is the probability that a label y is observed as z;
    W[y, z] the same of a label y that is corrupted: rows sum to 1 (or to 0, of a class that never
    is), the diagonal is 0. rate: e, or one for each class, float [C]; classes: C.
    """

    families = ("classifier", "vision_transformer", "diffusion")
    target = "label"

    def __init__(self, rate: float | np.ndarray, classes: int):
        self.rate, self.classes = rate, classes

    @classmethod
    def from_run(cls, run: Run) -> Self:
        return cls(run.error_rate, run.classes)

    def wrong_labels(self) -> np.ndarray:
        """W, float64 [C, C]."""
        raise NotImplementedError

    @cached_property
    def _checked(self) -> np.ndarray:
        """W, float64 [C, C]. NoiselabError: what `wrong_labels` gives is no W, so that labels and
        floor would follow different noise."""
        wrong = np.asarray(self.wrong_labels(), dtype=np.float64)
        never = np.broadcast_to(self.rate, self.classes) <= ROUNDED
        if mistake := _mistake(wrong, never):
            raise NoiselabError(f"corruption {self.name}: W, from its wrong_labels, {mistake}")
        return wrong

    @cached_property
    def transitions(self) -> np.ndarray:
        """T, float64 [C, C]; rows sum to 1. NoiselabError: `wrong_labels` gives no W."""
        rate = np.reshape(self.rate, (-1, 1))
        return (1 - rate) * np.eye(self.classes) + rate * self._checked

    def observed(self, p: np.ndarray) -> np.ndarray:
        """q(z|x) = sum over y of p(y|x) T[y, z], the conditional of corrupted labels, float64
        [n, C]. p: float [n, C], the clean conditional."""
        return p.astype(np.float64) @ self.transitions

    def chance(self, labels: np.ndarray, observed: np.ndarray, index=None) -> np.ndarray:
        """Probability that labels, int [n], are observed as these, int [n]; float64 [n]. index:
        numbers of the training examples, which do not matter."""
        return self.transitions[labels, observed]

    def origins(self, prior: np.ndarray) -> np.ndarray:
        """P(y|z) = pi_y T[y, z] / sum: the probability that what is observed as z is truly y,
        float64 [z, y]; not a number in the row of a label that is never observed. prior: pi, shares
        of the classes, float [C]."""
        joint = (prior[:, None] * self.transitions).T
        total = joint.sum(axis=1, keepdims=True)
        return np.divide(joint, total, out=np.full_like(joint, np.nan), where=total > 0)

    @property
    def keeps_decisions(self) -> bool:
        """Whether the class that a calibrated model finds most probable is always that of the clean
        one."""
        return not np.any(self.rate)

    def why_no_floor(self, score: str) -> str | None:
        if score in OF_DECISIONS and not self.keeps_decisions:
            return f"this noise may turn decisions, and {OF_DECISIONS[score]}"
        never = np.flatnonzero(self.transitions.max(axis=0) == 0)
        if score.startswith("consistency") and len(never):
            return f"no training image has label {never[0]}, so what is generated for it is unknown"
        return None

    def facts(self, class_names: Sequence[str] | None = None) -> dict:
        rates, names = 100 * (1 - np.diagonal(self.transitions)), class_names or range(self.classes)
        by_class = {} if np.ptp(rates) < 1e-9 else {"class_error_rates": _by_class(rates, names)}
        return super().facts(class_names) | by_class

    @cached_property
    def _table(self) -> AliasTable:
        return AliasTable(self._checked + np.diag(~self._checked.any(axis=1)))

    def replacements(self, targets: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Those of a true class y from row y of W."""
        return self._table.draw(targets, v)


class UniformLabel(LabelCorruption):
    """One of the C - 1 *other* classes, uniformly (Algorithm 3)."""

    name = "uniform_label"

    def wrong_labels(self) -> np.ndarray:
        return (1 - np.eye(self.classes)) / (self.classes - 1)

    def replacements(self, targets: np.ndarray, v: np.ndarray) -> np.ndarray:
        """As from W, without a search."""
        others = self.classes - 1
        step = 1 + np.minimum(v * others, others - 0.5).astype(targets.dtype)
        return _wrapped(targets + step, self.classes)

    @property
    def keeps_decisions(self) -> bool:
        """As long as the true class is more probable than each other one: e < (C - 1) / C."""
        return np.ndim(self.rate) == 0 and self.rate < 1 - 1 / self.classes - 1e-9

    def observed_agreement(self, agreement):
        """(1 - e) a + e (1 - a) / (C - 1): what a sampler that learned the corrupted distribution
        exactly must show; any shape."""
        e = self.rate
        return (1 - e) * agreement + e * (1 - agreement) / (self.classes - 1)


class Symmetric(UniformLabel):
    """One of *all* C classes, uniformly, so that a label stays with probability 1 - e + e / C.

    What many benchmarks call symmetric noise of rate e: it is `uniform_label` at e (C - 1) / C,
    which is the rate of the object. rate: e.
    """

    name = "symmetric"

    def __init__(self, rate: float, classes: int):
        super().__init__(rate * (classes - 1) / classes, classes)


class ShiftLabel(LabelCorruption):
    """The next class, y + 1 mod C (Appendix L)."""

    name = "shift_label"

    def wrong_labels(self) -> np.ndarray:
        return np.roll(np.eye(self.classes), 1, axis=1)

    def replacements(self, targets: np.ndarray, v: np.ndarray) -> np.ndarray:
        """As from W, without a search."""
        return _wrapped(targets + 1, self.classes)


class PairFlip(ShiftLabel):
    """The next class, y + 1 mod C: what the field calls pair flip (Han et al., 2018,
    "Co-teaching"), with the same matrix as `shift_label`."""

    name = "pair_flip"


class Transitions(LabelCorruption):
    """Any T, float64 [C, C], whose rows sum to 1; rates may differ by class."""

    def __init__(self, transitions: np.ndarray):
        super().__init__(1 - np.diagonal(transitions), len(transitions))
        self.transitions = transitions  # as given, not put together from e and W

    def wrong_labels(self) -> np.ndarray:
        """W, float64 [C, C]; all 0 in the row of a class that is never corrupted."""
        wrong = self.transitions * (1 - np.eye(self.classes))
        total = wrong.sum(axis=1, keepdims=True)
        return np.divide(wrong, total, out=np.zeros_like(wrong), where=total > 0)


def _mistake(wrong: np.ndarray, never: np.ndarray) -> str | None:
    """Why an array, float64, cannot be W; None: it can. never: classes that are never corrupted,
    bool [C], whose rows may be all 0."""
    classes = len(never)
    if wrong.ndim != 2:
        return f"has {wrong.ndim} dimensions, not {classes} rows of {classes} columns"
    if wrong.shape == (classes, classes):
        empty = ~wrong.any(axis=1)
        if len(kept := np.flatnonzero(empty & ~never)):
            return f"has only 0 in the row of class {kept[0]}, whose rate is not 0"
        wrong = np.where(empty[:, None], np.roll(np.eye(classes), 1, axis=1), wrong)
    return matrix_mistake(wrong.tolist(), classes, off_diagonal=True)


def _wrapped(classes_up: np.ndarray, classes: int) -> np.ndarray:
    """Modulo for 0 … 2C - 1, several times faster than a division."""
    return np.where(classes_up < classes, classes_up, classes_up - classes)


def _by_class(rates: np.ndarray, names: Sequence) -> str:
    """Error rates of the classes, in per cent: all where these are few, else the ends."""
    if len(rates) <= FEW:
        return ", ".join(f"{name}: {rate:.3g} %" for name, rate in zip(names, rates, strict=True))
    low, high = (f"{rates[i]:.3g} % (class {names[i]})" for i in (rates.argmin(), rates.argmax()))
    return f"{low} to {high}, median {np.median(rates):.3g} %"
