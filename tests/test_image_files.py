"""Preparation of image files: which are taken, what is stored, and what is refused."""

import hashlib
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from commands import run, started
from image_folders import CLASSES, image_folder, image_spec, jpeg, parquet_folder, picture
from noiselab.data import image_files, prepared
from noiselab.errors import NoiselabError
from noiselab.files import read_json, write_json

SCRIPTS = Path(__file__).resolve().parents[1] / "workflow" / "scripts"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return image_folder(tmp_path_factory.mktemp("tree") / "photos")


@pytest.fixture(scope="module")
def parquet(tmp_path_factory, tree):
    return parquet_folder(tmp_path_factory.mktemp("parquet") / "photos", tree)


@pytest.fixture
def changed(tmp_path, tree):
    """A copy of the tree to break."""
    return Path(shutil.copytree(tree, tmp_path / "photos"))


def prepare(source, out, threads=1, **changes):
    image_files.prepare(image_spec(**changes), source, threads, out)
    return prepared.read(out)


def refused(source, tmp_path, **changes) -> str:
    """The one line of the error; nothing looks prepared."""
    with pytest.raises(NoiselabError) as error:
        prepare(source, tmp_path / "out", **changes)
    assert not (tmp_path / "out" / "dataset.json").exists()
    assert "\n" not in str(error.value)
    return str(error.value)


def pixels(images):
    return [np.asarray(image).tolist() for image in images]


# ------------------------------------------------------------------------------- what is stored


def test_an_image_folder_stays_where_it_is(tree, tmp_path):
    description, train, test = prepare(tree, tmp_path)
    assert description["storage"] == "files"
    assert description["folder"] == str(tree)
    assert description["class_names"] == CLASSES
    assert (description["train_size"], description["test_size"]) == (20, 8)
    assert description["shape"] == [3, 16, 16]
    assert train.y.tolist() == np.repeat(range(4), 5).tolist()
    assert test.y.tolist() == np.repeat(range(4), 2).tolist()
    files = sorted((tree / "train").rglob("*.JPEG"))
    assert pixels(train.x) == pixels(map(Image.open, files))
    assert (tmp_path / "train.bin").stat().st_size < 2000  # paths


def test_parquet_files_are_packed_as_they_are(parquet, tree, tmp_path):
    description, train, test = prepare(parquet, tmp_path)
    assert description["storage"] == "packed"
    assert description["class_names"] == CLASSES
    files = sorted((tree / "train").rglob("*.JPEG"))
    assert (tmp_path / "train.bin").read_bytes() == b"".join(f.read_bytes() for f in files)
    assert train.y.tolist() == np.repeat(range(4), 5).tolist()
    assert len(test.x) == 8


def test_folder_and_parquet_give_the_same_images(tree, parquet, tmp_path):
    for ours, theirs in zip(
        prepare(tree, tmp_path / "a")[1:], prepare(parquet, tmp_path / "b")[1:], strict=True
    ):
        assert pixels(ours.x) == pixels(theirs.x)
        assert np.array_equal(ours.y, theirs.y)


def test_the_number_of_processes_changes_nothing(tree, parquet, tmp_path):
    for source, resize in ((tree, None), (parquet, 20)):
        for threads in (1, 2):
            prepare(source, tmp_path / str(threads), threads, resize=resize)
        for file in (tmp_path / "1").iterdir():
            assert file.read_bytes() == (tmp_path / "2" / file.name).read_bytes()


def test_sha256_is_that_of_the_files(parquet, tmp_path):
    sums = prepare(parquet, tmp_path)[0]["sha256"]
    assert sums["test"] == hashlib.sha256((tmp_path / "test.bin").read_bytes()).hexdigest()
    labels = np.load(tmp_path / "test_y.npy")
    assert labels.dtype == np.int64
    assert sums["test_y"] == hashlib.sha256(labels.tobytes()).hexdigest()
    kinds = ("", "_offsets", "_y")
    arrays = {f"{split}{kind}" for split in ("train", "test") for kind in kinds}
    assert set(sums) == {*arrays, "train_items"}


def test_resize_brings_the_shorter_side_to_its_pixels(tree, tmp_path):
    description, train, _ = prepare(tree, tmp_path, resize=15)
    assert (description["storage"], description["resize"]) == ("packed", 15)
    assert {image.size for image in train.x} == {(20, 15), (15, 20)}
    file = sorted((tree / "train").rglob("*.JPEG"))[3]
    smaller = Image.open(file).resize((20, 15), Image.Resampling.BICUBIC)
    assert pixels([train.x[3]]) == pixels([Image.open(io.BytesIO(jpeg(smaller)))])


def test_resize_never_enlarges(tree, tmp_path):
    prepare(tree, tmp_path, resize=30)
    files = sorted((tree / "train").rglob("*.JPEG"))
    assert (tmp_path / "train.bin").read_bytes() == b"".join(f.read_bytes() for f in files)


def test_other_colour_modes_are_stored_as_rgb(changed, tmp_path):
    folder = changed / "train" / CLASSES[0]
    for i, mode in enumerate(["L", "CMYK", "P", "RGBA", "1"]):
        (folder / f"{CLASSES[0]}_{i}.JPEG").unlink()
        suffix = "JPEG" if mode in ("L", "CMYK") else "png"
        picture(i, mode=mode).save(folder / f"{CLASSES[0]}_{i}.{suffix}")
    _, train, _ = prepare(changed, tmp_path / "out", resize=15)
    content = (tmp_path / "out" / "train.bin").read_bytes()
    offsets = np.load(tmp_path / "out" / "train_offsets.npy")
    for i in range(5):
        assert Image.open(io.BytesIO(content[offsets[i] : offsets[i + 1]])).mode == "RGB"
        assert train.x[i].size == (20, 15)


# ------------------------------------------------------------------------------- what is taken


@pytest.mark.parametrize("source", ["tree", "parquet"])
def test_the_first_classes_and_the_first_images_of_each(source, request, tmp_path):
    source = request.getfixturevalue(source)
    chosen = {"classes": 2, "train_per_class": 3, "test_per_class": 1}
    description, train, test = prepare(source, tmp_path, **chosen, train_size=6, test_size=2)
    _, everything, _ = prepare(source, tmp_path / "all")
    assert description["class_names"] == CLASSES[:2]
    assert train.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert pixels(train.x) == pixels(everything.x[i] for i in (0, 1, 2, 5, 6, 7))
    assert test.y.tolist() == [0, 1]


def class_list(tmp_path, *names):
    path = tmp_path / "classes.txt"
    path.write_text("\n".join(names) + "\n\n")
    return {"class_list": str(path), "classes": len(names)}


@pytest.mark.parametrize("source", ["tree", "parquet"])
def test_a_class_list_numbers_the_classes_in_its_order(source, request, tmp_path):
    source = request.getfixturevalue(source)
    listed = class_list(tmp_path, CLASSES[3], CLASSES[1])
    description, train, _ = prepare(source, tmp_path / "a", **listed, train_size=10, test_size=4)
    _, everything, _ = prepare(source, tmp_path / "all")
    assert description["class_names"] == [CLASSES[3], CLASSES[1]]
    third = train.x[int(np.flatnonzero(train.y == 0)[2])]
    assert pixels([third]) == pixels([everything.x[17]])
    assert np.bincount(train.y).tolist() == [5, 5]


def test_label_numbers_and_classes_json(tree, tmp_path):
    source = parquet_folder(tmp_path / "p", tree, paths=False)
    few = {"train_size": 10, "test_size": 4}
    description, train, _ = prepare(source, tmp_path / "a", **class_list(tmp_path, "2", "0"), **few)
    assert description["class_names"] == ["2", "0"]
    assert train.y.tolist() == [1] * 5 + [0] * 5
    wordnet = class_list(tmp_path, CLASSES[2], CLASSES[0])
    message = refused(source, tmp_path, **wordnet, **few)
    assert f"{CLASSES[2]} is neither a label number nor a WordNet id" in message
    names = [{"label": i, "wnid": c, "name": "?"} for i, c in enumerate(CLASSES)]
    write_json(source / "classes.json", names)
    description, again, _ = prepare(source, tmp_path / "b", **wordnet, **few)
    assert description["class_names"] == [CLASSES[2], CLASSES[0]]
    assert np.array_equal(again.y, train.y)


@pytest.mark.parametrize("name", ["validation", "test"])
def test_other_names_of_the_validation_folder(name, tmp_path):
    _, _, test = prepare(image_folder(tmp_path / "photos", validation=name), tmp_path / "out")
    assert len(test.x) == 8


def test_files_that_are_no_images_are_left_out(changed, tmp_path):
    (changed / "train" / CLASSES[0] / "notes.txt").write_text("hello")
    (changed / "train" / CLASSES[0] / "._a.JPEG").write_text("a Mac was here")
    assert len(prepare(changed, tmp_path / "out")[1].x) == 20


# ------------------------------------------------------------------------------- what is refused


def test_sizes_that_are_not_those_of_the_source_are_named_with_the_right_number(
    tree, parquet, tmp_path
):
    for source in (tree, parquet):
        message = refused(source, tmp_path, train_size=19)
        assert "datasets.photos.train_size: configured 19, but" in message
        assert "has 20 train images" in message
        assert "datasets.photos.test_size" in refused(source, tmp_path, test_size=9)


def test_missing_folders_are_named(tree, changed, tmp_path):
    assert "no folder" in refused(tmp_path / "nothing", tmp_path)
    (tmp_path / "empty").mkdir()
    assert "no train*.parquet, and no class folders in" in refused(tmp_path / "empty", tmp_path)
    (changed / "val").rename(changed / "other")
    assert "no val/ nor validation/ nor test/" in refused(changed, tmp_path)


def test_a_flat_validation_folder_must_be_sorted_first(changed, tmp_path):
    for file in list((changed / "val").rglob("*.JPEG")):
        file.rename(changed / "val" / file.name)
    for folder in list((changed / "val").glob("*/")):
        folder.rmdir()
    assert "val: its images must be sorted into class folders first" in refused(changed, tmp_path)


def test_too_few_classes(tree, parquet, tmp_path):
    assert "classes: configured 5, but" in refused(tree, tmp_path, classes=5)
    assert "labels in" in refused(parquet, tmp_path, classes=5)


def test_a_class_without_images(changed, tmp_path):
    for file in (changed / "val" / CLASSES[1]).iterdir():
        file.unlink()
    assert f"val: no image of class {CLASSES[1]}" in refused(changed, tmp_path)
    (changed / "val" / CLASSES[1]).rmdir()
    assert f"val: no image of class {CLASSES[1]}" in refused(changed, tmp_path)


def test_class_lists_that_do_not_fit(tree, tmp_path):
    listed = class_list(tmp_path, *CLASSES[:3])
    assert "class_list" in refused(tree, tmp_path, class_list=listed["class_list"])
    assert "class_list" in refused(tree, tmp_path, **class_list(tmp_path, "a", "a"))
    assert "no image of class cat" in refused(tree, tmp_path, **class_list(tmp_path, "cat"))
    assert "cannot read" in refused(tree, tmp_path, class_list="nowhere.txt")


@pytest.mark.parametrize(
    ("damage", "resize"), [("truncated", None), ("truncated", 20), ("text", None), ("empty", None)]
)
def test_an_unreadable_image_is_named(changed, tmp_path, damage, resize):
    file = changed / "train" / CLASSES[1] / f"{CLASSES[1]}_2.JPEG"
    content = file.read_bytes()
    file.write_bytes({"truncated": content[:-100], "text": b"hello", "empty": b""}[damage])
    assert str(file) in refused(changed, tmp_path, resize=resize)
    message = refused(parquet_folder(tmp_path / "p", changed), tmp_path, resize=resize)
    pattern = r"train-\d+-of-\d+\.parquet: row 7 .*_2\.JPEG.*"
    if damage == "empty":
        pattern = r"train-\d+-of-\d+\.parquet: row 7 of column image has no bytes"
    assert re.search(pattern, message)


def test_parquet_with_other_columns_or_labels(tmp_path):
    def write(**columns):
        for split in ("train", "validation"):
            pq.write_table(pa.table(columns), tmp_path / f"{split}.parquet")

    write(picture=[b"x"], label=[0])
    assert "no columns image and label (found picture, label)" in refused(tmp_path, tmp_path)
    write(image=[b"x"], label=["cat"])
    assert "column label is not whole numbers" in refused(tmp_path, tmp_path)
    write(image=pa.array([None, *[b"x"] * 3], pa.binary()), label=[0, 1, 2, 3])
    message = refused(tmp_path, tmp_path, train_size=4, test_size=4)
    assert "row 0 of column image has no bytes" in message


def test_truncated_parquet_is_named(tree, tmp_path):
    source = parquet_folder(tmp_path / "p", tree)
    file = next(source.rglob("train*.parquet"))
    file.write_bytes(file.read_bytes()[:-100])
    assert f"{file}: cannot be read" in refused(source, tmp_path)


def test_a_full_disk_is_one_line_and_leaves_nothing(parquet, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        assert "cannot write" in refused(parquet, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((tmp_path / "out").iterdir())


# ------------------------------------------------------------------------------- scripts


def command(source, out, **changes):
    script = [sys.executable, str(SCRIPTS / "prepare_image_files.py"), "--threads", "2"]
    return [*script, "--spec", json.dumps(image_spec(**changes)), "--source", source, "--out", out]


def test_the_script_prepares_or_says_why_not_in_one_line(tree, tmp_path):
    run(command(tree, tmp_path), check=True)
    assert read_json(tmp_path / "dataset.json")["train_size"] == 20
    failed = run(command(tree, tmp_path / "b", classes=9))
    assert failed.returncode == 1
    assert failed.stderr.startswith("noiselab: config key datasets.photos.classes")
    assert failed.stderr.count("\n") == 1


def test_processes_end_with_a_preparation_that_is_killed(tmp_path):
    source = image_folder(tmp_path / "photos", train=300, size=(400, 300))
    slow = command(source, tmp_path / "out", resize=200, train_size=1200)
    with started(slow, stderr=subprocess.DEVNULL) as process:
        bin_file = tmp_path / "out" / f".train.bin.{process.pid}.tmp"
        wait_until(bin_file.exists)
        wait_until(lambda: len(psutil.Process(process.pid).children()) >= 2)
        children = psutil.Process(process.pid).children()
        process.kill()
        process.wait(60)
        wait_until(lambda: not any(child.is_running() for child in children))
    assert not (tmp_path / "out" / "dataset.json").exists()


def wait_until(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ------------------------------------------------------------------------------- download


def refusing(error):
    def snapshot(*args, **options):
        raise error

    return snapshot


@pytest.mark.parametrize("status", [None, 401, 403])
def test_a_refusal_of_the_hub_says_what_to_do(monkeypatch, tmp_path, status):
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

    response = SimpleNamespace(status_code=status or 401, headers={}, request=None)
    kind = HfHubHTTPError if status else GatedRepoError
    error = kind("Access is restricted.\nYou must be authenticated", response=response)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refusing(error))
    with pytest.raises(NoiselabError, match="accept its terms") as caught:
        image_files.download(image_spec(), tmp_path / "imagenet")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("someone/photos", "hf auth login", "HF_TOKEN", "data.root", "imagenet/train/"):
        assert part in message


def test_another_failure_of_the_download_is_not_called_a_refusal(monkeypatch, tmp_path):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refusing(OSError("no route")))
    with pytest.raises(NoiselabError, match=r"download failed \(no route\)"):
        image_files.download(image_spec(), tmp_path)


# ------------------------------------------------------------------------------- real data


@pytest.mark.skipif("NOISELAB_DATA" not in os.environ, reason="set NOISELAB_DATA to a data.root")
def test_real_images_are_read(tmp_path):
    source = Path(os.environ["NOISELAB_DATA"]) / "tiny_imagenet_50"
    sizes = {"classes": 50, "size": 64, "train_size": 25_000, "test_size": 2_500}
    description, train, test = prepare(source, tmp_path, 2, **sizes)
    wnids = [entry["wnid"] for entry in read_json(source / "classes.json")]
    assert description["class_names"] == wnids
    assert np.bincount(train.y).tolist() == [500] * 50
    assert np.bincount(test.y).tolist() == [50] * 50
    rows = pq.read_table(source / "train.parquet")["image"].combine_chunks().field("bytes")
    assert (tmp_path / "train.bin").read_bytes() == b"".join(rows.to_pylist())
    assert {image.size for image in (train.x[i] for i in range(0, 25_000, 50))} == {(64, 64)}
