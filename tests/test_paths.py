"""Folders may be called as they like: nothing in their names is parted, matched or executed."""

import json

import pytest

from noiselab.planning.graph import Places
from project import Project

NAME = "a b $(touch x) `touch x` 'q' \"p\" {y} * & ; ä"
TEXT = {"kind": "text", "stands_in_for": None, "tokenizer": "bpe", "vocabulary": 300}
TEXT |= {"parts": [{"folder": "2024", "text_column": "text"}], "validation_share": 0.2}


MINE = {"family": "classifier", "datasets": ["digits"], "corruption": "uniform_label"}
MINE |= {"resample": "fresh", "budget": "fixed_clean", "noise_ratios": [1.0], "seeds": [0]}
MINE |= {"protocol": "text"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A clone and a root of such a name, with a table and a data set from there."""
    folder = tmp_path_factory.mktemp("paths")
    project, root = Project(folder / NAME), folder / f"-{NAME}"
    (root / "2024").mkdir(parents=True)
    lines = [json.dumps({"text": f"The {n}th line of a text. " * 9}) for n in range(40)]
    (root / "2024" / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
    experiments = {"table7": {"datasets": ["books"]}, "mine": MINE}
    own = {"datasets": {"books": TEXT}, "experiments": experiments}
    settings = json.dumps(own | {"data": {"root": str(root)}})
    (project.folder / "own $(touch x).json").write_text(settings, encoding="utf-8")
    options = ("--config", "tier=smoke", "--configfile", "own $(touch x).json")
    targets = ("results/smoke/data/books/dataset.json", "published_floors", "mine")
    return project, folder, project.call(*options, "--", *targets)


def test_data_are_prepared_and_a_table_is_made(made):
    project = made[0]
    assert (project.results / "data" / "books" / "train.npy").is_file()
    assert list(project.results.rglob("own/*/tables/mine.json"))
    assert list(project.results.rglob("published_floors.csv"))


def test_nothing_is_executed_and_nothing_lies_elsewhere(made):
    folder = made[1]
    assert not list(folder.rglob("x"))
    assert {path.name for path in folder.iterdir()} == {NAME, f"-{NAME}"}


def test_a_line_break_in_a_folder_is_refused(tmp_path):
    project = Project(tmp_path / "a\nb")
    done = project.make("published_floors", check=False)
    assert done.returncode == 1
    assert "noiselab: a folder here has a line break" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_root_that_begins_with_a_dash_is_no_option():
    assert Places("r", "a", "data", "-x").source("cifar10") == "./-x/cifar10"
    assert Places("r", "a", "data", "/x").source("cifar10") == "/x/cifar10"
    assert Places("r", "a", "data").source("cifar10") == "data/cifar10"
