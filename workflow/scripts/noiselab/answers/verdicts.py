"""Layouts of claims.json: tidy rows, Markdown."""

from collections import Counter
from math import floor, log10
from typing import NamedTuple

import pandas as pd

from noiselab.answers.claims import BASES, MIXED, NOT_ASKED, NOT_TESTED
from noiselab.answers.competence import WEAK
from noiselab.answers.rules import FAILS, HOLDS, UNDECIDED

TITLE = "Claims of the paper"


class Word(NamedTuple):
    """How a verdict is shown, everywhere."""

    sign: str
    several: str  # with a number before it


# The words for verdicts, in the order of a tally.
VERDICTS = {
    HOLDS: Word("✓", "hold"),
    FAILS: Word("✗", "do not hold"),
    MIXED: Word("±", "mixed"),
    UNDECIDED: Word("?", "undecided"),
    WEAK: Word("△", "model too weak"),
    NOT_ASKED: Word("–", "not asked"),
    NOT_TESTED: Word("–", "not tested"),
}
NOTES = [
    "The verdict on what was run is about those data and networks alone: the whole 95 % interval "
    "inside the rule, or outside it, and that also after Holm's correction over all verdicts of "
    "the study, so that at most one study in twenty has a wrong one. As published, a claim is "
    "decided by the paper's own data, network and length of training only.",
    "Of one training, an interval shows the variability over test items or batches, not over "
    "trainings: its verdict is about that training, and another seed may well have another. What "
    "is said of one study in twenty is not said of these.",
    "Model too weak: the clean model has not learned enough to lose anything that would tell.",
    "Could show: the distance from the rule's bound that this run would have called in four cases "
    "of five. Where it is larger than the smallest effect of interest, undecided means little.",
]


COURSES = "Courses: data that stand in for those of the paper can show them, too"
LEVELS = "Levels: they depend on the size of models and data; no other data can show them"


def parts(claims: list[dict]) -> list[tuple[str, list[dict]]]:
    """(title, its claims): courses apart from levels, as far as there are any."""
    found = [(COURSES, [c for c in claims if c["transfers"]])]
    found += [(LEVELS, [c for c in claims if not c["transfers"]])]
    return [(title, part) for title, part in found if part]


def summary(content: dict) -> str:
    """How many claims have which verdict, by what it rests on, in a sentence."""
    parts = []
    for basis, words in BASES.items():
        found = Counter(claim["by_basis"][basis] for claim in content["claims"])
        counts = [f"{verdict} {number}" for verdict, number in sorted(found.items())]
        parts.append(f"{words}: {', '.join(counts)}")
    count = f"{len(content['claims'])} claims of the paper at tier {content['tier']}"
    return f"{count}. {'; '.join(parts)}.{on_one_training(content['claims'])}"


def on_one_training(claims: list[dict]) -> str:
    """How many verdicts another seed may well change, in a sentence; empty where there are none."""
    tests = [test for claim in claims for test in claim["tests"]]
    count = sum(t["seeds"] == 1 and t["verdict"] in (HOLDS, FAILS) for t in tests)
    return f" {count} of these verdicts rest on one training each." if count else ""


TESTED = ("p", "p_holm", "detectable")  # of each test and ruler, see answers.multiplicity


def tidy(content: dict) -> pd.DataFrame:
    """A row per claim, test and ruler; a claim without tests has one row."""
    rows = []
    for claim in content["claims"]:
        keys = {k: claim[k] for k in ("name", "place", "rule", "verdict", "because")}
        keys = {"claim" if k == "name" else k: v for k, v in keys.items()}
        keys["about"] = "course" if claim["transfers"] else "level"
        own = {"ruler": claim["statistic"], "unit": claim["unit"], "published": claim["published"]}
        for test in claim["tests"] or [{}]:
            first = {k: test.get(k) for k in ("value", "ci_low", "ci_high", "interval", "reason")}
            first |= {k: test.get(k) for k in TESTED} | {"verdict_here": test.get("verdict")}
            own["smallest_effect"] = claim.get("smallest_effect")
            where = {key: test.get(key) for key in ("where", "basis", "seeds")}
            rows.append(keys | where | own | first)
            for ruler in test.get("rulers", []):
                named = {"verdict_here" if k == "verdict" else k: v for k, v in ruler.items()}
                rows.append(keys | where | named)
    return pd.DataFrame(rows)


def number(value: float | None, largest: float | None = None) -> str:
    """A number with four significant digits and six decimals at most, with a true minus sign.
    largest: of those beside it, whose decimals it has."""
    if value is None or pd.isna(value):
        return ""
    size = abs(value) if largest is None else largest
    decimals = 3 - floor(log10(size)) if size else 1
    return f"{value:,.{min(max(decimals, 0), 6)}f}".replace("-", "−")


def estimate(row: dict, unit: str = "") -> str:
    """Value, unit and interval of a test or ruler, or why there is no value."""
    if row["value"] is None:
        return f"— ({row.get('reason') or 'not measured'})"
    ends = [row["ci_low"], row["ci_high"]]
    if None in ends:
        return f"{number(row['value'])} {unit}".strip() + " (no interval)"
    largest = max(map(abs, [row["value"], *ends]))
    value, low, high = (number(n, largest) for n in (row["value"], *ends))
    return f"{value} {unit}".strip() + f" [{low}, {high}]"


def above_floor(test: dict, unit: str) -> dict | None:
    """The ruler of a test that counts what is above the floor, in the unit of its claim; None: it
    has none."""
    rulers = [r for r in test["rulers"] if str(r["ruler"]).endswith("above the floor")]
    return next((ruler for ruler in rulers if ruler["unit"] == unit), None)


def _above(test: dict, unit: str) -> str:
    """What is above the floor, with the verdict by it."""
    ruler = above_floor(test, unit)
    if ruler is None:
        return ""
    told = estimate(ruler, ruler["unit"])
    return f"{told}: {ruler['verdict']}" if ruler["verdict"] else told


def _here(test: dict) -> str:
    """The verdict on what was run, with the reason where it is not in the number's place."""
    told = test["value"] is None or test["verdict"] == "not asked" or not test["reason"]
    return test["verdict"] if told else f"{test['verdict']} ({test['reason']})"


def power(test: dict, claim: dict) -> str:
    """What a test could have shown, and the smallest effect of interest; empty where it is none."""
    if test.get("detectable") is None:
        return ""
    return f"{number(test['detectable'])} ({claim['smallest_effect']:g})"


def _grid(claims: list[dict]) -> pd.DataFrame:
    """The table that people read: a row per claim and test."""
    rows = []
    for claim in claims:
        for test in claim["tests"] or [None]:
            rows.append(
                {
                    "claim": f"{claim['claim']} ({claim['place']})",
                    "statistic": f"{claim['statistic']}, {claim['unit']}",
                    "rule": claim["rule"],
                    "paper": number(claim["published"]),
                    "as measured [95 % CI]": estimate(test) if test else "—",
                    "verdict": _here(test) if test else NOT_TESTED,
                    "above the floor [95 % CI]": _above(test, claim["unit"]) if test else "",
                    "run": f"{test['where']} ({BASES[test['basis']]})" if test else "nothing",
                    "could show (of interest)": power(test, claim) if test else "",
                    "open": claim["open"],
                }
            )
    return pd.DataFrame(rows)


def markdown(content: dict) -> str:
    """The claims as tables of Markdown."""
    blocks = [f"## {TITLE}", summary(content)]
    for title, claims in parts(content["claims"]):
        grid = _grid(claims).to_markdown(index=False, disable_numparse=True)
        blocks += [f"### {title}", grid]
    return "\n\n".join([*blocks, *NOTES]) + "\n"


FORMATS = {"md": markdown}
