"""How much sooner a training comes to its goal than another, pair by pair of the same seed.

A training that never came there was stopped at its last step. What its pair has is a bound: with
600 steps against more than 2,000, the second is at most 0.3 times as fast. Then the median is
taken, for which it does not matter how far away the largest and the smallest are. Its interval
takes six pairs. Fewer have only their signs: how far apart they are, and so an interval of their
mean, depends on steps that nobody has seen.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from noiselab.answers.contrasts import chosen
from noiselab.answers.pairs import same_seeds
from noiselab.answers.tables import panel, tidy
from noiselab.measures.hypotheses import Sides, sign_sides
from noiselab.measures.scores import NONE
from noiselab.measures.statistics import FEWEST, Estimate, geometric_over_seeds, median_interval

KEYS = ("family", "stands_in_for", "protocol")


class Speedup(NamedTuple):
    """Steps of plain training, the first, over steps of the changed one, the second."""

    estimate: Estimate | None  # None: there are only signs
    bound: str  # "": the number itself; "at most" or "at least": it is a bound of it
    pairs: int
    lost: int  # pairs in which one never came there
    limit: int  # most steps of those that never came there; 0: all did
    sooner: int  # pairs in which the second comes there sooner than the first
    later: int
    test: Callable[[float], Sides] | None = None  # of the median, against a bound; if some are lost


def speedup(plain: pd.DataFrame, changed: pd.DataFrame) -> Speedup:
    """From rows of the steps to a goal, of the seeds that both have: the geometric mean, or the
    median, with its interval over seeds. value: steps, or not a number; steps: of the whole
    training. NoiselabError: a seed has several trainings."""
    sides = same_seeds(plain, changed)
    values, steps = (np.array([s[k] for s in sides], np.float64) for k in ("value", "steps"))
    never = np.isnan(values)
    lost, limit = int(never.any(0).sum()), int(steps[never].max(initial=0))
    # Who never came there is later than who did.
    latest, earliest = np.where(never, np.inf, values), np.where(never, steps, values)
    order = int((latest[1] < earliest[0]).sum()), int((earliest[1] > latest[0]).sum())
    whole = Speedup(None, "", len(sides[0]), lost, limit, *order)
    if lost:
        return _median(whole, earliest[0] / latest[1], latest[0] / earliest[1])
    if not whole.pairs:
        return whole
    return whole._replace(estimate=geometric_over_seeds(list(values[0] / values[1]), NONE))


def _median(whole: Speedup, low: np.ndarray, high: np.ndarray) -> Speedup:
    """Of the ratios of pairs between two ends, float [pairs] each: the median with its interval,
    or a bound, where one of both is not known; of few pairs only the test. Where single pairs may
    be on either side of it, the middle of what it may be, on the scale of logarithms."""
    whole = whole._replace(test=partial(sign_sides, low, high))
    if whole.pairs < FEWEST:
        return whole
    interval = median_interval(low, high)
    least, most = float(np.median(low)), float(np.median(high))
    if least > 0 and np.isfinite(interval.ci_high):
        return whole._replace(estimate=Estimate(float(np.sqrt(least * most)), *interval))
    if np.isfinite(interval.ci_high):
        return whole._replace(estimate=Estimate(most, *interval), bound="at most")
    if interval.ci_low > 0:
        return whole._replace(estimate=Estimate(least, *interval), bound="at least")
    return whole


def speedups_table(
    metrics: dict[str, pd.DataFrame], entries: list[dict], passes: dict[str, int] | None = None
) -> pd.DataFrame:
    """A row per pair of experiments and data set, in blocks: how much sooner it is in steps; what a
    step computes and takes, over those of the first; how much sooner it is in seconds.

    metrics, entries: as for `contrasts_table`; passes: run -> passes of a step through its batch,
    None: unknown. Where a training never came there, words may be all there is.
    """
    blocks: dict[str, list[dict]] = {name: [] for name in BLOCKS}
    for entry in entries:
        if not {entry["first"], entry["second"]} <= metrics.keys():
            continue
        plain, changed = (
            chosen(metrics[entry[side]], entry, noisy=False) for side in ("first", "second")
        )
        for dataset, second in changed.groupby("dataset", sort=False):
            first = plain[plain["dataset"] == dataset]
            found = speedup(first, second)
            if not found.pairs:
                continue
            cell = _cell(entry, second.iloc[0], found.pairs)
            blocks["speedup"].append(cell | _shown(found))
            costs = _costs(first, second, passes)
            for name, estimate in costs.items():
                blocks[name].append(cell | _numbers(estimate))
            if "step_seconds" in costs:
                seconds = speedup(_in_seconds(first), _in_seconds(second))
                if _is_number(seconds):
                    blocks["speedup_seconds"].append(cell | _numbers(seconds.estimate))
    return tidy(
        [cell | {"metric": name, "panel": panel(name)} for name in BLOCKS for cell in blocks[name]]
    )


BLOCKS = ("speedup", "step_flops", "step_seconds", "speedup_seconds")  # metrics, in their order


def _costs(
    first: pd.DataFrame, second: pd.DataFrame, passes: dict[str, int] | None
) -> dict[str, Estimate]:
    """What a step of the second computes and takes, over one of the first, in pairs of one seed.

    FLOPs of equal networks are as many as the examples that go through them. Seconds are those of
    the training with its evaluations, on whatever machine it had.
    """
    before, after = (side.set_index("seed") for side in same_seeds(first, second))
    times = (_step_seconds(after) / _step_seconds(before)).dropna()
    found = {}
    if passes is not None:
        ratios = _step_passes(after, passes) / _step_passes(before, passes)
        value = geometric_over_seeds(list(ratios), NONE).value
        found["step_flops"] = Estimate(value, *NONE)  # counted, so without an interval
    if len(times) == len(before):
        found["step_seconds"] = geometric_over_seeds(list(times), NONE)
    return found


def _step_seconds(rows: pd.DataFrame) -> pd.Series:
    return rows["seconds"] / rows["steps"]


def _step_passes(rows: pd.DataFrame, passes: dict[str, int]) -> pd.Series:
    """Passes of examples through the network in a step."""
    return rows["examples"] / rows["steps"] * rows["run_id"].map(passes)


def _in_seconds(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of steps to a goal, as rows of the seconds that these took."""
    return rows.assign(value=rows["value"] * _step_seconds(rows), steps=rows["seconds"])


def _cell(entry: dict, row: pd.Series, pairs: int) -> dict:
    cell = {key: row[key] for key in (*KEYS, "dataset")}
    return cell | {"row": entry["label"], "unit": "", "n_seeds": pairs}


def _shown(found: Speedup) -> dict:
    """The number, or what is known in words."""
    return _numbers(found.estimate) if _is_number(found) else {"reason": in_words(found)}


def _is_number(found: Speedup) -> bool:
    return found.estimate is not None and not found.bound


def _numbers(estimate: Estimate) -> dict:
    return {"ours": estimate.value} | estimate.ends()


def in_words(found: Speedup) -> str:
    """What is known where some trainings never came there."""
    lost = f"in {found.lost} of {found.pairs} pairs, one is not there after {found.limit:,} steps"
    p = min(1.0, 2 * float(min(found.test(1))))
    lost = f"{lost}; sooner in {found.sooner}, later in {found.later} (sign test: p = {p:.2g})"
    if not found.bound:
        return lost
    known = {"at most": found.estimate.ci_high, "at least": found.estimate.ci_low}[found.bound]
    return f"{found.bound} {known:.2f}: {lost}"
