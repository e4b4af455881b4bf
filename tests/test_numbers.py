"""Numbers in README and docs: marked places hold what docs/results has, and no other number is a
measurement."""

import re
import shutil
from collections import defaultdict
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import yaml
from markdown_it import MarkdownIt

from claim_rows import PUBLISHED
from noiselab import reading
from noiselab.answers import (
    documents,
    tables,
)
from noiselab.answers.documents import answer, filled

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
ALLOWED = yaml.safe_load((ROOT / "tests" / "typed_numbers.yaml").read_text("utf-8"))
PAGES = documents.pages(ROOT)

UNITS = r"%|points?|nats|seconds?|minutes?|hours?|s|ms|[kMG]i?B|times|(?:\w+ )?per \w+"
NUMBER = re.compile(
    rf"(?<![\w.,])[−+-]?\d(?:[\d,]*\d)?(?:\.\d+(?!\.?\d)|(?=[\s-]*(?:{UNITS})(?!\w)))(?!\.?\d)"
)
# What is no measurement, by its form: versions, numbers of papers and their parts, settings.
NAMED = re.compile(
    r"\b(?:Python|arXiv|[Vv]ersion|Section|Table|Figure) \d[\d.]*\d|\d+(?:\.\d+){2,}"
    r"|\b[re] = \d\.\d+|\[?95 % (?:CI|(?:confidence |t-)?intervals?)\b"
)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(text: str) -> list[str]:
    """The texts of a page that somebody typed: no code, no targets of links, no marked places."""
    found, block = [], False
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "html_block" and token.content.startswith("<!-- begin "):
            block = True
        elif token.type == "html_block" and token.content.startswith("<!-- end"):
            block = False
        elif not block and token.type == "html_block":  # Markdown shows what is beside comments
            found.append(re.sub(r"<!--.*?-->", "", token.content, flags=re.DOTALL))
        elif not block and token.children:
            found.append(_typed(token.children))
    return found


def _typed(parts: list) -> str:
    text, marked = "", False
    for part in parts:
        if part.type == "html_inline":
            marked = part.content.startswith("<!-- = ") or (
                marked and not part.content.startswith("<!-- / ")
            )
            text += " … " if marked else ""
        elif part.type in ("softbreak", "hardbreak"):
            text += " "
        elif part.type == "text" and not marked:
            text += part.content
        elif part.children and not marked:
            text += _typed(part.children)
        elif part.type == "code_inline":
            text += " ` "
    return text


@cache
def printed() -> tuple[float, ...]:
    """The numbers that papers print, of tables and of claims."""
    tables = {name: table for name, table in PUBLISHED.items() if name != "claims"}
    claimed = [claim["printed"] for claim in PUBLISHED["claims"].values()]
    return (*_numbers(tables), *_numbers(claimed))


def _numbers(content):
    if isinstance(content, dict | list):
        for part in content.values() if isinstance(content, dict) else content:
            yield from _numbers(part)
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield float(content)


def of_the_paper(number: str) -> bool:
    """Whether the paper prints a number, perhaps with more decimals; of three digits or more, or
    nearly every number would be one."""
    digits = number.lstrip("−+-").replace(",", "")
    if len(digits.replace(".", "").lstrip("0")) < 3 or "." not in digits:
        return False
    decimals = len(digits.partition(".")[2])
    return any(f"{abs(known):.{decimals}f}" == digits for known in printed())


def measurements(text: str, allowed: list[str] = ()) -> list[str]:
    """Typed numbers of a page that look like measurements, with what stands around them."""
    found = []
    for block in prose(text):
        for passage in allowed:
            block = block.replace(passage, " … ")
        block = NAMED.sub(" … ", block)
        found += [
            block[max(0, match.start() - 30) : match.end() + 20]
            for match in NUMBER.finditer(block)
            if not of_the_paper(match[0])
        ]
    return found


def allowed(page: str) -> list[str]:
    """Passages of a page whose numbers are no measurements of ours; the longest first."""
    passages = [p for name in ("every page", page) for p in ALLOWED.get(name, {})]
    return sorted(passages, key=len, reverse=True)


# ----------------------------------------------------------------------------- the pages


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_marked_places_hold_what_the_results_have(page):
    """`make results` fills them."""
    text = page.read_text("utf-8")
    assert filled(text, name(page), RESULTS) == text


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_measurement_is_typed(page):
    """Mark it (docs/ARCHITECTURE.md), or say in typed_numbers.yaml what else it is."""
    assert measurements(page.read_text("utf-8"), allowed(name(page))) == []


@pytest.mark.parametrize("page", [p for p in ALLOWED if p != "every page"])
def test_nothing_is_allowed_that_is_not_there(page):
    text = (ROOT / page).read_text("utf-8")
    needed = ALLOWED[page]
    typed = "\n".join(prose(text))
    assert [passage for passage in needed if passage not in typed] == []
    assert [passage for passage in needed if not measurements(passage)] == [], "needs no entry"
    assert all(needed.values()), "without a reason"


@pytest.mark.parametrize("tier", ["quick", "desk"])
def test_metrics_over_seeds_are_of_these_metrics(tier, tmp_path):
    """`make results` writes them anew."""
    made = tables.cells(reading.table(RESULTS / tier / "metrics.csv"))
    made.to_csv(tmp_path / "cells.csv", index=False, float_format="%.12g")
    written = (RESULTS / tier / "cells.csv").read_text()
    assert (tmp_path / "cells.csv").read_text() == written


def test_no_folder_of_results_is_left_that_nothing_cites():
    pages = " ".join(page.read_text("utf-8") for page in PAGES)
    pages += (ROOT / "docs/RESULTS.md").read_text("utf-8")
    kept = [folder.name for folder in RESULTS.iterdir() if folder.is_dir()]
    assert [folder for folder in kept if folder not in pages] == []


# ----------------------------------------------------------------------------- the scanner


@pytest.mark.parametrize(
    "typed",
    [
        "The loss is 12.7 points.",
        "It takes 14 seconds, or 3 minutes.",
        "Accuracy falls by 13 %, the NLL to 4.17.",
        "| a | −0.02 |\n|---|---|\n| b | c |",
        "- in **bold**: 268 MB",
        "[1.23](a.md) and ![0.987](b.png)",
        "a <!-- = quick/x -->5<!-- / --> and 6.5",
        "<!-- a line of HTML --> and 6.5",
        "<!-- begin run quick -->\n\n7.5\n\n<!-- end -->\n\n8.5",
        "twice 1.5 times as fast",
        "It was 95 % of all.",
        "a 12-point loss",
        "3 nats/token, at 250 MB/s",
        "151 photos per second",
    ],
)
def test_a_typed_measurement_is_found(typed):
    assert measurements(typed)


@pytest.mark.parametrize(
    "typed",
    [
        "`12.7 %` and [a](b-12.7.md)",
        "```\n12.7 %\n```",
        "Python 3.11, version 0.1.0, arXiv 2512.11912, Section 3.2",
        "a 95 % interval [95 % CI] at r = 0.5",
        "The paper's accuracies are 95.30 % and 85.35 %; a rise of 25.1 %.",
        "is <!-- = quick/x -->12.7 %<!-- / -->",
        "<!-- begin run quick -->\n\n12.7 %\n\n<!-- end -->",
        "48 tokens of 1,797 images, in 2026",
        "1/2 of 10 classes, batch × 8",
    ],
)
def test_what_is_no_measurement_passes(typed):
    assert measurements(typed) == []


def test_an_allowed_passage_passes_and_its_neighbour_does_not():
    assert measurements("0.75⁴ is 32 %, and 33 %", ["0.75⁴ is 32 %"]) == [" … , and 33 %"]


SOURCES = {"audit": "audit", "verdicts": "claims", "run": "provenance", "competence": "competence"}
SOURCES["losses"] = "cells"


def cited(text: str) -> set[str]:
    """The csv files that the marked places of a page are filled from, without suffix."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    blocks = re.findall(r"^<!-- begin (\w+) (\w+)", text, re.MULTILINE)
    files = {f"{tier}/{SOURCES[kind]}" for kind, tier in blocks}
    return files | set(re.findall(r"<!-- = (\S+)", text))


def places(text: str) -> dict[str, str]:
    """Of each csv file that a page cites, the marked places that are filled from it."""
    found = defaultdict(str)
    for match in documents.PART.finditer(text):
        if match["query"] or match["block"]:
            for file in cited(match[0]):
                found[file] += f"{'as ' if match['query'] else ''}{match[0]}\n\n"
    return found


def test_another_number_in_a_csv_makes_a_page_stale(tmp_path):
    """Of each page, every csv file that it cites is changed, one at a time."""
    keys = ["noise_ratio", "error_rate", "number", "seeds"]  # that a place chooses by
    for page in PAGES:
        text = page.read_text("utf-8")
        assert set(places(text)) == cited(text)
        for file, marked in places(text).items():
            assert filled(marked, name(page), RESULTS) == marked
            folder = tmp_path / name(page) / file
            for needed in cited(marked):
                (folder / needed).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(RESULTS / f"{needed}.csv", folder / f"{needed}.csv")
            table = pd.read_csv(folder / f"{file}.csv")
            numbers = [c for c in table.select_dtypes("number") if c not in keys]
            table[numbers] = table[numbers] * 2 + 1
            table.to_csv(folder / f"{file}.csv", index=False)
            assert filled(marked, name(page), folder) != marked, f"{page}: {file}"


def test_the_floors_of_the_printed_numbers_follow_from_these():
    """Tables 1 and 2 of the paper, CIFAR-10, r = 0 and 1; the floor of a sampler of uniform noise,
    (1 - e) a + e (1 - a) / 9 at e = 1/2, in per cent."""
    clean, noisy, clean_classifier, noisy_classifier = 94.082, 40.630, 95.30, 85.35
    floor = clean / 2 + (100 - clean) / 18
    shares = [(clean - noisy) / clean, (clean - floor) / clean, (floor - noisy) / clean]
    shares.append((clean_classifier - noisy_classifier) / clean_classifier)
    kinds = ["diffusion show=published", "diffusion show=floor", "diffusion show=excess"]
    kinds.append("classifier show=excess")
    cells = "quick/published_floors dataset=cifar10 noise_ratio=1 decimals=4 family="
    assert [answer(cells + kind, RESULTS) for kind in kinds] == [f"{100 * s:.4f}" for s in shares]
