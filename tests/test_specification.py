"""Specifications of data sets that scripts get on their command line: what is refused, and how."""

import json
import sys

import pytest

import prepare_images
from noiselab.data.kinds import KINDS
from noiselab.errors import NoiselabError, run_script
from noiselab.planning import config
from noiselab.planning.datasets import resolve_dataset
from noiselab.planning.specification import specification

CIFAR = {"name": "s", "kind": "cifar", "classes": 2, "channels": 3, "size": 32}
CIFAR |= {"train_size": 8, "test_size": 4}
FILES = {"name": "s", "kind": "image_files", "classes": 2, "size": 16, "train_size": 8}
FILES |= {"test_size": 4, "resize": None}
IMAGES = {"name": "s", "kind": "images"}
TEXT = {"name": "s", "kind": "text", "tokenizer": "bpe", "vocabulary": 300, "validation_share": 0.1}
PAIRS = {"name": "s", "kind": "pairs", "vocabulary": 300, "source_length": 8, "target_length": 8}
PAIRS |= {"train_size": None, "validation_size": None, "validation_share": 0.1}
PAIRS |= {"source_column": "en", "target_column": "de", "train_files": "train*"}
PAIRS |= {"validation_files": None}
SPECS = {spec["kind"]: spec for spec in (CIFAR, FILES, IMAGES, TEXT, PAIRS)}


def read(spec: dict, **changes) -> dict:
    """What the script that prepares this kind gets; None as a change: the key is left out."""
    changed = {k: v for k, v in (spec | changes).items() if k not in changes or v is not None}
    return specification(KINDS[spec["kind"]].rule)(json.dumps(changed))


@pytest.mark.parametrize("kind", SPECS)
def test_the_least_that_a_preparation_needs_is_taken_as_it_is(kind):
    assert read(SPECS[kind]) == SPECS[kind]


@pytest.mark.parametrize(
    "known", [{"classes": 3}, {"train_size": 1}, {"size": 32}, {"resize": 8}, {"channels": 1}]
)
def test_what_is_left_open_is_found_out_later(known):
    assert read(IMAGES, **known) == IMAGES | known


def test_keys_of_embedded_data_are_not_looked_at_where_there_are_files():
    assert read(TEXT, packages=[])["packages"] == []
    with pytest.raises(NoiselabError, match="packages"):
        read(TEXT, kind="docstrings", packages=[])


@pytest.mark.parametrize("tier", ["smoke", "paper"])
def test_what_the_configuration_has_is_taken(tier):
    given = config.validate(config.load(tier=tier))["datasets"]
    specs = [resolve_dataset(given, name, "datasets") for name in given if name != "glyphs"]
    assert len({spec["kind"] for spec in specs}) > 5
    for spec in specs:
        assert specification(KINDS[spec["kind"]].rule)(json.dumps(spec)) == spec


@pytest.mark.parametrize(
    "text",
    ["", "{", "5", "null", "[]", '"images"', "NaN", "[" * 100_000, '{"name": "a", "name": "b"}'],
    ids=lambda text: text[:12],
)
@pytest.mark.parametrize("rule", ["prepare_images", "prepare_text", "download_pairs"])
def test_what_is_no_specification_is_refused_in_one_line(rule, text):
    with pytest.raises(NoiselabError, match=r"^--spec: ") as error:
        specification(rule)(text)
    assert "\n" not in str(error.value)


NUMBERS = {
    "cifar": ["classes", "channels", "size", "train_size", "test_size"],
    "image_files": ["classes", "size", "train_size", "test_size", "resize"],
    "images": ["classes", "channels", "size", "train_size", "test_size", "train_per_class"],
    "text": ["vocabulary", "max_characters", "validation_share"],
    "pairs": ["vocabulary", "source_length", "target_length", "train_size", "validation_share"],
}


@pytest.mark.parametrize("value", [-3, 0, "8", True, [8], {}], ids=repr)
@pytest.mark.parametrize(("kind", "key"), [(k, key) for k, keys in NUMBERS.items() for key in keys])
def test_a_number_that_is_none_or_out_of_range_is_refused_with_its_key(kind, key, value):
    with pytest.raises(NoiselabError, match=rf"^config key datasets\.s\.{key}: "):
        read(SPECS[kind], **{key: value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.0])
def test_a_number_that_is_not_finite_or_a_share_of_all_is_refused(value):
    with pytest.raises(NoiselabError, match=r"no finite number|validation_share"):
        read(TEXT, validation_share=value)


@pytest.mark.parametrize(
    ("kind", "key"),
    [(kind, key) for kind in ("cifar", "image_files", "text", "pairs") for key in SPECS[kind]],
)
def test_a_key_that_a_preparation_needs_must_be_there(kind, key):
    if key == "resize":
        assert "resize" not in read(SPECS[kind], resize=None)
        return
    with pytest.raises(NoiselabError, match=key):
        read(SPECS[kind], **{key: None})


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("cifar", {"clases": 2}, "clases: unknown key .did you mean classes"),
        ("text", {"kind": "images"}, "kind 'images' is none for this script"),
        ("images", {"kind": "imagess"}, "did you mean images"),
        ("text", {"name": 5}, "name"),
        ("text", {"name": ""}, "name"),
        (
            "image_files",
            {"resize": 15},
            "resize: pictures of 15 pixels are smaller than the size, 16",
        ),
        ("cifar", {"classes": 10}, "train_size: 8 images are fewer than 10 classes"),
        ("text", {"tokenizer": "bppe"}, "tokenizer: no 'bppe' .did you mean bpe"),
        ("text", {"documents": ["line"]}, "documents"),
        ("text", {"parts": []}, "parts"),
        ("text", {"parts": [{"text_column": "t"}]}, r"parts\[0\].folder: is missing"),
        ("pairs", {"train_files": ""}, "train_files"),
        ("images", {"size": 10**9}, "size"),
        ("image_files", {"size": 10**9}, "size"),
    ],
)
def test_other_mistakes_are_named(kind, changes, message):
    with pytest.raises(NoiselabError, match=message):
        read(SPECS[kind], **changes)


def test_a_script_says_so_in_one_line(monkeypatch, tmp_path):
    spec = json.dumps(CIFAR | {"train_size": "8"})
    command = ["prepare_images.py", "--spec", spec, "--source", ".", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as end:
        run_script(prepare_images.main)
    assert str(end.value) == (
        "noiselab: config key datasets.s.train_size: '8' is not of type 'integer'"
    )
