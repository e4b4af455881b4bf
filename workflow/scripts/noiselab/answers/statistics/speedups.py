"""How many times sooner a training comes to its goal than a plain one."""

from noiselab.answers.contrasts import chosen
from noiselab.answers.layouts import NAMES
from noiselab.answers.speedups import in_words, speedup
from noiselab.answers.statistics.evidence import (
    Kind,
    Measured,
    Ruled,
    Tested,
    Tests,
    experiment_rows,
)

TIMES = "times sooner"


def _tests(statistic: dict, measured: Measured) -> Tests:
    """Of the second of two experiments against the first. Where some trainings never came there,
    the interval may be that of a bound from above, which can refute. A bound from below has no
    upper end, so it is told in words, as are the signs of few pairs."""
    names = statistic["experiments"]
    rows = (experiment_rows(measured, name, statistic["of"]) for name in names)
    first, second = (chosen(side, statistic, noisy=False) for side in rows)
    for dataset, own in second.groupby("dataset", sort=False):
        found = speedup(first[first["dataset"] == dataset], own)
        if not found.pairs:
            continue
        if found.estimate is None or found.bound == "at least":
            yield Tested((dataset,), found.pairs, {}, in_words(found))
            continue
        reason = in_words(found) if found.lost else None
        by_ruler = {TIMES: Ruled(found.estimate, "ratio", found.test)}
        yield Tested((dataset,), found.pairs, by_ruler, reason)


def _printed(statistic: dict, published: dict) -> dict[str, float]:
    ratio = published.get("accelerations", {}).get(statistic["tasks"])
    return {} if ratio is None else {TIMES: ratio}


def _sentence(statistic: dict, published: dict) -> str:
    first, second = statistic["experiments"]
    goal = NAMES.get(statistic["metric"], statistic["metric"])
    ratio = f"{goal}: steps in `{first}` over steps in `{second}`, geometric mean over seeds"
    return f"{ratio} (median of six or more, where some never come there)"


SPEEDUP = Kind(_tests, _printed, _sentence)
