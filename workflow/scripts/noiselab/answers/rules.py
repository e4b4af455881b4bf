"""The rule of a claim: what an estimate says of it, and how sure that is.

A rule has bounds, and a claim a `smallest_effect`, in its unit: what is smaller does not interest.
A sign alone (`above`) needs it: the claim holds where the whole interval is above the bound and not
all of it within the smallest effect of it; it does not hold where the whole interval is below the
bound plus the smallest effect. Other rules have that margin in their bounds.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from noiselab.measures.hypotheses import Sides, sides, without_spread
from noiselab.measures.statistics import Estimate

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
# Numbers whose statistic says what they are.
WITHOUT_UNIT = (
    "powers of ten",
    "cosine",
    "factor at twice the batch",
    "ratio",
    "relative information loss",
)


class Outcome(NamedTuple):
    """A verdict, and the two-sided p-value of it: below 5 % where there is one."""

    verdict: str
    p: float | None  # None: it is no test


def outcome(
    rule: dict,
    estimate: Estimate,
    degrees: float,
    smallest_effect: float = 0,
    test: Callable[[float], Sides] | None = None,
) -> Outcome:
    """What an estimate says by itself; nothing, where it has no interval, or one of few trainings
    that all have its value. degrees: of freedom of its interval's t; test: p-values against a
    bound, where they are not those of a t."""
    verdict = apply_rule(rule, estimate, smallest_effect)
    ends = estimate[1:3]
    if ends[0] is None or (test is None and without_spread(*ends, degrees)):
        return Outcome(UNDECIDED, None)
    against = test or partial(sides, *estimate[:3], degrees=degrees)
    inside, outside = _p_values(rule, against, smallest_effect)
    p = {HOLDS: inside, FAILS: outside, UNDECIDED: min(inside, outside)}[verdict]
    return Outcome(verdict, min(1.0, 2 * p))


def _p_values(rule: dict, against: Callable[..., Sides], smallest: float) -> tuple[float, float]:
    """One-sided p-values of "it does not hold" and of "it holds"."""
    low, high = bounds(rule)
    fails_below = low + smallest if "above" in rule else low
    above_low = against(bound=low).above if np.isfinite(low) else 0.0
    below_high = against(bound=high).below if np.isfinite(high) else 0.0
    below_low = against(bound=fails_below).below if np.isfinite(low) else 1.0
    above_high = against(bound=high).above if np.isfinite(high) else 1.0
    return float(max(above_low, below_high)), float(min(below_low, above_high))


def apply_rule(rule: dict, estimate: Estimate, smallest_effect: float = 0) -> str:
    """Verdict of one rule: where the whole interval lies."""
    if estimate.ci_low is None:
        return UNDECIDED
    low, high = bounds(rule)
    if "above" in rule:
        if estimate.ci_high <= low or estimate.ci_high < low + smallest_effect:
            return FAILS
        return HOLDS if estimate.ci_low > low else UNDECIDED
    if estimate.ci_low >= low and estimate.ci_high <= high:
        return HOLDS
    return FAILS if estimate.ci_high < low or estimate.ci_low > high else UNDECIDED


def bounds(rule: dict) -> tuple[float, float]:
    """Lower and upper bound of a rule; infinite where it has none."""
    ((kind, bound),) = rule.items()
    return {
        "above": lambda: (bound, np.inf),
        "at_least": lambda: (bound, np.inf),
        "at_most": lambda: (-np.inf, bound),
        "between": lambda: tuple(bound),
    }[kind]()


def rule_text(rule: dict, unit: str) -> str:
    """A rule as words."""
    ((kind, bound),) = rule.items()
    limits = bound if isinstance(bound, list) else [bound]
    unit = "" if unit in WITHOUT_UNIT else f" {unit}"
    return f"{kind.replace('_', ' ')} {' and '.join(f'{b:g}' for b in limits)}{unit}"
