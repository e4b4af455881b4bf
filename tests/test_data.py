"""Data sets: what the embedded ones are, and how real ones are read and refused."""

import io
import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from noiselab.data import prepared
from noiselab.data.cifar import cifar
from noiselab.data.embedded import digits, glyph_characters, glyphs
from noiselab.errors import NoiselabError

DIGITS = {"name": "digits", "kind": "digits", "classes": 10, "channels": 1, "size": 8}
DIGITS |= {"train_size": 1297, "test_size": 500}


def glyph_spec(classes, train=4, test=2, size=16):
    sizes = {"train_size": classes * train, "test_size": classes * test, "size": size}
    return {
        "name": f"glyphs-{classes}",
        "kind": "glyphs",
        "classes": classes,
        "channels": 3,
    } | sizes


def cifar_spec(train=20, test=10, name="cifar10"):
    return {
        "name": name,
        "kind": "cifar",
        "classes": 10,
        "channels": 3,
        "size": 32,
        "train_size": train,
        "test_size": test,
    }


def test_digits_are_scikit_learns_split_without_overlap():
    from sklearn.datasets import load_digits

    train, test, _ = digits(DIGITS)
    assert train.x.shape == (1297, 1, 8, 8)
    both = np.concatenate([train.x, test.x]).reshape(1797, -1)
    original = np.round(load_digits().data * 255 / 16).astype(np.uint8)
    assert sorted(map(bytes, both)) == sorted(map(bytes, original))
    assert np.bincount(test.y).tolist() == [50] * 10


def test_glyphs_are_deterministic_and_balanced():
    spec = glyph_spec(12)
    first, second = glyphs(spec), glyphs(spec)
    for a, b in zip(first[:2], second[:2], strict=True):
        assert np.array_equal(a.x, b.x)
    assert np.bincount(first[0].y).tolist() == [4] * 12


def test_one_channel_is_black_on_white_of_the_same_drawing():
    coloured, ink = (glyphs(glyph_spec(12) | {"channels": c})[0] for c in (3, 1))
    assert ink.x.shape[1] == 1
    assert np.median(ink.x) > 200 > 60 > ink.x.min()
    for image, drawing in zip(coloured.x[:20], ink.x[:20], strict=True):
        pixels = np.concatenate([image.reshape(3, -1), drawing.reshape(1, -1)]).astype(float)
        correlations = np.corrcoef(pixels)[3, :3]
        assert (abs(correlations) > 0.99).all()


def test_glyph_sets_are_nested_and_look_different():
    assert glyph_characters(50) == glyph_characters(200)[:50]
    assert len(set(glyph_characters(1000))) == 1000


def test_no_image_of_the_test_split_is_in_the_training_split():
    train, test, _ = glyphs(glyph_spec(10, train=30, test=10))
    assert not {x.tobytes() for x in train.x} & {x.tobytes() for x in test.x}


def test_more_glyphs_than_there_are_is_an_error():
    with pytest.raises(NoiselabError, match="glyphs-9999"):
        glyph_characters(9999)


def test_class_balanced_subset():
    labels = np.array([0, 0, 0, 0, 1, 2, 1, 2, 1, 2])
    assert labels[prepared.class_balanced(labels, 6, 3)].tolist() == [0, 0, 1, 2, 1, 2]
    assert prepared.class_balanced(labels, 10, 3).tolist() == list(range(10))


def test_prepared_folder_reads_back_and_describes_itself(tmp_path):
    train, test, origin = digits(DIGITS)
    prepared.write(tmp_path, DIGITS, train, test, origin)
    description, train_again, test_again = prepared.read(tmp_path)
    assert np.array_equal(train.x, train_again.x)
    assert np.array_equal(test.y, test_again.y)
    pixels = train.x / 255
    assert description["mean"] == pytest.approx([pixels.mean()])
    assert description["std"] == pytest.approx([pixels.std()])


@pytest.mark.parametrize("change", [{"train_size": 1298}, {"channels": 3}, {"classes": 9}])
def test_data_that_does_not_match_its_specification_is_refused(tmp_path, change):
    train, test, origin = digits(DIGITS)
    with pytest.raises(NoiselabError, match=r"datasets\.digits"):
        prepared.write(tmp_path, DIGITS | change, train, test, origin)
    assert not (tmp_path / "dataset.json").exists()


# ------------------------------------------------------------------------------ CIFAR


def encoded(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return {"bytes": buffer.getvalue(), "path": None}


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8), np.arange(30) % 10


@pytest.fixture(
    params=[("image", "label", "{}.parquet"), ("img", "fine_label", "data/{}-0.parquet")]
)
def parquet_folder(request, tmp_path, images):
    image, label, pattern = request.param
    x, y = images
    for split, part in (("train", slice(0, 20)), ("test", slice(20, 30))):
        table = pa.table({image: [encoded(i) for i in x[part]], label: y[part]})
        path = tmp_path / pattern.format(split)
        path.parent.mkdir(exist_ok=True)
        pq.write_table(table, path)
    return tmp_path


def test_parquet_is_read_pixel_by_pixel(parquet_folder, images):
    train, test, _ = cifar(cifar_spec(), parquet_folder)
    assert np.array_equal(train.x, images[0][:20].transpose(0, 3, 1, 2))
    assert np.array_equal(test.y, images[1][20:])


def test_a_smaller_size_takes_a_balanced_subset(parquet_folder):
    train, _, _ = cifar(cifar_spec(train=10), parquet_folder)
    assert sorted(train.y) == list(range(10))


def test_a_larger_size_is_refused(parquet_folder):
    with pytest.raises(NoiselabError, match="train split has 20 images, configured 21"):
        cifar(cifar_spec(train=21), parquet_folder)


def test_truncated_parquet_is_named(parquet_folder):
    file = next(parquet_folder.rglob("train*.parquet"))
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(NoiselabError, match=f"{file.name}: cannot be read") as error:
        cifar(cifar_spec(), parquet_folder)
    assert "\n" not in str(error.value)


def test_parquet_with_other_columns_is_named(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "train.parquet")
    with pytest.raises(NoiselabError, match=r"no columns image and label \(found a\)$"):
        cifar(cifar_spec(), tmp_path)


def test_missing_folder_and_missing_split_are_named(tmp_path):
    with pytest.raises(NoiselabError, match="no folder"):
        cifar(cifar_spec(), tmp_path / "nothing")
    with pytest.raises(NoiselabError, match="no train"):
        cifar(cifar_spec(), tmp_path)


def test_a_folder_in_torchvisions_layout_is_checked_by_torchvision(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(pickle.dumps({"data": []}))
    with pytest.raises(NoiselabError, match="cifar10"):
        cifar(cifar_spec(), tmp_path)


@pytest.mark.skipif("NOISELAB_DATA" not in os.environ, reason="set NOISELAB_DATA to a data.root")
@pytest.mark.parametrize(("name", "classes"), [("cifar10", 10), ("cifar100", 100)])
def test_real_copies_have_the_published_sizes(name, classes):
    from pathlib import Path

    spec = cifar_spec(50000, 10000, name) | {"classes": classes}
    train, test, _ = cifar(spec, Path(os.environ["NOISELAB_DATA"]) / name)
    assert np.bincount(train.y).tolist() == [50000 // classes] * classes
    assert np.bincount(test.y).tolist() == [10000 // classes] * classes
    # Channel means of CIFAR-10 and -100 as commonly quoted: 0.491 and 0.507 (red).
    assert train.x[:, 0].mean() / 255 == pytest.approx({10: 0.491, 100: 0.507}[classes], abs=0.002)
