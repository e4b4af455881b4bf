"""Tests behind verdicts: p-values from 95 % intervals, Holm's correction, and what can be detected.

All functions take arrays of any shape, or numbers.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from noiselab.measures.statistics import LEVEL

ALPHA = 1 - LEVEL
POWER = 0.8


class Sides(NamedTuple):
    """Both one-sided p-values of a value against a bound."""

    above: np.ndarray  # of "not above": small where the value lies well above the bound
    below: np.ndarray  # of "not below"


def sides(value, low, high, bound, degrees) -> Sides:
    """p-values from an estimate with its 95 % interval, which need not be symmetric.

    degrees: of freedom of Student's t, infinite for a normal interval. p is below 0.025 where the
    interval lies wholly on one side of the bound, and only there; p is 1 of few values without a
    spread, and where the degrees are infinite, no spread is certain.
    """
    value, low, high, bound = np.broadcast_arrays(*map(np.float64, (value, low, high, bound)))
    critical = stats.t.ppf(0.5 + LEVEL / 2, degrees)
    distance = value - bound
    with np.errstate(divide="ignore", invalid="ignore"):
        down, up = (np.where(h > 0, distance * critical / h, np.sign(distance) * np.inf)
                    for h in (value - low, high - value))  # fmt: skip
    equal = distance == 0
    down, up = (np.where(equal, 0.0, side) for side in (down, up))
    # Towards a bound below it the lower half of an interval counts, towards one above the upper.
    t = np.where(distance > 0, down, up)
    silent = without_spread(low, high, degrees)
    return Sides(*(np.where(silent, 1.0, p(t, degrees)) for p in (stats.t.sf, stats.t.cdf)))


def without_spread(low, high, degrees):
    """Whether an interval of Student's t has no width: few equal values do not show how much others
    would differ, and are not certain. bool."""
    return np.isfinite(degrees) & np.isclose(low, high, rtol=1e-9, atol=1e-12)


def sign_sides(low, high, bound: float) -> Sides:
    """p-values of the median of values of which only two ends are known, float [n] each, against a
    bound: the sign test. What may be on either side of it speaks for neither."""
    count = len(low)
    above, below = np.sum(np.asarray(low) > bound), np.sum(np.asarray(high) < bound)
    return Sides(*(stats.binom.sf(number - 1, count, 0.5) for number in (above, below)))


def holm(p) -> np.ndarray:
    """Adjusted p-values (Holm 1979) of each family, the last axis; float of that shape.

    Where all those at most 5 % are called, at most 5 % of families have a wrong one, however they
    depend on each other.
    """
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, axis=-1)
    ordered = np.take_along_axis(p, order, -1) * np.arange(p.shape[-1], 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(ordered, axis=-1), 1)
    found = np.empty_like(adjusted)
    np.put_along_axis(found, order, adjusted, -1)
    return found


def holm_levels(p) -> np.ndarray:
    """Confidence levels of a family of tests, float [tests], at which exactly those intervals leave
    out the tested value that Holm's correction calls.

    The i-th smallest p of m gets 1 - 5 % / (m - i + 1), as Holm compares it (Ludbrook 2000); those
    after the first that is not called get that one's level. p: of two-sided tests, [tests].
    """
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p)
    errors = ALPHA / np.arange(len(p), 0, -1)
    kept = p[order] > errors
    if kept.any():
        first = int(kept.argmax())
        errors[first:] = errors[first]
    levels = np.empty_like(errors)
    levels[order] = 1 - errors
    return levels


def detectable(low, high, degrees, tests: int = 1):
    """The smallest distance from a bound that is called with a probability of 80 %.

    low, high: ends of a 95 % interval; tests: in the family, of which this is the first that Holm's
    correction looks at, and so the strictest.
    """
    error = (np.asarray(high) - low) / 2 / stats.t.ppf(0.5 + LEVEL / 2, degrees)
    return error * (stats.t.ppf(1 - ALPHA / (2 * tests), degrees) + stats.t.ppf(POWER, degrees))
