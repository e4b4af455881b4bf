"""Layouts of claims.json: tidy rows, Markdown, HTML."""

import html
from collections import Counter
from math import floor, log10

import pandas as pd

from noiselab.answers.layouts import page

TITLE = "Claims of the paper"
NOTES = [
    "The verdict on what was run is about those data and networks alone: the whole 95 % interval "
    "inside the rule, or outside it. The published claim is decided by the paper's own data only.",
    "Of one seed, an interval shows the variability over test items or batches, not over "
    "trainings.",
]


def summary(content: dict) -> str:
    """How many claims have which verdict, in a sentence."""
    published = Counter(claim["verdict"] for claim in content["claims"])
    run = Counter(test["verdict"] for claim in content["claims"] for test in claim["tests"])
    parts = [f"{n} {verdict}" for verdict, n in sorted(published.items())]
    tests = [f"{n} {verdict}" for verdict, n in sorted(run.items())]
    return (
        f"{len(content['claims'])} claims of the paper at tier {content['tier']}: "
        f"{', '.join(parts)}. Tests on what was run: {', '.join(tests) or 'none'}."
    )


def tidy(content: dict) -> pd.DataFrame:
    """A row per claim, test and ruler; a claim without tests has one row."""
    rows = []
    for claim in content["claims"]:
        keys = {k: claim[k] for k in ("name", "place", "rule", "verdict", "because")}
        keys = {"claim" if k == "name" else k: v for k, v in keys.items()}
        own = {"ruler": claim["statistic"], "unit": claim["unit"], "published": claim["published"]}
        for test in claim["tests"] or [{}]:
            first = {k: test.get(k) for k in ("value", "ci_low", "ci_high", "interval", "reason")}
            first["verdict_here"] = test.get("verdict")
            where = {"where": test.get("where"), "seeds": test.get("seeds")}
            rows.append(keys | where | own | first)
            for ruler in test.get("rulers", []):
                named = {"verdict_here" if k == "verdict" else k: v for k, v in ruler.items()}
                rows.append(keys | where | named)
    return pd.DataFrame(rows)


def number(value: float | None) -> str:
    """A number with four significant digits and six decimals at most, with a true minus sign."""
    if value is None or pd.isna(value):
        return ""
    decimals = 3 - floor(log10(abs(value))) if value else 1
    return f"{value:,.{min(max(decimals, 0), 6)}f}".replace("-", "−")


def estimate(row: dict, unit: str = "") -> str:
    """Value, unit and interval of a test or ruler, or why there is no value."""
    if row["value"] is None:
        return f"— ({row.get('reason') or 'not measured'})"
    text = f"{number(row['value'])} {unit}".strip()
    if row["ci_low"] is None:
        return f"{text} (no interval)"
    return f"{text} [{number(row['ci_low'])}, {number(row['ci_high'])}]"


def _grid(content: dict) -> pd.DataFrame:
    """The table that people read: a row per claim and test."""
    rows = []
    for claim in content["claims"]:
        for test in claim["tests"] or [None]:
            rows.append(
                {
                    "claim": f"{claim['claim']} ({claim['place']})",
                    "statistic": f"{claim['statistic']}, {claim['unit']}",
                    "rule": claim["rule"],
                    "paper": number(claim["published"]),
                    "ours [95 % CI]": estimate(test) if test else "—",
                    "run": test["where"] if test else "nothing",
                    "on what was run": test["verdict"] if test else "not run",
                    "published claim": f"{claim['verdict']} ({claim['because']})",
                }
            )
    return pd.DataFrame(rows)


def markdown(content: dict) -> str:
    """The claims as one table of Markdown."""
    grid = _grid(content).to_markdown(index=False, disable_numparse=True)
    return "\n\n".join([f"## {TITLE}", summary(content), grid, *NOTES]) + "\n"


def html_page(content: dict) -> str:
    """The claims as a page of its own, with the other rulers below."""
    rulers = tidy(content).drop(columns=["rule", "because", "verdict"])
    parts = [f"<p>{html.escape(summary(content))}</p>"]
    for title, grid in (("", _grid(content)), ("By every ruler", rulers)):
        heading = f"<h2>{title}</h2>" if title else ""
        table = grid.to_html(
            index=False, border=0, escape=True, na_rep="", float_format="{:.4g}".format
        )
        parts.append(f'{heading}<div class="scroll wrap">{table}</div>')
    parts += [f"<p>{html.escape(note)}</p>" for note in NOTES]
    return page(TITLE, "".join(parts))


FORMATS = {"md": markdown, "html": html_page}
