"""Inputs of image data that are wrong, or odd: one line, or what is meant by them."""

import io
import json
import os
import re
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from commands import run
from noiselab import items
from noiselab.data import image_files, prepared
from noiselab.data.cifar import cifar
from noiselab.errors import NoiselabError

SCRIPTS = Path(__file__).resolve().parents[1] / "workflow" / "scripts"
SPEC = {"name": "pets", "kind": "image_files", "classes": 2, "channels": 3, "size": 8}
SPEC |= {"resize": None, "train_size": 6, "test_size": 4, "flip": False}


def image(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder, seed = tmp_path_factory.mktemp("good") / "pets", 0
    for split, count in (("train", 3), ("val", 2)):
        for name in ("cat", "dog"):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                image(seed := seed + 1).save(folder / split / name / f"{i}.png")
    return folder


@pytest.fixture
def pets(tmp_path, good):
    """A copy to break."""
    return Path(shutil.copytree(good, tmp_path / "pets"))


def refused(source, tmp_path, **changes) -> str:
    with pytest.raises(NoiselabError) as error:
        image_files.prepare(SPEC | changes, source, 1, tmp_path / "out")
    assert not (tmp_path / "out" / "dataset.json").exists()
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


# ------------------------------------------------------------------------------------- folders


def fifo(place):
    os.mkfifo(place / "p.png")


def device(place):
    (place / "p.png").symlink_to("/dev/zero")


def listening(place):
    before = os.getcwd()
    os.chdir(place)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("p.png")
    finally:
        os.chdir(before)


BAD_FILES = {
    "a loop": (lambda p: (p / "again").symlink_to(p), "again: the same as"),
    "a loop over the split": (lambda p: (p / "all").symlink_to(p.parent), "the same as"),
    "a folder twice": (lambda p: (p / "z").symlink_to(p.parent / "dog"), "counted twice"),
    "a file twice": (
        lambda p: [(p / f"{n}.png").symlink_to(p / "0.png") for n in "xy"],
        ".png, by a link",
    ),
    "a link to nothing": (lambda p: (p / "p.png").symlink_to("nowhere"), "a link to nothing"),
    "a link to itself": (lambda p: (p / "p.png").symlink_to("p.png"), "a link to nothing"),
    "a pipe": (fifo, "p.png: called like an image, but a pipe or a device"),
    "a device": (device, "p.png: called like an image, but a pipe or a device"),
    "a socket": (listening, "a pipe or a device"),
    "a text": (lambda p: (p / "p.png").write_text("hello"), "p.png: not an image of a known"),
    "an empty file": (lambda p: (p / "p.png").write_bytes(b""), "p.png: the file is empty"),
    "half a file": (
        lambda p: (p / "p.png").write_bytes((p / "0.png").read_bytes()[:100]),
        "p.png: image cannot be read",
    ),
    "one of a kind that is not read": (
        lambda p: (p / "p.HEIC").write_bytes(b"x"),
        "p.HEIC: such images are not read; save it as PNG",
    ),
    "parquet beside the classes": (
        lambda p: (p.parents[1] / "val-0.parquet").write_bytes(b"x"),
        "val-0.parquet: beside folders of classes in",
    ),
    "a link to a test image": (
        lambda p: (p / "p.png").symlink_to(p.parents[1] / "val" / "cat" / "0.png"),
        "p.png: the same as",
    ),
    "one beside the classes": (
        lambda p: image(9).save(p.parent / "p.png"),
        "p.png: an image beside the class folders",
    ),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("fault", BAD_FILES)
def test_files_that_are_no_images_of_a_class(fault, pets, tmp_path):
    damage, message = BAD_FILES[fault]
    damage(pets / "train" / "cat")
    found = refused(pets, tmp_path, train_size=None)
    assert message in found
    assert str(pets) in found


def test_a_link_to_one_of_the_other_images_counts_it_twice(pets, tmp_path):
    (pets / "train" / "dog" / "p.png").symlink_to(pets / "train" / "cat" / "0.png")
    assert "p.png: the same as" in refused(pets, tmp_path, train_size=None)


def test_links_to_files_and_folders_elsewhere_are_followed(pets, good, tmp_path):
    shutil.rmtree(pets / "train" / "dog")
    (pets / "train" / "dog").symlink_to(good / "train" / "dog")
    (pets / "train" / "cat" / "0.png").unlink()
    (pets / "train" / "cat" / "0.png").symlink_to(good / "train" / "cat" / "0.png")
    image_files.prepare(SPEC, pets, 1, tmp_path / "a")
    image_files.prepare(SPEC, good, 1, tmp_path / "b")
    assert items.read(tmp_path / "a") == items.read(tmp_path / "b")
    for i in range(6):
        ours, theirs = (prepared.read(tmp_path / n)[1].x[i] for n in "ab")
        assert np.array_equal(ours, theirs)


HIDDEN = {
    ".DS_Store": b"\0\0\0\1Bud1",
    "._0.png": b"a Mac was here",
    ".hidden.png": b"",
    ".git/0.png": b"no image",
    "__MACOSX/0.png": b"no image",
    "Thumbs.db": b"\xd0\xcf",
    "README.md": b"cats",
    "labels.csv": b"0.png,cat",
}


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("place", ["train/cat", "train", "."])
def test_hidden_files_and_those_of_systems_do_not_count(name, place, pets, good, tmp_path):
    file = pets / place / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(HIDDEN[name])
    image_files.prepare(SPEC, pets, 1, tmp_path / "a")
    assert items.read(tmp_path / "a") == [
        f"train/{c}/{i}.png" for c in ("cat", "dog") for i in range(3)
    ]


def test_a_folder_that_is_called_like_an_image_is_a_folder(pets, tmp_path):
    (pets / "train" / "cat" / "x.png").mkdir()
    image(8).save(pets / "train" / "cat" / "x.png" / "y.png")
    image_files.prepare(SPEC | {"train_size": 7}, pets, 1, tmp_path / "out")
    assert "train/cat/x.png/y.png" in items.read(tmp_path / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_is_named(pets, tmp_path):
    (pets / "train" / "cat" / "0.png").chmod(0)
    assert "0.png: Permission denied" in refused(pets, tmp_path)
    (pets / "train" / "cat").chmod(0)
    assert "cat: Permission denied" in refused(pets, tmp_path)
    (pets / "train" / "cat").chmod(0o700)
    pets.chmod(0)
    assert "pets: Permission denied" in refused(pets, tmp_path)
    with pytest.raises(NoiselabError, match="pets: Permission denied"):
        cifar(SPEC | {"kind": "cifar", "name": "cifar10"}, pets)
    pets.chmod(0o700)


CLASSES = {
    "only for testing": (lambda p: shutil.copytree(p / "val/cat", p / "val/emu"), "val/emu: no"),
    "only for training": (lambda p: shutil.rmtree(p / "val" / "dog"), "val: no image of class dog"),
    "without images": (
        lambda p: [f.unlink() for f in (p / "train" / "dog").iterdir()],
        "train: no image of class dog",
    ),
    "of another case": (lambda p: (p / "val/dog").rename(p / "val/Dog"), "val/Dog: no such class"),
}


@pytest.mark.parametrize("fault", CLASSES)
def test_classes_that_one_split_lacks(fault, pets, tmp_path):
    damage, message = CLASSES[fault]
    damage(pets)
    assert message in refused(pets, tmp_path)


LISTS = {
    "cat\ncat\n": "1 different names in 2 lines",
    "": "0 different names",
    "cat\n../val/dog\n": "no image of class ../val/dog",
    "cat\n" + "x" * 300 + "\n": "no image of class xxx",
    "cat\n/etc\n": "no image of class /etc",
}


@pytest.mark.parametrize("content", LISTS)
def test_class_lists_that_name_no_folder(content, good, tmp_path):
    file = tmp_path / "classes.txt"
    file.write_text(content)
    assert LISTS[content] in refused(good, tmp_path, class_list=str(file))


def test_class_lists_with_a_byte_order_mark_or_another_encoding(good, tmp_path):
    file = tmp_path / "classes.txt"
    file.write_text("dog\ncat\n", encoding="utf-8-sig")
    image_files.prepare(SPEC | {"class_list": str(file)}, good, 1, tmp_path / "out")
    assert prepared.read(tmp_path / "out")[0]["class_names"] == ["dog", "cat"]
    shutil.rmtree(tmp_path / "out")
    file.write_text("dog\ncat\n", encoding="utf-16")
    assert "is not UTF-8" in refused(good, tmp_path, class_list=str(file))
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in refused(good, tmp_path, class_list=str(tmp_path / "pipe"))


# ------------------------------------------------------------------------------------- parquet


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


# ------------------------------------------------------------------------------------- scripts


def test_a_script_says_so_in_one_line(pets, tmp_path):
    os.mkfifo(pets / "train" / "cat" / "p.png")
    script = [sys.executable, SCRIPTS / "prepare_image_files.py", "--threads", "1"]
    command = [*script, "--spec", json.dumps(SPEC), "--source", pets, "--out", tmp_path / "out"]
    failed = run(command, limit=120)
    assert failed.returncode == 1
    assert failed.stderr.startswith("noiselab: ")
    assert failed.stderr.count("\n") == 1
