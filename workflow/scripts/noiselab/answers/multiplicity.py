"""Many verdicts at once: Holm's correction over all of a study, and what its run could have shown.

A verdict by itself is wrong with a chance of 5 % at most; of forty, one or two would be. So a
verdict stands only where its p-value stays below 5 % after Holm's correction over all verdicts of
the study, as measured or above the floor. The others become undecided, and say so.
"""

import numpy as np
import pandas as pd

from noiselab.answers.rules import FAILS, HOLDS, UNDECIDED
from noiselab.measures.hypotheses import ALPHA, detectable, holm, sides

WITHOUT_SPREAD = "trainings of one value do not show how much others would differ"


def corrected(tests: list[dict]) -> None:
    """Correct the verdicts of all tests of a study, and of their other rulers, in place.

    Each gets `p_holm` and `detectable`, the smallest distance from the rule's bound that it would
    call with a probability of 80 %, in its unit; None where it is no test.
    """
    every = [(row, test["interval_seeds"]) for test in tests for row in (test, *test["rulers"])]
    for row, _ in every:
        row |= {"p_holm": None, "detectable": None}
    family = [(row, seeds) for row, seeds in every if row["p"] is not None]
    if not family:
        return
    adjusted = holm([row["p"] for row, _ in family])
    for (row, seeds), p in zip(family, adjusted, strict=True):
        row["p_holm"] = float(p)
        ends = row["ci_low"], row["ci_high"]
        row["detectable"] = float(detectable(*ends, degrees(row["interval"], seeds), len(family)))
        if p > ALPHA and row["verdict"] in (HOLDS, FAILS):
            alone, row["verdict"] = row["verdict"], UNDECIDED
            why = f"{alone} alone, not after the correction for {len(family)} (p = {p:.2g})"
            row["reason"] = "; ".join(filter(None, (why, row.get("reason"))))


def degrees(interval: str, seeds: int) -> float | None:
    """Degrees of freedom of an interval's t, infinite where it is over many items; None: it has no
    spread, so that nothing is tested."""
    if interval in ("closed_form", "none"):
        return None
    few = any(kind in interval for kind in ("t_seeds", "t_fits", "t_datasets"))
    return max(1, seeds - 1) if few else np.inf


def effects(table: pd.DataFrame, value: str, low: str, high: str) -> pd.Series:
    """p-values of effects that are not 0, after Holm's correction over all rows of a table; not a
    number where nothing is tested. value, low, high: columns of the effects and their intervals."""
    found = [degrees(str(row.interval), row.n_seeds) for row in table.itertuples()]
    free = pd.Series(found, table.index, dtype=np.float64)
    own = table[table[low].notna() & free.notna()]
    p = pd.Series(np.nan, table.index)
    if len(own):
        ends = (own[name].to_numpy(np.float64) for name in (value, low, high))
        two_sided = np.minimum(2 * np.min(sides(*ends, 0, free[own.index].to_numpy()), axis=0), 1)
        p[own.index] = holm(two_sided)
    return p
