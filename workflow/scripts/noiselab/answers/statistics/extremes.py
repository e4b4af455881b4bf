"""The extreme of several cells, such as the largest of all noise ratios: a value with a valid test.

The largest of several estimates lies too high, and an interval around it covers too seldom. So each
cell is tested. That the largest is below a bound needs all cells below it, each by itself
(intersection-union test: Berger 1982). That it is above needs one cell, after Bonferroni's
correction for the number of cells. The interval is that of both tests.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy import stats

from noiselab.answers.multiplicity import WITHOUT_SPREAD, degrees
from noiselab.answers.statistics.evidence import Ruled, Tested
from noiselab.measures.hypotheses import Sides, sides, without_spread
from noiselab.measures.statistics import LEVEL, NONE, Estimate


class Extreme(NamedTuple):
    """The cell that is the extreme, with the interval and test of all."""

    ruled: Ruled
    seeds: int  # of the cell with the fewest
    interval_seeds: int  # of the extreme one
    reason: str | None  # why there is no interval

    def tested(self, dataset: str, by_ruler: dict[str, Ruled]) -> Tested:
        """A statistic whose own ruler this is."""
        return Tested((dataset,), self.seeds, by_ruler, self.reason, self.interval_seeds)


def extreme(cells: Sequence[tuple[Estimate, int]], unit: str, pick: Callable = max) -> Extreme:
    """The largest (pick: max) or smallest (min) of the cells.

    cells: estimates with 95 % intervals in the unit, and the seeds of each.
    """
    found, own_seeds = pick(cells, key=lambda cell: cell[0].value)
    estimates, counts = zip(*cells, strict=True)
    free = [degrees(*of) for of in zip((e.interval for e in estimates), counts, strict=True)]
    reason = None
    if None in free or None in [estimate.ci_low for estimate in estimates]:
        reason = "not every cell has an interval"
    numbers = np.array([estimate[:3] for estimate in estimates], np.float64)  # [cells, 3]
    free = np.array(free, np.float64)
    if reason is None and without_spread(*numbers[:, 1:].T, free).any():
        reason = WITHOUT_SPREAD
    if reason:
        ruled = Ruled(Estimate(found.value, *NONE), unit)
    else:
        whole = Estimate(found.value, *_ends(numbers, free, pick), found.interval)
        ruled = Ruled(whole, unit, partial(_test, numbers, free, pick))
    return Extreme(ruled, min(counts), own_seeds, reason)


def _ends(numbers: np.ndarray, free: np.ndarray, pick: Callable) -> tuple[float, float]:
    """The bounds at which the tests of `_test` have a p of 2.5 %."""
    value, low, high = numbers.T
    tail = (1 - LEVEL) / 2
    wider = stats.t.isf(tail / len(numbers), free) / stats.t.isf(tail, free)
    if pick is max:
        low = value - wider * (value - low)
    else:
        high = value + wider * (high - value)
    return float(pick(low)), float(pick(high))


def _test(numbers: np.ndarray, free: np.ndarray, pick: Callable, bound: float) -> Sides:
    """p-values of the extreme against a bound."""
    all_above, all_below = sides(*numbers.T, bound, free)
    one_above, one_below = (min(1.0, len(numbers) * float(p.min())) for p in (all_above, all_below))
    if pick is max:
        return Sides(one_above, float(all_below.max()))
    return Sides(float(all_above.max()), one_below)
