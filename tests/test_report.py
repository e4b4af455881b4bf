"""The report: everything in one file, missing parts named, warnings where they are due."""

import base64
import re
from collections import Counter
from itertools import pairwise

import pytest

from noiselab.answers import layouts, report, verdicts
from noiselab.answers.report import chapters, claims, facts, first, runs
from noiselab.files import write_json
from report_files import (
    CLAIM,
    LEVEL,
    RUN,
    STUDY,
    UNTESTED,
    Page,
    figure_files,
    item,
    run_files,
    small_tier,
    spectrum_files,
    table_data,
    table_files,
)

EVIL = '<b onclick="x">evil</b> & "co"'


@pytest.fixture
def structure(tmp_path):
    return small_tier(tmp_path)


def test_everything_is_there_once_and_nothing_is_said_to_be_missing(structure):
    page = Page(report.render(structure))
    assert not page.unbalanced
    assert not page.open
    headings = [tag for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    levels = [int(tag[1]) for tag in headings]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    words = page.words()
    for text in ("How much does a model lose", "Table 2: accuracy", "A note.", "audit note"):
        assert text in words
    for text in ("cost note", "overview note", "Diffusion models collapse", "in place of"):
        assert text in words
    assert "workflow_report.html" in words
    assert "Not built" not in words
    assert "Not run" not in words


def test_only_data_that_stand_in_for_others_are_compared_with_the_published(structure, tmp_path):
    compared = "compare the course of a decline with the published one"
    assert compared in Page(report.render(structure)).words()
    run_files(tmp_path, changes={"stands_in_for": None})
    words = Page(report.render(structure)).words()
    assert compared not in words
    assert "Not the paper’s data. digits." in words


def test_ids_are_unique_and_every_link_has_its_place(structure):
    page = Page(report.render(structure))
    ids = Counter(page.ids())
    assert max(ids.values()) == 1
    anchors = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    assert len(anchors) >= 20
    assert set(anchors) <= set(ids)
    named = {a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a}
    assert named <= set(ids)


def test_nothing_is_loaded(structure):
    text = report.render(structure)
    page = Page(text)
    assert not [k for _, attributes in page.elements for k in attributes if k.startswith("on")]
    assert not [attributes for attributes in page.all("script") if "src" in attributes]
    sources = [
        a[k] for tag, a in page.elements for k in ("src", "srcset", "data", "xlink:href") if k in a
    ]
    sources += [a["href"] for a in page.all("link")]
    assert sources
    assert all(source.startswith("data:") for source in sources)
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    outside = [a["href"] for a in page.all("a") if not a["href"].startswith(("#", "data:"))]
    assert outside == [STUDY["paper"]["url"]]
    (policy,) = [a["content"] for a in page.all("meta") if "http-equiv" in a]
    assert "default-src 'none'" in policy
    assert all(drawn["aria-label"] for drawn in page.all("svg") if drawn.get("role") == "img")


def test_downloads_are_the_files_to_the_byte(structure, tmp_path):
    links = [a for a in Page(report.render(structure)).all("a") if "download" in a]
    files = {path.name: path for path in tmp_path.rglob("*.*") if path.is_file()}
    wanted = {f"{table}.{end}" for table in ("table2", "spectrum") for end in ("csv", "md", "tex")}
    drawn = ("figure_classifier", "figure_spectrum")
    wanted |= {f"{name}.{end}" for name in drawn for end in ("svg", "csv")} | {"cost.csv"}
    assert {a["download"] for a in links} == wanted
    for link in links:
        content = base64.b64decode(link["href"].split(";base64,")[1])
        assert content == files[link["download"]].read_bytes()


def test_what_is_missing_is_named(structure, tmp_path):
    for name in ("claims", "cost"):
        structure["pieces"][name] = None
    structure["pieces"]["audit"] = str(tmp_path / "never.json")
    structure["pieces"]["spectrum"] = None
    structure["items"].append(item("table9", "table", [str(tmp_path / "no.json")]))
    structure["not_planned"] = ["table7"]
    text = report.render(structure)
    words = Page(text).words()
    lacking = [facts.PIECES[name] for name in ("claims", "spectrum", "audit", "cost")]
    assert f"Not built: {'; '.join([*lacking, 'table9'])}." in words
    assert "Not run: table7" in words
    for place in ("section-claims", "figure_spectrum", "section-audit", "section-cost"):
        assert f'href="#{place}"' not in text


def test_a_report_of_nothing_yet_is_still_a_report(structure):
    structure |= {"items": [], "datasets": [], "runs": [], "studies": []}
    structure["pieces"] = dict.fromkeys(facts.PIECES)
    page = Page(report.render(structure))
    words = page.words()
    assert f"Not built: {'; '.join(facts.PIECES.values())}" in words
    assert "0 trainings" in words
    assert "Nothing has been trained yet: there is no answer." in words
    assert not page.unbalanced


def test_text_of_others_stays_text(structure, tmp_path):
    evil = {"claim": EVIL, "rule": EVIL, "open": EVIL, "name": "evil"}
    tests = [CLAIM["tests"][0] | {"value": None, "reason": "a < b", "where": EVIL}]
    write_json(tmp_path / "claims.json", {"claims": [CLAIM | evil | {"tests": tests}]})
    run_files(tmp_path, changes={"dataset": EVIL}, training={"device": EVIL})
    table_files(tmp_path, "table2", title=EVIL, label=EVIL, note=EVIL)
    structure["not_planned"] = [EVIL]
    structure["items"][1]["title"] = EVIL
    structure["studies"] = [STUDY | {"title": EVIL, "question": EVIL}]
    page = Page(report.render(structure))
    assert "onclick" not in {k for _, attributes in page.elements for k in attributes}
    assert not page.all("b")
    assert page.words().count(EVIL) >= 14
    assert "(a < b)" in page.words()


WARNINGS = ["data", "seeds", "revisions", "uncommitted"]


def warnings(structure):
    ids = Page(report.render(structure)).ids()
    return [name for name in WARNINGS if f"warning-{name}" in ids]


def test_stand_in_data_and_single_seeds_are_said_only_where_true(structure, tmp_path):
    assert warnings(structure) == ["data", "seeds"]
    table_files(tmp_path, "table2", seeds=3)
    assert warnings(structure) == ["data"]
    assert "Stand-in data" in Page(report.render(structure)).words()
    run_files(tmp_path, changes={"dataset": "cifar10"})
    assert warnings(structure) == []
    assert 'class="caveat"' not in report.render(structure)


def test_some_single_seeds_are_said_with_their_families(structure, tmp_path):
    paths = table_files(tmp_path, "table7", seeds=3)
    structure["items"].append(item("table7", "table", paths, category="Language models"))
    words = Page(report.render(structure)).words()
    assert "Some cells come from a single seed (Classifiers)" in words
    assert "Seeds per cell 1 to 3" in words


@pytest.mark.parametrize(
    ("training", "evaluation", "expected"),
    [
        ({}, "abc123", []),
        ({}, "def456", ["revisions"]),
        ({"revision": "def456"}, "abc123", ["revisions"]),
        ({"revision": "abc123+changed"}, "abc123+changed", ["uncommitted"]),
        ({"revision": "unknown"}, "abc123", ["revisions", "uncommitted"]),
    ],
)
def test_mixed_and_uncommitted_revisions_are_flagged(
    structure, tmp_path, training, evaluation, expected
):
    run_files(tmp_path, training=training, evaluation=evaluation)
    assert warnings(structure) == ["data", "seeds", *expected]


# ------------------------------------------------------------------------------------ claims


def counts(level):
    return [(one["number"], one["text"]) for one in level["counts"]]


def test_claims_are_counted_by_what_their_verdicts_rest_on(structure):
    stand_in, papers, published = claims.tally([CLAIM, UNTESTED])
    assert counts(stand_in) == [(1, "does not hold"), (1, "not tested")]
    assert counts(papers) == counts(published) == [(2, "not tested")]
    words = Page(report.render(structure)).words()
    assert "Of 2 claims" in words
    assert "✗ 1 does not hold" in words


def test_a_claim_shows_both_sides_its_rule_its_runs_and_a_citation(structure):
    text = report.render(structure)
    words = Page(text).words()
    assert "As measured 41.20 % [38.00, 44.10] ✗ does not hold" in words
    assert "Above the floor 4.100 % [3.000, 5.200] ? undecided" in words
    assert "at least 50 % (More than half is lost.)" in words
    assert "absolute: −39.00 points" in words
    assert layouts.INTERVALS["t_items"] in words
    card = text[text.index('id="claim-diffusion_collapses"') :]
    card = card[: card.index("</article>")]
    assert f'href="#{runs.anchor(RUN)}"' in card
    assert card.count("CIFAR-10, and the paper") == 1  # what is open is said once
    assert "needs CIFAR-10" not in card
    assert "nothing that it rests on was run" in words


def test_a_citation_names_claim_study_verdicts_tier_and_revision():
    source = {"tier": "quick", "revisions": ["abc"], "authors": ["A & B"], "version": "1.0"}
    tests = [claims._test(CLAIM["tests"][0], CLAIM, {})]
    found = claims.citation(CLAIM, tests, STUDY, source)
    for text in (
        "tier quick, revision abc",
        "41.20 %",
        "does not hold",
        "L & J, ICLR",
        "undecided",
    ):
        assert text in found["plain"]
    bibtex = found["bibtex"]
    assert bibtex.startswith("@misc{noiselab-diffusion_collapses,")
    assert r"author = {{A \& B}}" in bibtex
    assert r"41.20 \%" in bibtex
    assert bibtex.count("{") == bibtex.count("}")


def test_levels_stand_apart_from_courses(structure, tmp_path):
    write_json(tmp_path / "claims.json", {"tier": "quick", "claims": [LEVEL, CLAIM]})
    text = report.render(structure)
    courses, levels = (text.index(f"<h3>{title}</h3>") for title in ("Courses", "Levels"))
    assert courses < text.index('id="claim-diffusion_collapses"') < levels
    assert levels < text.index('id="claim-level"')


def test_claims_of_several_studies_stand_with_their_study(structure, tmp_path):
    write_json(tmp_path / "claims.json", {"tier": "quick", "claims": [UNTESTED, CLAIM]})
    other = STUDY | {"name": "other", "title": "Another", "claims": ["untested"], "artefacts": []}
    first = STUDY | {"claims": ["diffusion_collapses"]}
    structure["studies"] = [first, other]
    text = report.render(structure)
    places = [text.index(f"<h3>{title}: courses</h3>") for title in ("Low-quality data", "Another")]
    assert places[0] < text.index('id="claim-diffusion_collapses"') < places[1]
    assert places[1] < text.index('id="claim-untested"')


def test_settings_of_ones_own_that_test_no_claim_show_none(structure, tmp_path):
    write_json(tmp_path / "claims.json", {"claims": [UNTESTED]})
    assert claims.read(tmp_path / "claims.json", own=True) is None
    assert claims.read(tmp_path / "claims.json") == [UNTESTED]
    structure |= {"own": True, "items": structure["items"][1:]}
    structure["pieces"]["spectrum"] = None
    text = report.render(structure)
    words = Page(text).words()
    assert "This page shows settings of your own, 1 training in 1 table." in words
    assert "digits: accuracy (%), 100:100: loss above the floor +5.00 [−1.00, +7.00]" in words
    assert "section-claims" not in text


def test_of_settings_of_ones_own_only_their_numbers_are_shown_and_come_first(structure, tmp_path):
    mine = table_files(tmp_path, "mine", title="A table of mine")
    printed = table_files(tmp_path, "table9", title="The paper's numbers", runs=())
    theory = figure_files(tmp_path, "figure_theory")
    structure["items"] += [
        item("table9", "table", printed),
        item("figure_theory", "figure", theory, title="Theory"),
        item("mine", "table", mine, runs=[RUN]),
    ]
    structure["studies"] = [STUDY | {"artefacts": [*STUDY["artefacts"], "figure_theory"]}]
    structure["own"] = True
    structure["items"] = [one for one in structure["items"] if one["name"] != "spectrum"]
    audit = table_data("audit inside")
    for block in audit["grids"][0]["blocks"]:
        for column in block["columns"]:
            column["cells"] = [cell | {"text": "—"} for cell in column["cells"]]
    write_json(tmp_path / "audit.json", audit)
    text = report.render(structure)
    for left in ("table9", "figure_theory", "figure_spectrum", "section-audit"):
        assert f'id="{left}"' not in text
    assert text.index('id="mine"') < text.index('id="table2"')
    words = Page(text).words()
    answer = "models at 100:100, digits: accuracy (%): loss above the floor +5.00 [−1.00, +7.00]."
    assert answer in words
    assert "1 training in 2 tables" in words
    write_json(tmp_path / "audit.json", table_data("audit inside"))
    assert 'id="section-audit"' in report.render(structure)


def test_chips_of_the_tally_lead_to_the_first_claim_with_their_verdict(structure, tmp_path):
    rows = [LEVEL, CLAIM, UNTESTED]  # the page has courses before levels
    write_json(tmp_path / "claims.json", {"tier": "quick", "claims": rows})
    links = [
        a["href"] for a in Page(report.render(structure)).all("a") if "chip " in a.get("class", "")
    ]
    assert links[:2] == ["#claim-diffusion_collapses", "#claim-untested"]
    assert links[2:] == ["#claim-diffusion_collapses"] * 2


def test_what_was_planned_and_is_missing_is_said_on_the_first_screen(structure, tmp_path):
    assert 'class="lacking"' not in report.render(structure)
    structure["pieces"]["spectrum"] = None
    structure["items"] += [
        item(f"table{n}", "table", [str(tmp_path / "no.json")]) for n in (3, 4, 5, 6)
    ]
    assert "Not built : table3; table4; table5; 1 more" in Page(report.render(structure)).words()


# ---------------------------------------------------------------------------------- chapters


def test_a_further_study_is_a_chapter_without_a_template(structure, tmp_path):
    paths = table_files(tmp_path, "extra", title="An extra table")
    structure["items"].append(item("extra", "table", paths))
    alone = table_files(tmp_path, "mine", title="A table of mine")
    structure["items"].append(item("mine", "table", alone))
    other = STUDY | {"name": "other", "title": "Another", "artefacts": ["extra"], "claims": []}
    structure["studies"].append(other)
    text = report.render(structure)
    places = [f'id="study-{name}"' for name in ("low_quality_data", "other", "own")]
    order = [*places[:1], 'id="table2"', places[1], 'id="extra"', places[2], 'id="mine"']
    found = [text.index(place) for place in order]
    assert found == sorted(found)


def test_the_first_screen_answers_from_the_spectrum(structure, tmp_path):
    words = Page(report.render(structure)).words()
    assert "When half of the training targets are wrong, models lose 2.0 % (classifiers on" in words
    assert "70.0 % (diffusion models on digits)" in words
    spectrum_files(tmp_path, [("classifier", "digits", 31.0, 0.0, "")])
    assert "classifiers on digits) of the clean score" in Page(report.render(structure)).words()


def test_a_study_that_the_bars_leave_out_has_a_line_on_the_first_screen(structure, tmp_path):
    assert 'class="highlights"' not in report.render(structure)
    structure["items"].append(item("extra", "table", table_files(tmp_path, "extra", title="More")))
    other = STUDY | {"name": "other", "title": "Another", "artefacts": ["extra"], "claims": []}
    structure["studies"].append(other)
    text = report.render(structure)
    line = text[text.index('class="highlights"') :]
    line = line[: line.index("</ul>")]
    assert line.count("<li>") == 1
    assert '<a href="#study-other">Another</a>' in line
    assert "More. digits: accuracy (%), 100:100: loss above the floor +5.00" in line


def test_a_study_is_told_by_the_first_of_its_own_tables(structure, tmp_path):
    for name in ("later", "extra"):
        made = table_files(tmp_path, name, title=name.capitalize())
        structure["items"].append(item(name, "table", made))
    other = STUDY | {"name": "other", "title": "Another", "artefacts": ["extra", "later"]}
    structure["studies"].append(other | {"claims": []})
    text = report.render(structure)
    line = text[text.index('class="highlights"') :]
    assert "Extra. digits" in line[: line.index("</ul>")]


def test_a_study_is_told_by_the_rows_that_answer_its_questions(structure, tmp_path):
    for name in ("extra", "later"):
        made = table_files(tmp_path, name, title=name.capitalize())
        structure["items"].append(item(name, "table", made))
    answers = [{"asks": "Is it so?", "table": "later", "row": "100:100"}]
    answers.append({"asks": "And this?", "table": "extra", "row": "100:100"})
    other = STUDY | {"name": "other", "title": "Another", "artefacts": ["extra", "later"]}
    other |= {"claims": [], "answer": [answers[0] | {"row": "no such row"}, *answers]}
    structure["studies"].append(other)
    shown = '<a href="#later">Is it so?</a><br>digits: accuracy (%), 100:100: loss above'
    text = report.render(structure)
    assert shown in text
    assert "And this?" not in text  # of several studies, one answer each
    structure["studies"] = [other]
    structure["items"] = structure["items"][-2:]
    text = report.render(structure)
    assert text.index(shown) < text.index("And this?")
    assert "The last row of each" not in text


def test_a_bound_is_told_where_there_is_no_number():
    ours = {"kind": "ours", "interval": "", "mark": "", "href": None}
    cells = [
        ours | {"column": "times sooner", "text": "—", "note": "at most 1.44: 1 of 5 pairs"},
        ours | {"column": "a step", "text": "2.00", "note": ""},
        ours | {"column": "in seconds", "text": "—", "note": ""},
    ]
    panel = {"title": "", "rows": [{"label": "stable", "cells": cells}]}
    entry = {"id": "speedups", "kind": "table", "title": "How much sooner", "panels": [panel]}
    answer = {"asks": "Is it sooner?", "table": "speedups", "row": "stable"}
    study = {"artefacts": ["speedups"], "families": [{"entries": [entry]}], "answer": [answer]}
    (line,) = first.highlights([study], spectrum=False)
    assert line["text"] == (
        "stable: times sooner at most 1.44: 1 of 5 pairs, a step 2.00, in seconds —"
    )


CAPTIONS = sorted(chapters.CAPTIONS.glob("**/*.rst"))


@pytest.mark.parametrize("path", CAPTIONS, ids=lambda path: path.stem)
def test_every_caption_is_valid(path):
    text = chapters.caption(str(path.relative_to(chapters.CAPTIONS)), "table2", "quick")
    assert "system-message" not in text
    assert "snakemake" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (56.81, "56.81"),
        (-0.123456, "−0.1235"),
        (12345.6, "12,346"),
        (0, "0.0"),
        (2.41e-4, "0.000241"),
    ],
)
def test_numbers_have_four_digits(value, text):
    assert verdicts.number(value) == text
