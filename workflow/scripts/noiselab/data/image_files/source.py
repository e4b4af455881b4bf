"""What a source of images has, and which of them the specification asks for."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from noiselab.data import decoding
from noiselab.data.prepared import class_balanced, rank_in_class
from noiselab.errors import NoiselabError

# What the two splits are called in a source; the first of them that there is counts.
SPLITS = {"train": ("train",), "test": ("val", "validation", "test")}


class Item(NamedTuple):
    """An image to store: its name within the source, and its content or the file that has it."""

    name: str
    content: bytes | Path


class Found(NamedTuple):
    """What a source has, before anything is read of its images."""

    classes: list[str]  # names of those that are used
    labels: dict[str, np.ndarray]  # of a split, int64 [n]; -1: of a class that is not used
    names: dict[str, Sequence[str | int]]  # of a split, as noiselab.items has them
    contents: Callable[[str, np.ndarray], Iterator[Item]]  # (split, used: bool [n]) -> images
    where: dict[str, str]  # of a split, for messages
    watched: list[Path]  # files and folders that change where the source changes


class Chosen(NamedTuple):
    """The images of one split that are used, in their order, not read yet, and their labels."""

    items: Iterable[Item]
    labels: np.ndarray
    names: Sequence[str | int]  # where they are in the source, as noiselab.items has it


def chosen(spec: dict, source: Path, found: Found) -> dict[str, Chosen]:
    """The images of each split that the specification asks for. NoiselabError: they are not as
    many as it says, or a class has none."""
    splits = {}
    for split, labels in found.labels.items():
        check_classes(found.where[split], found.classes, labels)
        used = used_images(spec, source, split, labels)
        rows = np.flatnonzero(used)
        names = [found.names[split][i] for i in rows]
        splits[split] = Chosen(found.contents(split, used), labels[used], names)
    return splits


def class_list(spec: dict) -> list[str] | None:
    """The lines of the specification's class list, if it has one; NoiselabError where they are not
    as many different names as there are classes."""
    path = spec.get("class_list")
    if path is None:
        return None
    key = f"config key datasets.{spec['name']}.class_list: {path}"
    try:
        lines = decoding.read_file(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise NoiselabError(f"{key} is not UTF-8 ({error})") from error
    names = [line.strip() for line in lines if line.strip()]
    classes = spec.get("classes") or max(2, len(names))
    if len(names) != classes or len(set(names)) != len(names):
        raise NoiselabError(
            f"{key} has {len(set(names))} different names in {len(names)} lines, configured "
            f"classes {classes}"
        )
    return names


def wanted_classes(spec: dict, where: object, count: int, what: str = "classes") -> int:
    """How many classes are used of those that there are. NoiselabError: there are fewer than the
    specification says, or than two."""
    wanted = spec.get("classes")
    if wanted is None and count < 2:
        raise NoiselabError(f"{where}: all images are of one class; there must be two or more")
    if wanted is not None and count < wanted:
        raise NoiselabError(
            f"config key datasets.{spec['name']}.classes: configured {wanted}, but {where} has "
            f"{count} {what}"
        )
    return wanted or count


def used_images(spec: dict, source: Path, split: str, labels: np.ndarray) -> np.ndarray:
    """Which images are used, bool [n]: of those labelled 0 or higher the first of each class; of
    data sets whose number of images is a choice, as many as the specification says.
    NoiselabError: there are not as many."""
    used = labels >= 0
    limit = spec.get(f"{split}_per_class")
    if limit is not None:
        used[used] = rank_in_class(labels[used], labels.max() + 1) < limit
    wanted = spec.get(f"{split}_size")
    if split == "train" and wanted is not None and wanted <= labels.max():
        raise NoiselabError(
            f"config key datasets.{spec['name']}.train_size: {wanted} images are fewer than "
            f"{labels.max() + 1} classes"
        )
    if wanted is not None and wanted < used.sum() and spec["kind"] != "image_files":
        rows = np.flatnonzero(used)
        used[:] = False
        used[rows[class_balanced(labels[rows], wanted, labels.max() + 1)]] = True
    check_size(spec, source, split, int(used.sum()))
    return used


def check_classes(where: str, names: list[str], labels: np.ndarray) -> None:
    """NoiselabError where a class has no image among the `labels`, int64 [n]."""
    empty = np.flatnonzero(np.bincount(labels[labels >= 0], minlength=len(names)) == 0)
    if len(empty):
        more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        raise NoiselabError(f"{where}: no image of class {names[empty[0]]}{more}")


def check_size(spec: dict, source: Path, split: str, size: int) -> None:
    """NoiselabError where a split has not as many images as the specification says."""
    configured = spec.get(f"{split}_size")
    if configured is not None and configured != size:
        raise NoiselabError(
            f"config key datasets.{spec['name']}.{split}_size: configured {configured}, but "
            f"{source} has {size} {split} images of these classes"
        )
