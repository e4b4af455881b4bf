"""Correlations of what is predicted with what is true, from -1 to 1.

Pearson's asks how well a straight line leads from one to the other; Spearman's (1904) is Pearson's
of the ranks, and asks for the order alone. Equal numbers share the mean of their ranks. Predictions
that are all the same, or of which one is no finite number, order nothing: their correlation, which
is 0 / 0, counts as 0, as that of Matthews does.
"""

import numpy as np
from scipy.stats import rankdata


def pearson(predicted: np.ndarray, true: np.ndarray) -> float:
    """Correlation of Pearson of two arrays [n]."""
    pair = [np.asarray(values, dtype=np.float64) for values in (predicted, true)]
    if not all(np.isfinite(values).all() and np.ptp(values) for values in pair):
        return 0.0
    # Divided by the largest first: squares of very large or small numbers leave float64.
    first, second = (_scaled(values - values.mean()) for values in pair)
    found = float(first @ second / np.sqrt((first @ first) * (second @ second)))
    return min(1.0, max(-1.0, found))  # rounding may lead a little beyond


def spearman(predicted: np.ndarray, true: np.ndarray) -> float:
    """Correlation of Spearman of two arrays [n]."""
    if not (np.isfinite(predicted).all() and np.isfinite(true).all()):
        return 0.0
    return pearson(rankdata(predicted), rankdata(true))


def _scaled(values: np.ndarray) -> np.ndarray:
    return values / np.abs(values).max()
