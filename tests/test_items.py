"""Where each training example is in its source, as train_items.txt says."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_digits

from image_folders import CLASSES, image_folder, image_spec, parquet_folder, picture
from noiselab import items
from noiselab.data import image_files, prepared
from noiselab.data.cifar import cifar
from noiselab.data.embedded import digits, glyphs
from noiselab.data.kinds import IMAGE_KINDS, KINDS
from noiselab.errors import NoiselabError
from noiselab.files import read_json
from test_data import DIGITS, cifar_spec, encoded, glyph_spec


def test_every_kind_of_images_declares_the_items():
    kinds = [*IMAGE_KINDS, "image_files"]
    assert all(items.FILE in KINDS[kind].files for kind in kinds)


def test_items_of_digits_are_rows_of_scikit_learns(tmp_path):
    spec = DIGITS | {"train_size": 300}
    prepared.write(tmp_path, spec, *digits(spec))
    rows = np.array(items.read(tmp_path), dtype=int)
    _, train, _ = prepared.read(tmp_path)
    data = load_digits()
    assert np.array_equal(np.round(data.images[rows] * 255 / 16), train.x[:, 0])
    assert np.array_equal(data.target[rows], train.y)


def test_items_of_glyphs_are_numbers(tmp_path):
    spec = glyph_spec(3)
    prepared.write(tmp_path, spec, *glyphs(spec))
    assert items.read(tmp_path) == [str(i) for i in range(12)]


def test_items_of_a_subset_of_parquet_files_are_rows_over_all_of_them(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    y = rng.permutation(np.arange(30) % 10)
    for name, part in (("train-0", slice(0, 8)), ("train-1", slice(8, 30)), ("test", slice(30))):
        table = pa.table({"img": [encoded(i) for i in x[part]], "label": y[part]})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    spec = cifar_spec(train=11)
    prepared.write(tmp_path / "out", spec, *cifar(spec, tmp_path))
    rows = np.array(items.read(tmp_path / "out"), dtype=int)
    _, train, _ = prepared.read(tmp_path / "out")
    assert len(rows) == 11
    assert np.array_equal(x[rows].transpose(0, 3, 1, 2), train.x)


def test_items_of_folders_are_paths_and_of_their_parquet_files_rows(tmp_path):
    tree = image_folder(tmp_path / "photos")
    few = {"classes": 2, "train_per_class": 3, "train_size": 6, "test_size": 4}
    image_files.prepare(image_spec(**few), tree, 1, tmp_path / "a")
    found = items.read(tmp_path / "a")
    assert found == [f"train/{c}/{c}_{i}.JPEG" for c in CLASSES[:2] for i in range(3)]
    image_files.prepare(image_spec(**few), parquet_folder(tmp_path / "p", tree), 1, tmp_path / "b")
    assert items.read(tmp_path / "b") == ["0", "1", "2", "5", "6", "7"]


def test_the_digest_of_the_items_is_in_dataset_json(tmp_path):
    prepared.write(tmp_path, DIGITS, *digits(DIGITS))
    image_files.prepare(image_spec(), image_folder(tmp_path / "photos"), 1, tmp_path / "files")
    for folder in (tmp_path, tmp_path / "files"):
        content = (folder / items.FILE).read_bytes()
        sums = read_json(folder / "dataset.json")["sha256"]
        assert sums["train_items"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", ["a b'\"$(c).JPEG", "\u00e4\u4e2d.JPEG", "x" * 200 + ".JPEG"])
def test_unusual_names_are_kept(tmp_path, name):
    tree = image_folder(tmp_path / "photos", train=1)
    picture(1).save(tree / "train" / CLASSES[0] / name)
    image_files.prepare(image_spec(train_size=5), tree, 1, tmp_path / "out")
    assert f"train/{CLASSES[0]}/{name}" in items.read(tmp_path / "out")


@pytest.mark.parametrize("name", ["a\nb.JPEG", "a\rb.JPEG", "a\x85b.JPEG", "\udcff.JPEG"])
def test_names_that_are_no_line_are_refused_in_one(tmp_path, name):
    tree = image_folder(tmp_path / "photos", train=1)
    picture(1).save(tree / "train" / CLASSES[0] / name)
    with pytest.raises(NoiselabError, match="rename it") as error:
        image_files.prepare(image_spec(train_size=5), tree, 1, tmp_path / "out")
    assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "out" / "dataset.json").exists()
