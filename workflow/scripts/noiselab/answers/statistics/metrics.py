"""Single metrics: the largest over the noise ratios, the change against the clean run, and whether
there is one at all, as a training may diverge."""

import pandas as pd

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
from noiselab.measures import scores
from noiselab.measures.statistics import (
    NONE,
    Estimate,
    difference,
    over_seeds,
    wilson_interval,
)


def _largest_tests(statistic: dict, measured: Measured) -> Tests:
    """The largest of a metric over the noise ratios, less its bias where that is known; each end of
    the interval is the largest."""
    rows = experiment_rows(measured, statistic["experiment"], statistic["of"])
    rows = rows[(rows["metric"] == statistic["metric"]) & (rows["noise_ratio"] != 0)]
    if "bias" in rows:
        ends = ["value", "ci_low", "ci_high"]
        rows = rows.assign(**{end: rows[end] - rows["bias"].fillna(0) for end in ends})
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
        estimate = over_seeds(list(change), NONE)
        reason = "one seed gives no interval" if seeds == 1 else None
        yield Tested((dataset,), seeds, {NAMES[metric]: Ruled(estimate, "%")}, reason)


def _shift_tests(statistic: dict, measured: Measured) -> Tests:
    """A metric minus that of the clean run, paired by seed; of one seed, with the interval over
    test items as if both were independent."""
    rows = experiment_rows(measured, statistic["experiment"], statistic["of"])
    rows = rows[rows["metric"] == statistic["metric"]]
    for dataset, own in rows.groupby("dataset", sort=False):
        clean, noisy = (
            own[own["noise_ratio"] == ratio].sort_values("seed")
            for ratio in (0, statistic["noise_ratio"])
        )
        if len(noisy) == 0:
            continue
        known = clean["value"].notna().all() and noisy["value"].notna().all()
        if not known or list(clean["seed"]) != list(noisy["seed"]):
            yield Tested((dataset,), len(noisy), {}, missing_reason(noisy) or "no clean run")
            continue
        change = difference(seeds_estimate(noisy), seeds_estimate(clean))
        if len(noisy) > 1:
            change = over_seeds(list(noisy["value"].to_numpy() - clean["value"].to_numpy()), None)
        yield Tested((dataset,), len(noisy), {"absolute": Ruled(change, own["unit"].iloc[0])})


def _diverged_tests(statistic: dict, measured: Measured) -> Tests:
    """Share of the trainings at a noise ratio or above, with the batch of the clean run, that
    diverged; its interval is over trainings."""
    found = [experiment_rows(measured, name, statistic["of"]) for name in statistic["experiments"]]
    rows = pd.concat([part for part in found if len(part)]) if any(map(len, found)) else found[0]
    rows = rows[rows["metric"] == statistic["metric"]]
    for dataset, own in rows.groupby("dataset", sort=False):
        noisy = own[own["noise_ratio"] >= statistic["noise_ratio"]]
        if len(noisy) == 0:
            continue
        own = noisy[noisy["batch_multiplier"] == 1]
        if len(own) == 0:
            yield Tested((dataset,), 0, {}, "nothing was trained with so small a batch")
            continue
        count = int((own["reason"] == scores.DIVERGED).sum())
        low, high, _ = wilson_interval(count, len(own))
        share = Estimate(100 * count / len(own), 100 * low, 100 * high, "wilson_trainings")
        yield Tested((dataset,), own["seed"].nunique(), {"trainings": Ruled(share, "%")})


def _printed_value(statistic: dict, published: dict) -> dict[str, float]:
    entry = published[statistic["experiment"]]
    values = entry["metrics"][statistic["metric"]][statistic["of"]]
    return {"largest": max(values[1:])}


def _printed_shift(statistic: dict, published: dict) -> dict[str, float]:
    entry = published[statistic["experiment"]]
    values = entry["metrics"][statistic["metric"]][statistic["of"]]
    return {"absolute": values[entry["noise_ratios"].index(statistic["noise_ratio"])] - values[0]}


def _printed_change(statistic: dict, published: dict) -> dict[str, float]:
    entry = published["table12"]
    values = entry["metrics"][statistic["metric"]][statistic["of"]]
    value = values[entry["noise_ratios"].index(statistic["noise_ratio"])]
    return {NAMES[statistic["metric"]]: 100 * (value / values[0] - 1)}


LARGEST = Kind(
    _largest_tests,
    _printed_value,
    lambda s, _: (
        f"largest {NAMES[s['metric']]} of all r > 0"
        + (", its first-order bias taken off" if s["metric"] == "kl" else "")
    ),
)
CHANGE = Kind(
    _change_tests,
    _printed_change,
    lambda s, _: f"relative change of {NAMES[s['metric']]} at r = {s['noise_ratio']:g}",
)
SHIFT = Kind(
    _shift_tests,
    _printed_shift,
    lambda s, _: f"{NAMES[s['metric']]} at r = {s['noise_ratio']:g} minus that of the clean run",
)
DIVERGED = Kind(
    _diverged_tests,
    lambda *_: {},
    lambda s, _: (
        f"share of trainings that diverge, r ≥ {s['noise_ratio']:g}, batch of the clean run"
    ),
)
