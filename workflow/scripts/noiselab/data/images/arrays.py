"""Images of a source as arrays: each one's middle square, brought to the data set's size."""

from pathlib import Path

import numpy as np

from noiselab.data import cifar, copies
from noiselab.data.encoded import square_view
from noiselab.data.image_files.source import Chosen, chosen
from noiselab.data.images import pictures
from noiselab.data.images.found import archive, completed, reader
from noiselab.data.prepared import Split
from noiselab.errors import NoiselabError


def arrays(spec: dict, source: Path) -> tuple[dict, Split, Split, dict]:
    """The specification with all that was found out, the two splits, and what dataset.json says
    beside it. NoiselabError names an image that cannot be read, or is not as it should be."""
    spec = completed(spec, source)
    if name := archive(source):
        cifar.check(spec | {"archive": name}, source)
        train, test, _ = cifar.cifar(spec | {"archive": name}, source)
        return spec, train, test, {"origin": f"{spec['name']} read from {source.name}"}
    there = reader(spec, source).found(spec, source)
    splits, marks = {}, {}
    for split, images in chosen(spec, source, there).items():
        splits[split], marks[split] = _array(spec, images)
    total = sum(pictures.counts(image) for image in splits["train"].x)
    more = {"origin": f"{spec['name']} read from {source.name}", "class_names": there.classes}
    more |= {"copies": copies.count(spec["name"], "images", marks["train"], marks["test"])}
    return spec, splits["train"], splits["test"], more | pictures.moments(total)


def _array(spec: dict, images: Chosen) -> tuple[Split, list[bytes]]:
    """A split, and fingerprints of its images."""
    shape = (len(images.labels), spec["channels"], spec["size"], spec["size"])
    x, marks = _room(spec, shape), []
    for i, item in enumerate(images.items):
        data, name = pictures.content(item)
        x[i] = square_view(pictures.picture(spec, data, name), spec["size"])
        marks.append(pictures.fingerprint(data))
    return Split(x, images.labels, images.names), marks


def _room(spec: dict, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.empty(shape, dtype=np.uint8)
    except MemoryError as error:
        raise NoiselabError(
            f"config key datasets.{spec['name']}.store: arrays would take "
            f"{np.prod(shape, dtype=float) / 1e9:.0f} GB, more than there are; say files"
        ) from error
