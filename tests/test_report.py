"""The report: everything in one file, missing parts named, warnings where they are due."""

import base64
import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from commands import run
from helpers import small_run
from noiselab.answers import layouts, report, verdicts
from noiselab.answers.claims import BASES, combined
from noiselab.files import write_json, write_text

EVIL = '<b onclick="x">evil</b> & "co"'
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="900" height="300"><rect width="9"/></svg>'


class Page(HTMLParser):
    """Elements of a page, its text, and the tags that were not closed in order."""

    VOID = ("meta", "link", "img", "br", "hr", "col")

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.open, self.unbalanced = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def words(self):
        return " ".join(" ".join(self.text).split())


def run_files(folder, name, changes=(), training=(), evaluation="abc123"):
    """Files of one finished run."""
    run = small_run() | {"run_id": name, "parents": {"clean": name}} | dict(changes)
    summary = {"device": "a CPU", "revision": "abc123", "seconds": 90.0, "python": "3.11.7"}
    summary |= dict.fromkeys(("torch", "torchvision", "numpy", "snakemake"), "1.0")
    write_json(folder / "runs" / name / "run.json", run.content())
    write_json(folder / "runs" / name / "training.json", summary | dict(training))
    write_json(folder / "runs" / name / "metrics.json", {"evaluation_revision": evaluation})


def table_files(folder, name, seeds=1, title="Table 2: accuracy"):
    """The four files of a table."""
    files = [folder / "tables" / f"{name}.{suffix}" for suffix in ("html", "csv", "md", "tex")]
    wide = "".join(f"<td>{i}.00 [1.00, 2.00]</td>" for i in range(30))
    grid = f'<div class="scroll"><table><tbody><tr>{wide}</tr></tbody></table></div>'
    write_text(files[0], layouts.page(title, f"{grid}<h2>More</h2><p>A note.</p>"))
    write_text(files[1], f"dataset,n_seeds\ndigits,{seeds}\nplan,\n")
    write_text(files[2], "## Ä table\n")
    write_text(files[3], "\\begin{table}\n")
    return [str(file) for file in files]


def figure_files(folder, name):
    files = [folder / "figures" / f"{name}.{suffix}" for suffix in ("svg", "png")]
    write_text(files[0], SVG)
    files[1].write_bytes(b"\x89PNG and so on")
    return [str(file) for file in files]


def item(name, kind, paths, **changes):
    content = {"category": "Classifiers", "name": name, "kind": kind, "paths": paths}
    content |= {"title": None, "caption": "low_quality_data/table2.rst", "runs": [], "tables": []}
    return content | changes


CLAIM = {
    "name": "diffusion_collapses",
    "place": "Section 3.4, Table 1",
    "claim": "Diffusion models collapse.",
    "statistic": "relative drop of consistency at r = 1",
    "rule": "at least 50 %",
    "needs": "CIFAR-10, tier paper",
    "published": 56.81,
    "unit": "%",
    "transfers": True,
    "verdict": "not decidable here",
    "because": "needs CIFAR-10; run here: digits",
    "by_basis": dict.fromkeys(BASES, "not tested") | {"stand_in": "does not hold"},
    "open": "CIFAR-10, and the paper's network and length of training (tier paper)",
    "tests": [
        {
            "where": "digits, tier quick, one training",
            "seeds": 1,
            "basis": "stand_in",
            "value": 41.2,
            "ci_low": 38.0,
            "ci_high": 44.1,
            "interval": "t_items",
            "verdict": "does not hold",
            "reason": None,
            "rulers": [
                {
                    "ruler": "absolute",
                    "unit": "points",
                    "published": 53.45,
                    "value": -39.0,
                    "ci_low": None,
                    "ci_high": None,
                    "verdict": None,
                }
            ],
        }
    ],
}
UNTESTED = CLAIM | {"name": "untested", "published": None, "tests": [], "because": "not run"}
UNTESTED |= {"by_basis": dict.fromkeys(BASES, "not tested")}
LEVEL = UNTESTED | {"name": "level", "transfers": False}


@pytest.fixture
def structure(tmp_path):
    """A small tier with one of everything."""
    run_files(tmp_path, "classifier/digits/a-s0")
    write_json(tmp_path / "data.json", {"name": "digits", "train_size": 200})
    write_json(tmp_path / "claims.json", {"tier": "quick", "claims": [CLAIM, UNTESTED]})
    for name in ("audit", "cost", "overview"):
        body = f"<h2>{name} inside</h2><div class='scroll'></div>"
        write_text(tmp_path / f"{name}.html", layouts.page(name, body))
    write_text(tmp_path / "cost.csv", "hours\n1\n")
    pieces = {name: str(tmp_path / f"{name}.html") for name in ("audit", "cost", "overview")}
    pieces["claims"] = str(tmp_path / "claims.json")
    spectrum = figure_files(tmp_path, "figure_spectrum")
    pieces["spectrum"] = item("figure_spectrum", "figure", spectrum, title="All families")
    paths = table_files(tmp_path, "table2")
    drawn = figure_files(tmp_path, "figure_classifier")
    items = [
        item("figure_classifier", "figure", drawn, title="Accuracy", tables=["table2"]),
        item("table2", "table", paths, runs=["classifier/digits/a-s0"]),
    ]
    return {
        "tier": "quick",
        "results": str(tmp_path),
        "workflow_report": "workflow_report.html",
        "items": items,
        "pieces": pieces,
        "datasets": [{"file": str(tmp_path / "data.json"), "real": False}],
        "runs": ["classifier/digits/a-s0", "classifier/digits/unfinished-s0"],
        "own": False,
        "not_planned": [],
    }


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
    for text in ("How much does a model lose", "Table 2: accuracy", "A note.", "audit inside"):
        assert text in words
    for text in ("cost inside", "overview inside", "Diffusion models collapse", "in place of"):
        assert text in words
    assert "workflow_report.html" in words
    assert "Not built" not in words
    assert "Not run" not in words


def test_ids_are_unique_and_every_link_of_the_contents_has_its_place(structure):
    page = Page(report.render(structure))
    ids = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert max(ids.values()) == 1
    anchors = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    assert len(anchors) >= 8
    assert set(anchors) <= set(ids)
    named = {a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a}
    assert named <= set(ids)


def test_nothing_is_loaded_and_nothing_runs(structure):
    text = report.render(structure)
    page = Page(text)
    assert not page.all("script")
    assert not [k for _, attributes in page.elements for k in attributes if k.startswith("on")]
    sources = [a[k] for tag, a in page.elements for k in ("src", "srcset", "data") if k in a]
    sources += [a["href"] for a in page.all("link")]
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert "url(" not in text
    assert "@import" not in text
    outside = [a["href"] for a in page.all("a") if not a["href"].startswith(("#", "data:"))]
    assert outside == ["https://arxiv.org/abs/2512.11912"]
    assert all(img["alt"] for img in page.all("img"))


def test_downloads_are_the_files_to_the_byte(structure, tmp_path):
    links = [a for a in Page(report.render(structure)).all("a") if "download" in a]
    files = {path.name: path for path in tmp_path.rglob("*.*") if path.is_file()}
    wanted = {f"table2.{suffix}" for suffix in ("csv", "md", "tex")}
    wanted |= {"cost.csv"} | {
        f"{f}.{s}" for f in ("figure_classifier", "figure_spectrum") for s in ("svg", "png")
    }
    assert {a["download"] for a in links} == wanted
    for link in links:
        content = base64.b64decode(link["href"].split(";base64,")[1])
        assert content == files[link["download"]].read_bytes()


def test_what_is_missing_is_named(structure, tmp_path):
    for name in ("claims", "cost"):
        structure["pieces"][name] = None
    structure["pieces"]["audit"] = str(tmp_path / "never.html")
    structure["pieces"]["spectrum"] = None
    structure["items"].append(item("table9", "table", [str(tmp_path / "no.html")]))
    structure["not_planned"] = ["table7"]
    text = report.render(structure)
    words = Page(text).words()
    lacking = [report.PIECES[name] for name in ("claims", "spectrum", "audit", "cost")]
    assert f"Not built: {'; '.join([*lacking, 'table9'])}." in words
    assert "Not run: table7" in words
    for name in ("claims", "spectrum", "audit", "cost"):
        assert f'href="#section-{name}"' not in text


def test_a_report_of_nothing_yet_is_still_a_report(structure):
    structure |= {"items": [], "datasets": [], "runs": []}
    structure["pieces"] = dict.fromkeys(report.PIECES)
    words = Page(report.render(structure)).words()
    assert f"Not built: {'; '.join(report.PIECES.values())}" in words
    assert "0 trainings" in words


def test_text_of_others_stays_text(structure, tmp_path):
    evil = {"claim": EVIL, "because": EVIL, "rule": EVIL}
    tests = [CLAIM["tests"][0] | {"value": None, "reason": "a < b", "where": EVIL}]
    write_json(tmp_path / "claims.json", {"claims": [CLAIM | evil | {"tests": tests}]})
    run_files(tmp_path, "classifier/digits/a-s0", {"dataset": EVIL}, {"device": EVIL})
    table_files(tmp_path, "table2", title=EVIL)
    structure["not_planned"] = [EVIL]
    structure["items"][0]["title"] = EVIL
    page = Page(report.render(structure))
    assert "onclick" not in {k for _, attributes in page.elements for k in attributes}
    assert not page.all("b")
    assert page.words().count(EVIL) >= 9
    assert "(a < b)" in page.words()


WARNINGS = ["data", "seeds", "revisions", "uncommitted"]


def warnings(structure):
    ids = [a.get("id", "") for _, a in Page(report.render(structure)).elements]
    return [name for name in WARNINGS if f"warning-{name}" in ids]


def test_stand_in_data_and_single_seeds_are_said_only_where_true(structure, tmp_path):
    assert warnings(structure) == ["data", "seeds"]
    table_files(tmp_path, "table2", seeds=3)
    assert warnings(structure) == ["data"]
    run_files(tmp_path, "classifier/digits/a-s0", {"dataset": "cifar10"})
    assert warnings(structure) == []


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
    run_files(tmp_path, "classifier/digits/a-s0", training=training, evaluation=evaluation)
    assert warnings(structure) == ["data", "seeds", *expected]


def test_claims_are_counted_by_what_their_verdicts_rest_on(structure):
    words = Page(report.render(structure)).words()
    assert "Of 2 claims: stand-in data: 1 does not hold, 1 not tested" in words
    assert "the paper's data, another network or recipe: 2 not tested" in words
    assert "as published: 2 not tested" in words
    assert "Open: CIFAR-10, and the paper's network and length of training" in words
    assert "41.20 % [38.00, 44.10]" in words
    assert "−39.00 points" in words
    assert layouts.INTERVALS["t_items"] in words


def test_levels_have_a_table_of_their_own(structure, tmp_path):
    content = {"tier": "quick", "claims": [LEVEL, CLAIM]}
    write_json(tmp_path / "claims.json", content)
    text = report.render(structure)
    courses, levels = (text.index(title) for title in (verdicts.COURSES, verdicts.LEVELS))
    assert courses < text.index('id="claim-diffusion_collapses"') < levels
    assert levels < text.index('id="claim-level"')


def test_several_data_sets_with_several_verdicts_are_mixed():
    assert combined(["holds", "holds"]) == "holds"
    assert combined(["holds", "does not hold"]) == "mixed"
    assert combined([]) == "not tested"


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


def test_settings_name_common_values_once_and_differing_ones_per_data_set():
    training = {"steps": 10, "batch_size": 20, "optimizer": {"name": "sgd", "learning_rate": 0.1}}
    training |= {"schedule": "cosine", "final_learning_rate": 0.0, "warmup_steps": 0}
    training |= {"clip_norm": None, "ema_decay": None, "precision": "bf16"}
    run = {"family": "classifier", "dataset": "a", "stands_in_for": "cifar10", "seed": 0}
    run |= {"model": {"name": "resnet", "width": 8, "blocks": [1, 1]}, "noise_ratio": 0.0}
    run |= {"corruption": "none", "resample": "none", "budget": "none", "protocol": "text"}
    run |= {"training": training}
    noisy = {"corruption": "uniform_label", "resample": "fresh", "budget": "fixed_clean"}
    other = (
        run | noisy | {"dataset": "b", "noise_ratio": 1.0} | {"training": training | {"steps": 30}}
    )
    rows = dict(report.settings([{"run": run}, {"run": other}], {"a": {"train_size": 100}}))
    assert rows["data"] == "a (in place of CIFAR-10); b (in place of CIFAR-10)"
    assert rows["model"] == "resnet, width 8, blocks 1/1"
    assert rows["steps"] == "a: 10; b: 30"
    assert rows["noise ratio r"] == "a: 0; b: 1"
    assert rows["epochs"] == "2"
    assert rows["corruption"] == "uniform label"
    assert rows["optimiser"] == "sgd, learning rate 0.1"
    assert "clipped at" not in rows
    assert rows["wrong targets"] == "drawn anew at each visit"


CAPTIONS = sorted(report.CAPTIONS.glob("**/*.rst"))


@pytest.mark.parametrize("path", CAPTIONS, ids=lambda path: path.stem)
def test_every_caption_is_valid(path):
    text = report.caption(str(path.relative_to(report.CAPTIONS)), "table2", "quick")
    assert "system-message" not in text
    assert "snakemake" not in text


def test_a_page_of_something_else_is_refused(tmp_path):
    write_text(tmp_path / "page.html", "<p>hello</p>")
    with pytest.raises(report.NoiselabError, match=r"page.html: no page of noiselab"):
        report.page_body(tmp_path / "page.html", "x", 1)


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
PROBE = """<script>addEventListener("load", () => {
const broken = [...document.images].filter(i => !i.naturalWidth).length;
const result = [innerWidth, document.documentElement.scrollWidth, document.images.length, broken];
document.title = JSON.stringify(result);
});</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser")
@pytest.mark.parametrize("width", [390, 800, 1280])
def test_every_width_shows_all_images_and_needs_no_sideways_scrolling(structure, tmp_path, width):
    """In a frame of a phone's width: browser windows have a least width of their own."""
    long = {"value": None, "reason": "a reason of many words that has to be broken into lines " * 3}
    claim = CLAIM | {"tests": [CLAIM["tests"][0] | long]}
    write_json(tmp_path / "claims.json", {"claims": [CLAIM, claim]})
    text = report.render(structure)
    write_text(tmp_path / "report.html", text.replace("</body>", f"{PROBE}</body>"))
    frame = f'<iframe src="report.html" width="{width}" height="800" style="border:0"></iframe>'
    collect = "<script>onload = () => {document.title = frames[0].document.title}</script>"
    write_text(tmp_path / "phone.html", f"<!doctype html><title>-</title>{frame}{collect}")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--virtual-time-budget=5000", "--dump-dom", (tmp_path / "phone.html").as_uri()]
    page = run(command).stdout
    seen, needed, images, broken = json.loads(re.search(r"<title>(.*?)</title>", page)[1])
    assert seen == width
    assert needed <= width + 1
    assert images == 2
    assert broken == 0


def test_settings_of_ones_own_that_test_no_claim_show_none(tmp_path):
    path = tmp_path / "claims.json"
    row = UNTESTED | {"name": "a"}
    path.write_text(json.dumps({"claims": [row]}))
    assert report.claims(path, own=True) is None
    assert report.claims(path)["by_basis"]["as published"] == [("not tested", 1)]
