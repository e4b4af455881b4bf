"""Corruption of training targets: pure, vectorised functions.

One uniform number u per target decides everything: the target is corrupted where u < e, and
u / e, again uniform there, picks the wrong one. With the same u, the targets corrupted at a
small e are corrupted at every larger e too.
"""

from collections.abc import Callable

import numpy as np


def corrupt(
    targets: np.ndarray, u: np.ndarray, corruption: str, error_rate: float, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Corrupt each target with probability `error_rate`.

    targets: int [n], u: float [n] in [0, 1), both in the same order.
    Returns the new targets, int [n], and which of them were corrupted, bool [n].
    """
    corrupted = u < error_rate
    targets = targets.copy()
    if corrupted.any():
        v = u[corrupted] / error_rate
        # v < 1 in theory; rounding can give 1.0 for u just below e
        v = np.minimum(v, np.nextafter(1.0, 0.0))
        targets[corrupted] = CORRUPTIONS[corruption](targets[corrupted], v, classes)
    return targets, corrupted


def uniform_label(targets: np.ndarray, v: np.ndarray, classes: int) -> np.ndarray:
    """One of the classes - 1 *other* classes, uniformly (Algorithm 3). v: float [n] in [0, 1)."""
    return (targets + 1 + (v * (classes - 1)).astype(targets.dtype)) % classes


def shift_label(targets: np.ndarray, v: np.ndarray, classes: int) -> np.ndarray:
    """The next class, y + 1 mod C (Appendix L)."""
    return (targets + 1) % classes


CORRUPTIONS: dict[str, Callable] = {"uniform_label": uniform_label, "shift_label": shift_label}
