"""Texts whose target is a number: what is a plan, what is prepared, and the way to a table."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from helpers import example_run
from noiselab.data import labelled_texts
from noiselab.errors import NoiselabError
from noiselab.families.fine_tuning import targets
from noiselab.families.probe import features
from noiselab.planning import config, runs
from noiselab.planning.specification import specification
from project import Project

SPEC = {
    "kind": "labelled_texts",
    "target_range": [0, 5],
    "prompt": "{first} / {second}",
    "label_column": "score",
    "train_files": "all.parquet",
    "train_size": 60,
    "test_size": 30,
}
NAMED = SPEC | {"name": "alike"}
WORDS = np.array(["a", "the", "of", "in", "red", "dog", "cat", "sea"])


def table_of_pairs(count=90):
    """Pairs of words, 5 where both are the same, and the less the further apart they are."""
    first, second = np.random.default_rng(0).integers(len(WORDS), size=(2, count))
    score = np.round(5 * (1 - np.abs(first - second) / len(WORDS)), 2)
    return pd.DataFrame({"first": WORDS[first], "second": WORDS[second], "score": score})


@pytest.fixture
def root(tmp_path):
    """A data.root with the folder alike/."""
    folder = tmp_path / "root" / "alike"
    folder.mkdir(parents=True)
    table_of_pairs().to_parquet(folder / "all.parquet")
    return folder.parent


# ----------------------------------------------------------------------------------- planning


def planned(root, spec=None, **changes):
    """A plan of tier smoke with an experiment on numbers; a key that is None is left out."""
    experiment = {"family": "fine_tuning", "backbone": {"experiment": "table7"}, "seeds": [0]}
    experiment |= {"datasets": ["alike"]} | changes
    experiment = {key: value for key, value in experiment.items() if value is not None}
    settings = {"experiments": {"tuned": experiment}, "data": {"root": str(root)}}
    settings["datasets"] = {"alike": SPEC | (spec or {})}
    return runs.plan(config.load(settings, tier="smoke"), "r")


def test_run_json_has_the_range_in_place_of_classes(root):
    plan = planned(root)
    run = plan.runs[plan.experiments["tuned"][0]]
    assert run.target_range == [0, 5]
    assert "classes" not in run
    assert targets.kind(run) is targets.NUMBER
    assert targets.outputs(run) == 1


def test_a_task_of_classes_can_become_one_of_numbers(root):
    plan = planned(root, {"classes": None})
    assert "classes" not in plan.runs[plan.experiments["tuned"][0]]


NOISY = {"corruption": "uniform_label", "resample": "fixed", "budget": "fixed_total"}
NOISY |= {"noise_ratios": [0.5], "protocol": "text", "backbone": None}


@pytest.mark.parametrize(
    ("spec", "changes", "message"),
    [
        ({}, {"family": "probe"}, "tuned.datasets: alike asks for a number, and a probe decides"),
        ({}, NOISY | {"family": "classifier"}, "tuned.datasets: alike is not for a classifier"),
        ({}, NOISY | {"family": "diffusion"}, "tuned.datasets: alike is not for a diffusion"),
        ({}, {"corruption": "uniform_label"}, "tuned.corruption: not of a fine_tuning; the noise"),
        ({"classes": 2}, {}, "alike.target_range: not together with classes"),
        ({"target_range": None}, {}, "alike.classes: is missing; or say target_range"),
        ({"target_range": [5, 0]}, {}, "alike.target_range: 5 is not below 0"),
        ({"target_range": [2, 2]}, {}, "alike.target_range: 2 is not below 2"),
        ({"target_range": [0, 2, 5]}, {}, r"alike.target_range: \[0, 2, 5\] is too long"),
        ({"target_range": ["low", 5]}, {}, r"target_range\[0\]: 'low' is not of type 'number'"),
        ({"target_range": [0, float("inf")]}, {}, r"target_range\[1\]: inf is no finite number"),
    ],
)
def test_what_cannot_be_is_one_line_before_any_job(root, spec, changes, message):
    with pytest.raises(NoiselabError, match=message) as error:
        planned(root, spec, **changes)
    assert "\n" not in str(error.value)


def test_embedded_texts_have_classes_alone():
    changes = {"datasets": {"docstring_package": {"target_range": [0, 1]}}}
    with pytest.raises(NoiselabError, match=r"docstring_package\.target_range: .*null"):
        config.load(changes, tier="smoke")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"target_range": None}, "datasets.alike.classes: is missing"),
        ({"target_range": [3, 1]}, "target_range: 3 is not below 1"),
        ({"classes": 3}, "target_range: not together with classes"),
    ],
)
def test_a_specification_by_hand_has_classes_or_a_range(changes, message):
    read = specification("prepare_labelled_texts")
    if message is None:
        assert read(json.dumps(NAMED)) == NAMED
        return
    with pytest.raises(NoiselabError, match=message):
        read(json.dumps(NAMED | changes))


# -------------------------------------------------------------------------------- preparation


def prepared(root, tmp_path, table=None, name="all.parquet", **changes):
    """dataset.json and the texts of each split, of this table."""
    table = table_of_pairs() if table is None else table
    write = table.to_parquet if name.endswith("parquet") else table.to_csv
    write(root / "alike" / name, index=False)
    spec = NAMED | {"train_files": name} | changes
    labelled_texts.prepare(spec, root / "alike", tmp_path / "out")
    return labelled_texts.read(tmp_path / "out")


@pytest.mark.parametrize("name", ["all.parquet", "all.csv"])
def test_each_text_keeps_its_number(root, tmp_path, name):
    described, found = prepared(root, tmp_path, name=name)
    wanted = {(r.first, r.second): r.score for r in table_of_pairs().itertuples()}
    for own in found.values():
        assert own.labels.dtype == np.float64
        pairs = [tuple(text.split(" / ")) for text in own.texts]
        assert own.labels.tolist() == [wanted[pair] for pair in pairs]
    assert [len(own.texts) for own in found.values()] == [60, 30]
    assert described["target_range"] == [0, 5]
    assert described["target_mean"] == pytest.approx(found["train"].labels.mean())
    assert described["target_std"] == pytest.approx(found["train"].labels.std())
    assert "classes" not in described


def test_rows_without_a_number_are_left_out(root, tmp_path):
    table = table_of_pairs(95).astype({"score": object})
    table.loc[[3, 40], "score"] = None
    for name in ("all.parquet", "all.csv"):
        kept = table.astype({"score": "Float64"}) if name == "all.parquet" else table
        found = prepared(root, tmp_path, kept, name, train_size=63)[1]
        assert sum(len(own.texts) for own in found.values()) == 93
        with pytest.raises(NoiselabError, match="94 texts are asked for, but there are only 93"):
            prepared(root, tmp_path, kept, name, train_size=64)


@pytest.mark.parametrize(
    ("row", "value", "message"),
    [
        (7, "high", r"all.csv: column score is no number, but 'high' \(line 9\)"),
        (7, "nan", r"column score is nan, which is no finite number \(line 9\)"),
        (0, "-inf", r"column score is -inf, which is no finite number \(line 2\)"),
        (7, 5.01, r"column score is 5.01, outside of target_range, 0 to 5 \(line 9\)"),
        (7, -0.5, r"column score is -0.5, outside of target_range"),
    ],
)
def test_a_wrong_target_is_one_line_with_its_place(root, tmp_path, row, value, message):
    table = table_of_pairs().astype({"score": object})
    table.loc[row, "score"] = value
    with pytest.raises(NoiselabError, match=message) as error:
        prepared(root, tmp_path, table, "all.csv")
    assert "\n" not in str(error.value)


def test_the_ends_of_the_range_belong_to_it(root, tmp_path):
    found = prepared(root, tmp_path, target_range=[0, table_of_pairs()["score"].max()])[1]
    assert max(own.labels.max() for own in found.values()) == table_of_pairs()["score"].max()


def test_no_number_of_a_parquet_file_is_one_line(root, tmp_path):
    import pyarrow
    import pyarrow.parquet

    columns = table_of_pairs().to_dict("list")
    for wrong, message in (
        ([float("nan")] * 90, r"column score is nan, which is no finite number \(row 1\)"),
        ([True] * 90, r"column score is no number, but True \(row 1\)"),
        ([[1.0]] * 90, r"column score is no number, but '\[1.0\]' \(row 1\)"),
    ):
        table = pyarrow.table(columns | {"score": wrong})
        pyarrow.parquet.write_table(table, root / "alike" / "all.parquet")
        with pytest.raises(NoiselabError, match=message):
            labelled_texts.prepare(NAMED, root / "alike", tmp_path / "out")


def test_a_constant_target_is_refused_in_any_split(root, tmp_path):
    same = table_of_pairs().assign(score=3.25)
    with pytest.raises(NoiselabError, match=r"alike.label_column: score is 3\.25 in all \d+ texts"):
        prepared(root, tmp_path, same)
    same.to_csv(root / "alike" / "test.csv", index=False)
    with pytest.raises(NoiselabError, match=r"score is 3\.25 in all 30 texts of test"):
        prepared(root, tmp_path, test_files="test.csv")


def test_numbers_are_no_classes(root, tmp_path):
    with pytest.raises(NoiselabError, match="neither text nor a whole number; target_range is for"):
        prepared(root, tmp_path, target_range=None, classes=5)


def test_features_of_numbers_are_refused(root, tmp_path):
    prepared(root, tmp_path)
    run = example_run(family="pretrained", folder="nowhere")
    with pytest.raises(NoiselabError, match="asks for a number, and probes decide between classes"):
        features.extract(run, None, tmp_path / "out", tmp_path / "shards", torch.device("cpu"))


# ------------------------------------------------------------------------------ the whole way


def test_from_numbers_to_a_table(root, tmp_path):
    project = Project(tmp_path / "project")
    experiment = {"family": "fine_tuning", "datasets": ["alike"], "seeds": [0]}
    experiment |= {"backbone": {"experiment": "table7", "clean": True, "seeds": [0]}}
    experiment["training"] = {"epochs": 1, "grid": {"learning_rate": [3e-3], "batch_size": [16]}}
    content = {"experiments": {"tuned": experiment}, "datasets": {"alike": SPEC}}
    content |= {"data": {"root": str(root)}}
    (project.folder / "tuned.json").write_text(json.dumps(content))
    call = ("--configfile", "tuned.json", "--config", "tier=smoke", "name=numbers", "--")
    project.call(*call, "tuned")
    table = pd.read_csv(project.results / "own/numbers/tables/tuned.csv")
    assert table["row"].tolist() == [
        *("plain", "L2-SP", "L2-SP + L_gm", "LNSR", "LNSR + L_gm", "SMART", "SMART + L_gm")
    ]
    assert set(table["metric"]) == {"correlation"}
    assert table["ours"].between(-100, 100).all()
    assert table["ours"].any()
    metrics = pd.read_csv(project.results / "own/numbers/metrics/tuned.csv").set_index("metric")
    both = metrics.loc[["pearson_plain", "spearman_plain"], "value"]
    assert metrics.loc["correlation", "value"] == pytest.approx(both.mean())
    again = project.call("-n", *call, "tuned")
    assert "Nothing to be done" in again.stdout + again.stderr
