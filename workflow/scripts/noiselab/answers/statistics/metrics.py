"""Single metrics: the largest over the noise ratios, and the change against the clean run."""

from noiselab.answers.layouts import NAMES
from noiselab.answers.statistics.evidence import (
    Kind,
    Measured,
    Ruled,
    Tested,
    Tests,
    experiment_rows,
    missing_reason,
)
from noiselab.answers.tables import seeds_estimate
from noiselab.measures.statistics import Estimate, Interval, over_seeds


def _largest_tests(statistic: dict, measured: Measured) -> Tests:
    """The largest of a metric over the noise ratios; each end of the interval is the largest."""
    rows = experiment_rows(measured, statistic["experiment"], statistic["of"])
    rows = rows[(rows["metric"] == statistic["metric"]) & (rows["noise_ratio"] != 0)]
    for dataset, own in rows.groupby("dataset", sort=False):
        if own["value"].isna().any():
            yield Tested((dataset,), own["seed"].nunique(), {}, missing_reason(own))
            continue
        cells = [seeds_estimate(cell) for _, cell in own.groupby("error_rate", dropna=False)]
        ends = zip(*(cell[:3] for cell in cells), strict=True)
        value, low, high = (None if None in end else max(end) for end in ends)
        estimate = Estimate(value, low, high, cells[0].interval)
        ruled = {"largest": Ruled(estimate, own["unit"].iloc[0])}
        yield Tested((dataset,), own["seed"].nunique(), ruled)


def _change_tests(statistic: dict, measured: Measured) -> Tests:
    """Relative change of a metric against the clean run of the same seed. It has an interval over
    seeds alone: a Fréchet distance is one number for all images."""
    rows, metric = (
        experiment_rows(measured, statistic["experiment"], statistic["of"]),
        statistic["metric"],
    )
    for dataset, own in rows.groupby("dataset", sort=False):
        seeds = own["seed"].nunique()
        values = own[own["metric"] == metric].pivot_table(
            index="seed", columns="noise_ratio", values="value"
        )
        if not {0, statistic["noise_ratio"]} <= set(values):
            yield Tested((dataset,), seeds, {}, f"{NAMES[metric]} was not measured")
            continue
        change = 100 * (values[statistic["noise_ratio"]] / values[0] - 1)
        estimate = over_seeds(list(change), Interval(None, None, "none"))
        reason = "one seed gives no interval" if seeds == 1 else None
        yield Tested((dataset,), seeds, {NAMES[metric]: Ruled(estimate, "%")}, reason)


def _printed_value(statistic: dict, published: dict) -> dict[str, float]:
    entry = published[statistic["experiment"]]
    values = entry["metrics"][statistic["metric"]][statistic["of"]]
    return {"largest": max(values[1:])}


def _printed_change(statistic: dict, published: dict) -> dict[str, float]:
    entry = published["table12"]
    values = entry["metrics"][statistic["metric"]][statistic["of"]]
    value = values[entry["noise_ratios"].index(statistic["noise_ratio"])]
    return {NAMES[statistic["metric"]]: 100 * (value / values[0] - 1)}


LARGEST = Kind(
    _largest_tests, _printed_value, lambda s, _: f"largest {NAMES[s['metric']]} of all r > 0"
)
CHANGE = Kind(
    _change_tests,
    _printed_change,
    lambda s, _: f"relative change of {NAMES[s['metric']]} at r = {s['noise_ratio']:g}",
)
