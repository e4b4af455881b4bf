"""Images are chosen, read once, and written as noiselab.data.encoded has them."""

import hashlib
import io
import os
from array import array
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
from tqdm import tqdm

from noiselab import items, progress
from noiselab.data import complete, decoding, encoded
from noiselab.data.encoded import FILES, PACKED
from noiselab.data.image_files import folders, parquet
from noiselab.data.image_files.processes import AHEAD, in_order
from noiselab.data.image_files.source import Item, chosen
from noiselab.data.process_pool import process_pool
from noiselab.errors import NoiselabError
from noiselab.files import whole_file, write_json

QUALITY = 95  # of re-encoded JPEGs


def prepare(spec: dict, source: Path, threads: int, out: Path) -> None:
    """Write the images that `spec` asks for into the folder `out`; its files do not depend on
    `threads`, the number of processes.

    Each image is read once, so that none breaks a training. NoiselabError names what is missing
    in `source` or cannot be read, and the sizes, where they are not those of the specification.
    """
    if not source.is_dir():
        raise NoiselabError(f"data set {spec['name']}: no folder {source}")
    reader = _reader(source)
    found = reader.found(spec, source)
    splits = chosen(spec, source, found)
    in_place = reader is folders and spec.get("resize") is None
    store = _path if in_place else partial(_content, spec.get("resize"))
    sha256 = {}
    with process_pool(threads) as pool:
        for split, images in splits.items():
            stored = in_order(pool, store, images.items, AHEAD * threads)
            sha256 |= write_split(out, split, stored, images.labels)
    sha256["train_items"] = items.write(out, splits["train"].names)
    content = description(spec, source, found.classes) | {"sha256": sha256}
    content |= {"mean": encoded.MEAN, "std": encoded.STD}
    content |= {"storage": FILES, "folder": str(source.absolute())} if in_place else {}
    write_json(out / "dataset.json", content)


def check(spec: dict, source: Path) -> complete.Source:
    """What `source` has of the data set, from names and footers; no image is read. NoiselabError
    where prepare() would not find in it what it needs."""
    if not source.is_dir():
        raise NoiselabError(f"no folder {source}")
    return _reader(source).check(spec, source)


def _reader(source: Path) -> ModuleType:
    """The module that knows what the source consists of."""
    try:
        return folders if folders.class_folders(source / "train") else parquet
    except OSError as error:
        raise NoiselabError(f"cannot read {source}: {error.strerror}") from error


def description(spec: dict, source: Path, names: list[str]) -> dict:
    """What dataset.json says of encoded images but for their statistics. names: of the classes."""
    return {
        "name": spec["name"],
        "kind": spec["kind"],
        "origin": f"{spec['name']} read from {source.name}",
        "classes": spec["classes"],
        "class_names": names,
        "shape": [spec["channels"], spec["size"], spec["size"]],
        "train_size": spec["train_size"],
        "test_size": spec["test_size"],
        "storage": PACKED,
        "resize": spec.get("resize"),
    }


def write_split(out: Path, split: str, stored: Iterable[bytes], labels: np.ndarray) -> dict:
    """Write the three files of a split; the SHA-256 of their values."""
    lengths, digest = array("q"), hashlib.sha256()
    interval = progress.interval()
    bar = tqdm(stored, split, len(labels), unit="image", mininterval=interval)
    with whole_file(out / f"{split}.bin") as path, open(path, "wb") as file, bar:
        for content in bar:
            file.write(content)
            digest.update(content)
            lengths.append(len(content))
    offsets = np.concatenate([[0], np.cumsum(np.array(lengths, dtype=np.int64))])
    arrays = {f"{split}_offsets": offsets, f"{split}_y": labels.astype(np.int64)}
    for name, values in arrays.items():
        with whole_file(out / f"{name}.npy") as path, open(path, "wb") as file:
            np.save(file, values)
    digests = {name: hashlib.sha256(values).hexdigest() for name, values in arrays.items()}
    return {split: digest.hexdigest()} | digests


def _content(resize: int | None, item: Item) -> bytes:
    """What is stored of an image: its file's content, or that of a smaller JPEG."""
    content, name = _read(item)
    if resize is None:
        decoding.check(content, name)
        return content
    image = decoding.decoded(content, name)
    if min(image.size) <= resize:
        return content  # larger, or encoded once more, it would not be better
    buffer = io.BytesIO()
    encoded.with_shorter_side(image, resize).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _path(item: Item) -> bytes:
    """What is stored of an image that stays where it is."""
    decoding.check(*_read(item))
    return os.fsencode(item.name)


def _read(item: Item) -> tuple[bytes, str]:
    """An image's content, and its name for messages."""
    if isinstance(item.content, bytes):
        return item.content, item.name
    return decoding.read_file(item.content), str(item.content)
