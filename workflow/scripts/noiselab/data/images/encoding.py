"""Images of a source that stay encoded, and are decoded on the way into training."""

import io
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from noiselab import items
from noiselab.data import copies
from noiselab.data.encoded import FILES, square_view, with_shorter_side
from noiselab.data.image_files import parquet
from noiselab.data.image_files.preparation import QUALITY, description, write_split
from noiselab.data.image_files.processes import AHEAD, in_order
from noiselab.data.image_files.source import Item, chosen
from noiselab.data.images import pictures
from noiselab.data.images.found import archive, completed, reader
from noiselab.data.process_pool import process_pool
from noiselab.errors import NoiselabError
from noiselab.files import write_json

Kept = tuple[bytes, np.ndarray, bytes]  # what is stored of an image, counts, fingerprint


def encode(spec: dict, source: Path, threads: int, out: Path) -> None:
    """Write the images that `spec` asks for into the folder `out`; its files do not depend on
    `threads`, the number of processes. Mean and standard deviation are those of the arrays that
    these images would make. NoiselabError names an image that cannot be read or does not fit."""
    spec = completed(spec, source)
    if archive(source):
        raise NoiselabError(
            f"config key datasets.{spec['name']}.store: torchvision's archive has no image files; "
            "say arrays"
        )
    kind = reader(spec, source)
    there = kind.found(spec, source)
    in_place = kind is not parquet and spec.get("resize") is None
    sha256, marks, total = {}, {}, {}
    with process_pool(threads) as pool:
        for split, images in chosen(spec, source, there).items():
            made = in_order(pool, partial(_kept, spec, in_place), images.items, AHEAD * threads)
            total[split] = np.zeros((spec["channels"], 256), dtype=np.int64)
            marks[split] = []
            stored = _stored(made, total[split], marks[split])
            sha256 |= write_split(out, split, stored, images.labels)
            sha256 |= {"train_items": items.write(out, images.names)} if split == "train" else {}
    content = description(spec, source, there.classes) | pictures.moments(total["train"])
    content |= {"copies": copies.count(spec["name"], "images", marks["train"], marks["test"])}
    content |= {"storage": FILES, "folder": str(source.absolute())} if in_place else {}
    write_json(out / "dataset.json", content | {"sha256": sha256})


def _stored(made: Iterable[Kept], total: np.ndarray, marks: list[bytes]) -> Iterator[bytes]:
    """What is stored of each image; counts and fingerprints are added up on the way."""
    for content, counts, mark in made:
        total += counts
        marks.append(mark)
        yield content


def _kept(spec: dict, in_place: bool, item: Item) -> Kept:
    data, name = pictures.content(item)
    image, resize = pictures.picture(spec, data, name), spec.get("resize")
    content = os.fsencode(item.name) if in_place else data
    if resize and min(image.size) > resize:
        image, content = _smaller(image, resize)
    view = square_view(image, spec["size"])
    return content, pictures.counts(view), pictures.fingerprint(data)


def _smaller(image: Image.Image, resize: int) -> tuple[Image.Image, bytes]:
    """The image with a shorter side of so many pixels, as it is decoded from the JPEG that is
    stored of it."""
    buffer = io.BytesIO()
    with_shorter_side(image, resize).save(buffer, "JPEG", quality=QUALITY)
    return Image.open(buffer), buffer.getvalue()
