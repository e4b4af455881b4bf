"""What statistics are computed from, and what comes out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import pandas as pd

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


class Tested(NamedTuple):
    """The statistic on what was run. by_ruler: its own ruler first."""

    datasets: tuple[str, ...]
    seeds: int
    by_ruler: dict[str, Ruled]
    reason: str | None = None  # why there is no number


Tests = Iterator[Tested]


class Kind(NamedTuple):
    """A kind of statistic."""

    tests: Callable[[dict, Measured], Tests]
    printed: Callable[[dict, dict], dict[str, float]]  # ruler -> the paper's number
    sentence: Callable[[dict, dict], str]


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


def experiment_rows(measured: Measured, experiment: str, of: str) -> pd.DataFrame:
    """Rows of an experiment's runs on data that are, or stand in for, the paper's `of`."""
    rows = measured.metrics.get(experiment)
    if rows is None:
        return pd.DataFrame(columns=["dataset", "metric", "noise_ratio"])
    whole = rows["source_share"].fillna(1) == 1
    return rows[(rows["stands_in_for"] == of) & whole]


def analysis_rows(rows: pd.DataFrame | None, of: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """(data set, its rows) of an analysis."""
    if rows is not None:
        yield from rows[rows["stands_in_for"] == of].groupby("dataset", sort=False)


def missing_reason(rows: pd.DataFrame) -> str | None:
    """Why a value is missing, of the first for which it is known."""
    return next(iter(rows["reason"].dropna()), None) if "reason" in rows else None
