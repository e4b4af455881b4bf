"""Documents: links, length, commands, and the citation."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from markdown_it import MarkdownIt
from PIL import Image

import take_screenshot

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
WORDS = 800  # of the README
SECONDS = 120  # that a command may take before its test fails


PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("**/*.md"), *(ROOT / "config").glob("**/*.md")])


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def parsed(text: str) -> list:
    """Tokens of a page, those of its lines in `children`."""
    return MarkdownIt("commonmark").enable("table").parse(text)


def parts(text: str) -> list:
    """Links, images and texts of a page, in their order."""
    return [part for token in parsed(text) for part in token.children or []]


def targets(text: str) -> list[str]:
    """What a page's links and images point to, but for other sites."""
    found = [part.attrs.get("href") or part.attrs.get("src") for part in parts(text)]
    return [target for target in found if target and not re.match(r"[a-z]+:", str(target))]


def words(text: str) -> list[str]:
    """As a reader counts them: no blocks of code, targets of links, images or marks alone."""
    seen = ("text", "code_inline", "softbreak", "hardbreak")
    blocks = [
        [part for part in token.children or [] if part.type in seen] for token in parsed(text)
    ]
    lines = ["".join(part.content or " " for part in block) for block in blocks]
    return [word for word in " ".join(lines).split() if re.search(r"\w", word)]


@cache
def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, by GitHub's rules."""
    found: Counter[str] = Counter()
    for opening, heading in pairwise(parsed(text)):
        if opening.type == "heading_open":
            title = "".join(part.content for part in heading.children)
            found[re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")] += 1
    return {f"{slug}-{i}" if i else slug for slug, number in found.items() for i in range(number)}


def broken(page: Path, text: str) -> list[str]:
    """Links of a page that lead nowhere."""

    def leads(target: str) -> bool:
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.is_relative_to(ROOT) or not file.exists():
            return False
        return not anchor or anchor in anchors(file.read_text("utf-8") if path else text)

    return [target for target in targets(text) if not leads(target)]


# --------------------------------------------------------------------------- links


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    assert broken(page, page.read_text("utf-8")) == []


def test_a_broken_link_is_found():
    text = """
# A `b`: c, 50 %
## Again
## Again
[a](nowhere.md) ![b](docs/none.png) [c](#nothing) [d](docs/README.md#nothing) [e](../secret)
[good](docs/README.md#documentation) [good](#a-b-c-50-) [good](#again-1) [good](https://a.b/c)
"""
    lost = ["nowhere.md", "docs/none.png", "#nothing", "docs/README.md#nothing", "../secret"]
    assert broken(README, text) == lost


def test_every_page_is_linked_by_the_one_page():
    start = DOCS / "README.md"
    linked = {(DOCS / target.partition("#")[0]).resolve() for target in targets(start.read_text())}
    assert {page for page in PAGES if page.parent == DOCS} - {start} <= linked


def test_the_readme_leads_to_the_one_page():
    assert "docs/README.md" in targets(README.read_text("utf-8"))


# --------------------------------------------------------------------------- length


def test_the_readme_is_short():
    assert len(words(README.read_text("utf-8"))) <= WORDS


def test_words_are_counted_as_a_reader_sees_them():
    text = """
# One two
three [four](five/six.md) ![not this](image.png) `seven` – *eight*,
nine
```sh
none of these
```
| ten | eleven |
|---|---|
| twelve | |
"""
    assert " ".join(words(text)) == "One two three four seven eight, nine ten eleven twelve"


# --------------------------------------------------------------------------- commands


def commands(page: Path, program: str) -> list[list[str]]:
    """Words after `program`, of each line of the page's shell blocks that begins with it."""
    blocks = [token.content for token in parsed(page.read_text("utf-8")) if token.info == "sh"]
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [line[1:] for line in lines if line[:1] == [program]]


PUBLISHED = DOCS / "results"  # pages that are written with the tables
GUIDES = [p for p in PAGES if p.name not in ("RESULTS.md", "EXTENDING.md")]
GUIDES = [page for page in GUIDES if not page.is_relative_to(PUBLISHED)]


@cache
def rules() -> frozenset[str]:
    """Names of all rules, those made from the configuration of every study, too."""
    command = [Path(sys.executable).parent / "snakemake", "--list-rules", "--config", "studies=all"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert result.returncode == 0, result.stderr
    return frozenset(result.stdout.split())


VALUED = {"--cores", "--configfile", "--profile", "--resources", "--retries"}


def snakemake_targets(line: list[str]) -> list[str]:
    """Targets of a command of Snakemake: words that are no option, setting or option's value."""
    if "--" in line:
        return line[line.index("--") + 1 :]
    words = zip(["", *line], line, strict=False)
    return [w for last, w in words if w[0] != "-" and "=" not in w and last not in VALUED]


def test_targets_are_told_from_options():
    line = shlex.split("--cores 2 -n --config tier=smoke 'a={b: 1}' -- table2 report")
    assert snakemake_targets(line) == ["table2", "report"]
    assert snakemake_targets(shlex.split("--profile slurm preflight")) == ["preflight"]
    assert snakemake_targets(shlex.split("--cores 2 -n table10")) == ["table10"]


@pytest.mark.parametrize("page", GUIDES, ids=name)
def test_targets_of_snakemake_exist(page):
    wanted = {target for line in commands(page, "snakemake") for target in snakemake_targets(line)}
    assert not wanted or wanted <= rules()


@pytest.mark.parametrize("page", GUIDES, ids=name)
def test_targets_of_make_exist(page):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    there = set(re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE))
    settings = set(re.findall(r"\$[({]([A-Z]+)[)}]", makefile))
    for line in commands(page, "make"):
        for word in line:
            setting, is_setting, _ = word.partition("=")
            assert setting in (settings if is_setting else there), word


@pytest.mark.parametrize("page", [README, DOCS / "START.md"], ids=name)
def test_the_two_commands_are_shown(page):
    assert {"quick", "test"} <= {line[0] for line in commands(page, "make")}


# --------------------------------------------------------------------------- citation


def test_the_citation_has_what_it_needs():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors", "version"} <= set(citation)
    assert citation["authors"] == [{"name": "The noiselab developers"}]
    assert citation["license"] == "MIT"
    (paper,) = citation["references"]
    assert "2512.11912" in paper["url"]


def test_the_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"]
    newest = re.search(r"^## (\S+?),", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert str(citation) == project == newest[1]


# --------------------------------------------------------------------------- the report's picture


@pytest.mark.skipif(not any(map(shutil.which, take_screenshot.BROWSERS)), reason="no browser")
def test_the_readmes_picture_is_the_first_screen_of_a_page(tmp_path):
    """Red where a reader prefers dark pages, else blue, and white below the first screen."""
    dark = "@media (prefers-color-scheme: dark) { div { background: #f00 } }"
    page = f"<style>body {{ margin: 0 }} div {{ height: 300px; background: #00f }} {dark}</style>"
    (tmp_path / "page.html").write_text(f"{page}<div></div>")
    script = ROOT / "workflow" / "scripts" / "take_screenshot.py"
    command = [sys.executable, script, "--report", tmp_path / "page.html", "--width", 390]
    command += ["--height", 300, "--dark", "--out", tmp_path / "picture.png"]
    subprocess.run(list(map(str, command)), check=True, timeout=SECONDS)
    picture = Image.open(tmp_path / "picture.png").convert("RGB")
    assert picture.size == (390, 300)
    assert picture.getcolors() == [(390 * 300, (255, 0, 0))]
