"""The paper's claims, decided from our own runs.

A claim of claims.yaml has a *statistic*, which is computed from the metrics of runs, and a
*rule*, which says what its value must be. The interval decides: all of it inside, the claim holds
on the data that were run; all of it outside, it does not; else it is undecided. That is a verdict
on those data alone. The *published* claim has a verdict of its own, and gets one only from the
paper's data at a tier where they are trained long enough; otherwise it is not decidable here.
"""

import numpy as np

from noiselab.answers.layouts import NAMES
from noiselab.answers.statistics import STATISTICS
from noiselab.answers.statistics.evidence import Measured, Ruled, Tested, same_noise
from noiselab.measures.statistics import Estimate

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
NOT_DECIDABLE = "not decidable here"
NOT_ASKED = "not asked"  # of a level on other data
NO_RUN = "closed form, no run"
# Numbers whose statistic says what they are.
WITHOUT_UNIT = ("cosine", "factor at twice the batch", "ratio", "relative information loss")


def decide(published: dict, measured: Measured) -> dict:
    """The content of claims.json: each claim with its verdict and the tests behind it.

    published: printed numbers and claims (noiselab.planning.config.published).
    """
    measured = same_noise(measured, published)
    claims = [
        _decided(name, claim, published, measured)
        for name, claim in published.get("claims", {}).items()
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
        **{key: claim[key] for key in ("place", "claim", "why", "unit", "transfers")},
        "statistic": kind.sentence(statistic, published),
        "rule": rule_text(claim["rule"], claim["unit"]),
        "needs": f"{_names(wanted)}, tier {' or '.join(claim['tiers'])}" if wanted else "no run",
        "published": claim["printed"],
        "verdict": verdict,
        "because": because,
        "tests": tests,
    }


def _judged(test: Tested, claim: dict, printed: dict, wanted: tuple, tier: str) -> dict:
    """One test as claims.json has it."""
    own = set(test.datasets) == set(wanted)
    seeds = f"{test.seeds} seed{'s' * (test.seeds != 1)}"
    where = f"{_names(test.datasets)}, tier {tier}, {seeds}" if test.datasets else NO_RUN
    row = {"where": where, "paper_data": own}
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
    return test["verdict"], f"run here: {test['where']}" if wanted else test["where"]


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
    unit = "" if unit in WITHOUT_UNIT else f" {unit}"
    return f"{kind.replace('_', ' ')} {' and '.join(f'{b:g}' for b in bounds)}{unit}"


def _names(datasets) -> str:
    return " and ".join(NAMES.get(name, name) for name in datasets)


def _datasets(statistic: dict) -> tuple[str, ...]:
    """The paper's data sets that a statistic is about."""
    parts = (statistic.get("first"), statistic.get("second"), statistic)
    return tuple(dict.fromkeys(part["of"] for part in parts if part and "of" in part))
