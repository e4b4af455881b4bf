"""Images in a folder per class."""

import os
from pathlib import Path

import numpy as np

from noiselab.data import complete
from noiselab.data.image_files.source import (
    SPLITS,
    Chosen,
    Item,
    check_classes,
    class_list,
    first_images,
)
from noiselab.errors import NoiselabError

_SUFFIXES = {".jpeg", ".jpg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


def chosen(spec: dict, source: Path) -> tuple[dict[str, Chosen], list[str]]:
    """The images of each split, and the names of the classes."""
    folders = {split: _split_folder(source, split) for split in SPLITS}
    names = class_list(spec) or _first_folders(spec, folders["train"])
    splits = {}
    for split, folder in folders.items():
        files = [_image_files(source, folder / name) for name in names]
        labels = np.repeat(np.arange(len(names)), [len(f) for f in files])
        check_classes(str(folder), names, labels)
        used = first_images(spec, split, labels)
        paths = np.array([path for f in files for path in f], dtype=object)[used]
        splits[split] = Chosen((Item(p, source / p) for p in paths), labels[used], paths)
    return splits, names


def _split_folder(source: Path, split: str) -> Path:
    found = [source / name for name in SPLITS[split] if (source / name).is_dir()]
    if not found:
        wanted = " nor ".join(f"{name}/" for name in SPLITS[split])
        raise NoiselabError(f"{source}: no {wanted} with a folder per class")
    if not class_folders(found[0]):
        raise NoiselabError(
            f"{found[0]}: its images must be sorted into class folders first, like those of train/"
        )
    return found[0]


def class_folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted; hidden ones do not count."""
    return sorted(f.name for f in folder.glob("*/") if not f.name.startswith("."))


def _first_folders(spec: dict, folder: Path) -> list[str]:
    names = class_folders(folder)
    if len(names) < spec["classes"]:
        raise NoiselabError(
            f"config key datasets.{spec['name']}.classes: configured {spec['classes']}, but "
            f"{folder} has {len(names)} class folders"
        )
    return names[: spec["classes"]]


def _image_files(source: Path, folder: Path) -> list[str]:
    """Paths relative to `source` of the images in a folder and below, sorted."""
    return sorted(
        os.path.relpath(os.path.join(place, name), source)
        for place, _, names in os.walk(folder, followlinks=True)
        for name in names
        if _is_image(name)
    )


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in _SUFFIXES and not name.startswith(".")


def check(spec: dict, source: Path) -> complete.Source:
    """What the folder has, from names; NoiselabError where a class has no image."""
    folders = {split: _split_folder(source, split) for split in SPLITS}
    names = class_list(spec) or _first_folders(spec, folders["train"])
    for folder in folders.values():
        if empty := [name for name in names if not _has_image(folder / name)]:
            raise NoiselabError(f"no image in {complete.named([folder / name for name in empty])}")
    return complete.Source(f"{source}: folders of {len(names)} classes")


def _has_image(folder: Path) -> bool:
    """Whether a class folder has an image; as a rule after one entry, for there may be millions."""
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        if any(_is_image(entry.name) for entry in entries):
            return True
    return bool(_image_files(folder, folder))
