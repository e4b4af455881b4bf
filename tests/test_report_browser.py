"""The report in a browser: three widths, light and dark, with and without scripts."""

import shutil
from pathlib import Path

import pytest

from noiselab.answers import report
from noiselab.answers.claims import BASES
from noiselab.answers.report.runs import anchor
from noiselab.answers.verdicts import VERDICTS
from noiselab.files import write_json, write_text
from report_files import (
    CLAIM,
    RUN,
    figure_files,
    item,
    run_files,
    small_tier,
    spectrum_files,
    table_files,
)

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
AXE = Path(__file__).parent / "browser" / "node_modules" / "axe-core" / "axe.min.js"
SCREENS = {390: 844, 800: 1000, 1400: 900}
PATIENCE = 10_000  # milliseconds, of any step
LONG = "a reason of many words that has to be broken into lines " * 3
ROWS = [
    ("classifier", "digits", 0.9, 0.0, ""),
    ("vision_transformer", "glyphs-200", 73.0, 0.0, ""),
    ("diffusion", "digits", 69.5, 49.1, ""),
    ("language_model", "docstrings", 27.7, 12.8, ""),
    ("seq2seq", "name2doc", 13.9, None, "untrained"),
    ("seq2seq", "code2doc", 14.9, 0.9, ""),
]
VALUES = {"values": [{"x": x, "y": y} for x, y in ((0, 95), (1, 90))]}
AXES = {axis: {"field": axis, "type": "quantitative"} for axis in ("x", "y")}
SPEC = {"data": VALUES, "mark": "line", "encoding": AXES, "width": 200, "height": 100}
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium")


def wide_words():
    """The data of a table of words that is wider than paper where no cell is broken."""
    kinds = {"difference": "text", "measured": "text", "text": "number", "released": "number"}
    kinds |= {"effect": "number", "so": "text"}
    words = {"text": LONG, "number": "−98.20 [−97.21, +99.19]"}
    cell = {"interval": None, "note": "", "mark": "", "runs": []}
    columns = [
        {"title": title, "kind": kind, "cells": [cell | {"text": words[kind]}]}
        for title, kind in kinds.items()
    ]
    grid = {"head": "no.", "rows": ["1"], "blocks": [{"title": "", "columns": columns}]}
    return {"title": "audit inside", "notes": [], "grids": [grid]}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """A report with a verdict of every kind, long texts, five families, and two figures, the second
    of which cannot be drawn by scripts."""
    folder = tmp_path_factory.mktemp("report")
    structure = small_tier(folder)
    spectrum_files(folder, ROWS)
    rows = []
    for at, verdict in enumerate([*VERDICTS] * 2):
        tests = [test | {"verdict": verdict} for test in CLAIM["tests"]]
        tests += [test | {"value": None, "reason": LONG} for test in tests[:1] if at % 5 == 0]
        shown = {"name": f"claim_{at}", "claim": CLAIM["claim"] * (1 + at % 4), "tests": tests}
        basis = dict.fromkeys(BASES, "not tested") | {"stand_in": verdict}
        rows.append(CLAIM | shown | {"by_basis": basis})
    write_json(folder / "claims.json", {"claims": rows})
    figure_files(folder, "figure_classifier", SPEC)
    broken = figure_files(folder, "figure_broken", {"data": {"url": "nowhere.csv"}, "mark": 5})
    structure["items"].append(item("figure_broken", "figure", broken, title="Broken"))
    write_json(folder / "audit.json", wide_words())
    twenty = table_files(folder, "table20", title="Table 20: the first on the page")
    structure["items"].insert(0, item("table20", "table", twenty))
    (study,) = structure["studies"]
    structure["studies"] = [study | {"artefacts": [*study["artefacts"], "table20"]}]
    run_files(folder, changes={"parents": {"clean": RUN}})
    write_text(folder / "report.html", report.render(structure))
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser, page_file):
    """Opens the report; a page that said something, failed, or asked for something fails its
    test."""
    contexts, said = [], []

    def heard(request):
        if not request.url.startswith(("file:", "data:")):
            said.append(f"asked for {request.url}")

    def opener(width=1400, theme="light", scripts=True, place=""):
        context = browser.new_context(
            viewport={"width": width, "height": SCREENS[width]},
            color_scheme=theme,
            java_script_enabled=scripts,
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", heard)
        page.goto(page_file.as_uri() + place)
        return page

    yield opener
    for context in contexts:
        context.close()
    assert said == []


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", SCREENS)
def test_the_answer_and_the_tally_are_above_the_fold_and_nothing_overflows(
    opened, width, theme, scripts
):
    page = opened(width, theme, scripts)
    for place in ("#question", "#answer", ".bars", "#tally", "#facts > summary"):
        box = page.locator(place).bounding_box()
        assert box["y"] >= 0, place
        assert box["y"] + box["height"] <= SCREENS[width], place
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    needed = page.evaluate("document.documentElement.scrollWidth")
    assert needed <= page.evaluate("innerWidth") == width
    assert page.locator("#search-open").is_visible() == scripts
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") == (theme == "light")
    assert page.evaluate("[...document.images].every(one => one.naturalWidth)")


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: cd tests/browser && npm ci")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
def test_axe_finds_no_serious_fault(opened, width, theme):
    page = opened(width, theme)
    page.evaluate("document.querySelectorAll('main details').forEach(one => { one.open = true; })")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    faults = [
        f"{fault['id']}: {node['html'][:200]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
    assert faults == []


def test_contents_open_without_scripts_and_stand_beside_a_wide_page(opened):
    phone = opened(390, scripts=False)
    assert not phone.locator(".side").is_visible()
    phone.locator(".menu > summary").click()
    phone.locator(".menu a", has_text="Claims").click()
    assert 0 <= phone.locator("#section-claims").bounding_box()["y"] < 150
    wide = opened(1400, scripts=False)
    assert wide.locator(".side").is_visible()
    assert not wide.locator(".menu").is_visible()
    wide.evaluate("scrollTo(0, 3000)")
    assert wide.locator(".side").bounding_box()["y"] >= 0


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_number_leads_to_its_run(opened, scripts):
    page = opened(scripts=scripts)
    run = page.locator(f"[id='{anchor(RUN)}']")
    assert not run.locator("pre").first.is_visible()
    page.locator("article", has_text="Table 2").locator("a.number").first.click()
    assert 0 <= run.bounding_box()["y"] < SCREENS[1400]
    if scripts:
        run.locator("pre").first.wait_for()


@pytest.mark.parametrize("width", SCREENS)
def test_bars_say_all_of_their_names_and_numbers_inside_their_box(opened, width):
    page = opened(width, scripts=False)
    ends = "els => els.map(e => e.getBoundingClientRect().right)"
    edge = min(page.locator(".track").evaluate_all(ends))
    assert max(page.locator(".bar-total, .bar-data").evaluate_all(ends)) <= edge
    cut = "els => els.filter(e => e.scrollWidth > e.clientWidth + 1).length"
    assert page.locator(".bar-head").evaluate_all(cut) == 0
    assert "3 trainings" in page.locator(".bar-data").first.inner_text()
    assert (
        page.locator(".bar-data").first.evaluate("e => getComputedStyle(e).overflow") == "visible"
    )


def test_the_bar_at_the_top_is_whole_on_the_smallest_phone(opened):
    page = opened(390)
    page.set_viewport_size({"width": 320, "height": 640})
    for place in ("#search-open", "#theme", ".menu > summary"):
        box = page.locator(place).bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 320, place


def test_search_finds_claims_tables_and_runs(opened):
    page = opened(390)
    page.keyboard.press("/")
    for words, kind in (
        ("undecided", "claim"),
        ("figure_classifier", "table or figure"),
        ("table2", "table or figure"),
        ("claim_3", "claim"),
        ("table 2", "table or figure"),
        ("digits a-s0", "run"),
    ):
        page.locator("#search-words").fill(words)
        assert page.locator("#search-found small").first.inner_text() == kind
    page.locator("#search-words").fill("table 2")
    assert page.locator("#search-found a").first.inner_text().startswith("Table 2: ")
    page.locator("#search-words").fill("c++ [")  # no expression, and nothing fails
    assert page.locator("#search-found a").count() == 0
    page.locator("#search-words").fill("digits a-s0")
    page.keyboard.press("Escape")
    assert not page.locator("#search").is_visible()
    page.locator("#search-open").click()
    page.keyboard.press("Enter")
    assert not page.locator("#search").is_visible()
    page.locator(f"[id='{anchor(RUN)}'] pre").first.wait_for()  # it opens when the address changes


def test_the_switch_turns_the_colours_round_and_the_choice_is_kept(opened):
    page = opened(800, "dark")
    back = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(back)
    page.locator("#theme").click()
    assert page.evaluate(back) == "rgb(255, 255, 255)" != dark
    page.reload()
    assert page.evaluate(back) == "rgb(255, 255, 255)"


def test_figures_come_alive_near_the_screen_and_stay_still_where_that_fails(opened):
    page = opened(1400)
    assert page.evaluate("window.vegaEmbed === undefined")
    for name, drawn in (("figure_classifier", True), ("figure_broken", False)):
        box = page.locator(f"[data-figure={name}]")
        box.scroll_into_view_if_needed()
        wanted = "1 == document.querySelectorAll('[data-figure=%s] .live svg').length"
        if drawn:
            page.wait_for_function(wanted % name)
            assert not box.locator(".still").is_visible()
        else:
            page.wait_for_function(f"!document.querySelector('[data-figure={name}] .live')")
            assert box.locator(".drawing.wide svg").is_visible()


def test_a_phone_gets_the_narrow_drawing(opened):
    page = opened(390, scripts=False)
    box = page.locator("[data-figure=figure_classifier]")
    assert box.locator(".drawing.narrow").is_visible()
    assert not box.locator(".drawing.wide").is_visible()


def test_tables_of_words_fit_on_paper(opened):
    page = opened(800)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 703, "height": 1000})
    wide = "els => els.filter(e => e.getBoundingClientRect().right > innerWidth + 1).length"
    assert page.locator("table").count()
    assert page.locator("table").evaluate_all(wide) == 0


def test_paper_has_rules_opened_and_no_colours_of_the_night(opened):
    page = opened(1400, "dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator(".claim .pairs").first.is_visible()
    assert not page.locator(".top").is_visible()
