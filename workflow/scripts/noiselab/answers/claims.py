"""The paper's claims, decided from our own runs.

A claim of claims.yaml has a *statistic*, which is computed from the metrics of runs, and a
*rule*, which says what its value must be. The interval decides: all of it inside, the claim holds
on the data that were run; all of it outside, it does not; else it is undecided. What such a
verdict is worth depends on its *basis*: data that stand in for the paper's, the paper's data with
another network or recipe, or both as published. The *published* claim is decided by the last alone;
otherwise it is not decidable here.

A verdict must survive Holm's correction over all verdicts of the study (multiplicity.py), and its
models must have learned something (competence.py).
"""

from noiselab.answers import competence
from noiselab.answers.competence import WEAK
from noiselab.answers.layouts import NAMES
from noiselab.answers.multiplicity import WITHOUT_SPREAD, corrected, degrees
from noiselab.answers.rules import FAILS, HOLDS, UNDECIDED, apply_rule, outcome, rule_text
from noiselab.answers.statistics import STATISTICS
from noiselab.answers.statistics.evidence import Measured, Ruled, Tested, run_ids, same_noise

NOT_DECIDABLE = "not decidable here"
NOT_ASKED = "not asked"  # of a level on other data
NOT_TESTED = "not tested"
MIXED = "mixed"
NO_RUN = "closed form, no run"
# What a verdict rests on: key in claims.json -> in words, from the least to the most.
BASES = {
    "stand_in": "stand-in data",
    "paper_data": "the paper's data, another network or recipe",
    "as_published": "as published",
}


def decide(published: dict, measured: Measured) -> dict:
    """The content of claims.json: each claim with its verdict and the tests behind it.

    published: printed numbers and claims (noiselab.planning.config.published).
    """
    measured = same_noise(measured, published)
    claims = published.get("claims", {})
    tests = {name: _tests(claim, published, measured) for name, claim in claims.items()}
    corrected([test for found in tests.values() for test in found])
    decided = [
        _decided(name, claim, published, tests[name], measured.tier)
        for name, claim in claims.items()
    ]
    return {"tier": measured.tier, "claims": decided}


def _tests(claim: dict, published: dict, measured: Measured) -> list[dict]:
    """The tests of a claim, each by itself. An average leaves out the data sets whose models are
    too weak, and says so."""
    kind = STATISTICS[claim["statistic"]["kind"]]
    judge = competence.Judge(published, measured, claim)
    left_out = judge.left_out() if kind.averages else {}
    statistic = _without(claim["statistic"], left_out)
    printed, wanted = kind.printed(statistic, published), _datasets(statistic)
    tiers = claim["tiers"] if not left_out else ()  # as published, it is of all data sets
    reason = "; ".join(f"without {_names([name])}: {why}" for name, why in left_out.items())
    return [
        judge.judged(
            _judged(test, claim | {"tiers": tiers}, printed, wanted, measured.tier, reason)
        )
        | {"runs": run_ids(statistic, measured, test.datasets)}
        for test in kind.tests(statistic, measured)
    ]


def _without(statistic: dict, left_out: dict[str, str]) -> dict:
    """A statistic without some of the data sets that it averages over."""
    if not left_out:
        return statistic
    return statistic | {"of": [name for name in statistic["of"] if name not in left_out]}


def _decided(name: str, claim: dict, published: dict, tests: list[dict], tier: str) -> dict:
    statistic = claim["statistic"]
    wanted = _datasets(statistic)
    verdict, because = _verdict_on_paper(claim, wanted, tests, tier)
    by_basis = {
        basis: combined([test["verdict"] for test in tests if test["basis"] == basis])
        for basis in BASES
    }
    return {
        "name": name,
        **{key: claim[key] for key in ("place", "claim", "why", "unit", "transfers")},
        "smallest_effect": claim.get("smallest_effect"),
        "statistic": STATISTICS[statistic["kind"]].sentence(statistic, published),
        "rule": rule_text(claim["rule"], claim["unit"]),
        "needs": f"{_names(wanted)}, tier {' or '.join(claim['tiers'])}" if wanted else "no run",
        "published": claim["printed"],
        "verdict": verdict,
        "because": because,
        "by_basis": by_basis,
        "open": _open(claim, wanted, by_basis),
        "tests": tests,
    }


def combined(verdicts: list[str]) -> str:
    """One verdict for several tests."""
    found = set(verdicts)
    return NOT_TESTED if not found else found.pop() if len(found) == 1 else MIXED


def _open(claim: dict, wanted: tuple, by_basis: dict[str, str]) -> str:
    """What of a claim the verdicts leave open, in words; empty where it is nothing."""
    as_printed = f"the paper's network and length of training (tier {' or '.join(claim['tiers'])})"
    decided = {basis for basis, verdict in by_basis.items() if verdict in (HOLDS, FAILS)}
    if "as_published" in decided:
        return ""
    if "paper_data" in decided:
        return as_printed
    if by_basis["paper_data"] != NOT_TESTED:
        return f"more seeds, or {as_printed}"
    return f"{_names(wanted)}, and {as_printed}"


def _judged(
    test: Tested, claim: dict, printed: dict, wanted: tuple, tier: str, reason: str = ""
) -> dict:
    """One test as claims.json has it. reason: what it leaves out, and why."""
    own = set(test.datasets) == set(wanted)
    seeds = "one training" if test.seeds == 1 else f"{test.seeds} seeds"
    where = f"{_names(test.datasets)}, tier {tier}, {seeds}" if test.datasets else NO_RUN
    published = own and (tier in claim["tiers"] or not test.datasets)
    row = {"where": where, "basis": _basis(own, published)}
    row |= {"datasets": list(test.datasets), "seeds": test.seeds}
    row["interval_seeds"] = test.interval_seeds or test.seeds
    row["reason"] = test.reason or reason or None
    asked = own or claim["transfers"]
    main = next(iter(test.by_ruler), "")
    rulers = [
        _by(name, ruled, claim, printed, row["interval_seeds"] if asked else None, main)
        for name, ruled in test.by_ruler.items()
    ]
    keys = ("value", "ci_low", "ci_high", "interval", "p")
    if not rulers:
        return row | dict.fromkeys(keys) | {"verdict": UNDECIDED, "rulers": []}
    first, *others = rulers
    verdict = first["verdict"] if asked else NOT_ASKED
    row["reason"] = row["reason"] or first.get("reason")
    row["reason"] = row["reason"] if asked else "a level, which other data cannot show"
    return row | {key: first[key] for key in keys} | {"verdict": verdict, "rulers": others}


def _basis(own: bool, published: bool) -> str:
    return "as_published" if published else "paper_data" if own else "stand_in"


def _by(name: str, ruled: Ruled, claim: dict, printed: dict, seeds: int | None, main: str) -> dict:
    """By the claim's own ruler, as measured and above the floor, the rule decides; other rulers
    stay numbers, as each further verdict would make all others harder to reach. A closed form is
    certain. seeds: that an interval over seeds is of; None where nothing is asked."""
    rule, (estimate, unit, test) = claim["rule"], ruled
    found = {"ruler": name, "unit": unit, "published": printed.get(name)} | estimate._asdict()
    decides = name in (main, f"{main}, above the floor") or estimate.interval == "closed_form"
    if seeds is None or not decides:
        return found | {"verdict": None, "p": None}
    smallest = claim.get("smallest_effect", 0)
    free = degrees(estimate.interval, seeds)
    if free is None:
        return found | {"verdict": apply_rule(rule, estimate, smallest), "p": None}
    own = outcome(rule, estimate, free, smallest, test)
    silent = own.p is None and estimate.ci_low is not None
    return found | own._asdict() | ({"reason": WITHOUT_SPREAD} if silent else {})


def _verdict_on_paper(claim: dict, wanted: tuple, tests: list, tier: str) -> tuple[str, str]:
    """Verdict on the published claim, and why."""
    needs = _names(wanted)
    own = [test for test in tests if test["basis"] != "stand_in"]
    if not tests:
        return NOT_DECIDABLE, f"needs {needs}; nothing that it rests on was run"
    if not own:
        ran = "; ".join(_names(test["datasets"]) for test in tests)
        return NOT_DECIDABLE, f"needs {needs}; run here: {ran}"
    (test,) = own
    if test["datasets"] and tier not in claim["tiers"]:
        return NOT_DECIDABLE, f"needs tier {' or '.join(claim['tiers'])}; run here: {tier}"
    if test["basis"] != "as_published" or test["verdict"] in (UNDECIDED, WEAK):
        return NOT_DECIDABLE, test["reason"] or "the interval includes both answers"
    return test["verdict"], f"run here: {test['where']}" if wanted else test["where"]


def _names(datasets) -> str:
    return " and ".join(NAMES.get(name, name) for name in datasets)


def _datasets(statistic: dict) -> tuple[str, ...]:
    """The paper's data sets that a statistic is about."""
    parts = (statistic.get("first"), statistic.get("second"), statistic)
    named = [part["of"] for part in parts if part and "of" in part]
    return tuple(
        dict.fromkeys(name for of in named for name in ([of] if isinstance(of, str) else of))
    )
