"""Parquet files of images that are wrong, or odd: one line, or what is meant by them."""

import io
import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from noiselab.data import image_files
from noiselab.data.cifar import cifar
from noiselab.errors import NoiselabError
from pet_samples import SPEC, image, refused


def rows(n: int) -> list[dict]:
    """Images as the hub has them."""
    return [{"bytes": png(image(i)), "path": None} for i in range(n)]


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def parquet(folder: Path, train: dict, test: dict | None = None) -> Path:
    """Columns of the two splits; images where there are none."""
    folder.mkdir(exist_ok=True)
    for split, columns in (("train", train), ("test", train if test is None else test)):
        count = len(next(iter(columns.values())))
        whole = columns if "image" in columns else {"image": rows(count)} | columns
        pq.write_table(pa.table(whole), folder / f"{split}.parquet")
    return folder


BAD_LABELS = {
    "fractional": ([0.0, 1.0, 0.5, 1.0], "0.5 in row 2"),
    "not a number": ([0.0, float("nan"), 0.0, 1.0], "nan in row 1"),
    "infinite": ([0.0, float("inf"), 0.0, 1.0], "inf in row 1"),
    "null": ([0, None, 0, 1], "no label in row 1"),
    "negative": ([0, 1, -1, 1], "-1 in row 2"),
    "huge": ([0, 1, 2**62, 1], f"{2**62} in row 2"),
    "beyond unsigned": (pa.array([0, 1, 2**64 - 1, 1], pa.uint64()), "in row 2"),
    "boolean": ([False, True, False, True], "but bool"),
    "lists": ([[0], [1], [0], [1]], "but list"),
    "dates": (pa.array([0, 1, 0, 1], pa.date32()), "but date32"),
    "texts": (["cat", "dog", "cat", "dog"], "whole numbers"),
    "missing": ([0, 0, 0, 0], "classes"),
}


@pytest.mark.parametrize("kind", ["image_files", "cifar"])
@pytest.mark.parametrize("fault", BAD_LABELS)
def test_labels_that_are_none(fault, kind, tmp_path):
    values, message = BAD_LABELS[fault]
    source = parquet(tmp_path / "pets", {"label": values})
    if kind == "image_files":
        assert message in refused(source, tmp_path, train_size=4)
        return
    spec = SPEC | {"kind": kind, "train_size": 4}
    with pytest.raises(NoiselabError) as error:
        cifar(spec, source)
    found = str(error.value)
    assert len(found.splitlines()) == 1
    assert message in found or (fault == "missing" and "no image of class 1" in found)


def test_whole_numbers_written_as_floats_are_labels(tmp_path):
    source = parquet(tmp_path / "pets", {"label": [0.0, 1.0, 1.0, 0.0]})
    train, _, _ = cifar(SPEC | {"kind": "cifar", "train_size": 4}, source)
    assert train.y.tolist() == [0, 1, 1, 0]


def test_labels_beyond_the_classes(tmp_path):
    source = parquet(tmp_path / "pets", {"label": [0, 1, 2, 1]})
    with pytest.raises(NoiselabError, match=r"classes: train labels run from 0 to 2, configured"):
        cifar(SPEC | {"kind": "cifar", "train_size": 4}, source)


FORMS = {
    "pixels": (
        {"image": [[0, 255]] * 4, "label": [0, 1, 0, 1]},
        "no bytes of image files, but list",
    ),
    "paths": ({"image": ["a.png"] * 4, "label": [0, 1, 0, 1]}, "but string"),
    "a structure": ({"image": [{"path": "x"}] * 4, "label": [0, 1, 0, 1]}, "but struct"),
    "nothing": ({"image": pa.nulls(4), "label": [0, 1, 0, 1]}, "but null"),
    "no rows": (
        {"image": pa.array([], pa.binary()), "label": pa.array([], pa.int64())},
        "no rows",
    ),
    "no label": ({"image": [b"x"] * 4, "names": [0, 1, 0, 1]}, "found image, names"),
    "two images": (
        {"image": [b"x"] * 4, "img": [b"x"] * 4, "label": [0, 1, 0, 1]},
        "2 columns that fit (image, img)",
    ),
    "a missing image": (
        {"image": pa.array([b"x", None, b"x", b"x"], pa.binary()), "label": [0, 1, 0, 1]},
        "train.parquet: row",
    ),
}


@pytest.mark.parametrize("fault", FORMS)
def test_parquet_files_of_another_form(fault, tmp_path):
    columns, message = FORMS[fault]
    source = parquet(tmp_path / "pets", columns)
    assert message in refused(source, tmp_path, train_size=4)
    with pytest.raises(NoiselabError) as error:
        cifar(SPEC | {"kind": "cifar"}, source)
    assert len(str(error.value).splitlines()) == 1


def test_a_column_twice(tmp_path):
    table = pa.Table.from_arrays(
        [pa.array(rows(2)), pa.array([0, 1]), pa.array([1, 0])], ["image", "label", "label"]
    )
    for split in ("train", "test"):
        pq.write_table(table, tmp_path / f"{split}.parquet")
    assert "2 columns that fit (label, label)" in refused(tmp_path, tmp_path)


def test_plain_bytes_and_the_hubs_structures_are_the_same(tmp_path):
    plain = [row["bytes"] for row in rows(4)]
    label = [0, 1, 1, 0]
    sizes = {"train_size": 4}
    first = parquet(tmp_path / "a", {"image": plain, "label": label})
    second = parquet(tmp_path / "b", {"label": label})
    for source in (first, second):
        image_files.prepare(SPEC | sizes, source, 1, source / "out")
    for file in ("train.bin", "train_y.npy", "train_items.txt"):
        assert (first / "out" / file).read_bytes() == (second / "out" / file).read_bytes()


def test_a_label_that_only_test_images_have(tmp_path):
    source = parquet(tmp_path / "pets", {"label": [0, 1, 0, 1]}, {"label": [0, 1, 2, 1]})
    assert "test split: label 2, which no training image has" in refused(
        source, tmp_path, train_size=4
    )


def test_hidden_parquet_files_do_not_count(tmp_path):
    source = parquet(tmp_path / "pets", {"label": [0, 1, 0, 1]})
    (source / ".cache").mkdir()
    for name in (".cache/train-1.parquet", "train/.part.parquet"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes(b"half")
    os.mkfifo(source / "train-9.parquet")
    assert "train-9.parquet: no regular file" in refused(source, tmp_path, train_size=4)
    (source / "train-9.parquet").unlink()
    image_files.prepare(SPEC | {"train_size": 4}, source, 1, tmp_path / "out")


@pytest.mark.parametrize("kind", ["image_files", "cifar"])
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            lambda s: (s / "train-1.parquet").symlink_to("train.parquet"),
            "train-1.parquet: the same",
        ),
        (
            lambda s: [
                (s / "test.parquet").unlink(),
                (s / "test.parquet").symlink_to(s / "train.parquet"),
            ],
            "test.parquet: the same as",
        ),
        (
            lambda s: (s / "train.parquet").rename(s / "train-00000-of-00002.parquet"),
            "no .*train-00001-of-00002.parquet",
        ),
    ],
    ids=["linked twice", "test linked to train", "half of the shards"],
)
def test_parquet_files_that_are_there_twice_or_not(fault, message, kind, tmp_path):
    source = parquet(tmp_path / "pets", {"label": [0, 1, 0, 1]})
    fault(source)
    if kind == "image_files":
        assert re.search(message, refused(source, tmp_path, train_size=4))
    else:
        with pytest.raises(NoiselabError, match=message):
            cifar(SPEC | {"kind": kind, "train_size": 4, "test_size": 2}, source)


def test_cifars_hidden_parquet_files_do_not_count(tmp_path):
    source = parquet(tmp_path / "pets", {"label": [0, 1, 0, 1]})
    for name in (".cache/train-1.parquet", ".train-2.parquet", "._test.parquet"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes(b"half")
    train, _, _ = cifar(SPEC | {"kind": "cifar", "train_size": 4, "test_size": 2}, source)
    assert train.y.tolist() == [0, 1, 0, 1]


def test_labels_are_numbers_in_both_splits_or_names_in_both(tmp_path):
    source = parquet(tmp_path / "pets", {"label": ["0", "1"] * 2}, {"label": [0, 1, 0, 1]})
    assert "numbers in one split, names in the other" in refused(source, tmp_path, train_size=4)


def test_small_floats_are_labels_without_a_warning(tmp_path, recwarn):
    label = pa.array(np.array([0, 1, 1, 0], np.float16))
    source = parquet(tmp_path / "pets", {"label": label})
    image_files.prepare(SPEC | {"train_size": 4}, source, 1, tmp_path / "out")
    assert np.load(tmp_path / "out" / "train_y.npy").tolist() == [0, 1, 1, 0]
    assert not recwarn.list


@pytest.mark.parametrize(
    "content",
    [
        '{"label": 0}',
        "[1]",
        "null",
        '[{"label": "0", "wnid": "n1"}]',
        '[{"label": true, "wnid": "n1"}]',
        '[{"label": 0, "wnid": 5}]',
        '[{"label": 0, "wnid": "n1"}, {"label": 0, "wnid": "n2"}]',
        '[{"label": 0, "wnid": "n1"}, {"label": 1, "wnid": "n1"}]',
        "[" * 100_000,
    ],
    ids=lambda content: content[:50],
)
def test_names_of_labels_that_are_none(content, tmp_path):
    source = parquet(tmp_path / "pets", {"label": [0, 1, 0, 1]})
    (source / "classes.json").write_text(content)
    assert "classes.json: " in refused(source, tmp_path, train_size=4)
