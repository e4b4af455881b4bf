"""Corruption of training targets: pure, vectorised functions.

Labels and tokens: one uniform number u per target decides everything. The target is corrupted
where u < e, and u / e, again uniform there, picks the wrong one. With the same u, the targets
corrupted at a small e are corrupted at every larger e too. Whole sequences: `corrupted_pairs`.
"""

from collections.abc import Callable

import numpy as np

from noiselab import streams


def corrupt(
    targets: np.ndarray, u: np.ndarray, corruption: str, error_rate: float, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Corrupt each target with probability `error_rate`.

    targets: int, any shape; u: float in [0, 1) of the same shape; classes: of labels, or the
    vocabulary. Returns the new targets and which of them were corrupted, bool, of that shape.
    """
    corrupted = u < error_rate
    if not error_rate:
        return targets.copy(), corrupted
    wrong = CORRUPTIONS[corruption](targets, u / error_rate, classes)
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
    return corrupt(labels[index], u, run["corruption"], run["error_rate"], run["classes"])


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
