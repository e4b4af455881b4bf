"""Stretches of noise: scores at a noise share, and what learning curves show."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from noiselab.answers.contrasts import contrast
from noiselab.answers.layouts import NAMES
from noiselab.answers.pairs import each_once
from noiselab.answers.statistics.evidence import (
    Kind,
    Measured,
    Ruled,
    Tested,
    Tests,
    compared,
    experiment_rows,
    unknown,
)
from noiselab.answers.tables import seeds_estimate
from noiselab.measures.statistics import NONE, Estimate, difference, over_seeds

COLUMNS = {
    "dilution": "rise of the clean run's NLL where it has seen as few clean tokens",
    "rise": "rise of NLL at the same step",
    "rise_same_tokens": "rise of NLL at as many clean tokens",
    "log10_k": "log10 of k",
    "validation_nll": "clean NLL",
    "noise_nll": "NLL of the noise text",
}
ABOVE = "absolute, above the floor"
ONE_SEED = "one seed gives no interval"


def _at_share_tests(statistic: dict, measured: Measured) -> Tests:
    """A metric at a noise share; minus that of another experiment, paired by seed, or of both as
    independent where they have one seed in common."""
    share, minus = statistic["share"], statistic.get("minus")
    per_share = statistic.get("per_share", False)
    own = _metric(measured, statistic["experiment"], statistic)
    other = None if minus is None else _metric(measured, minus, statistic)
    for dataset, rows in own.groupby("dataset", sort=False):
        against = None if other is None else other[other["dataset"] == dataset]
        if against is None:
            sides, reason = (each_once(rows),), unknown(rows)
        elif len(against):
            sides, reason = compared(against, rows)
        else:
            continue
        pairs = len(sides[0])
        if pairs == 1 and against is not None:
            sides = (against, rows)  # of one pair no spread is known, of both sides one may be
        rulers = {} if reason else _at_share(sides, 100 * share if per_share else 1, per_share)
        several = [len(side) for side in sides if len(side) > 1]
        yield Tested((dataset,), pairs, rulers, reason, min(several, default=pairs))


def _at_share(sides: tuple[pd.DataFrame, ...], scale: float, per_share: bool) -> dict[str, Ruled]:
    """By the rulers that there are, of one side, or of the last minus the first."""
    unit = "ratio" if per_share else sides[-1]["unit"].iloc[0]
    rulers = {"absolute": Ruled(_scaled(_estimate(sides), scale), unit)}
    if all(side["floor"].notna().all() for side in sides):
        rulers[ABOVE] = Ruled(_scaled(_estimate(sides, above_floor=True), scale), unit)
    return rulers


def _metric(measured: Measured, experiment: str, statistic: dict) -> pd.DataFrame:
    """Rows of a metric at the share, a seed each."""
    rows = experiment_rows(measured, experiment, statistic["of"])
    if "error_rate" not in rows:
        return rows
    chosen = np.isclose(rows["error_rate"].astype(float), statistic["share"])
    return rows[chosen & (rows["metric"] == statistic["metric"])]


def _estimate(sides: tuple[pd.DataFrame, ...], above_floor: bool = False) -> Estimate:
    if len(sides) == 1:
        return seeds_estimate(sides[0], above_floor)
    first, second = sides
    if list(first["seed"]) == list(second["seed"]):
        return contrast(first, second, above_floor).effect
    return difference(*(seeds_estimate(side, above_floor) for side in (second, first)))


def _scaled(estimate: Estimate, scale: float) -> Estimate:
    numbers = [None if n is None else n / scale for n in estimate[:3]]
    return Estimate(*numbers, estimate.interval)


def _curve_tests(found: Callable[[dict, pd.DataFrame], float | None]) -> Callable:
    """Tests of a number that each seed's curve gives; it has an interval over seeds alone."""

    def tests(statistic: dict, measured: Measured) -> Tests:
        for dataset, rows in _curves(statistic, measured).groupby("dataset", sort=False):
            values = [found(statistic, curve) for _, curve in rows.groupby("run_id", sort=False)]
            if any(value is None or not np.isfinite(value) for value in values):
                yield Tested((dataset,), len(values), {}, "no such number on the curve")
                continue
            estimate = over_seeds(values, NONE)
            name, unit = COLUMNS[statistic["column"]], _unit(statistic)
            reason = ONE_SEED if len(values) == 1 else None
            yield Tested((dataset,), len(values), {name: Ruled(estimate, unit)}, reason)

    return tests


def _curves(statistic: dict, measured: Measured) -> pd.DataFrame:
    """The curves of an experiment's runs at the share, in the order of their steps."""
    rows = measured.curves
    runs = experiment_rows(measured, statistic["experiment"], statistic["of"])
    if rows is None or "run_id" not in runs:
        return pd.DataFrame(columns=["dataset", "run_id"])
    chosen = rows["run_id"].isin(runs["run_id"]) & np.isclose(rows["share"], statistic["share"])
    return rows[chosen].sort_values("step")


def _end(statistic: dict, curve: pd.DataFrame) -> float | None:
    """A column at the end of a curve; of k its logarithm."""
    if statistic["column"] == "log10_k":
        k = curve["k"].iloc[-1]
        return float(np.log10(k)) if k > 0 else None
    return float(curve[statistic["column"]].iloc[-1])


def _fall(statistic: dict, curve: pd.DataFrame) -> float | None:
    """How much a column falls from a part of the training to its end; per: over another's fall."""
    start = (curve["progress"] >= statistic["start"] - 1e-9).to_numpy().argmax()

    def fall(column: str) -> float:
        return float(curve[column].iloc[start] - curve[column].iloc[-1])

    per = fall(statistic["per"]) if "per" in statistic else 1.0
    return fall(statistic["column"]) / per if per > 0 else None


def _unit(statistic: dict) -> str:
    if "per" in statistic:
        return "ratio"
    return "powers of ten" if statistic["column"] == "log10_k" else "nats/token"


def _printed(statistic: dict, published: dict) -> dict[str, float]:
    """The paper's number, where it prints one of this experiment at this share."""
    entry = published.get(statistic["experiment"], {})
    values = (entry.get("metrics", {}).get(statistic.get("metric")) or {}).get(statistic["of"])
    if not values or "minus" in statistic:
        return {}
    value = dict(zip(entry["noise_shares"], values, strict=True)).get(statistic["share"])
    scale = 100 * statistic["share"] if statistic.get("per_share") else 1
    return {} if value is None else {"absolute": value / scale}


def _share_sentence(statistic: dict, published: dict) -> str:
    per = ", per share of noise" if statistic.get("per_share") else ""
    minus = f", minus that of {statistic['minus']}" if "minus" in statistic else ""
    return f"{NAMES[statistic['metric']]}{per} at α = {statistic['share']:g}{minus}"


def _end_sentence(statistic: dict, published: dict) -> str:
    return f"{COLUMNS[statistic['column']]} at the end, α = {statistic['share']:g}"


def _fall_sentence(statistic: dict, published: dict) -> str:
    per = f", over that of the {COLUMNS[statistic['per']]}" if "per" in statistic else ""
    since = f"from {100 * statistic['start']:g} % of the training to its end"
    return f"fall of the {COLUMNS[statistic['column']]} {since}{per}, α = {statistic['share']:g}"


AT_SHARE = Kind(_at_share_tests, _printed, _share_sentence)
ON_CURVE = Kind(_curve_tests(_end), lambda *_: {}, _end_sentence)
FALL = Kind(_curve_tests(_fall), lambda *_: {}, _fall_sentence)
