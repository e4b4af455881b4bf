"""CIFAR-10 and -100, from a local folder or as torchvision downloads them."""

from pathlib import Path

import numpy as np

from noiselab.data import complete, decoding
from noiselab.data.image_files import parquet
from noiselab.data.image_files.source import Item
from noiselab.data.prepared import Split, check_labels, class_balanced
from noiselab.errors import NoiselabError

ARCHIVES = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
_SPLITS = ("train", "test")
_IN_ARCHIVE = {
    "cifar10": [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"],
    "cifar100": ["train", "test", "meta"],
}


def cifar(spec: dict, folder: Path) -> tuple[Split, Split, str]:
    """Read the data set from `folder`, either of two layouts:

    `train*.parquet` and `test*.parquet`, there or below (columns image or img, and label or
    fine_label: the hub's files), or torchvision's folder `cifar-10-batches-py`.
    """
    if _is_archive(spec, folder):
        splits = {
            "train": _torchvision(spec, folder, True),
            "test": _torchvision(spec, folder, False),
        }
    else:
        parquet.check_files([f for split in _SPLITS for f in parquet.named(folder, split)])
        splits = {split: _parquet(spec, folder, split) for split in _SPLITS}
    chosen = [_subset(spec, name, split) for name, split in splits.items()]
    return *chosen, f"{spec['name']} read from {folder.name}"


def check(spec: dict, folder: Path) -> complete.Source:
    """What `folder` has of the data set, from names and footers; NoiselabError where cifar() would
    not find in it what it needs."""
    if _is_archive(spec, folder):
        archive = folder / ARCHIVES[_name(spec)]
        files = [archive / name for name in _IN_ARCHIVE[_name(spec)]]
        if lacking := [file for file in files if not file.is_file()]:
            raise NoiselabError(f"no {complete.named(lacking)}")
        return complete.Source(str(archive))
    for split in ("train", "test"):
        files = _parquet_files(spec, folder, split)
        if lacking := complete.missing_shards(files):
            raise NoiselabError(f"no {complete.named(lacking)}")
        rows = 0
        for file in files:
            rows += parquet.count(spec, file)
        _check_size(spec, split, rows)
    return complete.Source(str(folder))


def url(name: str) -> str:
    """Where download() fetches a data set."""
    from torchvision import datasets

    return getattr(datasets, name.upper()).url


def download(name: str, folder: Path) -> None:
    """Fetch a data set with torchvision."""
    from torchvision import datasets

    try:
        getattr(datasets, name.upper())(folder, download=True)
    except (OSError, RuntimeError) as error:
        raise NoiselabError(
            f"data set {name}: download failed ({error}); "
            "where there is no network, set data.root to a folder that holds it"
        ) from error


def _name(spec: dict) -> str:
    """What torchvision calls the data set."""
    return spec.get("archive") or spec["name"]


def _is_archive(spec: dict, folder: Path) -> bool:
    if not folder.is_dir():
        raise NoiselabError(f"data set {spec['name']}: no folder {folder}")
    try:
        return (folder / ARCHIVES.get(_name(spec), "-")).is_dir()
    except OSError as error:
        raise NoiselabError(f"cannot read {folder}: {error.strerror}") from error


def _torchvision(spec: dict, folder: Path, train: bool) -> Split:
    from torchvision import datasets

    try:
        data = getattr(datasets, _name(spec).upper())(folder, train=train)
    except Exception as error:  # torchvision: RuntimeError, pickle errors, missing keys
        raise NoiselabError(f"data set {spec['name']}: {folder}: {error}") from error
    return Split(data.data.transpose(0, 3, 1, 2), np.array(data.targets, dtype=np.int64))


def _parquet_files(spec: dict, folder: Path, split: str) -> list[Path]:
    files = parquet.named(folder, split)
    if not files:
        raise NoiselabError(f"data set {spec['name']}: no {split}*.parquet in {folder}")
    return files


def _parquet(spec: dict, folder: Path, split: str) -> Split:
    labels, items = parquet.read(spec, _parquet_files(spec, folder, split))
    if labels.dtype == object:
        raise NoiselabError(f"{folder}: labels of {split} are texts, not whole numbers")
    return Split(np.stack([_pixels(spec, item) for item in items]), labels)


def _pixels(spec: dict, item: Item) -> np.ndarray:
    """An image uint8 [channels, size, size]; NoiselabError where it is another size."""
    image = decoding.decoded(item.content, item.name, decoding.MODES[spec["channels"]])
    if image.size != (spec["size"], spec["size"]):
        raise NoiselabError(
            f"{item.name}: an image of {image.width} x {image.height} pixels; "
            f"config key datasets.{spec['name']}.size: configured {spec['size']}"
        )
    return decoding.channels_first(image)


def _check_size(spec: dict, name: str, images: int) -> None:
    size = spec[f"{name}_size"]
    if size > images:
        raise NoiselabError(
            f"data set {spec['name']}: {name} split has {images} images, configured {size}"
        )


def _subset(spec: dict, name: str, split: Split) -> Split:
    _check_size(spec, name, len(split.y))
    check_labels(spec, name, split.y)
    there = set(split.y.tolist())
    lacking = next((label for label in range(spec["classes"]) if label not in there), None)
    if lacking is not None:
        raise NoiselabError(f"data set {spec['name']}: {name} split: no image of class {lacking}")
    index = class_balanced(split.y, spec[f"{name}_size"], spec["classes"])
    return Split(split.x[index], split.y[index], index)
