"""Labels that were given: by row or file, with clean ones beside them or without."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers import example_run, random_images
from noiselab import items
from noiselab.data import prepared as prepared_images
from noiselab.errors import NoiselabError
from noiselab.families.classifier.score import scores
from noiselab.files import save_arrays, sha256, write_json
from noiselab.noise.corruptions.given import transitions
from noiselab.noise.draws import taught_labels
from noiselab.noise.registry import corruption
from noiselab.planning import config, project, runs
from noiselab.planning.preflight.labels import label_row

CLEAN = np.array([0, 0, 0, 0, 1, 1, 2, 2])
GIVEN = np.array([0, 0, 1, 2, 1, 1, 2, 0])
MATRIX = np.array([[0.5, 0.25, 0.25], [0, 1, 0], [0.5, 0, 0.5]])


def prepared(folder: Path, names=None) -> str:
    """A prepared data set of eight examples: the rows 10 … 17 of its source."""
    np.save(folder / "train_y.npy", CLEAN)
    items.write(folder, range(10, 18))
    write_json(folder / "dataset.json", {"class_names": names} if names else {})
    return str(folder)


def given_run(folder: Path, labels=GIVEN, clean=True, names=None):
    """A run that is taught these labels."""
    file = folder / "labels.csv"
    frame = pd.DataFrame({"row": range(10, 18), "label": labels})
    frame.sample(frac=1, random_state=0).to_csv(file, index=False)
    planned = {"labels": {"file": str(file), "sha256": sha256(file)}, "clean_labels": clean}
    data = prepared(folder, names)
    changes = {"corruption": "given_labels", "resample": "fixed", "classes": 3, "data": data}
    return example_run(error_rate=None, noise_ratio=None, **changes) | planned


def test_labels_are_those_of_the_file(tmp_path):
    run = given_run(tmp_path)
    index = np.array([7, 0, 3, 3])
    taught, corrupted = taught_labels(corruption(run), run, CLEAN, index, 0, 4)
    assert taught.tolist() == [0, 0, 2, 2]
    assert corrupted.tolist() == [True, False, True, True]


def test_names_of_classes_are_labels(tmp_path):
    names = ["cat", "dog", "owl"]
    run = given_run(tmp_path, np.array(names)[GIVEN], names=names)
    assert np.array_equal(corruption(run).given, GIVEN)


def test_rate_and_matrix_are_measured(tmp_path):
    noise = corruption(given_run(tmp_path))
    assert noise.transitions == pytest.approx(MATRIX)
    assert noise.rate == pytest.approx([0.5, 0, 0.5])
    assert noise.true_error_rate == 3 / 8
    p = np.random.default_rng(0).dirichlet(np.ones(3), 5)
    assert noise.observed(p) == pytest.approx(p @ MATRIX)
    assert noise.why_no_floor("accuracy") is None


def test_noise_is_drawn_by_the_matrix_of_given_labels(tmp_path):
    run = given_run(tmp_path) | {"corruption": "transition_matrix"}
    noise = corruption(run)
    assert noise.transitions == pytest.approx(MATRIX)
    targets = np.repeat([0, 1, 2], 30_000)
    drawn, _ = noise.draw(targets, np.random.default_rng(0).random(len(targets)))
    shares = [np.bincount(drawn[targets == label], minlength=3) / 30_000 for label in range(3)]
    assert np.array(shares) == pytest.approx(MATRIX, abs=0.015)  # 5 standard deviations


def test_a_class_without_examples_stays_what_it_is():
    found = transitions(np.array([0, 0, 2]), np.array([0, 1, 2]), 4)
    assert found[[1, 3]].tolist() == [[0, 1, 0, 0], [0, 0, 0, 1]]
    assert found.sum(axis=1).tolist() == [1, 1, 1, 1]


def test_without_clean_labels_there_is_no_floor(tmp_path):
    run = given_run(tmp_path, clean=False)
    noise = corruption(run)
    assert noise.observed(np.ones((2, 3)) / 3) is None
    assert noise.true_error_rate is None
    assert "no clean labels" in noise.why_no_floor("accuracy")
    taught, corrupted = taught_labels(noise, run, CLEAN, np.arange(8), 0, 8)
    assert np.array_equal(taught, GIVEN)
    assert not corrupted.any()


def test_scores_without_clean_labels_compare_with_nothing(tmp_path):
    """Neither with a clean run nor with true training labels: there are none."""
    rng, about = np.random.default_rng(0), {"kind": "digits", "name": "any", "classes": 3}
    train, test = random_images(9, 1, 4, 3), random_images(30, 1, 4, 3)
    sizes = {"channels": 1, "size": 4, "train_size": 9, "test_size": 30}
    prepared_images.write(tmp_path, about | sizes, train, test, "random")
    changes = {"corruption": "given_labels", "resample": "fixed", "classes": 3}
    run = example_run(**changes, data=str(tmp_path), error_rate=None, noise_ratio=None)
    run |= {"labels": None, "clean_labels": False}
    arrays = {"test": rng.dirichlet(np.ones(3), 30).astype(np.float32)}
    arrays |= {"train_rows": np.arange(9), "train_decided": train.y}
    save_arrays(tmp_path / "p.npz", arrays)
    (tmp_path / "history.jsonl").write_text('{"step": 1, "test_accuracy": 50.0}\n')
    files = {"history": tmp_path / "history.jsonl"}
    files |= {"predictions": tmp_path / "p.npz", "clean": tmp_path / "p.npz"}
    found = scores(run, files)
    right = 100 * (arrays["test"].argmax(1) == test.y).mean()
    assert found["accuracy"]["value"] == pytest.approx(right)
    assert found["accuracy"]["floor"] is None
    for name in ("accuracy_drop", "accuracy_relative_drop", "train_accuracy"):
        assert found[name]["value"] is None
        assert "no clean labels" in found[name]["reason"]


def test_labels_of_the_data_set_itself(tmp_path):
    run = given_run(tmp_path, clean=False) | {"labels": None}
    assert np.array_equal(corruption(run).given, CLEAN)


def test_another_file_than_was_planned_is_refused(tmp_path):
    run = given_run(tmp_path)
    given_run(tmp_path, CLEAN)
    with pytest.raises(NoiselabError, match=r"labels.csv has changed since this run was planned"):
        corruption(run)


def test_labels_are_checked_before_the_first_job(tmp_path):
    run = given_run(tmp_path)
    assert label_row(run) == (f"labels: {run.dataset}", "ok", f"8 from {run.labels['file']}", "")
    lacking = given_run(tmp_path) | {"data": str(tmp_path)}
    items.write(tmp_path, range(9, 17))
    assert "1 of 8 training examples have no label" in label_row(lacking).found
    (tmp_path / "dataset.json").unlink()
    assert label_row(lacking).found == f"8 in {run.labels['file']}"  # more is not known yet
    Path(run.labels["file"]).write_text("row;label\n0;1\n")
    assert label_row(run).state == "missing"


# ------------------------------------------------------------------------------------ planning


def experiment(**changes) -> dict:
    return {
        "family": "classifier",
        "datasets": ["digits"],
        "corruption": "given_labels",
        "resample": "fixed",
        "budget": "fixed_total",
        "seeds": [0, 1],
        "protocol": "text",
    } | changes


def planned(dataset=None, **changes) -> runs.Plan:
    """The plan of one experiment at tier smoke."""
    settings = {"experiments": {"mine": experiment(**changes)}, "only": ["mine"]}
    settings |= {"datasets": {"digits": dataset}} if dataset else {}
    return runs.plan(config.load(settings, tier="smoke"), "results/smoke")


@pytest.fixture
def labels(tmp_path) -> str:
    (tmp_path / "l.csv").write_text("row,label,worse\n0,0,1\n")
    return str(tmp_path / "l.csv")


def test_a_clean_and_a_noisy_run_per_seed(labels):
    plan = planned(labels=labels)
    ids = plan.experiments["mine"]
    assert [plan.runs[run].corruption for run in ids] == ["none", "given_labels"] * 2
    noisy = plan.runs[ids[1]]
    assert noisy.error_rate is None
    assert noisy.labels["sha256"] == sha256(labels)
    assert noisy.parents["clean"] == ids[0]


def test_columns_are_other_runs(labels):
    ids = {
        run
        for column in ("label", "worse")
        for run in planned(labels={"file": labels, "column": column}).experiments["mine"]
    }
    assert len(ids) == 2 + 4  # the clean ones are shared


def test_the_same_file_gives_labels_or_their_matrix(labels):
    matrix = planned(labels=labels, corruption="transition_matrix")
    given = planned(labels=labels)
    (clean, noisy), (same, other) = (p.experiments["mine"][:2] for p in (matrix, given))
    assert clean == same
    assert noisy != other
    assert matrix.runs[noisy].error_rate is None  # what is wrong is known when the labels are read
    assert "transition_matrix" in noisy


def test_a_file_of_labels_is_looked_for_below_the_data_folder(tmp_path, monkeypatch):
    for folder in ("data", "here"):
        (tmp_path / folder).mkdir()
    (tmp_path / "data/l.csv").write_text("row,label\n0,0\n")
    monkeypatch.chdir(tmp_path / "here")
    settings = {"experiments": {"mine": experiment(labels="l.csv")}, "only": ["mine"]}
    settings |= {"data": {"root": str(tmp_path / "data")}}
    load = lambda: runs.plan(config.load(settings, tier="smoke"), "results/smoke")  # noqa: E731
    noisy = load().experiments["mine"][1]
    assert load().runs[noisy].labels["file"] == str(tmp_path / "data/l.csv")
    (tmp_path / "here/l.csv").write_text("row,label\n0,1\n")
    noisy = load().experiments["mine"][1]
    assert load().runs[noisy].labels["file"] == "l.csv"


def test_data_without_clean_labels_have_no_clean_run():
    plan = planned(dataset={"clean_labels": False})
    assert {run.corruption for run in plan.runs.values()} == {"given_labels"}
    assert all(run.parents["clean"] == run_id for run_id, run in plan.runs.items())


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_file_that_is_not_there_is_named(name):
    settings = {"experiments": {"mine": experiment(labels=name)}, "only": ["mine"]}
    with pytest.raises(NoiselabError, match=f"experiments.mine.labels: no file {re.escape(name)}"):
        project.plan(config.load(settings, tier="smoke"), "results/smoke")


def test_a_file_that_only_another_experiment_needs_may_be_missing():
    """As where somebody asks for a part of a tier."""
    other = experiment(labels="missing.csv")
    settings = {"experiments": {"other": other}, "only": ["table2"]}
    loaded = config.load(settings, tier="smoke")
    assert project.plan(loaded, "results/smoke").graph.plan.experiments.keys() == {"table2"}


MISTAKES = [
    ({}, {}, "mine.labels: missing; digits has clean labels"),
    ({"labels": {"column": "x"}}, {}, "mine.labels"),
    ({"labels": 3}, {}, "mine.labels"),
    ({"noise_ratios": [0, 1]}, {}, "given_labels has a rate of its own"),
    ({"error_rates": [0.1]}, {}, "given_labels has a rate of its own"),
    ({"resample": "fresh"}, {}, "mine.resample: labels that were given do not change"),
    (
        {"budget": "fixed_clean", "labels": "l.csv"},
        {},
        "mine.budget: how many targets are wrong is not known",
    ),
    (
        {"corruption": "uniform_label", "noise_ratios": [0, 1]},
        {"clean_labels": False},
        "uniform_label is drawn for clean labels, which digits has not",
    ),
    ({"family": "diffusion"}, {"clean_labels": False}, "digits has no clean labels, which a clas"),
    ({"corruption": "uniform_label", "noise_ratios": [0], "labels": "l.csv"}, {}, "mine.labels"),
]


@pytest.mark.parametrize(("changes", "dataset", "message"), MISTAKES)
def test_what_cannot_be_is_told_while_planning(changes, dataset, message, tmp_path, monkeypatch):
    (tmp_path / "l.csv").write_text("row,label\n0,0\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoiselabError) as error:
        planned(dataset, **changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_annotators(tmp_path):
    """One per data set and settings, of the judge's family where there is a judge."""
    changes = {"corruption": "instance_dependent", "error_rates": [0, 0.2, 0.4]}
    plan = planned(**changes)
    annotators = plan.parents("annotator")
    assert annotators == ["classifier/digits/annotator0.2-s1000"]
    annotator, clean = plan.runs[annotators[0]], plan.runs[plan.experiments["mine"][0]]
    assert annotator.training["steps"] == np.ceil(0.2 * clean.training["steps"])
    assert annotator.corruption == "none"
    noisy = plan.runs[plan.experiments["mine"][1]]
    assert noisy.annotation == f"results/smoke/runs/{annotators[0]}/annotation.npz"
    other = planned(**changes, family="diffusion", annotator={"share": 0.5})
    assert other.parents("annotator") == ["classifier/digits/annotator0.5-s1000"]
    assert not set(other.experiments["mine"][1:]) & set(plan.experiments["mine"])
    with pytest.raises(NoiselabError, match=r"mine.annotator.share"):
        planned(**changes, annotator={"share": 0})


def planned_labels(**labels) -> dict:
    """Plan an experiment of given labels."""
    own = {"family": "classifier", "datasets": ["digits"], "corruption": "given_labels"}
    own |= {"resample": "fixed", "budget": "fixed_total", "seeds": [0], "protocol": "text"}
    changes = {"only": ["mine"], "experiments": {"mine": own | {"labels": labels}}}
    return runs.plan(config.load(changes, tier="smoke"), "results/smoke").experiments["mine"]


@pytest.mark.parametrize("column", ["a/b", "../../x", "a b", "{c}", "$(touch x)", "x" * 300, "ä"])
def test_a_column_of_any_name_is_a_run_of_a_plain_name(tmp_path, column):
    file = tmp_path / "labels.csv"
    pd.DataFrame({"row": [0], "index": [0], column: [1]}).to_csv(file, index=False)
    ids = [planned_labels(file=str(file), column=column, items=i)[1] for i in ("row", "index")]
    assert ids[0] != ids[1]
    assert all(re.fullmatch(r"classifier/digits/[a-z0-9_-]{,80}", run) for run in ids)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"labels: .*labels\.csv: empty"),
        ("row;label\n0;1\n", r"labels: .*labels\.csv: no column label"),
        ("row,label\n0,1\n0,2\n", r"labels: .*labels\.csv: 2 labels of row 0, need one"),
        ("row,label\n-1,2\n", r"labels: .*labels\.csv: column row has '-1'"),
        ("row,label\n0\n", r"labels: .*labels\.csv: line 2 has 1 columns, not 2"),
    ],
)
def test_a_csv_is_looked_at_while_planning(tmp_path, content, message):
    file = tmp_path / "labels.csv"
    file.write_text(content)
    with pytest.raises(NoiselabError, match=r"^config key experiments\.mine\." + message):
        planned_labels(file=str(file))
