"""How much sooner a training comes to its goal than another, pair by pair of the same seed.

A training that never came there was stopped at its last step. Its pair then has a bound: with 600
steps against more than 2,000, the second is at most 0.3 times as fast.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from noiselab.answers.tables import panel, tidy
from noiselab.measures.scores import NONE
from noiselab.measures.statistics import Estimate, geometric_over_seeds

KEYS = ("family", "stands_in_for", "protocol")


class Speedup(NamedTuple):
    """Steps of plain training, the first, over steps of the changed one, the second."""

    estimate: Estimate | None  # None: in some pair nothing is known
    bound: str  # "": the number itself; "at most" or "at least": it is a bound of it
    pairs: int
    lost: int  # pairs in which one never came there
    limit: int  # most steps of those that never came there; 0: all did
    sooner: int  # pairs in which the second comes there sooner than the first
    later: int


def speedup(plain: pd.DataFrame, changed: pd.DataFrame) -> Speedup:
    """From rows of the steps to a goal, of the seeds that both have: the geometric mean with its
    interval over seeds. value: steps, or not a number; steps: of the whole training."""
    sides = [side.set_index("seed") for side in (plain, changed)]
    seeds = sides[0].index.intersection(sides[1].index)
    values = np.array([side.loc[seeds, "value"] for side in sides], dtype=np.float64)
    steps = np.array([side.loc[seeds, "steps"] for side in sides], dtype=np.float64)
    never = np.isnan(values)
    lost, limit = int(never.any(0).sum()), int(steps[never].max(initial=0))
    # Who never came there is later than who did.
    first, second = np.where(never, np.inf, values)
    order = int((second < first).sum()), int((second > first).sum())
    whole = Speedup(None, "", len(seeds), lost, limit, *order)
    # One side only: a mean of bounds of both kinds is none.
    if len(seeds) == 0 or never.any(1).all():
        return whole
    ratios = np.where(never, steps, values)
    estimate = geometric_over_seeds(list(ratios[0] / ratios[1]), NONE)
    if lost == 0:
        return whole._replace(estimate=estimate)
    if never[1].any():
        return whole._replace(estimate=_open(estimate, ci_low=0.0), bound="at most")
    return whole._replace(estimate=_open(estimate, ci_high=np.inf), bound="at least")


def _open(estimate: Estimate, **end: float) -> Estimate:
    """An interval without its end on the side that no bound is of."""
    return estimate if estimate.ci_low is None else estimate._replace(**end)


def speedups_table(metrics: dict[str, pd.DataFrame], entries: list[dict]) -> pd.DataFrame:
    """A row per pair of experiments and data set. metrics, entries: as for `contrasts_table`. Where
    a training never came there, there is a bound in words instead of a number."""
    cells = []
    for entry in entries:
        if not {entry["first"], entry["second"]} <= metrics.keys():
            continue
        sides = [chosen(metrics[entry[side]], entry) for side in ("first", "second")]
        for dataset, second in sides[1].groupby("dataset", sort=False):
            found = speedup(sides[0][sides[0]["dataset"] == dataset], second)
            if found.pairs:
                cells.append(_cell(entry, second.iloc[0], found))
    return tidy(cells)


def chosen(rows: pd.DataFrame, entry: dict) -> pd.DataFrame:
    """Rows of an entry's metric at its noise ratio, by default of runs without noise."""
    at_ratio = rows["noise_ratio"] == entry.get("noise_ratio", 0)
    return rows[(rows["metric"] == entry["metric"]) & at_ratio]


def _cell(entry: dict, row: pd.Series, found: Speedup) -> dict:
    cell = {key: row[key] for key in (*KEYS, "dataset")}
    cell |= {"row": entry["label"], "metric": "speedup", "panel": panel("speedup"), "unit": ""}
    cell["n_seeds"] = found.pairs
    if found.lost:
        return cell | {"reason": in_words(found)}
    ends = {key: getattr(found.estimate, key) for key in ("ci_low", "ci_high", "interval")}
    return cell | {"ours": found.estimate.value} | ends


def in_words(found: Speedup) -> str:
    """What is known where some trainings never came there."""
    lost = f"in {found.lost} of {found.pairs} pairs, one is not there after {found.limit:,} steps"
    lost = f"{lost}; sooner in {found.sooner}, later in {found.later}"
    if found.estimate is None:
        return lost
    low, high = found.estimate.ci_low, found.estimate.ci_high
    known = {"at most": high, "at least": low}[found.bound]
    return f"{found.bound} {found.estimate.value if known is None else known:.2f}: {lost}"
