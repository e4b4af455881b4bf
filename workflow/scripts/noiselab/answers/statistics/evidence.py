"""What statistics are computed from, and what comes out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from noiselab.answers.pairs import same_seeds, usual
from noiselab.measures.hypotheses import Sides
from noiselab.measures.statistics import Estimate


@dataclass(frozen=True)
class Measured:
    """What there is to decide by."""

    tier: str
    metrics: dict[str, pd.DataFrame]  # experiment -> rows of runs, as collect_metrics writes them
    gradients: pd.DataFrame | None = None  # rows of measure_gradients
    stability: pd.DataFrame | None = None  # rows of measure_loss_stability
    curves: pd.DataFrame | None = None  # rows of collect_curves


class Ruled(NamedTuple):
    """A loss by one ruler."""

    estimate: Estimate
    unit: str
    test: Callable[[float], Sides] | None = None  # against a bound; None: by the interval's t


class Tested(NamedTuple):
    """The statistic on what was run. by_ruler: its own ruler first."""

    datasets: tuple[str, ...]
    seeds: int  # of the side with the fewest
    by_ruler: dict[str, Ruled]
    reason: str | None = None  # why there is no number
    interval_seeds: int | None = None  # seeds that an interval over seeds is of, if others


Tests = Iterator[Tested]


class Kind(NamedTuple):
    """A kind of statistic."""

    tests: Callable[[dict, Measured], Tests]
    printed: Callable[[dict, dict], dict[str, float]]  # ruler -> the paper's number
    sentence: Callable[[dict, dict], str]
    averages: bool = False  # over data sets, so that one may be left out


def same_noise(measured: Measured, published: dict) -> Measured:
    """Without the runs whose noise is not that of the paper's experiment: settings of one's own may
    have changed it, and no claim is about them."""

    def printed(name: str, rows: pd.DataFrame) -> pd.DataFrame:
        noise = published.get(name, {}).get("corruption")
        if noise is None or "corruption" not in rows:
            return rows
        return rows[rows["corruption"].isin([noise, "none"])]

    metrics = {name: printed(name, rows) for name, rows in measured.metrics.items()}
    return replace(measured, metrics=metrics)


def experiment_rows(measured: Measured, experiment: str, of: str | list[str]) -> pd.DataFrame:
    """Rows of an experiment's runs on data that are, or stand in for, the paper's `of`; of a grid
    of settings the usual one."""
    of = [of] if isinstance(of, str) else of
    rows = measured.metrics.get(experiment)
    if rows is None:
        return pd.DataFrame(columns=["dataset", "metric", "noise_ratio", "corruption"])
    whole = rows["source_share"].fillna(1) == 1
    return usual(rows[rows["stands_in_for"].isin(of) & whole])


def run_ids(statistic: dict, measured: Measured, datasets: tuple[str, ...]) -> list[str]:
    """Ids of the runs behind a test on these data sets; none of a closed form."""
    parts = [part for part in (statistic.get("first"), statistic.get("second")) if part]
    frames = [_part_rows(statistic | part, measured) for part in parts or [statistic]]
    found = [rows[rows["dataset"].isin(datasets)] for rows in frames if "run_id" in rows]
    return list(dict.fromkeys(run for rows in found for run in rows["run_id"]))


def _part_rows(part: dict, measured: Measured) -> pd.DataFrame:
    """Rows of the runs that a part of a statistic is computed from."""
    if part["kind"] in STABILITY:
        return pd.DataFrame() if measured.stability is None else measured.stability
    names = part.get("experiments") or [part[key] for key in ("experiment", "minus") if key in part]
    if not names:  # of gradients, which are those of clean runs
        return _clean_rows(measured, measured.gradients if part["kind"] in GRADIENTS else None)
    rows = pd.concat([experiment_rows(measured, name, part["of"]) for name in names])
    if "noise_ratio" in part:
        rows = rows[rows["noise_ratio"].isin([0, part["noise_ratio"]])]
    if "share" in part:
        near = [np.isclose(rows["error_rate"], share) for share in (0, part["share"])]
        rows = rows[np.logical_or(*near)]
    return rows


STABILITY, GRADIENTS = ("narrowing", "spread_ratio"), ("gradients", "growth")


def _clean_rows(measured: Measured, analysed: pd.DataFrame | None) -> pd.DataFrame:
    """Rows of the clean runs with the seeds of an analysis of language models."""
    frames = [rows for rows in measured.metrics.values() if "run_id" in rows]
    if analysed is None or not frames:
        return pd.DataFrame()
    rows = pd.concat(frames)
    chosen = (rows["family"] == "language_model") & (rows["corruption"] == "none")
    return rows[chosen & rows["seed"].isin(analysed["seed"]) & (rows["protocol"] == "text")]


def analysis_rows(rows: pd.DataFrame | None, of: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """(data set, its rows) of an analysis."""
    if rows is not None:
        yield from rows[rows["stands_in_for"] == of].groupby("dataset", sort=False)


def compared(first: pd.DataFrame, second: pd.DataFrame) -> tuple[tuple, str | None]:
    """The rows of both sides whose seeds both have, and why there is no number, if there is none:
    a training of either side has no value, or no seed is on both.

    first, second: of one metric, data set and noise. NoiselabError: a seed has several trainings.
    """
    sides = same_seeds(first, second)
    alone = None if len(sides[0]) else "no seed that both sides have"
    return sides, unknown(first) or unknown(second) or alone


def unknown(rows: pd.DataFrame) -> str | None:
    """Why rows have no number together: a training has none. None: all have one."""
    lost = rows[rows["value"].isna()]
    return (missing_reason(lost) or "a training has no value") if len(lost) else None


def missing_reason(rows: pd.DataFrame) -> str | None:
    """Why a value is missing, of the first for which it is known."""
    return next(iter(rows["reason"].dropna()), None) if "reason" in rows else None
