"""Corruption of training targets: pure, vectorised functions.

Labels and tokens: one uniform number u per target decides everything. The target is corrupted
where u < e, and u / e, again uniform there, picks the wrong one. With the same u, the targets
corrupted at a small e are corrupted at every larger e too. Whole sequences: `corrupted_pairs`.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from noiselab import streams
from noiselab.errors import NoiselabError
from noiselab.noise import theory
from noiselab.noise.matrix import read_matrix


def corrupt(
    targets: np.ndarray,
    u: np.ndarray,
    corruption: str,
    error_rate: float,
    classes: int,
    draw: Callable | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Corrupt each target with probability `error_rate`.

    targets: int, any shape; u: float in [0, 1) of the same shape; classes: of labels, or the
    vocabulary; draw: what `label_matrix` draws wrong labels with, `Rows` of its matrix. Returns the
    new targets and which of them were corrupted, bool, of that shape.
    """
    corrupted = u < error_rate
    if not error_rate:
        return targets.copy(), corrupted
    draw = draw or CORRUPTIONS.get(corruption) or _named(corruption, classes)
    wrong = draw(targets, u / error_rate, classes)
    return np.where(corrupted, wrong, targets), corrupted


def observed_labels(
    run: dict, labels: np.ndarray, index: np.ndarray, start: int, stop: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labels that a run is taught at positions start … stop - 1 of its stream of examples.

    labels: int64 [N], of all training examples; index: which of them stand there, int64 [n]. With
    `fixed` noise, drawn once per example, the positions do not matter. Returns labels int64 [n]
    and which are corrupted, bool [n].
    """
    if run["corruption"] == "none":
        return labels[index], np.zeros(len(index), dtype=bool)
    if run["resample"] == "fixed":
        u = streams.uniform(run["seed"], "noise", 0, len(labels))[index]
    else:  # drawn anew at every visit
        u = streams.uniform(run["seed"], "noise", start, stop)
    settings = (run["corruption"], run["error_rate"], run["classes"])
    return corrupt(labels[index], u, *settings, rows_of(run))


class Rows:
    """Draws wrong labels from W, float [C, C], whose rows sum to 1: those of a true class y from
    row y, by the inverse of its cumulative distribution."""

    def __init__(self, wrong: np.ndarray):
        self.wrong = wrong
        # Row y reaches from y to y + 1 of one axis, so that one search serves all rows. A sum that
        # rounds to more than 1 would reach into the next row.
        cumulative = np.minimum(wrong.cumsum(axis=1), 1)
        self.edges = (cumulative + np.arange(len(wrong))[:, None]).ravel()

    def __call__(self, targets: np.ndarray, v: np.ndarray, classes: int) -> np.ndarray:
        """As `uniform_label`."""
        # u just below e can round to v = 1, and y + v to y + 1: of the next row
        places = targets + np.minimum(v, 1 - 2.0**-32)
        found = np.searchsorted(self.edges, places, side="right")
        return (found - targets * classes).astype(targets.dtype)


def rows_of(run: dict) -> Rows | None:
    """The matrix of wrong labels that a run has in a file; None where its corruption has a name.

    NoiselabError where the file is not the one that the run was planned with.
    """
    file = run.get("wrong_labels")
    return _from_file(file["path"], file["sha256"]) if file else None


@lru_cache(maxsize=4)
def _from_file(path: str, sha256: str) -> Rows:
    rows, found = read_matrix(path)
    if found != sha256:
        raise NoiselabError(f"{path} has changed since this run was planned")
    wrong = np.array(rows)
    return Rows(wrong / wrong.sum(axis=1, keepdims=True))


@lru_cache(maxsize=4)
def _named(corruption: str, classes: int) -> Rows:
    return Rows(theory.wrong_labels(corruption, classes))


def uniform_label(targets: np.ndarray, v: np.ndarray, classes: int) -> np.ndarray:
    """One of the classes - 1 *other* classes, uniformly (Algorithm 3). v: float [n] in [0, 1);
    where it is not, the result has no meaning and is not used."""
    others = classes - 1
    # v < 1 in theory; u just below e can round to 1
    step = 1 + np.minimum(v * others, others - 0.5).astype(targets.dtype)
    return _wrapped(targets + step, classes)


def uniform_token(targets: np.ndarray, v: np.ndarray, classes: int) -> np.ndarray:
    """Any token of the vocabulary, uniformly, the true one too (Algorithm 2)."""
    return np.minimum(v * classes, classes - 0.5).astype(targets.dtype)


def shift_label(targets: np.ndarray, v: np.ndarray, classes: int) -> np.ndarray:
    """The next class, y + 1 mod C (Appendix L)."""
    return _wrapped(targets + 1, classes)


def _wrapped(classes_up: np.ndarray, classes: int) -> np.ndarray:
    """Modulo for 0 … 2C - 1, several times faster than a division."""
    return np.where(classes_up < classes, classes_up, classes_up - classes)


# Those faster than a search. The other corruptions of labels are drawn from theory.WRONG_LABELS.
CORRUPTIONS: dict[str, Callable] = {
    "uniform_token": uniform_token,
    "uniform_label": uniform_label,
    "shift_label": shift_label,
}


def corrupted_pairs(run: dict, count: int) -> np.ndarray:
    """Which of `count` training pairs have the teacher's target, bool [count].

    `permutation`: exactly round(e count), those at a small e are also corrupted at every larger
    one. `index` (published code): each pair whose index modulo 100 is below 100 e.
    """
    if run["corruption"] == "none":
        return np.zeros(count, dtype=bool)
    if run["selection"] == "index":
        return np.arange(count) % 100 < 100 * run["error_rate"]
    chosen = streams.permutation(run["seed"], "noise", 0, count)
    corrupted = np.zeros(count, dtype=bool)
    corrupted[chosen[: round(run["error_rate"] * count)]] = True
    return corrupted
