"""Single metrics: the largest over the noise ratios, the change against the clean run, and whether
there is one at all, as a training may diverge."""

from collections.abc import Iterator

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
from noiselab.answers.statistics.extremes import extreme
from noiselab.answers.tables import seeds_estimate
from noiselab.measures import scores
from noiselab.measures.statistics import (
    NONE,
    Estimate,
    over_seeds,
    wilson_interval,
)


def _largest_tests(statistic: dict, measured: Measured) -> Tests:
    """The largest of a metric over the noise ratios, less its bias where that is known."""
    rows = experiment_rows(measured, statistic["experiment"], statistic["of"])
    rows = rows[(rows["metric"] == statistic["metric"]) & (rows["noise_ratio"] != 0)]
    if "bias" in rows:
        ends = ["value", "ci_low", "ci_high"]
        rows = rows.assign(**{end: rows[end] - rows["bias"].fillna(0) for end in ends})
    for dataset, own in rows.groupby("dataset", sort=False):
        if reason := unknown(own):
            yield Tested((dataset,), own["seed"].nunique(), {}, reason)
            continue
        rates = [each_once(rate) for _, rate in own.groupby("error_rate", dropna=False)]
        cells = [(seeds_estimate(rate), len(rate)) for rate in rates]
        found = extreme(cells, own["unit"].iloc[0])
        yield found.tested(dataset, {"largest": found.ruled})


def _change_tests(statistic: dict, measured: Measured) -> Tests:
    """Relative change of a metric against the clean run of the same seed. It has an interval over
    seeds alone: a Fréchet distance is one number for all images."""
    name = NAMES[statistic["metric"]]
    for dataset, seeds, clean, noisy in _against_clean(statistic, measured):
        if not (len(clean) and len(noisy)):
            yield Tested((dataset,), seeds, {}, f"{name} was not measured")
            continue
        (before, after), reason = compared(clean, noisy)
        if reason:
            yield Tested((dataset,), len(before) or seeds, {}, reason)
            continue
        change = 100 * (after["value"].to_numpy() / before["value"].to_numpy() - 1)
        reason = "one seed gives no interval" if len(change) == 1 else None
        ruled = Ruled(over_seeds(list(change), NONE), "%")
        yield Tested((dataset,), len(change), {name: ruled}, reason)


def _shift_tests(statistic: dict, measured: Measured) -> Tests:
    """A metric minus that of the clean run, paired by seed; of one seed, with the interval over
    test items as if both were independent."""
    for dataset, seeds, clean, noisy in _against_clean(statistic, measured):
        if len(noisy) == 0:
            continue
        sides, reason = compared(clean, noisy)
        if reason:
            reason = reason if len(clean) else "no clean run"
            yield Tested((dataset,), len(sides[0]) or seeds, {}, reason)
            continue
        ruled = Ruled(contrast(*sides).effect, noisy["unit"].iloc[0])
        yield Tested((dataset,), len(sides[0]), {"absolute": ruled})


def _against_clean(
    statistic: dict, measured: Measured
) -> Iterator[tuple[str, int, pd.DataFrame, pd.DataFrame]]:
    """(data set, seeds of all its runs, rows of the clean ones, of those at the noise ratio) of a
    metric."""
    rows = experiment_rows(measured, statistic["experiment"], statistic["of"])
    for dataset, own in rows.groupby("dataset", sort=False):
        seeds, own = own["seed"].nunique(), own[own["metric"] == statistic["metric"]]
        ratios = (0, statistic["noise_ratio"])
        yield dataset, seeds, *(own[own["noise_ratio"] == ratio] for ratio in ratios)


def _diverged_tests(statistic: dict, measured: Measured) -> Tests:
    """Share of the trainings at a noise ratio or above, with the batch of the clean run, that
    diverged; its interval is over trainings."""
    found = [experiment_rows(measured, name, statistic["of"]) for name in statistic["experiments"]]
    rows = pd.concat([part for part in found if len(part)]) if any(map(len, found)) else found[0]
    rows = rows[rows["metric"] == statistic["metric"]]
    if "run_id" in rows:  # experiments may share trainings
        rows = rows.drop_duplicates("run_id")
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
