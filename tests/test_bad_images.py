"""Folders of images that are wrong, or odd: one line, or what is meant by them."""

import json
import os
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

from commands import run
from noiselab import items
from noiselab.data import image_files, prepared
from noiselab.data.cifar import cifar
from noiselab.errors import NoiselabError
from pet_samples import SPEC, image, refused

SCRIPTS = Path(__file__).resolve().parents[1] / "workflow" / "scripts"


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


# ------------------------------------------------------------------------------------- scripts


def test_a_script_says_so_in_one_line(pets, tmp_path):
    os.mkfifo(pets / "train" / "cat" / "p.png")
    script = [sys.executable, SCRIPTS / "prepare_image_files.py", "--threads", "1"]
    command = [*script, "--spec", json.dumps(SPEC), "--source", pets, "--out", tmp_path / "out"]
    failed = run(command, limit=120)
    assert failed.returncode == 1
    assert failed.stderr.startswith("noiselab: ")
    assert failed.stderr.count("\n") == 1
