"""CIFAR-10 and -100, from a local folder or as torchvision downloads them."""

import io
from pathlib import Path

import numpy as np

from noiselab.data.prepared import Split, class_balanced
from noiselab.errors import NoiselabError

_LABEL_COLUMNS = ("label", "fine_label")
_IMAGE_COLUMNS = ("image", "img")
_ARCHIVES = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}


def cifar(spec: dict, folder: Path) -> tuple[Split, Split, str]:
    """Read the data set from `folder`, either of two layouts:

    `train*.parquet` and `test*.parquet`, there or below (columns image or img, and label or
    fine_label: the hub's files), or torchvision's folder `cifar-10-batches-py`.
    """
    if not folder.is_dir():
        raise NoiselabError(f"data set {spec['name']}: no folder {folder}")
    if (folder / _ARCHIVES.get(spec["name"], "-")).is_dir():
        splits = {
            "train": _torchvision(spec, folder, True),
            "test": _torchvision(spec, folder, False),
        }
    else:
        splits = {split: _parquet(spec, folder, split) for split in ("train", "test")}
    chosen = [_subset(spec, name, split) for name, split in splits.items()]
    return *chosen, f"{spec['name']} read from {folder.name}"


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


def _torchvision(spec: dict, folder: Path, train: bool) -> Split:
    from torchvision import datasets

    try:
        data = getattr(datasets, spec["name"].upper())(folder, train=train)
    except Exception as error:  # torchvision: RuntimeError, pickle errors, missing keys
        raise NoiselabError(f"data set {spec['name']}: {folder}: {error}") from error
    return Split(data.data.transpose(0, 3, 1, 2), np.array(data.targets, dtype=np.int64))


def _parquet(spec: dict, folder: Path, split: str) -> Split:
    files = sorted(folder.rglob(f"{split}*.parquet"))
    if not files:
        raise NoiselabError(f"data set {spec['name']}: no {split}*.parquet in {folder}")
    parts = [_parquet_file(file) for file in files]
    return Split(np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts]))


def _parquet_file(file: Path) -> Split:
    import pyarrow.parquet
    from PIL import Image
    from pyarrow import ArrowException

    try:
        table = pyarrow.parquet.read_table(file)
        image = next(c for c in _IMAGE_COLUMNS if c in table.column_names)
        label = next(c for c in _LABEL_COLUMNS if c in table.column_names)
        encoded = table[image].combine_chunks().field("bytes")
        images = [np.asarray(Image.open(io.BytesIO(e.as_py())).convert("RGB")) for e in encoded]
    except (ArrowException, OSError) as error:
        raise NoiselabError(f"{file}: cannot be read ({str(error).splitlines()[0]})") from error
    except StopIteration:
        columns = ", ".join(table.column_names)
        raise NoiselabError(f"{file}: no image and label columns (found {columns})") from None
    return Split(np.stack(images).transpose(0, 3, 1, 2), table[label].to_numpy().astype(np.int64))


def _subset(spec: dict, name: str, split: Split) -> Split:
    size = spec[f"{name}_size"]
    if size > len(split.y):
        raise NoiselabError(
            f"data set {spec['name']}: {name} split has {len(split.y)} images, configured {size}"
        )
    index = class_balanced(split.y, size, spec["classes"])
    return Split(split.x[index], split.y[index])
