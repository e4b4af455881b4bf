"""The folder of arrays that one prepared image data set is.

`train_x.npy`, `test_x.npy`: uint8 [n, channels, size, size]; `train_y.npy`, `test_y.npy`:
int64 [n]; `train_items.txt`: see noiselab.items; `dataset.json`: name, sizes, classes, mean
and standard deviation of the training pixels (scale 0 to 1), origin, SHA-256 of each array and of
the items. Written last, it says the rest is whole.
Others stay encoded: see noiselab.data.encoded.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from noiselab import items, reading
from noiselab.data import encoded
from noiselab.errors import NoiselabError
from noiselab.files import read_json, whole_file, write_json
from noiselab.run import Run

ARRAYS = ("train_x", "train_y", "test_x", "test_y")


class Split(NamedTuple):
    """Images uint8 [n, c, h, w], or encoded ones, and labels int64 [n]."""

    x: np.ndarray | encoded.EncodedImages
    y: np.ndarray
    items: Sequence[str | int] | None = (
        None  # of a source: where each image is in it; None: 0, 1, …
    )


def write(folder: Path, spec: dict, train: Split, test: Split, origin: str, **more: object) -> None:
    """Check two splits against their specification and write them. more: of dataset.json, `mean`
    and `std` of the training pixels among it if they are known."""
    for name, split in (("train", train), ("test", test)):
        _check(spec, name, split)
    arrays = dict(zip(ARRAYS, (*train[:2], *test[:2]), strict=True))
    for name, array in arrays.items():
        with whole_file(folder / f"{name}.npy") as path, open(path, "wb") as file:
            np.save(file, np.ascontiguousarray(array))
    listed = items.write(folder, range(len(train.y)) if train.items is None else train.items)
    if "mean" not in more:
        # One channel at a time, as sums: whole images in float would take 8 times the memory.
        mean = train.x.mean(axis=(0, 2, 3), dtype=np.float64) / 255
        std = train.x.std(axis=(0, 2, 3), dtype=np.float64) / 255
        more |= {"mean": mean.tolist(), "std": std.tolist()}
    content = {
        "name": spec["name"],
        "kind": spec["kind"],
        "origin": origin,
        "classes": spec["classes"],
        "train_size": len(train.y),
        "test_size": len(test.y),
        "shape": list(train.x.shape[1:]),
        "sha256": {
            n: hashlib.sha256(np.ascontiguousarray(a)).hexdigest() for n, a in arrays.items()
        }
        | {"train_items": listed},
    }
    write_json(folder / "dataset.json", content | more)


def read(folder: str | Path) -> tuple[dict, Split, Split]:
    """dataset.json, training split and test split, the arrays memory-mapped.

    NoiselabError names what is missing or broken.
    """
    folder = Path(folder)
    description = read_json(folder / "dataset.json")
    if "storage" in description:
        train, test = (Split(*encoded.read(folder, s, description)) for s in ("train", "test"))
        return description, train, test
    arrays = []
    for split in ("train", "test"):
        size, shape = description.get(f"{split}_size"), description.get("shape", (None,) * 3)
        arrays.append(reading.array(folder / f"{split}_x.npy", "u", (size, *shape)))
        arrays.append(reading.array(folder / f"{split}_y.npy", "i", (size,)))
    return description, Split(*arrays[:2]), Split(*arrays[2:])


def read_run(run: Run) -> tuple[dict, Split, Split]:
    """The same of a run's data set, encoded images as its evaluation sees them: whole squares
    where training shifts them, else as vision transformers do."""
    description, *splits = read(run.data)
    for split in splits:
        if isinstance(split.x, encoded.EncodedImages):
            split.x.square = "crop" in run.get("augment", ())
    return description, *splits


def class_balanced(labels: np.ndarray, size: int, classes: int) -> np.ndarray:
    """Indices, ascending, of the first `size` examples that keep the classes balanced."""
    rank = rank_in_class(labels, classes)
    return np.sort(np.lexsort((np.arange(len(labels)), rank))[:size])


def rank_in_class(labels: np.ndarray, classes: int) -> np.ndarray:
    """How manieth of its class each example is, from 0, int64 [n]."""
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels, minlength=classes)
    rank = np.empty(len(labels), dtype=np.int64)
    rank[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rank


def _check(spec: dict, name: str, split: Split) -> None:
    key = f"datasets.{spec['name']}"
    shape = (spec[f"{name}_size"], spec["channels"], spec["size"], spec["size"])
    if split.x.shape != shape:
        raise NoiselabError(f"{key}: {name} images are {split.x.shape}, configured {shape}")
    check_labels(spec, name, split.y)


def check_labels(spec: dict, name: str, labels: np.ndarray) -> None:
    """NoiselabError where labels, int64 [n], are none of the classes. name: of the split."""
    if labels.min() < 0 or labels.max() >= spec["classes"]:
        raise NoiselabError(
            f"config key datasets.{spec['name']}.classes: {name} labels run from {labels.min()} to "
            f"{labels.max()}, configured are {spec['classes']} classes"
        )
