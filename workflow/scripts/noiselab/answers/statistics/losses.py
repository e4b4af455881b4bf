"""What noise costs: losses of a score, and differences of two losses."""

from itertools import product

import pandas as pd

from noiselab.answers.layouts import NAMES
from noiselab.answers.pairs import each_once
from noiselab.answers.rulers import LOSSES, lost, published_floor
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
from noiselab.measures.statistics import difference
from noiselab.planning.rates import error_rate


def _loss_rulers(rows: pd.DataFrame, score: str) -> dict[str, Ruled]:
    """A loss by every ruler, of one data set and noise ratio. None by a ruler by which one of the
    trainings has no number: those that diverged would drop out of the mean, the best stay."""
    absolute, relative, _ = LOSSES[score]
    rulers = {}
    for name, metric in (
        ("relative", relative),
        ("absolute", absolute),
        ("per sequence", "sequence_nll_rise"),
    ):
        chosen = rows[rows["metric"] == metric]
        if len(chosen) and chosen["value"].notna().all():
            unit = each_once(chosen)["unit"].iloc[0]
            rulers[name] = Ruled(seeds_estimate(chosen), unit)
            if chosen["floor"].notna().all():
                rulers[f"{name}, above the floor"] = Ruled(seeds_estimate(chosen, True), unit)
    return rulers


def _first(ruler: str, rulers: dict[str, Ruled]) -> dict[str, Ruled]:
    """The rulers with the claim's own in front."""
    return {ruler: rulers[ruler]} | rulers if ruler in rulers else {}


def _losses_of(part: dict, ratio: float, measured: Measured) -> Tests:
    """One test per data set on which a loss was measured."""
    rows = experiment_rows(measured, part["experiment"], part["of"])
    for dataset, both in rows.groupby("dataset", sort=False):
        own = both[both["noise_ratio"] == ratio]
        if len(own) == 0:
            continue
        rulers = _loss_rulers(own, part["score"])
        reason = missing_reason(own[own["metric"].isin(LOSSES[part["score"]][:2])])
        if _at_chance(both, part["score"]):
            rulers, reason = {}, "the clean model is at chance, so it has nothing to lose"
        yield Tested((dataset,), own["seed"].nunique(), rulers, reason)


def _at_chance(rows: pd.DataFrame, score: str) -> bool:
    """Whether the clean runs of a data set are no better than guessing a class."""
    clean = rows[(rows["noise_ratio"] == 0) & (rows["metric"] == score)]
    if not LOSSES[score].more_is_better or len(clean) == 0 or clean["value"].isna().any():
        return False
    low = seeds_estimate(clean).ci_low
    return low is not None and low <= 100 / clean["classes"].iloc[0]


def _loss_tests(statistic: dict, measured: Measured) -> Tests:
    for test in _losses_of(statistic, statistic["noise_ratio"], measured):
        rulers = _first(statistic["ruler"], test.by_ruler)
        yield test._replace(by_ruler=rulers, reason=None if rulers else test.reason)


def _difference_tests(statistic: dict, measured: Measured) -> Tests:
    ratio = statistic["noise_ratio"]
    parts = (list(_losses_of(statistic[k], ratio, measured)) for k in ("first", "second"))
    for a, b in product(*parts):
        rulers = {
            name: _difference(a.by_ruler[name], b.by_ruler[name])
            for name in a.by_ruler
            if name in b.by_ruler and a.by_ruler[name].unit == b.by_ruler[name].unit
        }
        datasets = tuple(dict.fromkeys(a.datasets + b.datasets))
        rulers = _first(statistic["ruler"], rulers)
        reason = None if rulers else a.reason or b.reason
        seeds = a.seeds, b.seeds
        # An interval of one training has a kind of its own.
        of_interval = min((n for n in seeds if n > 1), default=1)
        yield Tested(datasets, min(seeds), rulers, reason, of_interval)


def _difference(a: Ruled, b: Ruled) -> Ruled:
    unit = "points of relative loss" if a.unit == "%" else a.unit
    return Ruled(difference(a.estimate, b.estimate), unit)


def _printed_loss(part: dict, ratio: float, published: dict) -> dict[str, float]:
    """A printed loss by every ruler for which the printed numbers are enough."""
    entry, score, of = published[part["experiment"]], part["score"], part["of"]
    clean, *_ = values = entry["metrics"][score][of]
    value = values[entry["noise_ratios"].index(ratio)]
    loss = lost(score, value, clean)
    printed = {"absolute": loss, "relative": 100 * loss / clean}
    classes = published.get("classes", {}).get(of)
    floor = published_floor(score, entry["corruption"], clean, error_rate(ratio), classes)
    if floor is not None:
        above = loss - lost(score, floor, clean)
        printed["absolute, above the floor"] = above
        printed["relative, above the floor"] = 100 * above / clean
    return printed


def _printed_difference(statistic: dict, published: dict) -> dict[str, float]:
    first, second = (
        _printed_loss(statistic[k], statistic["noise_ratio"], published)
        for k in ("first", "second")
    )
    scores = [LOSSES[statistic[k]["score"]].more_is_better for k in ("first", "second")]
    return {
        name: first[name] - second[name]
        for name in first
        if name in second and (scores[0] == scores[1] or name.startswith("relative"))
    }


def _loss_sentence(s: dict, published: dict) -> str:
    return f"{s['ruler']} loss of {NAMES[s['score']]} at r = {s['noise_ratio']:g}"


def _difference_sentence(s: dict, published: dict) -> str:
    a, b = (_part_sentence(s[side], published) for side in ("first", "second"))
    return f"{s['ruler']} loss at r = {s['noise_ratio']:g}: {a} minus {b}"


def _part_sentence(part: dict, published: dict) -> str:
    table = published[part["experiment"]]["place"].split(",")[0]
    return f"{NAMES[part['score']]} on {NAMES[part['of']]} ({table})"


LOSS = Kind(
    _loss_tests,
    lambda s, published: _printed_loss(s, s["noise_ratio"], published),
    _loss_sentence,
)
DIFFERENCE = Kind(_difference_tests, _printed_difference, _difference_sentence)
