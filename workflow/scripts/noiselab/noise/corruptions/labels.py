"""Wrong labels: all that a transition matrix describes."""

from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from noiselab.errors import NoiselabError
from noiselab.noise.base import Corruption
from noiselab.noise.matrix import read_matrix
from noiselab.run import Run


class LabelCorruption(Corruption):
    """Labels that become others by chance: T = (1 - e) I + e W.

    Subclasses say W in `wrong_labels`. T[y, z] is the probability that a label y is observed as z;
    W[y, z] the same of a label y that is corrupted: rows sum to 1, the diagonal is 0. rate: e, or
    one for each class, float [C]; classes: C.
    """

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
    def transitions(self) -> np.ndarray:
        """T, float64 [C, C]; rows sum to 1."""
        rate = np.reshape(self.rate, (-1, 1))
        return (1 - rate) * np.eye(self.classes) + rate * self.wrong_labels()

    def observed(self, p: np.ndarray) -> np.ndarray:
        """q(z|x) = sum over y of p(y|x) T[y, z], the conditional of corrupted labels, float64
        [n, C]. p: float [n, C], the clean conditional."""
        return p.astype(np.float64) @ self.transitions

    def chance(self, labels: np.ndarray, observed: np.ndarray, index=None) -> np.ndarray:
        """Probability that labels, int [n], are observed as these, int [n]; float64 [n]. index:
        numbers of the training examples, which do not matter."""
        return self.transitions[labels, observed]

    def observed_agreement(self, agreement):
        """Probability that a label drawn from q agrees with the true one, where one drawn from p
        does so with probability `agreement`; None where it takes more to know."""
        return None

    @property
    def overtaking_rate(self) -> float:
        """Smallest e at which another class is at least as probable as the true one, for a model
        that is certain of the true class: 1 - e = e max W. A less certain model may turn earlier,
        but never under uniform noise."""
        return 1 / (1 + self.wrong_labels().max())

    @cached_property
    def _edges(self) -> np.ndarray:
        # Row y of W reaches from y to y + 1 of one axis, so that one search serves all rows. A sum
        # that rounds to more than 1 would reach into the next row.
        cumulative = np.minimum(self.wrong_labels().cumsum(axis=1), 1)
        return (cumulative + np.arange(self.classes)[:, None]).ravel()

    def replacements(self, targets: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Those of a true class y from row y of W, by the inverse of its cumulative
        distribution."""
        # y + v with v = 1 would lie in the next row.
        places = targets + np.minimum(v, 1 - 2.0**-32)
        found = np.searchsorted(self._edges, places, side="right")
        return (found - targets * self.classes).astype(targets.dtype)


class UniformLabel(LabelCorruption):
    """One of the C - 1 *other* classes, uniformly (Algorithm 3)."""

    name = "uniform_label"
    families = ("classifier", "vision_transformer", "diffusion")

    def wrong_labels(self) -> np.ndarray:
        return (1 - np.eye(self.classes)) / (self.classes - 1)

    def replacements(self, targets: np.ndarray, v: np.ndarray) -> np.ndarray:
        """As from W, without a search."""
        others = self.classes - 1
        step = 1 + np.minimum(v * others, others - 0.5).astype(targets.dtype)
        return _wrapped(targets + step, self.classes)

    def observed_agreement(self, agreement):
        """(1 - e) a + e (1 - a) / (C - 1): what a sampler that learned the corrupted distribution
        exactly must show; any shape."""
        e = self.rate
        return (1 - e) * agreement + e * (1 - agreement) / (self.classes - 1)


class ShiftLabel(LabelCorruption):
    """The next class, y + 1 mod C (Appendix L)."""

    name = "shift_label"
    families = ("classifier", "vision_transformer")

    def wrong_labels(self) -> np.ndarray:
        return np.roll(np.eye(self.classes), 1, axis=1)

    def replacements(self, targets: np.ndarray, v: np.ndarray) -> np.ndarray:
        """As from W, without a search."""
        return _wrapped(targets + 1, self.classes)


class LabelMatrix(LabelCorruption):
    """Any W, from a csv file: C rows of C numbers, rows of the true class."""

    name = "label_matrix"
    families = ("classifier", "vision_transformer")
    options: ClassVar = {
        "wrong_labels": {
            "type": "string",
            "minLength": 1,
            "description": "the path of a csv file",
        }
    }

    def __init__(self, rate: float | np.ndarray, wrong: np.ndarray):
        super().__init__(rate, len(wrong))
        self._wrong = wrong

    @classmethod
    def planned(cls, experiment: dict, spec: dict, where: str = "") -> dict:
        """Path and SHA-256 of the matrix, which must suit the data set."""
        path, key = experiment["wrong_labels"], f"{where}wrong_labels"
        try:
            rows, sha256 = read_matrix(path)
        except NoiselabError as error:
            raise NoiselabError(f"{key}: {error}") from error
        if mistake := matrix_mistake(rows, spec["classes"]):
            raise NoiselabError(f"{key}: {path} {mistake} (data set {spec['name']})")
        return {"wrong_labels": {"path": path, "sha256": sha256}}

    @classmethod
    def variant(cls, planned: dict) -> str:
        return f"-{planned['wrong_labels']['sha256'][:6]}"

    @classmethod
    def from_run(cls, run: Run) -> Self:
        """NoiselabError where the file is not the one that the run was planned with."""
        file = run.wrong_labels
        rows, found = read_matrix(file["path"])
        if found != file["sha256"]:
            raise NoiselabError(f"{file['path']} has changed since this run was planned")
        wrong = np.array(rows)
        return cls(run.error_rate, wrong / wrong.sum(axis=1, keepdims=True))

    def wrong_labels(self) -> np.ndarray:
        return self._wrong


class TransitionMatrix(LabelCorruption):
    """Any T, float64 [C, C], whose rows sum to 1; rates may differ by class. For callers that have
    one: no experiment chooses it."""

    def __init__(self, transitions: np.ndarray):
        super().__init__(1 - np.diagonal(transitions), len(transitions))
        self.transitions = transitions  # as given, not put together from e and W

    def wrong_labels(self) -> np.ndarray:
        """W, float64 [C, C]; all 0 in the row of a class that is never corrupted."""
        wrong = self.transitions * (1 - np.eye(self.classes))
        total = wrong.sum(axis=1, keepdims=True)
        return np.divide(wrong, total, out=np.zeros_like(wrong), where=total > 0)


def matrix_mistake(rows: list[list[float]], classes: int) -> str | None:
    """Why a matrix cannot be W of `label_matrix`: rows of the true class, C x C."""
    columns = sorted({len(row) for row in rows})
    if (len(rows), columns) != (classes, [classes]):
        found = f"has {len(rows)} rows of {' or '.join(map(str, columns)) or 0} columns"
        return f"{found}, but {classes} classes need as many of both"
    for label, row in enumerate(rows):
        if impossible := [number for number in row if not 0 <= number <= 1]:
            return f"has {impossible[0]:g} in the row of class {label}: no probability"
        if row[label] != 0:
            return f"lets class {label} stay what it is: the diagonal must be 0"
        if abs(sum(row) - 1) > 1e-6:
            return f"has {sum(row):.8g}, not 1, as the sum of the row of class {label}"
    return None


def _wrapped(classes_up: np.ndarray, classes: int) -> np.ndarray:
    """Modulo for 0 … 2C - 1, several times faster than a division."""
    return np.where(classes_up < classes, classes_up, classes_up - classes)
