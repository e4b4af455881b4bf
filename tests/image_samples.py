"""Small data sets of cats and dogs in any form, for the tests."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from image_folders import picture
from noiselab.data import prepared
from noiselab.data.images import arrays
from noiselab.data.images.encoding import encode
from noiselab.planning import image_sets

FACTS = {"classes": 2, "channels": 3, "size": 10, "train_size": 6, "test_size": 4}


def folder(place: Path, size=(12, 10), mode="RGB", train=3, test=2, names=("cat", "dog")) -> Path:
    """PNG files in class folders."""
    seed = 0
    for split, count in (("train", train), ("test", test)):
        for name in names:
            (place / split / name).mkdir(parents=True)
            for i in range(count):
                picture(seed := seed + 1, size, mode).save(place / split / name / f"{i}.png")
    return place


def pets_tree(tmp_path_factory) -> Path:
    """A fixture `tree`: class folders that nothing changes."""
    return folder(tmp_path_factory.mktemp("tree") / "pets")


def pets_to_change(tmp_path, tree: Path) -> Path:
    """A fixture `pets`: a copy of the tree, alone in a root of data."""
    return Path(shutil.copytree(tree, tmp_path / "root" / "pets"))


def parquet(place: Path, tree: Path, label: str = "label", named=False) -> Path:
    """The images of a tree in parquet files, their classes by number or by name."""
    place.mkdir(parents=True)
    for split in ("train", "test"):
        files = sorted((tree / split).rglob("*.png"))
        names = sorted({file.parent.name for file in files})
        labels = [f.parent.name if named else names.index(f.parent.name) for f in files]
        table = pa.table({"image": [f.read_bytes() for f in files], label: labels})
        pq.write_table(table, place / f"{split}.parquet")
    return place


def resolved(root: Path, **entry) -> dict:
    """The data set as it is planned."""
    settings = {"datasets": {"pets": {"kind": "images"} | entry}, "data": {"root": str(root)}}
    return image_sets.resolved(settings, str(root.parent / "results"), "pets", "datasets")


def write_arrays(spec: dict, source: Path, out: Path):
    spec, train, test, more = arrays(spec, source)
    prepared.write(out, spec, train, test, **more)
    return prepared.read(out)


def write_encoded(spec: dict, source: Path, out: Path):
    encode(spec | {"kind": "encoded_images"}, source, 1, out)
    return prepared.read(out)
