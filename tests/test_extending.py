"""docs/EXTENDING.md does what it says: its files, patches and commands, in their order."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from safetensors.numpy import load_file

import commands

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "EXTENDING.md"
BIN = Path(sys.executable).parent
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(shutil.which("patch") is None, reason="patch is not installed")


def run(command, folder, **options):
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    result = commands.run(command, check=True, cwd=folder, env=environment, **options)
    return result.stdout + result.stderr


def follow(kind, name, text, folder):
    """Do what one block of the page asks for; returns what a patch or command prints."""
    if name:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    elif kind == "diff":
        return run(["patch", "-p1", "--fuzz=0", "--batch"], folder, input=text)
    elif kind == "sh":
        return "".join(run(["bash", "-c", line], folder) for line in text.splitlines())
    return ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the repository in which the page has been followed to its end."""
    folder = tmp_path_factory.mktemp("extending")
    commands.copy_of_the_repository(folder)
    said = [follow(*block, folder) for block in BLOCK.findall(PAGE.read_text(encoding="utf-8"))]
    (folder / "said.txt").write_text("".join(said))
    return folder


@pytest.fixture(scope="module")
def results(folder):
    return folder / "results" / "smoke"


TABLES = {"scans_given": 2, "shapes_noise": 2, "confusions": 2, "neighbours": 2, "bottleneck": 2}
TABLES |= {"by_class": 2, "prototypes_noise": 2, "two_networks": 18}


@pytest.mark.parametrize(("table", "cells"), TABLES.items())
def test_every_example_ends_in_a_whole_table(results, table, cells):
    content = pd.read_csv(next(results.glob(f"own/*/tables/{table}.csv")))
    assert len(content) == cells
    assert content[["ours", "ci_low", "ci_high", "floor", "excess"]].notna().all().all()
    assert content["reason"].isna().all()
    assert content["published"].isna().all() or table == "two_networks"


ERROR_RATES = {
    "classifier/scans/given_labels-*-fixed_total-s0": 0.18,
    "vision_transformer/shapes/uniform_label-fixed-r1.00-fixed_clean-s0": 1 / 2,
    "classifier/digits/label_matrix-*-fixed-r1.00-fixed_clean-s0": 1 / 2,
    "classifier/digits/neighbour_label-fixed-r0.50-fixed_total-s0": 1 / 3,
    "classifier/digits/uniform_label-r1.00-fixed_clean-s0-x*": 1 / 2,
}


def test_an_example_of_own_images_is_short_and_has_a_report(folder, results):
    settings = (folder / "scans.yaml").read_text()
    assert len(settings.splitlines()) <= 15
    report = (results / "own" / "scans_given" / "report.html").read_text(encoding="utf-8")
    table = pd.read_csv(results / "own" / "scans_given" / "tables" / "scans_given.csv")
    (given,) = table[table["corruption"] == "given_labels"].to_dict("records")
    labels = pd.read_csv(folder / "scans" / "labels.csv")
    files = {p.name: p.parent.name for p in (folder / "scans" / "train").glob("*/*.png")}
    share = (labels["label"] != labels["file"].map(files)).mean()
    assert given["true_error_rate"] == pytest.approx(share)
    assert given["row"] in report
    assert given["class_error_rates"] in report


@pytest.mark.parametrize(("run_id", "error_rate"), ERROR_RATES.items())
def test_every_run_saw_the_noise_that_was_asked_for(results, run_id, error_rate):
    (path,) = results.glob(f"runs/{run_id}/metrics.json")
    training = json.loads(path.read_text())["training"]
    assert training["measured_error_rate"] == pytest.approx(error_rate, abs=0.1)  # of 200 labels
    assert training["revision"] == "unknown"  # a copy without history


TAUGHT = """
import json, sys
import numpy as np
from noiselab.noise.draws import taught_labels
from noiselab.noise.registry import corruption
from noiselab.run import Run
run, labels = Run.read(sys.argv[1]), np.arange(100_000) % 10
observed, _ = taught_labels(corruption(run), run, labels, np.arange(100_000), 0, 100_000)
counts = np.zeros((10, 10))
np.add.at(counts, (labels, observed), 1 / 10_000)
print(json.dumps(counts.tolist()))
"""


def taught(folder, run_id):
    """Shares of the labels that a run gives to each class, [true][taught], by the copy's code."""
    (path,) = folder.glob(f"results/smoke/runs/{run_id}/run.json")
    code = f"import sys; sys.path.insert(0, 'workflow/scripts')\n{TAUGHT}"
    return json.loads(run([sys.executable, "-c", code, path], folder))


def test_look_alike_digits_are_confused_four_times_in_five(folder):
    shares = taught(folder, "classifier/digits/label_matrix-*")
    for true, like in enumerate([6, 7, 7, 8, 9, 6, 0, 1, 3, 4]):
        assert shares[true][true] == pytest.approx(0.5, abs=0.03)
        assert shares[true][like] == pytest.approx(0.4, abs=0.03)


def test_rates_may_differ_by_class(folder, results):
    shares = taught(folder, "classifier/digits/transition_matrix-*")
    for true, like in enumerate([6, 7, 7, 8, 9, 6, 0, 1, 3, 4]):
        assert shares[true][true] == pytest.approx(1 - true / 10, abs=0.03)
        assert shares[true][like] == pytest.approx(0.08 * true, abs=0.03)
    (path,) = results.glob("own/*/tables/by_class.md")
    assert "Error rates by class at 45 %: 0: 0 %, 1: 10 %, 2: 20 %" in path.read_text("utf-8")


def test_neighbours_are_the_classes_below_and_above(folder):
    shares = taught(folder, "classifier/digits/neighbour_label-*")
    for true, row in enumerate(shares):
        near = {(true - 1) % 10: 1 / 6, true: 2 / 3, (true + 1) % 10: 1 / 6}
        assert row == [pytest.approx(near.get(label, 0), abs=0.03) for label in range(10)]


def test_the_tests_cover_the_new_corruption(folder):
    said = (folder / "said.txt").read_text()
    passed = re.search(r"^(\d+) passed, \d+ deselected", said, re.MULTILINE)
    assert int(passed[1]) >= 12  # W at four numbers of classes; T and floor at four error rates


def test_the_new_model_is_trained_with_its_settings_alone(results):
    (path,) = results.glob("runs/classifier/digits/clean-s0-x*/run.json")
    assert json.loads(path.read_text())["model"] == {"name": "bottleneck", "rank": 8}
    weights = load_file(path.with_name("weights.safetensors"))
    count = sum(array.size for name, array in weights.items() if name.startswith("network."))
    assert count == 64 * 8 + (8 * 10 + 10)


def test_the_joint_table_has_its_title_and_columns(results):
    (path,) = results.glob("own/*/tables/two_networks.csv")
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    assert "two_networks: What two networks lose" in text
    metrics = pd.read_csv(path)["metric"]
    assert list(metrics.unique()) == ["accuracy", "accuracy_drop", "sampled_accuracy"]


def test_the_analysis_measures_the_runs_that_it_names(results):
    (path,) = results.glob("own/*/analysis/confidence.csv")
    table = pd.read_csv(path)
    assert table["confidence"].between(0.1, 1).all()
    assert {run.partition("/")[0] for run in table["run_id"]} == {"classifier"}


def test_the_new_family_learns_and_has_a_price(folder, results):
    (path,) = results.glob("own/*/tables/prototypes_noise.csv")
    cells = pd.read_csv(path).set_index("noise_ratio")
    assert cells.loc[0, "ours"] > 50  # of 10 classes
    assert cells.loc[1, "floor"] < cells.loc[0, "floor"]  # at e = 1/2 the next class is as likely
    said = (folder / "said.txt").read_text()
    assert re.search(r"^ *prototypes_noise +2 ", said, re.MULTILINE)  # trainings


def test_a_family_touches_four_files_a_corruption_one_a_table_one_an_analysis_two():
    page = PAGE.read_text(encoding="utf-8")
    part = dict(
        zip(*[iter(re.split(r"^#+ (.*)\n", page, flags=re.MULTILINE)[1:])] * 2, strict=True)
    )

    def touched(title, *own):
        files = [name for _, name, _ in BLOCK.findall(part[title]) if name]
        files += re.findall(r"^\+\+\+ b/(\S+)$", part[title], re.MULTILINE)
        return len(set(files) - set(own))

    assert touched("A family", "prototypes.yaml") == 4
    assert touched("By name", "neighbours.yaml") == 1
    assert touched("A table") == 1
    assert touched("An analysis") == 2


def test_the_files_of_the_page_pass_the_linter(folder):
    page = PAGE.read_text(encoding="utf-8")
    named = [name for _, name, _ in BLOCK.findall(page) if name.endswith(".py")]
    changed = re.findall(r"^\+\+\+ b/(\S+\.py)$", page, re.MULTILINE)
    assert (len(named), len(changed)) == (9, 2)
    run([BIN / "ruff", "check", *named, *changed], folder)
    run([BIN / "ruff", "format", "--check", *named, *changed], folder)
