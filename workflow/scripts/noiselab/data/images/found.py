"""What a source of images is, found out from names, labels and the heads of files."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np

from noiselab.data import cifar, complete, decoding
from noiselab.data.image_files import flat, folders, parquet
from noiselab.data.image_files.source import Found, check_classes, used_images
from noiselab.errors import NoiselabError

KEYS = ("classes", "channels", "size", "train_size", "test_size")  # that are found out
LOOKED_AT = 1000  # images of a split
_ARCHIVES = {
    "cifar10": {"classes": 10, "channels": 3, "size": 32, "train_size": 50_000},
    "cifar100": {"classes": 100, "channels": 3, "size": 32, "train_size": 50_000},
}


def archive(source: Path) -> str | None:
    """The data set whose archive, as torchvision unpacks it, is in a folder."""
    try:
        return next((n for n, f in cifar.ARCHIVES.items() if (source / f).is_dir()), None)
    except OSError as error:
        raise NoiselabError(f"cannot read {source}: {error.strerror}") from error


def reader(spec: dict, source: Path) -> ModuleType:
    """The module that reads a source: a file of labels, folders of classes, or parquet files."""
    if not source.is_dir():
        raise NoiselabError(f"data set {spec['name']}: no folder {source}")
    if spec.get("labels"):
        return flat
    return folders if folders.class_folders(source / "train") else parquet


def completed(spec: dict, source: Path) -> dict:
    """The specification with what it leaves open, which is found out."""
    if all(spec.get(key) is not None for key in KEYS):
        return spec
    return spec | found(spec, source)[0]


def found(spec: dict, source: Path) -> tuple[dict, list[str]]:
    """Classes, channels, size and numbers of images: what the specification says of them, else
    what the source has; with `pixels` and `grey`, which all images must be if these were found out,
    and whether grey and coloured ones are `mixed`. And the files and folders whose times say
    whether this still holds. NoiselabError: it has no images, or of several sizes, and the
    specification says none."""
    given = {key: spec[key] for key in KEYS if spec.get(key) is not None}
    if name := archive(source):
        facts = _ARCHIVES[name] | {"test_size": 10_000, "pixels": None, "grey": False}
        return facts | given, [str(source)]
    there = reader(spec, source).found(spec, source)
    used = {}
    for split, labels in there.labels.items():
        check_classes(there.where[split], there.classes, labels)
        used[split] = used_images(spec, source, split, labels)
    facts = {f"{split}_size": int(which.sum()) for split, which in used.items()}
    facts |= {"classes": len(there.classes)} | _pictures(spec, there, used)
    return facts | given, sorted(map(str, there.watched))


def _pictures(spec: dict, there: Found, used: dict[str, np.ndarray]) -> dict:
    """What the pictures are by their heads."""
    if spec.get("size") and spec.get("channels"):
        return {"pixels": None, "grey": False}
    heads = list(_heads(there, used))
    grey = all(head.grey for head in heads)
    facts = {"channels": 1 if grey else 3, "grey": grey and not spec.get("channels")}
    facts["mixed"] = not grey and any(head.grey for head in heads)
    if spec.get("size"):
        return facts | {"pixels": None}
    sizes = Counter((head.width, head.height) for head in heads)
    if len(sizes) > 1:
        (w, h), (width, height) = (f(sizes, key=lambda s: (s[0] * s[1], s)) for f in (min, max))
        raise NoiselabError(
            f"config key datasets.{spec['name']}.size: must be set, for images are of {len(sizes)} "
            f"sizes, from {w} x {h} to {width} x {height} pixels"
        )
    ((width, height),) = sizes
    if min(width, height) < 4:
        raise NoiselabError(
            f"data set {spec['name']}: images of {width} x {height} pixels are too small; "
            f"datasets.{spec['name']}.size can bring them to another size"
        )
    return facts | {"size": min(width, height), "pixels": [width, height]}


def _heads(there: Found, used: dict[str, np.ndarray]) -> Iterator[decoding.Header]:
    """Heads of some images of both splits: the first and the last of many, and some between where
    that costs little."""
    for split, which in used.items():
        rows = np.flatnonzero(which)
        if isinstance(there.names[split], range):  # rows of parquet files, which lie in blocks
            rows = np.union1d(rows[: LOOKED_AT // 4], rows[-LOOKED_AT // 4 :])
        else:
            rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), LOOKED_AT)).astype(int)]
        some = np.zeros(len(which), dtype=bool)
        some[rows] = True
        for item in there.contents(split, some):
            name = item.name if isinstance(item.content, bytes) else str(item.content)
            yield decoding.header(item.content, name)


def check(spec: dict, source: Path) -> complete.Source:
    """What a source has, from names and footers; NoiselabError where that is not enough."""
    if name := archive(source):
        return cifar.check(spec | {"archive": name}, source)
    return reader(spec, source).check(spec, source)
