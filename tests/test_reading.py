"""Files of the pipeline: what is broken, or of another run, is one line that names the file."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from helpers import example_run
from noiselab import reading
from noiselab.errors import NoiselabError
from noiselab.families.classifier import score as classifier
from noiselab.families.diffusion import score as diffusion
from noiselab.families.seq2seq import score as seq2seq
from noiselab.files import read_json, save_arrays
from noiselab.measures import frechet
from noiselab.training.weights import load_weights, save_weights

CPU = torch.device("cpu")


def refused(path, function, *arguments) -> str:
    """The message about a file."""
    with pytest.raises(NoiselabError) as error:
        function(*arguments)
    message = str(error.value)
    assert message.startswith(str(path))
    assert message.isprintable()
    return message.removeprefix(str(path))


def damaged(path):
    """Writes damages of a file, one after the other: cut, emptied, another kind, gone."""
    content = path.read_bytes()
    for part in (content[: len(content) // 2], content[:10], b"", b"no array", b"PK\x03\x04"):
        path.write_bytes(part)
        yield
    path.unlink()
    yield
    path.mkdir()
    yield


def test_broken_arrays(tmp_path):
    one, several = tmp_path / "a.npy", tmp_path / "a.npz"
    np.save(one, np.arange(1000))
    save_arrays(several, {"a": np.arange(1000), "b": np.ones((10, 10))})
    for path, function in ((one, reading.array), (several, reading.arrays)):
        for _ in damaged(path):
            refused(path, function, path)


def test_objects_are_not_read(tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    path = tmp_path / "a.npy"
    np.save(path, np.array([Harm()], dtype=object), allow_pickle=True)
    assert "objects in it" in refused(path, reading.array, path)
    np.savez(tmp_path / "a.npz", a=np.array([Harm()], dtype=object))
    assert "objects in it" in refused(tmp_path / "a.npz", reading.arrays, tmp_path / "a.npz")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("kinds", "shape", "message"),
    [
        ("f", None, "an array of int64"),
        ("i", (4,), "the shape (3,), not (4,): of another run"),
        ("i", (None, 2), "the shape (3,), not ('any', 2)"),
        ("i", (), "the shape (3,), not ()"),
    ],
)
def test_arrays_that_are_not_as_expected(kinds, shape, message, tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.arange(3))
    assert message in refused(path, reading.array, path, kinds, shape)
    for right in (None, (3,), (None,)):
        assert reading.array(path, "i", right).tolist() == [0, 1, 2]


def test_a_name_that_lacks(tmp_path):
    path = tmp_path / "a.npz"
    save_arrays(path, {"a": np.ones(1)})
    assert "has no b" in refused(path, reading.arrays, path, "a", "b")
    assert list(reading.arrays(path, "a")) == ["a"]
    np.save(tmp_path / "b.npy", np.ones(2))
    assert "broken" in refused(tmp_path / "b.npy", reading.arrays, tmp_path / "b.npy")
    with open(tmp_path / "c.npy", "wb") as file:
        np.savez(file, a=np.ones(2))
    assert "several" in refused(tmp_path / "c.npy", reading.array, tmp_path / "c.npy")


@pytest.mark.parametrize(
    "content", [b"", b'a,b\n1,"2\n', b"a\n\xff\xfe", b"a,b\n1,2\n1,2,3,4\n"], ids=ascii
)
def test_broken_tables(content, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    refused(path, reading.table, path)


def test_tables_that_lack_a_column_or_are_not_there(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n")
    assert "no column c" in refused(path, reading.table, path, "a", "c")
    refused(tmp_path / "none.csv", reading.table, tmp_path / "none.csv")
    refused(tmp_path, reading.table, tmp_path)


def test_names_of_data_sets_stay_names(tmp_path):
    rows = {"dataset": ["2024", "NA", "null", "007", "nan"], "value": [1.5, None, 2.0, 3.0, 4.0]}
    rows |= {"stands_in_for": [None, "x", None, None, None]}
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    found = reading.table(tmp_path / "a.csv")
    assert found["dataset"].tolist() == rows["dataset"]
    assert found["value"].isna().tolist() == [False, True, False, False, False]
    assert found["stands_in_for"].isna().sum() == 4


@pytest.mark.parametrize("last", ['{"step": 2, "lo', "[1]", "3", "\0", "", "[" * 100_000], ids=len)
def test_a_broken_line_is_named(last, tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text(f"{json.dumps({'step': 1})}\n{last}\n", encoding="utf-8")
    assert ", line 2: broken" in refused(path, reading.rows, path)
    refused(tmp_path / "none", reading.rows, tmp_path / "none")


# ------------------------------------------------------------------ files of another run

RUN = example_run(classes=3, evaluation={"images": 6, "classified": 4})


def test_predictions_of_another_data_set_are_refused(tmp_path):
    path = tmp_path / "predictions.npz"
    p = np.full((5, 3), 1 / 3, dtype=np.float32)
    for arrays, message in (
        ({"test": p[:4]}, "test has the shape (4, 3), not (5, 3)"),
        ({"test": p[:, :2]}, "test has the shape (5, 2)"),
        ({"test": p.argmax(1)}, "test is an array of int64"),
        ({"test": p, "snapshot_test": p[:1]}, "snapshot_test has the shape"),
        ({"test": p, "train_rows": np.arange(4), "train_decided": np.arange(3)}, "train_decided"),
        ({"other": p}, "has no test"),
    ):
        save_arrays(path, arrays)
        assert message in refused(path, classifier.predictions, path, RUN, 5)
    save_arrays(path, {"test": p})
    assert classifier.predictions(path, RUN, 5)["test"].shape == (5, 3)


def test_measurements_of_another_run_are_refused(tmp_path):
    path = tmp_path / "measured.npz"
    right = {"decided": np.zeros(6, dtype=np.int64), "class_errors": np.ones((4, 3))}
    for wrong in ({"decided": np.zeros(7, dtype=np.int64)}, {"class_errors": np.ones((4, 2))}):
        save_arrays(path, right | wrong)
        assert next(iter(wrong)) in refused(path, diffusion.measured, path, RUN, 100)
    save_arrays(path, right)
    assert diffusion.measured(path, RUN, 100).keys() == right.keys()


def test_sequences_that_do_not_belong_together_are_refused(tmp_path):
    path, zeros = tmp_path / "predictions.npz", np.zeros(2, dtype=np.int64)
    right = {"nll": np.ones(4), "tokens": np.ones(4, dtype=np.int64), "generated": zeros}
    right |= {"generated_offsets": np.arange(3), "generated_index": zeros}
    save_arrays(path, right)
    assert seq2seq.predictions(path).keys() == right.keys()
    for wrong in ({"tokens": zeros}, {"generated_offsets": zeros}, {"nll": zeros}):
        save_arrays(path, right | wrong)
        refused(path, seq2seq.predictions, path)


def test_moments_that_do_not_belong_together_are_refused(tmp_path):
    path, right = tmp_path / "m.npz", frechet.moments([np.eye(3), np.ones((2, 3))])
    for wrong in ({"mean": np.ones(2)}, {"covariance": np.ones(3)}, {"count": np.ones(2)}):
        frechet.save(path, right._replace(**wrong))
        refused(path, frechet.load, path)
    frechet.save(path, right)
    assert frechet.load(path).count == 5


def test_weights_of_another_run_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, nn.Linear(2, 3), "classifier/digits/clean-s0")
    message = refused(path, load_weights, path, nn.Linear(2, 3), CPU, "classifier/digits/clean-s1")
    assert "weights of classifier/digits/clean-s0, not of classifier/digits/clean-s1" in message
    refused(path, load_weights, path, nn.Linear(3, 3), CPU, "classifier/digits/clean-s0")
    for known in ("classifier/digits/clean-s0", None):
        load_weights(path, nn.Linear(2, 3), CPU, known)
    for _ in damaged(path):
        refused(path, load_weights, path, nn.Linear(2, 3), CPU, None)


@pytest.mark.parametrize("content", ["[]", "3", "null", '"text"'])
def test_json_that_is_no_mapping_is_refused(tmp_path, content):
    file = tmp_path / "dataset.json"
    file.write_text(content)
    with pytest.raises(NoiselabError, match=r"dataset\.json: holds no mapping; remove it"):
        read_json(file)


def test_metrics_lack_no_column(tmp_path):
    file = tmp_path / "table2.csv"
    file.write_text("run_id,metric,valu,noise_ratio,error_rate\na,accuracy,1,0,0\n")
    with pytest.raises(NoiselabError, match=r"table2\.csv: has no column value; remove it"):
        reading.metrics(file)
