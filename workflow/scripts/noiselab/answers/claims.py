"""The paper's claims, decided from our own runs.

A claim of published.yaml has a *statistic*, which is computed from the metrics of runs, and a
*rule*, which says what its value must be. The interval decides: all of it inside, the claim holds
on the data that were run; all of it outside, it does not; else it is undecided. That is a verdict
on those data alone. The *published* claim has a verdict of its own, and gets one only from the
paper's data at a tier where they are trained long enough; otherwise it is not decidable here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from noiselab.answers.layouts import NAMES
from noiselab.answers.rulers import LOSSES, lost, published_floor
from noiselab.answers.tables import seeds_estimate
from noiselab.measures.statistics import Estimate, Interval, difference, log_interval, over_seeds
from noiselab.planning.runs import error_rate

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
NOT_DECIDABLE = "not decidable here"
NOT_ASKED = "not asked"  # of a level on other data


@dataclass(frozen=True)
class Measured:
    """What there is to decide by."""

    tier: str
    metrics: dict[str, pd.DataFrame]  # experiment -> rows of runs, as collect_metrics writes them
    gradients: pd.DataFrame | None = None  # rows of measure_gradients
    stability: pd.DataFrame | None = None  # rows of measure_loss_stability


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


def decide(published: dict, measured: Measured) -> dict:
    """The content of claims.json: each claim with its verdict and the tests behind it.

    published: the content of published.yaml.
    """
    claims = [
        _decided(name, claim, published, measured) for name, claim in published["claims"].items()
    ]
    return {"tier": measured.tier, "claims": claims}


def _decided(name: str, claim: dict, published: dict, measured: Measured) -> dict:
    statistic = claim["statistic"]
    kind = STATISTICS[statistic["kind"]]
    printed = kind.printed(statistic, published)
    wanted = _datasets(statistic)
    tests = [
        _judged(test, claim, printed, wanted, measured.tier)
        for test in kind.tests(statistic, measured)
    ]
    verdict, because = _verdict_on_paper(claim, wanted, tests, measured.tier)
    return {
        "name": name,
        **{key: claim[key] for key in ("place", "claim", "why", "unit")},
        "statistic": kind.sentence(statistic, published),
        "rule": rule_text(claim["rule"], claim["unit"]),
        "needs": f"{_names(wanted)}, tier {' or '.join(claim['tiers'])}",
        "published": claim["printed"],
        "verdict": verdict,
        "because": because,
        "tests": tests,
    }


def _judged(test: Tested, claim: dict, printed: dict, wanted: tuple, tier: str) -> dict:
    """One test as claims.json has it."""
    own = set(test.datasets) == set(wanted)
    seeds = f"{test.seeds} seed{'s' * (test.seeds != 1)}"
    row = {"where": f"{_names(test.datasets)}, tier {tier}, {seeds}", "paper_data": own}
    row |= {"datasets": list(test.datasets), "seeds": test.seeds, "reason": test.reason}
    asked = own or claim["transfers"]
    rulers = [
        _by(name, ruled, claim, printed, asked, main=i == 0)
        for i, (name, ruled) in enumerate(test.by_ruler.items())
    ]
    if not rulers:
        empty = dict.fromkeys(("value", "ci_low", "ci_high", "interval"))
        return row | empty | {"verdict": UNDECIDED, "rulers": []}
    first, *others = rulers
    keys = ("value", "ci_low", "ci_high", "interval")
    verdict = first["verdict"] if asked else NOT_ASKED
    row["reason"] = row["reason"] if asked else "a level, which other data cannot show"
    return row | {key: first[key] for key in keys} | {"verdict": verdict, "rulers": others}


def _by(name: str, ruled: Ruled, claim: dict, printed: dict, asked: bool, main: bool) -> dict:
    """By another ruler than the claim's own a rule still decides where it is in the same unit, or
    where only the sign counts."""
    comparable = main or ruled.unit == claim["unit"] or claim["rule"] == {"above": 0}
    verdict = apply_rule(claim["rule"], ruled.estimate) if asked and comparable else None
    published = {"ruler": name, "unit": ruled.unit, "published": printed.get(name)}
    return published | ruled.estimate._asdict() | {"verdict": verdict}


def _verdict_on_paper(claim: dict, wanted: tuple, tests: list, tier: str) -> tuple[str, str]:
    """Verdict on the published claim, and why."""
    needs = _names(wanted)
    own = [test for test in tests if test["paper_data"]]
    if not tests:
        return NOT_DECIDABLE, f"needs {needs}; nothing that it rests on was run"
    if not own:
        ran = "; ".join(_names(test["datasets"]) for test in tests)
        return NOT_DECIDABLE, f"needs {needs}; run here: {ran}"
    (test,) = own
    if tier not in claim["tiers"]:
        return NOT_DECIDABLE, f"needs tier {' or '.join(claim['tiers'])}; run here: {tier}"
    if test["verdict"] == UNDECIDED:
        return NOT_DECIDABLE, test["reason"] or "the interval includes both answers"
    return test["verdict"], f"run here: {test['where']}"


def apply_rule(rule: dict, estimate: Estimate) -> str:
    """Verdict of one rule: where the whole interval lies."""
    if estimate.ci_low is None:
        return UNDECIDED
    ((kind, bound),) = rule.items()
    low, high = {
        "above": (bound, np.inf),
        "at_least": (bound, np.inf),
        "at_most": (-np.inf, bound),
        "between": bound,
    }[kind]
    strict = kind == "above"
    if (estimate.ci_low > low if strict else estimate.ci_low >= low) and estimate.ci_high <= high:
        return HOLDS
    if (estimate.ci_high <= low if strict else estimate.ci_high < low) or estimate.ci_low > high:
        return FAILS
    return UNDECIDED


def rule_text(rule: dict, unit: str) -> str:
    """A rule as words."""
    ((kind, bound),) = rule.items()
    bounds = bound if isinstance(bound, list) else [bound]
    unit = "" if unit in ("cosine", "factor at twice the batch") else f" {unit}"
    return f"{kind.replace('_', ' ')} {' and '.join(f'{b:g}' for b in bounds)}{unit}"


def _names(datasets) -> str:
    return " and ".join(NAMES.get(name, name) for name in datasets)


def _datasets(statistic: dict) -> tuple[str, ...]:
    """The paper's data sets that a statistic is about."""
    parts = (statistic.get("first"), statistic.get("second"), statistic)
    return tuple(dict.fromkeys(part["of"] for part in parts if part and "of" in part))


# ------------------------------------------------------------------------------ losses


def _rows(measured: Measured, experiment: str, of: str) -> pd.DataFrame:
    """Rows of an experiment's runs on data that are, or stand in for, the paper's `of`."""
    rows = measured.metrics.get(experiment)
    if rows is None:
        return pd.DataFrame(columns=["dataset", "metric", "noise_ratio"])
    whole = rows["source_share"].fillna(1) == 1
    return rows[(rows["stands_in_for"] == of) & whole]


def _loss_rulers(rows: pd.DataFrame, score: str) -> dict[str, Ruled]:
    """A loss by every ruler, of one data set and noise ratio."""
    absolute, relative, _ = LOSSES[score]
    rulers = {}
    for name, metric in (
        ("relative", relative),
        ("absolute", absolute),
        ("per sequence", "sequence_nll_rise"),
    ):
        chosen = rows[(rows["metric"] == metric) & rows["value"].notna()]
        if len(chosen):
            unit = chosen["unit"].iloc[0]
            rulers[name] = Ruled(seeds_estimate(chosen), unit)
            if chosen["floor"].notna().all():
                rulers[f"{name}, above the floor"] = Ruled(seeds_estimate(chosen, True), unit)
    return rulers


def _first(ruler: str, rulers: dict[str, Ruled]) -> dict[str, Ruled]:
    """The rulers with the claim's own in front."""
    return {ruler: rulers[ruler]} | rulers if ruler in rulers else {}


def _reason(rows: pd.DataFrame) -> str | None:
    return next(iter(rows["reason"].dropna()), None) if "reason" in rows else None


def _losses_of(part: dict, ratio: float, measured: Measured) -> Tests:
    """One test per data set on which a loss was measured."""
    rows = _rows(measured, part["experiment"], part["of"])
    for dataset, both in rows.groupby("dataset", sort=False):
        own = both[both["noise_ratio"] == ratio]
        if len(own) == 0:
            continue
        rulers, reason = _loss_rulers(own, part["score"]), _reason(own)
        if _at_chance(both, part["score"]):
            rulers, reason = {}, "the clean model is at chance, so it has nothing to lose"
        yield Tested((dataset,), own["seed"].nunique(), rulers, None if rulers else reason)


def _at_chance(rows: pd.DataFrame, score: str) -> bool:
    """Whether the clean runs of a data set are no better than guessing a class."""
    clean = rows[(rows["noise_ratio"] == 0) & (rows["metric"] == score) & rows["value"].notna()]
    if not LOSSES[score].more_is_better or len(clean) == 0:
        return False
    low = seeds_estimate(clean).ci_low
    return low is not None and low <= 100 / clean["classes"].iloc[0]


def _loss_tests(statistic: dict, measured: Measured) -> Tests:
    for test in _losses_of(statistic, statistic["noise_ratio"], measured):
        yield test._replace(by_ruler=_first(statistic["ruler"], test.by_ruler))


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
        reason = a.reason or b.reason
        rulers = _first(statistic["ruler"], rulers)
        yield Tested(datasets, min(a.seeds, b.seeds), rulers, reason)


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
    classes = published["classes"].get(of)
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
    return {name: first[name] - second[name] for name in first if name in second}


# ------------------------------------------------------------------------------ single metrics


def _largest_tests(statistic: dict, measured: Measured) -> Tests:
    """The largest of a metric over the noise ratios; each end of the interval is the largest."""
    rows = _rows(measured, statistic["experiment"], statistic["of"])
    rows = rows[(rows["metric"] == statistic["metric"]) & (rows["noise_ratio"] > 0)]
    for dataset, own in rows.groupby("dataset", sort=False):
        if own["value"].isna().any():
            yield Tested((dataset,), own["seed"].nunique(), {}, _reason(own))
            continue
        cells = [seeds_estimate(cell) for _, cell in own.groupby("noise_ratio")]
        ends = zip(*(cell[:3] for cell in cells), strict=True)
        value, low, high = (None if None in end else max(end) for end in ends)
        estimate = Estimate(value, low, high, cells[0].interval)
        ruled = {"largest": Ruled(estimate, own["unit"].iloc[0])}
        yield Tested((dataset,), own["seed"].nunique(), ruled)


def _change_tests(statistic: dict, measured: Measured) -> Tests:
    """Relative change of a metric against the clean run of the same seed. It has an interval over
    seeds alone: a Fréchet distance is one number for all images."""
    rows, metric = _rows(measured, statistic["experiment"], statistic["of"]), statistic["metric"]
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


# ------------------------------------------------------------------------------ analyses


def _of(rows: pd.DataFrame | None, of: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """(data set, its rows) of an analysis."""
    if rows is not None:
        yield from rows[rows["stands_in_for"] == of].groupby("dataset", sort=False)


PROTOCOLS = {"tokens": "token noise, as in the text"}
PROTOCOLS["sequences"] = "sequence noise, as released"


def _gradient_tests(statistic: dict, measured: Measured) -> Tests:
    metric = statistic["metric"]
    for dataset, rows in _of(measured.gradients, statistic["of"]):
        found = {name: mean_cosine(rows, protocol, metric) for protocol, name in PROTOCOLS.items()}
        rulers = {name: Ruled(estimate, "cosine") for name, estimate in found.items() if estimate}
        reason = None if rulers else "no such pair in any batch"
        yield Tested((dataset,), rows["seed"].nunique(), rulers, reason)


def mean_cosine(rows: pd.DataFrame, protocol: str, metric: str) -> Estimate | None:
    """Mean cosine over all error rates and batch sizes, from rows of measure_gradients; one seed's
    interval is the widest of these, over batches. None where no batch has such a pair."""
    own = rows[(rows["protocol"] == protocol) & rows[f"{metric}_mean"].notna()]
    if len(own) == 0:
        return None
    values = own.groupby("seed")[f"{metric}_mean"].mean()
    half = 1.96 * own[f"{metric}_se"].max()
    spread = Interval(values.iloc[0] - half, values.iloc[0] + half, "t_batches")
    return over_seeds(list(values), spread)


def _growth_tests(statistic: dict, measured: Measured) -> Tests:
    """Signal-to-noise ratio at twice the batch over that at the batch, smallest of all error
    rates."""
    for dataset, rows in _of(measured.gradients, statistic["of"]):
        rulers = {}
        for protocol, name in PROTOCOLS.items():
            own = rows[rows["protocol"] == protocol]
            own = own[own["snr"].notna()]
            least = [
                min(_growth(case) for _, case in seed.groupby("error_rate"))
                for _, seed in own.groupby("seed")
            ]
            if least:
                value, error = least[0]
                spread = log_interval(value, error, "t_batches")
                estimate = over_seeds([growth for growth, _ in least], spread)
                rulers[name] = Ruled(estimate, "factor at twice the batch")
        yield Tested((dataset,), rows["seed"].nunique(), rulers)


def _growth(case: pd.DataFrame) -> tuple[float, float]:
    """Growth per doubling of the batch, and the standard error of its logarithm."""
    ordered = case.sort_values("batch_size").to_dict("records")
    small, large = ordered[0], ordered[-1]
    doublings = np.log2(large["batch_size"] / small["batch_size"])
    kinds = ("norm_clean", "norm_corrupt")
    variance = sum((row[f"{k}_se"] / row[k]) ** 2 for row in (small, large) for k in kinds)
    growth = (large["snr"] / small["snr"]) ** (1 / doublings)
    return float(growth), float(np.sqrt(variance) / doublings)


def _narrowing_tests(statistic: dict, measured: Measured) -> Tests:
    """Relative fall of the loss's standard deviation from the smallest to the largest batch."""
    for dataset, rows in _of(measured.stability, statistic["of"]):
        ratio = rows["batch_size"].max() / rows["batch_size"].min()
        rulers, seeds = {}, rows["seed"].nunique()
        for name, own in (
            ("noisy model", rows[rows["noise_ratio"] > 0]),
            ("clean model", rows[rows["noise_ratio"] == 0]),
        ):
            kept = [_kept(seed) for _, seed in own.groupby("seed")]
            count = own["macro_batches"].iloc[0]
            # The logarithm of a standard deviation of n values varies by 1 / sqrt(2 (n - 1)).
            error = np.sqrt(1 / (count - 1))
            for suffix, factor in (("", 1), (", beyond averaging", np.sqrt(ratio))):
                shares = [factor * share for share in kept]
                low, high, kind = log_interval(shares[0], error, "chi2_batches")
                spread = Interval(100 * (1 - high), 100 * (1 - low), kind)
                estimate = over_seeds([100 * (1 - share) for share in shares], spread)
                unit = "% of what averaging leaves" if suffix else "%"
                rulers[name + suffix] = Ruled(estimate, unit)
        reason = None if ratio == 16 else f"batches differ {ratio:g} times, not 16"
        yield Tested((dataset,), seeds, rulers if ratio == 16 else {}, reason)


def _kept(rows: pd.DataFrame) -> float:
    rows = rows.sort_values("batch_size")
    return float(rows["std"].iloc[-1] / rows["std"].iloc[0])


def _printed_gradient(statistic: dict, published: dict) -> dict[str, float]:
    """The paper's text speaks of tokens, its code corrupts sequences; it prints one number."""
    values = published["table4"]["metrics"][statistic["metric"]]
    return dict.fromkeys(PROTOCOLS.values(), float(np.mean(values)))


def _printed_growth(statistic: dict, published: dict) -> dict[str, float]:
    snr = published["table4"]["metrics"]["snr"]
    return dict.fromkeys(PROTOCOLS.values(), min(snr[1] / snr[0], snr[3] / snr[2]))


def _printed_narrowing(statistic: dict, published: dict) -> dict[str, float]:
    printed = {}
    for model, values in published["table11"]["models"].items():
        kept = values["std"][-1] / values["std"][0]
        printed[f"{model} model"] = 100 * (1 - kept)
        printed[f"{model} model, beyond averaging"] = 100 * (1 - 4 * kept)
    return printed


# ------------------------------------------------------------------------------ kinds


class Kind(NamedTuple):
    """A kind of statistic."""

    tests: Callable[[dict, Measured], Tests]
    printed: Callable[[dict, dict], dict[str, float]]  # ruler -> the paper's number
    sentence: Callable[[dict, dict], str]


def _loss_sentence(s: dict, published: dict) -> str:
    return f"{s['ruler']} loss of {NAMES[s['score']]} at r = {s['noise_ratio']:g}"


def _difference_sentence(s: dict, published: dict) -> str:
    a, b = (_part_sentence(s[side], published) for side in ("first", "second"))
    return f"{s['ruler']} loss at r = {s['noise_ratio']:g}: {a} minus {b}"


def _part_sentence(part: dict, published: dict) -> str:
    table = published[part["experiment"]]["place"].split(",")[0]
    return f"{NAMES[part['score']]} on {NAMES[part['of']]} ({table})"


STATISTICS = {
    "loss": Kind(
        _loss_tests,
        lambda s, published: _printed_loss(s, s["noise_ratio"], published),
        _loss_sentence,
    ),
    "difference": Kind(_difference_tests, _printed_difference, _difference_sentence),
    "largest": Kind(
        _largest_tests, _printed_value, lambda s, _: f"largest {NAMES[s['metric']]} of all r > 0"
    ),
    "change": Kind(
        _change_tests,
        _printed_change,
        lambda s, _: f"relative change of {NAMES[s['metric']]} at r = {s['noise_ratio']:g}",
    ),
    "gradients": Kind(
        _gradient_tests, _printed_gradient, lambda s, _: f"mean {NAMES[s['metric']]}, token noise"
    ),
    "snr_growth": Kind(
        _growth_tests,
        _printed_growth,
        lambda *_: "signal-to-noise ratio at twice the batch, smallest of all error rates",
    ),
    "narrowing": Kind(
        _narrowing_tests,
        _printed_narrowing,
        lambda *_: "fall of the standard deviation of the noisy model's loss, batch × 16",
    ),
}
