"""Images in a folder per split, whose classes a file says."""

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from noiselab.data import complete
from noiselab.data.image_files.folders import Tree, plain_folder
from noiselab.data.image_files.source import (
    SPLITS,
    Found,
    Item,
    check_classes,
    class_list,
    wanted_classes,
)
from noiselab.errors import NoiselabError
from noiselab.noise import label_file


def found(spec: dict, source: Path) -> Found:
    """The images of each split, by name, with the labels of the specification's file.
    NoiselabError: an image has no label."""
    places = {split: plain_folder(source, split) for split in SPLITS}
    tree = Tree(source)  # one: no test image may be a training image, too
    paths = {split: tree.images(place) for split, place in places.items()}
    tree.check_links()
    for split, place in places.items():
        if not paths[split]:
            raise NoiselabError(f"no image in {place}")
    file = _file(spec, source)
    given = label_file.read(file, spec.get("label_column"), spec.get("image_column"))
    label_file.check_names(file, given.labels)
    names = _classes(spec, given.labels)
    every = [path for split in SPLITS for path in paths[split]]
    numbers = label_file.class_numbers(given, every, names)
    cut = len(paths["train"])
    labels = {"train": numbers[:cut], "test": numbers[cut:]}

    def contents(split: str, used: np.ndarray) -> Iterator[Item]:
        return (Item(paths[split][i], source / paths[split][i]) for i in np.flatnonzero(used))

    where = {split: str(place) for split, place in places.items()}
    for split in SPLITS:
        check_classes(where[split], names, labels[split])
    if unused := len(given.items) - len(every):
        _tell(f"data set {spec['name']}: {unused} of {len(given.items)} labels are of no image")
    return Found(names, labels, paths, contents, where, [source, file, *tree.folders])


@cache
def _tell(line: str) -> None:
    """A line on stderr, once."""
    print(f"noiselab: {line}", file=sys.stderr)


def _file(spec: dict, source: Path) -> Path:
    """The file of labels: in the source's folder, or a path. NoiselabError: there is none."""
    inside, path = source / spec["labels"], Path(spec["labels"])
    if there := [file for file in (inside, path) if file.exists()]:
        return there[0]
    raise NoiselabError(
        f"config key datasets.{spec['name']}.labels: no file {inside}"
        + ("" if path.is_absolute() else f" nor {path}")
    )


def _classes(spec: dict, labels: list[str]) -> list[str]:
    """Names of the classes: those of the class list, or all that there are, numbers in their order.
    NoiselabError: they are not as many as the specification says."""
    if listed := class_list(spec):
        return listed
    names = label_file.in_order(labels)
    wanted = wanted_classes(spec, spec["labels"], len(names))
    if wanted < len(names):
        raise NoiselabError(
            f"config key datasets.{spec['name']}.classes: configured {wanted}, but "
            f"{spec['labels']} has {len(names)}"
        )
    return names


def check(spec: dict, source: Path) -> complete.Source:
    """What the folders and the file of labels have; NoiselabError where that is not enough."""
    there = found(spec, source)
    return complete.Source(f"{source}: {len(there.classes)} classes by {spec['labels']}")
