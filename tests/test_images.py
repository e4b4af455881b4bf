"""Image data of any form: what is found out, what becomes of it, and that the answer is kept."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from image_folders import picture
from image_samples import (
    FACTS,
    folder,
    parquet,
    pets_to_change,
    pets_tree,
    resolved,
    write_arrays,
    write_encoded,
)
from noiselab import items
from noiselab.data import cifar, prepared
from noiselab.errors import NoiselabError
from noiselab.planning import image_sets

SPEC = {"name": "pets", "kind": "images"}
tree = pytest.fixture(scope="module")(pets_tree)
pets = pytest.fixture(pets_to_change)


def flat(place: Path, tree: Path) -> Path:
    """The images of a tree in a folder per split, their classes in a csv file."""
    rows = [("file", "label")]
    for split in ("train", "test"):
        (place / split).mkdir(parents=True)
        for file in sorted((tree / split).rglob("*.png")):
            name = f"{file.parent.name}{file.name}"
            shutil.copy(file, place / split / name)
            rows.append((f"{split}/{name}", file.parent.name))
    with open(place / "labels.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return place


def found(root: Path, **entry) -> dict:
    spec = resolved(root, **entry)
    return {key: spec[key] for key in image_sets.KEYS}


def refused(root: Path, **entry) -> str:
    with pytest.raises(NoiselabError) as error:
        resolved(root, **entry)
    assert len(str(error.value).splitlines()) == 1
    assert "pets" in str(error.value)
    return str(error.value)


# ----------------------------------------------------------------------------- what is found out


@pytest.mark.parametrize("form", ["folders", "parquet", "names in parquet", "a file of labels"])
def test_every_form_is_found_out_and_gives_the_same_arrays(form, tree, tmp_path, capsys):
    make = {
        "folders": lambda place: shutil.copytree(tree, place),
        "parquet": lambda place: parquet(place, tree),
        "names in parquet": lambda place: parquet(place, tree, named=True),
        "a file of labels": lambda place: flat(place, tree),
    }[form]
    entry = {"labels": "labels.csv"} if form == "a file of labels" else {}
    source = Path(make(tmp_path / "root" / "pets"))
    assert found(tmp_path / "root", **entry) == FACTS
    told = capsys.readouterr().err
    assert "pets: 2 classes, 6 and 4 images in colour, 10 x 10 pixels cut out of 12 x 10" in told
    description, train, test = write_arrays(SPEC | entry, source, tmp_path / "out")
    files = [sorted((tree / split).rglob("*.png")) for split in ("train", "test")]
    for split, there in zip((train, test), files, strict=True):
        # The middle square of a picture, by hand.
        expected = [np.asarray(Image.open(f))[:, 1:11].transpose(2, 0, 1) for f in there]
        assert np.array_equal(split.x, expected)
        assert split.y.tolist() == [("cat", "dog").index(f.parent.name) for f in there]
    assert description["class_names"] == (["0", "1"] if form == "parquet" else ["cat", "dog"])
    assert description["mean"] == pytest.approx((train.x / 255).mean((0, 2, 3)))
    assert description["std"] == pytest.approx((train.x / 255).std((0, 2, 3)))
    if form == "a file of labels":
        assert items.read(tmp_path / "out")[0] == "train/cat0.png"


def test_what_is_said_is_not_found_out(tree, tmp_path):
    said = {"classes": 2, "channels": 1, "size": 8, "train_size": 4, "test_size": 2}
    assert found(tree.parent, **said) == said
    description, train, test = write_arrays(SPEC | said, tree, tmp_path / "out")
    assert description["shape"] == [1, 8, 8]
    assert (np.bincount(train.y).tolist(), np.bincount(test.y).tolist()) == ([2, 2], [1, 1])


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grey_images_have_one_channel(mode, tmp_path):
    source = folder(tmp_path / "root" / "pets", mode=mode)
    assert found(tmp_path / "root")["channels"] == 1
    _, train, _ = write_arrays(resolved(tmp_path / "root"), source, tmp_path / "out")
    files = sorted((source / "train").rglob("*.png"))
    assert np.array_equal(
        train.x, [np.asarray(Image.open(f).convert("L"))[None, :, 1:11] for f in files]
    )


def test_grey_among_coloured_images_is_said(pets, capsys):
    picture(9, (12, 10), "L").save(pets / "train" / "cat" / "1.png")
    assert found(pets.parent)["channels"] == 3
    assert "in colour, some of them grey" in capsys.readouterr().err


def test_the_first_classes_and_images(pets):
    few = {"classes": 2, "train_per_class": 2}
    shutil.copytree(pets / "train" / "cat", pets / "train" / "emu")
    shutil.copytree(pets / "test" / "cat", pets / "test" / "emu")
    assert found(pets.parent) == FACTS | {"classes": 3, "train_size": 9, "test_size": 6}
    assert found(pets.parent, **few) == FACTS | {"train_size": 4}


def test_images_of_several_sizes_need_a_size(pets):
    picture(1, (40, 30)).save(pets / "train" / "cat" / "1.png")
    picture(1, (5, 9)).save(pets / "test" / "cat" / "1.png")
    message = refused(pets.parent)
    assert "datasets.pets.size: must be set" in message
    assert "3 sizes, from 5 x 9 to 40 x 30 pixels" in message
    assert found(pets.parent, size=8)["size"] == 8


def test_the_columns_of_parquet_files_can_be_chosen(tree, tmp_path):
    root = tmp_path / "root"
    source = parquet(root / "pets", tree, label="fine_label")
    assert found(root) == FACTS
    for file in source.iterdir():
        table = pq.read_table(file)
        count = np.zeros(len(table), dtype=int)
        pq.write_table(table.append_column("label", pa.array(count)), file)
    assert "2 columns that fit (fine_label, label)" in refused(root)
    assert "label_column of the data set can name one" in refused(root)
    assert found(root, label_column="fine_label") == FACTS
    assert "no column colour (found image, fine_label, label)" in refused(
        root, label_column="colour"
    )


ONE_CLASS = {"numbers": [0, 0, 0], "names": ["cat", "cat ", "cat"], "no name": ["cat", " ", "dog"]}


@pytest.mark.parametrize("case", ONE_CLASS)
def test_labels_that_make_no_two_classes(case, tree, tmp_path):
    content = (tree / "train" / "cat" / "0.png").read_bytes()
    (tmp_path / "root" / "pets").mkdir(parents=True)
    for split in ("train", "test"):
        table = pa.table({"image": [content] * 3, "label": ONE_CLASS[case]})
        pq.write_table(table, tmp_path / "root" / "pets" / f"{split}.parquet")
    expected = "no label in row 1" if case == "no name" else "all images are of one class"
    assert expected in refused(tmp_path / "root")


def test_settings_that_would_change_nothing(pets):
    assert "pets.resize: changes nothing" in refused(pets.parent, resize=20)


def test_arrays_that_do_not_fit_into_memory(pets, tmp_path):
    spec = resolved(pets.parent, size=8192) | {"train_size": None, "size": 10**7}
    with pytest.raises(NoiselabError, match=r"store: arrays would take .* GB, more than there are"):
        write_arrays(spec, pets, tmp_path / "out")


def test_a_source_that_is_not_there(tmp_path):
    settings = {"datasets": {"pets": {"kind": "images", "hub": "me/pets"}}, "data": {"root": None}}
    with pytest.raises(NoiselabError, match=r"pets: not downloaded yet, .* it needs classes, cha"):
        image_sets.resolved(settings, str(tmp_path), "pets", "datasets")
    settings["datasets"]["pets"] = {"kind": "images"}
    with pytest.raises(
        NoiselabError, match=r"data\.root: must be set to the folder that has pets/"
    ):
        image_sets.resolved(settings, str(tmp_path), "pets", "datasets")
    assert "no folder" in refused(tmp_path)


FLAT = {
    "no label": (lambda t: t.replace("test/dog1.png,dog\n", ""), "no label"),
    "twice": (lambda t: t + "train/cat0.png,dog\n", "2 labels of file train/cat0.png"),
    "one class": (lambda t: t.replace("dog\n", "cat\n"), "labels.csv: all images are of one class"),
    "no column": (lambda t: t.replace("file,label", "file,kind"), "no column label"),
    "empty": (lambda t: "", "empty"),
    "a class of test images": (
        lambda t: t.replace("test/dog1.png,dog", "test/dog1.png,emu"),
        "no image of class emu",
    ),
}


@pytest.mark.parametrize("fault", FLAT)
def test_files_of_labels_that_do_not_fit(fault, tree, tmp_path):
    change, message = FLAT[fault]
    file = flat(tmp_path / "root" / "pets", tree) / "labels.csv"
    file.write_text(change(file.read_text().replace("\r\n", "\n")))
    assert message in refused(tmp_path / "root", labels="labels.csv")


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_labels_that_are_numbers_keep_their_order(form, tmp_path):
    """Text would put 10 before 2."""
    tree = folder(tmp_path / "tree", names=tuple(map(str, range(12))), train=1, test=1)
    place, named = tmp_path / "root" / "pets", {}
    if form == "csv":
        flat(place, tree)
        named = {"labels": "labels.csv"}
    else:
        place.mkdir(parents=True)
        for split in ("train", "test"):
            files = sorted((tree / split).rglob("*.png"))
            columns = {"image": [file.read_bytes() for file in files]}
            columns["label"] = [file.parent.name for file in files]
            pq.write_table(pa.table(columns), place / f"{split}.parquet")
    description, train, _ = write_arrays(resolved(place.parent, **named), place, tmp_path / "out")
    assert description["class_names"] == [str(i) for i in range(12)]
    given = sorted(map(str, range(12)))  # one image each, in the order of the folders
    assert train.y.tolist() == list(map(int, given))


def test_an_archive_is_what_it_is_known_to_be(tmp_path, monkeypatch):
    """Without the archive's content, which torchvision compares with its sum."""
    source = tmp_path / "root" / "pets"
    (source / "cifar-100-python").mkdir(parents=True)
    sizes = {"classes": 100, "channels": 3, "size": 32}
    assert found(tmp_path / "root") == sizes | {"train_size": 50_000, "test_size": 10_000}
    read = []
    x = np.random.default_rng(0).integers(0, 256, (300, 3, 32, 32), dtype=np.uint8)
    split = prepared.Split(x, np.arange(300) % 100)
    for name in ("train", "test", "meta"):
        (source / "cifar-100-python" / name).touch()
    monkeypatch.setattr(cifar, "_torchvision", lambda spec, *rest: read.append(rest) or split)
    spec = resolved(tmp_path / "root", train_size=200, test_size=100)
    description, train, _ = write_arrays(spec, source, tmp_path / "out")
    assert np.array_equal(train.x, x[:200])
    assert description["mean"] == pytest.approx((train.x / 255).mean((0, 2, 3)))
    assert read == [(source, True), (source, False)]
    with pytest.raises(NoiselabError, match="store: torchvision's archive has no image files"):
        write_encoded(spec, source, tmp_path / "encoded")


def test_fewer_training_images_than_classes_are_refused(pets):
    found = refused(pets.parent, train_size=1)
    assert "datasets.pets.train_size: 1 images are fewer than 2 classes" in found


def test_folders_and_parquet_files_in_one_place_are_not_guessed_at(pets):
    (pets / "train-0.parquet").write_bytes(b"")
    assert "train-0.parquet: beside folders of classes in train/" in refused(pets.parent)


# ------------------------------------------------------------------------- what is promised


def promised(pets: Path) -> dict:
    return resolved(pets.parent)


@pytest.mark.parametrize("write", [write_arrays, write_encoded])
def test_every_image_is_as_those_that_were_looked_at(write, pets, tmp_path):
    spec = promised(pets)
    picture(1, (12, 11)).save(pets / "test" / "cat" / "0.png")
    with pytest.raises(NoiselabError, match=r"cat/0\.png: 12 x 11 pixels, others have 12 x 10"):
        write(spec, pets, tmp_path / "out")
    shutil.rmtree(pets)
    folder(pets, mode="L")
    spec = promised(pets)
    picture(1, (12, 10)).save(pets / "train" / "dog" / "1.png")
    with pytest.raises(NoiselabError, match=r"dog/1\.png: in colour, others are grey"):
        write(spec, pets, tmp_path / "out")
    assert not (tmp_path / "out" / "dataset.json").exists()


@pytest.mark.parametrize("write", [write_arrays, write_encoded])
def test_test_images_that_are_training_images_are_told(write, pets, tmp_path, capsys):
    assert write(promised(pets), pets, tmp_path / "a")[0]["copies"] == 0
    assert "byte for byte" not in capsys.readouterr().err
    shutil.copy(pets / "train" / "cat" / "2.png", pets / "test" / "dog" / "0.png")
    assert write(promised(pets), pets, tmp_path / "b")[0]["copies"] == 1
    assert "1 of 4 test images are training images, too, byte for byte" in capsys.readouterr().err


# ------------------------------------------------------------------------------ the kept answer


def test_what_was_found_is_kept_until_the_source_changes(pets, monkeypatch):
    from noiselab.data import images

    looked = []
    real = images.found
    monkeypatch.setattr(images, "found", lambda *a: looked.append(a) or real(*a))
    first = resolved(pets.parent)
    assert resolved(pets.parent) == first
    assert len(looked) == 1
    picture(5, (12, 10)).save(pets / "train" / "cat" / "9.png")
    assert resolved(pets.parent)["train_size"] == 7
    assert len(looked) == 2
    assert resolved(pets.parent, train_per_class=1)["train_size"] == 2  # another question
    for file in (pets.parent.parent / "results" / "found").iterdir():
        file.write_text("{")
    assert resolved(pets.parent)["train_size"] == 7


def test_a_kept_answer_needs_no_image_library(pets):
    resolved(pets.parent)
    code = (
        "import sys; sys.path.insert(0, sys.argv[3])\n"
        "from noiselab.planning import image_sets\n"
        "c = {'datasets': {'pets': {'kind': 'images'}}, 'data': {'root': sys.argv[1]}}\n"
        "print(image_sets.resolved(c, sys.argv[2], 'pets', 'x')['train_size'])\n"
        "print(*{'PIL', 'pyarrow', 'torch', 'pandas', 'scipy'} & set(sys.modules))"
    )
    scripts = Path(image_sets.__file__).parents[2]
    words = [sys.executable, "-c", code, pets.parent, pets.parent.parent / "results", scripts]
    result = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert result.stdout.split() == ["6"], result.stderr


def test_another_file_of_labels_makes_other_data(tree, tmp_path):
    source = flat(tmp_path / "root" / "pets", tree)
    before = resolved(tmp_path / "root", labels="labels.csv")
    file = source / "labels.csv"
    status = file.stat()
    file.write_text(file.read_text().replace("cat0.png,cat", "cat0.png,dog"))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert resolved(tmp_path / "root", labels="labels.csv") != before
