"""The claims as the page shows them: as measured and above the floor, side by side."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from noiselab.answers.claims import BASES, NO_RUN, NOT_TESTED, combined
from noiselab.answers.layouts import INTERVALS
from noiselab.answers.report.figures import beside
from noiselab.answers.report.runs import links
from noiselab.answers.report.words import tidy
from noiselab.answers.rules import WITHOUT_UNIT
from noiselab.answers.verdicts import (
    VERDICTS,
    above_floor,
    estimate,
    number,
    on_one_training,
    parts,
)
from noiselab.files import read_json
from noiselab.planning.code import CITATION
from noiselab.planning.yaml_file import read as read_yaml

# Of what verdicts rest on: in short, and what there is room for on a wide screen.
SHORT = {
    "stand_in": ("Stand-in data", ""),
    "paper_data": ("Paper’s data", ", other network or recipe"),
    "as_published": ("As published", ""),
}
BIBTEX = {c: f"\\{c}" for c in "%&_#$"} | {"−": "-", "{": r"\{", "}": r"\}"}


def read(path: str | Path, own: bool = False) -> list[dict] | None:
    """The content of claims.json. None: settings of somebody's own, which test no claim."""
    rows = read_json(path)["claims"]
    tests = [test for row in rows for test in row["tests"]]
    return None if own and not any(test["where"] != NO_RUN for test in tests) else rows


def tally(rows: list[dict], studies: Sequence[dict] = ()) -> list[dict]:
    """How many claims have which verdict, by what the verdicts rest on, and the first of each on
    the page."""
    shown = [row for _, _, part in grouped(rows, studies) for row in part]
    return [
        {"short": short, "more": more, "counts": _counts(shown, basis)}
        for basis, (short, more) in SHORT.items()
    ]


def _counts(rows: list[dict], basis: str) -> list[dict]:
    found = Counter(row["by_basis"][basis] for row in rows)
    first = {row["by_basis"][basis]: _id(row) for row in reversed(rows)}
    return [
        {"verdict": verdict, "number": found[verdict], "sign": word.sign, "href": first[verdict]}
        | {"text": word.several if found[verdict] != 1 else verdict}
        for verdict, word in VERDICTS.items()
        if found[verdict]
    ]


def view(path: str, rows: list[dict], studies: list[dict], runs: dict, facts: dict) -> dict:
    """The claims by study, and in it courses apart from levels."""
    source = {"tier": facts["tier"], "revisions": facts["revisions"], **_citation()}
    groups = []
    for study, title, part in grouped(rows, studies):
        cards = [card(row, study, runs, source) for row in part]
        kind, _, about = title.partition(": ")
        named = f"{study['title']}: {kind.lower()}" if len(studies) > 1 else kind
        groups.append({"title": named, "about": about, "claims": cards})
    single = on_one_training(rows).strip()
    return {"groups": groups, "count": len(rows), "single": single, "downloads": beside(path)}


def grouped(rows: list[dict], studies: Sequence[dict]) -> list[tuple[dict, str, list[dict]]]:
    """Claims in the order of the page, as (study, title of a part, its claims)."""
    known = {name for study in studies for name in study["claims"]}
    others = {"title": "Others", "claims": [r["name"] for r in rows if r["name"] not in known]}
    return [
        (study, title, part)
        for study in (*studies, others)
        for title, part in parts([row for row in rows if row["name"] in study["claims"]])
    ]


def _id(row: dict) -> str:
    return f"claim-{row['name']}"


def card(row: dict, study: dict, runs: dict, source: dict) -> dict:
    """One claim."""
    printed = f"{number(row['published'])} {row['unit']}".strip()
    tests = [_test(test, row, runs) for test in row["tests"]]
    return {
        "id": _id(row),
        "name": row["name"],
        "claim": tidy(row["claim"]),
        "place": row["place"],
        "printed": printed if row["published"] is not None else "",
        "verdict": combined([test["verdict"] for test in row["tests"]]),
        "statistic": f"{row['statistic']}, {row['unit']}",
        "rule": row["rule"],
        "why": row.get("why"),
        "open": row["open"],
        "tests": tests,
        "citation": citation(row, tests, study, source),
    }


def _test(test: dict, claim: dict, runs: dict) -> dict:
    """A test: as measured and above the floor, and the numbers by other rulers."""
    above = above_floor(test, claim["unit"])
    told = test["reason"] if test["value"] is not None else ""
    panels = [{"title": "As measured", **_number(test, claim["unit"]), "why": told or ""}]
    if above is not None:
        side = _number(above, above["unit"])
        side["verdict"] = side["verdict"] or test["verdict"]
        panels.append({"title": "Above the floor", **side, "why": ""})
    others = [ruler for ruler in test["rulers"] if ruler is not above]
    return {
        "where": test["where"],
        "basis": BASES[test["basis"]],
        "panels": panels,
        "interval": INTERVALS.get(test["interval"], test["interval"]),
        "power": _power(test, claim),
        "others": [{"title": ruler["ruler"], **_number(ruler, ruler["unit"])} for ruler in others],
        "runs": links(test.get("runs", ()), runs),
    }


def _power(test: dict, claim: dict) -> str:
    """The smallest effect that a test could have shown, beside that of interest; empty: unknown."""
    if test.get("detectable") is None:
        return ""
    unit = "" if claim["unit"] in WITHOUT_UNIT else f" {claim['unit']}"
    shown, wanted = number(test["detectable"]), claim["smallest_effect"]
    return f"effects from {shown}{unit} beyond the rule's bound; of interest from {wanted:g}{unit}"


def _number(row: dict, unit: str) -> dict:
    """An estimate in its parts, with the paper's number and the verdict by it."""
    value, _, interval = estimate(row, unit).partition(" [")
    printed = row.get("published")
    return {
        "value": value,
        "interval": f"[{interval}" if interval else "",
        "verdict": row["verdict"],
        "printed": f"{number(printed)} {unit}".strip() if printed is not None else "",
    }


# ------------------------------------------------------------------------------------ citation


def _citation() -> dict:
    """Who is to be cited, from CITATION.cff."""
    told = read_yaml(CITATION)
    authors = [
        author.get("name") or f"{author['given-names']} {author['family-names']}"
        for author in told["authors"]
    ]
    return {"authors": authors, "version": told["version"]}


def citation(row: dict, tests: list[dict], study: dict, source: dict) -> dict:
    """A claim with its verdicts to cite: plain text and BibTeX."""
    paper = study.get("paper")
    about = f" ({paper['authors']}, {paper['venue']})" if paper else ""
    revisions = ", ".join(source["revisions"]) or "unknown"
    sentence = row["claim"].rstrip(".")
    found = "; ".join(_told(test) for test in tests) or NOT_TESTED
    name = f"noiselab {source['version']}, tier {source['tier']}, revision {revisions}"
    plain = f"{name}: claim {row['name']}{about}, “{sentence}”: {found}."
    note = _bibtex(
        f"Claim {row['name']}{about}: {found}. Tier {source['tier']}, revision {revisions}"
    )
    authors = " and ".join(f"{{{_bibtex(author)}}}" for author in source["authors"])
    lines = [f"@misc{{noiselab-{row['name']},", f"  author = {{{authors}}},"]
    lines += [f"  title = {{{{noiselab: {_bibtex(sentence)}}}}},", f"  note = {{{note}}},"]
    lines += [f"  version = {{{source['version']}}}", "}"]
    return {"plain": plain, "bibtex": "\n".join(lines)}


def _told(test: dict) -> str:
    """A test in words."""
    parts = [
        " ".join(filter(None, (f"{panel['title'].lower()} {panel['value']}", panel["interval"])))
        + (f", {panel['verdict']}" if panel["verdict"] else "")
        for panel in test["panels"]
    ]
    return f"{'; '.join(parts)} ({test['where']}, {test['basis']})"


def _bibtex(text: str) -> str:
    return "".join(BIBTEX.get(character, character) for character in text)
