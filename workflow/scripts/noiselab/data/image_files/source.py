"""What a source of images has, and which of them the specification asks for."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from noiselab.data import encoded
from noiselab.data.prepared import rank_in_class
from noiselab.errors import NoiselabError

# What the two splits are called in a source; the first of them that there is counts.
SPLITS = {"train": ("train",), "test": ("val", "validation", "test")}


class Item(NamedTuple):
    """An image to store: its name within the source, and its content or the file that has it."""

    name: str
    content: bytes | Path


class Chosen(NamedTuple):
    """The images of one split that are used, in their order, not read yet, and their labels."""

    items: Iterable[Item]
    labels: np.ndarray
    names: Sequence[str | int]  # where they are in the source, as noiselab.items has it


def class_list(spec: dict) -> list[str] | None:
    """The lines of the specification's class list, if it has one; NoiselabError where they are not
    as many different names as there are classes."""
    path = spec.get("class_list")
    if path is None:
        return None
    lines = encoded.read_file(path).decode(errors="replace").splitlines()
    names = [line.strip() for line in lines if line.strip()]
    if len(names) != spec["classes"] or len(set(names)) != len(names):
        raise NoiselabError(
            f"config key datasets.{spec['name']}.class_list: {path} has {len(set(names))} "
            f"different names in {len(names)} lines, configured classes {spec['classes']}"
        )
    return names


def first_images(spec: dict, split: str, labels: np.ndarray) -> np.ndarray:
    """Which images are used, bool [n]: of those labelled 0 or higher the first of each class."""
    used = labels >= 0
    limit = spec.get(f"{split}_per_class")
    if limit is not None:
        used[used] = rank_in_class(labels[used], spec["classes"]) < limit
    return used


def check_classes(where: str, names: list[str], labels: np.ndarray) -> None:
    """NoiselabError where a class has no image among the `labels`, int64 [n]."""
    empty = np.flatnonzero(np.bincount(labels[labels >= 0], minlength=len(names)) == 0)
    if len(empty):
        more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        raise NoiselabError(f"{where}: no image of class {names[empty[0]]}{more}")


def check_size(spec: dict, source: Path, split: str, size: int) -> None:
    """NoiselabError where a split has not as many images as the specification says."""
    configured = spec[f"{split}_size"]
    if configured != size:
        raise NoiselabError(
            f"config key datasets.{spec['name']}.{split}_size: configured {configured}, but "
            f"{source} has {size} {split} images of these classes"
        )
