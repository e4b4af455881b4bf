"""The way of somebody who has just cloned the repository: the commands of the pages that they read
first, in their order, and the snippets of Python.

What would compute for minutes is planned instead (`snakemake -n`, `make -n`)."""

import contextlib
import io
import os
import shlex
import shutil
import sys
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt

from commands import run
from noiselab.measures import masks
from test_documents import snakemake_targets
from test_masks import image_run

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
README, START = ROOT / "README.md", ROOT / "docs" / "START.md"
PAGES = [README, START, ROOT / "docs" / "DATA.md"]
SECONDS = 120  # that a command may take
# What cannot be planned in a clone that has no results: a part of a command -> why.
UNPLANNED = {
    "only=built": "nothing is built yet",
    "own/name": "a name that stands for the reader's own",
}
PROGRAMS = {"make", "snakemake", "source", "uv"}
FOLDERS = ("/path/to/data", "/path")  # that stand for the reader's own, the longest first


def lines(page: Path) -> list[list[str]]:
    """The words of each command in the page's shell blocks, without comments."""
    tokens = MarkdownIt("commonmark").parse(page.read_text("utf-8"))
    text = "".join(token.content for token in tokens if token.info == "sh")
    told = [shlex.split(line, comments=True) for line in text.splitlines()]
    return [words[words[0] == "nice" :] for words in told if words]


def settings(words: list[str]) -> list[str]:
    """The words of a Snakemake command that are no targets: calls that share them are one plan."""
    targets = snakemake_targets(words)
    return [word for word in words if word not in (*targets, "--", "-n")]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone, with what is changed and not committed yet, whose environment is this one."""
    folder = tmp_path_factory.mktemp("newcomer") / "noiselab"
    if not (ROOT / ".git").exists():
        pytest.skip("no repository to clone")
    run(["git", "clone", "--quiet", ROOT, folder], check=True, limit=SECONDS)
    listed = ["git", "ls-files", "--modified", "--others", "--exclude-standard", "-z"]
    for name in filter(None, run(listed, check=True, cwd=ROOT).stdout.split("\0")):
        (folder / name).unlink(missing_ok=True)
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    environment = folder / ".venv"
    environment.mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name != ".complete":
            (environment / part.name).symlink_to(part)
    (environment / ".complete").touch()  # make has nothing to install
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of real data, as far as a plan looks."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "cifar10n").mkdir()
    (folder / "cifar10n" / "labels.parquet").touch()
    return folder


def planned(clone: Path, words: list[str]) -> None:
    """Plan a command of Snakemake."""
    command = [clone / ".venv" / "bin" / "snakemake", "-n", *words]
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    run(command, check=True, limit=SECONDS, cwd=clone, env=environment)


def test_all_commands_are_of_known_programs():
    """Another program needs its way below."""
    assert {words[0] for page in PAGES for words in lines(page)} <= PROGRAMS
    assert all(lines(page) for page in (README, START))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_snakemake_are_planned(page, clone, data):
    told = [words[1:] for words in lines(page) if words[0] == "snakemake"]
    kept = [words for words in told if not any(part in " ".join(words) for part in UNPLANNED)]
    for _, group in groupby(sorted(kept, key=settings), key=settings):
        calls = list(group)
        targets = list(dict.fromkeys(t for words in calls for t in snakemake_targets(words)))
        words = [*settings(calls[0]), *(["--", *targets] if targets else [])]
        for place in FOLDERS:
            words = [word.replace(place, str(data)) for word in words]
        planned(clone, words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_make_are_what_the_makefile_has(page, clone, data):
    """Nothing is installed, and what they call of Snakemake can be planned."""
    for words in [words for words in lines(page) if words[0] == "make"]:
        words = [word.replace("/path/to/data", str(data)) for word in words]
        said = run(["make", "-n", *words[1:]], check=True, limit=SECONDS, cwd=clone).stdout
        assert "pip install" not in said
        called = {word for word in said.split() if word.startswith(".venv/bin/")}
        assert [word for word in called if not (clone / word).exists()] == []
        if words == ["make", "quick"] and page == README:
            (call,) = (line for line in said.splitlines() if "/snakemake " in line)
            planned(clone, shlex.split(call)[1:])


def test_the_environment_can_be_entered(clone):
    assert ["source", ".venv/bin/activate"] in lines(START)
    said = run(["bash", "-c", "source .venv/bin/activate && which snakemake"], cwd=clone)
    assert said.stdout.endswith("bin/snakemake\n")


# ------------------------------------------------------------------------------------- Python


def snippets(page: Path) -> list[str]:
    tokens = MarkdownIt("commonmark").parse(page.read_text("utf-8"))
    return [token.content for token in tokens if token.info == "python"]


def printed(code: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, {})
    return out.getvalue()


def test_the_readmes_ten_lines_say_what_counting_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    clean = rng.dirichlet([0.3] * 5, 400)
    labels = (clean.cumsum(1) > rng.random((400, 1))).argmax(1)
    noisy = rng.permuted(clean, axis=1)
    for name, array in {"clean": clean, "noisy": noisy, "labels": labels}.items():
        np.save(f"{name}.npy", array)
    best, reached = (np.mean(p.argmax(1) == labels) for p in (clean, noisy))
    (code,) = snippets(README)
    assert len(code.splitlines()) <= 10 + 1  # and a blank one
    # Uniform noise of two in five of five classes leaves every decision as it is.
    said = printed(code)
    assert said == f"at best {best:.3f}; lost above the floor {best - reached:+.3f}\n"
    assert best - reached > 0.1


def test_the_snippet_of_masks_reads_one(tmp_path):
    noisy, _ = image_run(tmp_path)
    masks.write(noisy, 5, tmp_path / "mask.parquet")
    (code,) = (code for code in snippets(START) if "masks" in code)
    said = printed(code.replace("results/quick/masks/….parquet", str(tmp_path / "mask.parquet")))
    assert noisy.run_id in said
    assert "corrupted" in said
