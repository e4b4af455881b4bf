"""Tasks of probes, and the features of their texts and images."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from helpers import example_run, random_images
from noiselab import streams
from noiselab.data import labelled_docstrings, labelled_texts
from noiselab.errors import NoiselabError
from noiselab.families.classifier.task import Classifier
from noiselab.families.language_model import task as language_model
from noiselab.families.language_model.backbone import last_tokens
from noiselab.families.probe import features
from noiselab.measures.features import last_inputs
from noiselab.models.fast_cnn import fast_cnn
from noiselab.models.gpt2 import gpt2
from noiselab.models.resnet import resnet
from noiselab.models.vit import vit
from noiselab.training.weights import save_weights

# ---------------------------------------------------------------------------------- tasks

SPEC = {
    "name": "reviews",
    "kind": "labelled_texts",
    "classes": 2,
    "prompt": "{title}: {text} It is",
    "label_column": "label",
    "train_files": "all.csv",
    "train_size": 30,
    "test_size": 10,
}


@pytest.fixture
def source(tmp_path):
    """40 reviews of which five are there twice."""
    rows = [(f"t{i % 35}", f"text {i % 35}", ["bad", "good"][i % 35 % 2]) for i in range(40)]
    pd.DataFrame(rows, columns=["title", "text", "label"]).to_csv(tmp_path / "all.csv", index=False)
    return tmp_path


def test_a_prompt_is_filled_in_and_copies_are_on_one_side(source, tmp_path):
    labelled_texts.prepare(SPEC, source, tmp_path / "out")
    described, found = labelled_texts.read(tmp_path / "out")
    assert {split: len(own.texts) for split, own in found.items()} == {"train": 30, "test": 10}
    assert described["class_names"] == ["bad", "good"]
    for own in found.values():
        for text, label in zip(own.texts, own.labels, strict=True):
            number = int(text.partition(":")[0].removeprefix("t"))
            assert text == f"t{number}: text {number} It is"
            assert label == number % 2
    assert described["copies"] == 0


def labelled(rows, folder, name="all"):
    """Rows (text, label) as folder/name.csv."""
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(folder / f"{name}.csv", index=False)


TEXTS = SPEC | {"prompt": "{text}"}


def drawn(folder, **changes):
    """dataset.json of TEXTS with changes, and the splits."""
    labelled_texts.prepare(TEXTS | changes, folder, folder / "out")
    return labelled_texts.read(folder / "out")


COPIES = ((1, 12), (2, 6), (4, 4))  # so many copies each of so many texts


@pytest.mark.parametrize("size", range(1, 30))
def test_no_boundary_parts_the_copies_of_a_text(tmp_path, size):
    texts = [f"{n}-{i}" for n, count in COPIES for i in range(count) for _ in range(n)]
    labelled([(text, i % 2) for i, text in enumerate(texts)], tmp_path)
    _, found = drawn(tmp_path, test_size=size, train_size=len(texts) - size)
    assert not set(found["train"].texts) & set(found["test"].texts)
    assert sorted(found["train"].texts + found["test"].texts) == sorted(texts)
    assert len(found["test"].texts) == size


def test_without_copies_a_split_is_the_beginning_of_a_fixed_order(tmp_path):
    labelled([(f"t{i}", i % 2) for i in range(40)], tmp_path)
    _, found = drawn(tmp_path)
    order = streams.permutation(0, "labelled-texts", 0, 40)
    parts = {"test": order[:10], "train": order[10:]}
    for split, places in parts.items():
        assert found[split].texts == [f"t{i}" for i in sorted(places)]


def test_copies_that_fit_nowhere_are_told(tmp_path):
    labelled([("a", 1)] * 4 + [("b", 0), ("c", 0)], tmp_path)
    message = "test_size: 3 texts are asked for, but copies of a text stay together, and only 2 fit"
    with pytest.raises(NoiselabError, match=message):
        drawn(tmp_path, train_size=3, test_size=3)


def test_given_test_texts_that_are_trained_on_are_counted(tmp_path, capsys):
    labelled([(f"t{i}", i % 2) for i in range(8)], tmp_path)
    labelled([(f"t{i}", i % 2) for i in (0, 3, 9, 10)], tmp_path, "test")
    described, _ = drawn(tmp_path, test_files="test.csv", train_size=8, test_size=4)
    assert described["copies"] == 2
    assert "reviews: 2 of 4 test texts are training texts, too" in capsys.readouterr().err


def test_labels_are_read_alike_from_all_files(tmp_path):
    """Space around them and the format of a file make no other class, and an empty cell none."""
    labelled([("a", " pos"), ("b", "pos "), ("c", ""), ("d", "  "), ("e", "neg")], tmp_path)
    described, found = drawn(tmp_path, train_files="all.csv", train_size=2, test_size=1)
    assert described["class_names"] == ["neg", "pos"]
    assert {text for own in found.values() for text in own.texts} == {"a", "b", "e"}
    lines = [{"text": f"x{i}", "label": label} for i, label in enumerate((-1, 0, 1, 1))]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    labelled([("y0", "-1"), ("y1", "+1"), ("y2", "00")], tmp_path, "test")
    files = {"train_files": "all.jsonl", "test_files": "test.csv"}
    described, found = drawn(tmp_path, **files, classes=3, train_size=4, test_size=3)
    assert described["class_names"] == ["-1", "0", "1"]
    assert found["train"].labels.tolist() == [0, 1, 2, 2]
    assert found["test"].labels.tolist() == [0, 2, 1]


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_class_that_training_lacks_is_refused(tmp_path, split):
    labelled([("a", "pos"), ("b", "neg"), ("c", "pos")], tmp_path)
    for name in ("test", "validation"):
        labelled([("d", "pos"), ("e", "other" if name == split else "neg")], tmp_path, name)
    files = {"test_files": "test.csv", "validation_files": "validation.csv"}
    message = f"train_size: {split} texts have label 'other', which none of the 3 training texts"
    with pytest.raises(NoiselabError, match=message):
        drawn(tmp_path, **files, classes=3, train_size=3, test_size=2)


def test_given_splits_stay_as_they_are(source, tmp_path):
    rows = pd.read_csv(source / "all.csv")
    rows[:10].to_csv(source / "validation.csv", index=False)
    rows[10:22].to_csv(source / "test.csv", index=False)
    splits = {"validation_files": "validation.csv", "test_files": "test.csv"}
    labelled_texts.prepare(SPEC | splits, source, tmp_path / "out")
    found = labelled_texts.read(tmp_path / "out")[1]
    texts = [f"t{i}: text {i} It is" for i in range(40)]
    assert found["validation"].texts == texts[:10]
    assert set(found["test"].texts) <= set(texts[10:22])
    assert [len(found[split].texts) for split in ("train", "test")] == [30, 10]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 3}, "datasets.reviews.classes: 3, but the texts have 2 labels"),
        ({"prompt": "{txt} is"}, "no column txt .*did you mean text"),
        ({"label_column": "lable"}, "no column lable"),
        ({"train_size": 99}, "train_size: 109 texts are asked for, but there are only 40"),
        ({"train_files": "train*"}, "no table matches train_files 'train\\*'"),
        ({"test_files": "*.csv"}, "two splits name it"),
    ],
)
def test_texts_that_cannot_be_a_task_are_refused(source, tmp_path, changes, message):
    with pytest.raises(NoiselabError, match=message):
        labelled_texts.prepare(SPEC | changes, source, tmp_path / "out")


def test_docstrings_are_labelled_by_what_they_document(tmp_path):
    file = tmp_path / "pack" / "part" / "code.py"
    file.parent.mkdir(parents=True)
    for folder in (file.parent, file.parent.parent):
        (folder / "__init__.py").touch()
    file.write_text(
        '"""The module is not one of them."""\n'
        'def f():\n    """Adds two numbers up.\n\n    Returns\n    -------\n    int\n    """\n'
        'class A:\n    """A thing that is counted."""\n'
        '    def m(self):\n        """Counts the thing.  Twice."""\n'
    )
    found = [tuple(one) for one in labelled_docstrings._documented(file)]
    assert found == [
        ("Adds two numbers up.", "pack", "pack.part", "function", "returns"),
        ("A thing that is counted.", "pack", "pack.part", "class", "nothing"),
        ("Counts the thing.", "pack", "pack.part", "method", "nothing"),
    ]


# -------------------------------------------------------------------------------- features


@pytest.mark.parametrize("most", [8, 30, 1000])
def test_features_of_texts_do_not_depend_on_what_is_beside_them(most):
    torch.manual_seed(0)
    model = gpt2(60, context=12, layers=2, heads=2, width=8, initial_std=0.5).eval()
    lengths = [3, 7, 3, 12, 1, 7, 7]
    tokens = [torch.randint(60, (n,)).tolist() for n in lengths]
    found = features.text_features(
        lambda batch: model.transformer(batch).last_hidden_state, tokens, torch.device("cpu"), most
    )
    with torch.no_grad():
        for i, own in enumerate(tokens):
            states = model(torch.tensor([own]), output_hidden_states=True).hidden_states[-1][0]
            np.testing.assert_allclose(found["last"][i], states[-1], atol=1e-5)
            np.testing.assert_allclose(found["mean"][i], states.mean(0), atol=1e-5)


def test_features_are_those_of_the_run_whose_weights_they_are(source, tmp_path):
    labelled_texts.prepare(SPEC, source, tmp_path / "task")
    tokenizer = Tokenizer(models.WordLevel({"?": 0, "text": 1, "It": 2, "is": 3, "7": 4}, "?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    (tmp_path / "text").mkdir()
    tokenizer.save(str(tmp_path / "text" / "tokenizer.json"))
    network = {"name": "gpt2", "context": 4, "layers": 1, "heads": 1, "width": 4}
    about = {"run_id": "mine", "family": "language_model", "data": str(tmp_path / "text")}
    run = example_run(**about, model=network, vocabulary=5)
    model, weights = language_model.build(run), tmp_path / "weights.safetensors"
    save_weights(weights, model, "mine")
    arguments = (weights, tmp_path / "task", tmp_path / "shards", torch.device("cpu"))
    found = features.extract(run, *arguments)
    assert found["train_last"].shape == found["train_mean"].shape == (30, 4)
    texts = labelled_texts.read(tmp_path / "task")[1]["train"]
    assert found["train_labels"].tolist() == texts.labels.tolist()
    tokens = tokenizer.encode(texts.texts[3]).ids[-4:]
    with torch.no_grad():
        states = model.eval().transformer(torch.tensor([tokens])).last_hidden_state[0]
    np.testing.assert_allclose(found["train_last"][3], states[-1], atol=1e-5)
    with pytest.raises(NoiselabError, match="weights of mine, not of other"):
        features.extract(run | {"run_id": "other"}, *arguments)


def test_of_a_long_prompt_the_end_is_seen():
    assert last_tokens([1, 2, 3, 4], 3) == [2, 3, 4]
    assert last_tokens([1, 2], 3) == [1, 2]


@pytest.mark.parametrize(
    ("network", "inputs"),
    [
        (lambda: resnet(1, 3, width=4, blocks=[1, 1]), 8),
        (lambda: fast_cnn(1, 3, [4, 8]), 8),
        (lambda: vit(1, 3, 16, patch=4, width=8, layers=1, heads=2), 8),
    ],
)
def test_features_of_images_are_what_the_last_layer_sees(network, inputs):
    torch.manual_seed(0)
    model = Classifier(network(), [0.5], [0.5]).eval()
    images = random_images(5, 1, 16, 3).x
    index = np.array([4, 0, 1])
    seen = last_inputs(model)
    found = features.image_features(seen, images, index, torch.device("cpu"))["last"]
    assert found.shape == (3, inputs)
    last = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][-1]
    with torch.no_grad():
        wanted = model(torch.from_numpy(images[index]))
        scale = wanted / last(torch.from_numpy(found))  # fast_cnn divides its logits by a number
    torch.testing.assert_close(scale, scale[:1, :1].expand_as(scale), rtol=1e-3, atol=1e-3)
    if isinstance(model.network, torch.nn.Sequential):
        with torch.no_grad():
            again = model.network[:-1](model.normalised(torch.from_numpy(images[index])))
        np.testing.assert_allclose(found, again, atol=1e-6)
