"""Images in a folder per class."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from noiselab.data import complete
from noiselab.data.image_files.source import SPLITS, Found, Item, class_list, wanted_classes
from noiselab.errors import NoiselabError

_SUFFIXES = {".jpeg", ".jpg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
_SUFFIXES |= {".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".jfif"}
_NOT_READ = {".avif", ".heic", ".heif", ".jp2", ".j2k", ".jxl", ".tga", ".psd"}
_OF_SYSTEMS = {"__MACOSX", "@eaDir"}  # folders that systems put beside those of users


def found(spec: dict, source: Path) -> Found:
    """The images of each split, by name: of the classes that are listed, or of the first so many
    in their order. NoiselabError names what is missing, or is no image though it is called so."""
    folders = {split: _split_folder(source, split) for split in SPLITS}
    names = _class_names(spec, folders)
    paths, labels, tree = {}, {}, Tree(source)  # one: no test image may be a training image, too
    for split, folder in folders.items():
        # A name that the folder does not have is a class without an image.
        there = set(class_folders(folder))
        files = [tree.images(folder / name) if name in there else [] for name in names]
        paths[split] = [path for f in files for path in f]
        labels[split] = np.repeat(np.arange(len(names)), [len(f) for f in files])
    tree.check_links()

    def contents(split: str, used: np.ndarray) -> Iterator[Item]:
        return (Item(paths[split][i], source / paths[split][i]) for i in np.flatnonzero(used))

    where = {split: str(folder) for split, folder in folders.items()}
    watched = [source, *folders.values(), *tree.folders]
    return Found(names, labels, paths, contents, where, watched)


def plain_folder(source: Path, split: str, what: str = "of images") -> Path:
    """The folder of a split, which may be called in several ways."""
    there = [source / name for name in SPLITS[split] if (source / name).is_dir()]
    if not there:
        wanted = " nor ".join(f"{name}/" for name in SPLITS[split])
        raise NoiselabError(f"{source}: no {wanted} {what}")
    return there[0]


def _split_folder(source: Path, split: str) -> Path:
    folder = plain_folder(source, split, "with a folder per class")
    if both := sorted(f for name in SPLITS[split] for f in source.glob(f"{name}*.parquet")):
        raise NoiselabError(
            f"{both[0]}: beside folders of classes in {folder.name}/; which is meant?"
        )
    if not class_folders(folder):
        raise NoiselabError(
            f"{folder}: its images must be sorted into class folders first, like those of train/"
        )
    beside = [e.name for e in _entries(folder) if _is_image(e) and not _is_folder(e)]
    if beside:
        raise NoiselabError(
            f"{folder / min(beside)}: an image beside the class folders, of no class; move it into "
            "one or away"
        )
    return folder


def class_folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted as text ("10" before "2"); hidden ones do not
    count. None where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in _entries(folder) if _is_folder(entry))


def _class_names(spec: dict, folders: dict[str, Path]) -> list[str]:
    """The classes that are used. NoiselabError where there are not as many, or the test images have
    one that the training images do not have."""
    if listed := class_list(spec):
        return listed
    names = class_folders(folders["train"])
    wanted = wanted_classes(spec, folders["train"], len(names), "class folders")
    if other := sorted(set(class_folders(folders["test"])) - set(names)):
        raise NoiselabError(
            f"{folders['test'] / other[0]}: no such class folder in {folders['train']}"
        )
    return names[:wanted]


class Tree:
    """A walk through folders of images, links included, that counts nothing twice."""

    def __init__(self, source: Path):
        self.source = source
        self.folders: list[Path] = []  # visited
        self._links: list[Path] = []  # to images
        self._seen: dict[tuple[int, int], Path] = {}  # folders, and files that links lead to

    def images(self, folder: Path) -> list[str]:
        """Paths relative to the source of the images in a folder and below, sorted. NoiselabError
        where a link leads back, or to what was there already, or a name leads to no file."""
        found, waiting = [], [folder]
        while waiting:
            place = waiting.pop()
            self._once(place)
            self.folders.append(place)
            for entry in _entries(place):
                path = Path(entry.path)
                if _is_folder(entry):
                    waiting.append(path)
                elif _suffix(entry) in _NOT_READ:
                    raise NoiselabError(f"{path}: such images are not read; save it as PNG")
                elif _is_image(entry):
                    self._check_file(entry, path)
                    found.append(os.path.relpath(path, self.source))
        return sorted(found)

    def _check_file(self, entry: os.DirEntry, path: Path) -> None:
        if not _is_file(entry):
            linked = entry.is_symlink() and not _leads(path)
            what = "a link to nothing" if linked else "a pipe or a device"
            raise NoiselabError(f"{path}: called like an image, but {what}; remove it")
        if entry.is_symlink():
            self._once(path)
            self._links.append(path)

    def check_links(self) -> None:
        """NoiselabError where an image is there as itself, too, beside a link to it."""
        places = {os.path.realpath(folder) for folder in self.folders} if self._links else set()
        for link in self._links:
            there = os.path.realpath(link)
            if os.path.dirname(there) in places:
                self._twice(link, there)

    def _once(self, path: Path) -> None:
        status = os.stat(path)
        key = (status.st_dev, status.st_ino)
        if key in self._seen:
            self._twice(path, self._seen[key])
        self._seen[key] = path

    @staticmethod
    def _twice(path: Path, other: object) -> None:
        raise NoiselabError(
            f"{path}: the same as {other}, by a link; its images would be counted twice, so remove "
            "one of them"
        )


def _entries(folder: Path) -> list[os.DirEntry]:
    """What a folder has, but for hidden names. NoiselabError where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return [e for e in entries if e.name[0] != "." and e.name not in _OF_SYSTEMS]
    except OSError as error:
        raise NoiselabError(f"cannot read {folder}: {error.strerror}") from error


def _leads(link: Path) -> bool:
    """Whether a link leads anywhere."""
    try:
        return link.exists()
    except OSError:  # to itself
        return False


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_file(entry: os.DirEntry) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _is_image(entry: os.DirEntry) -> bool:
    return _suffix(entry) in _SUFFIXES


def _suffix(entry: os.DirEntry) -> str:
    return os.path.splitext(entry.name)[1].lower()


def check(spec: dict, source: Path) -> complete.Source:
    """What the folder has, from names; NoiselabError where a class has no image."""
    folders = {split: _split_folder(source, split) for split in SPLITS}
    names = _class_names(spec, folders)
    for folder in folders.values():
        there = set(class_folders(folder))
        empty = [n for n in names if n not in there or not _has_image(source, folder / n)]
        if empty:
            raise NoiselabError(f"no image in {complete.named([folder / name for name in empty])}")
    return complete.Source(f"{source}: folders of {len(names)} classes")


def _has_image(source: Path, folder: Path) -> bool:
    """Whether a class folder has an image; as a rule after one entry, for there may be millions."""
    with os.scandir(folder) as entries:
        if any(_is_image(e) and e.name[0] != "." and _is_file(e) for e in entries):
            return True
    return bool(Tree(source).images(folder))
