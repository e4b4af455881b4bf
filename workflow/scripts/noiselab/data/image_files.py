"""Preparation of data sets of image files: ImageNet, or any folder of images of a user.

The source is a folder `train` and a folder `val`, `validation` or `test`, each with a folder per
class; or parquet files `train*` and `val*` or `test*` as on the Hugging Face hub, there or below,
with columns `image` (bytes and path) and `label`. What is written: see noiselab.data.encoded.
"""

import hashlib
import io
import os
import re
import signal
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from noiselab import progress
from noiselab.data import complete, encoded, text_sources
from noiselab.data.encoded import FILES, PACKED
from noiselab.data.prepared import rank_in_class
from noiselab.errors import NoiselabError, first_line
from noiselab.files import read_json, whole_file, write_json
from noiselab.processes import follow_parent

# What the two splits are called in a source; the first of them that there is counts.
_SPLITS = {"train": ("train",), "test": ("val", "validation", "test")}
_SUFFIXES = {".jpeg", ".jpg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
_COLUMNS = ("image", "label")
_WORDNET_ID = re.compile(r"(?:^|/)(n\d{8})(?=[_/])")
_ROWS = 64  # rows of a parquet file in memory at once
_CHUNK = 16  # images that a process gets at once
_AHEAD = 4  # chunks under way per process
_QUALITY = 95  # of re-encoded JPEGs


class Item(NamedTuple):
    """An image to store: its name within the source, and its content or the file that has it."""

    name: str
    content: bytes | Path


class Chosen(NamedTuple):
    """The images of one split that are used, in their order, not read yet, and their labels."""

    items: Iterable[Item]
    labels: np.ndarray


# ------------------------------------------------------------------------------- preparation


def prepare(spec: dict, source: Path, threads: int, out: Path) -> None:
    """Write the images that `spec` asks for into the folder `out`; its files do not depend on
    `threads`, the number of processes.

    Each image is read once, so that none breaks a training. NoiselabError names what is missing
    in `source` or cannot be read, and the sizes, where they are not those of the specification.
    """
    if not source.is_dir():
        raise NoiselabError(f"data set {spec['name']}: no folder {source}")
    is_tree = bool(_class_folders(source / "train"))
    splits, names = (_tree if is_tree else _parquet)(spec, source)
    for split, chosen in splits.items():
        _check_size(spec, source, split, len(chosen.labels))
    in_place = is_tree and spec.get("resize") is None
    store = _path if in_place else partial(_content, spec.get("resize"))
    sha256 = {}
    with _processes(threads) as pool:
        for split, chosen in splits.items():
            stored = _in_order(pool, store, chosen.items, _AHEAD * threads)
            sha256 |= _write_split(out, split, stored, chosen.labels)
    content = _description(spec, source, names) | {"sha256": sha256}
    content |= {"storage": FILES, "folder": str(source.absolute())} if in_place else {}
    write_json(out / "dataset.json", content)


def _check_size(spec: dict, source: Path, split: str, size: int) -> None:
    configured = spec[f"{split}_size"]
    if configured != size:
        raise NoiselabError(
            f"config key datasets.{spec['name']}.{split}_size: configured {configured}, but "
            f"{source} has {size} {split} images of these classes"
        )


def _description(spec: dict, source: Path, names: list[str]) -> dict:
    return {
        "name": spec["name"],
        "kind": spec["kind"],
        "origin": f"{spec['name']} read from {source.name}",
        "classes": spec["classes"],
        "class_names": names,
        "shape": [3, spec["size"], spec["size"]],
        "mean": encoded.MEAN,
        "std": encoded.STD,
        "train_size": spec["train_size"],
        "test_size": spec["test_size"],
        "storage": PACKED,
        "resize": spec.get("resize"),
    }


def _write_split(out: Path, split: str, stored: Iterable[bytes], labels: np.ndarray) -> dict:
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
        encoded.check(content, name)
        return content
    image = encoded.decoded(content, name)
    if min(image.size) <= resize:
        return content  # larger, or encoded once more, it would not be better
    buffer = io.BytesIO()
    encoded.with_shorter_side(image, resize).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _path(item: Item) -> bytes:
    """What is stored of an image that stays where it is."""
    encoded.check(*_read(item))
    return os.fsencode(item.name)


def _read(item: Item) -> tuple[bytes, str]:
    """An image's content, and its name for messages."""
    if isinstance(item.content, bytes):
        return item.content, item.name
    return encoded.read_file(item.content), str(item.content)


# ------------------------------------------------------------------------------- processes


@contextmanager
def _processes(threads: int) -> Iterator[ProcessPoolExecutor]:
    # Started afresh: forking a process that has threads can hang.
    pool = ProcessPoolExecutor(threads, get_context("spawn"), _begin)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise NoiselabError("a process was killed, perhaps for want of memory") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """End this process with its parent, and leave Ctrl-C to it."""
    follow_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _in_order(pool, function: Callable[[Item], bytes], items: Iterable[Item], ahead: int):
    """function(item) of each item, in their order; at most `ahead` chunks are in memory."""
    items, waiting = iter(items), deque()
    while chunk := list(islice(items, _CHUNK)):
        waiting.append(pool.submit(_each, function, chunk))
        if len(waiting) == ahead:
            yield from waiting.popleft().result()
    for future in waiting:
        yield from future.result()


def _each(function: Callable[[Item], bytes], items: list[Item]) -> list[bytes]:
    return list(map(function, items))


# ------------------------------------------------------------------------------- choice


def _listed(spec: dict) -> list[str] | None:
    """The lines of the specification's class list, if it has one."""
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


def _limited(spec: dict, split: str, labels: np.ndarray) -> np.ndarray:
    """Which images are used, bool [n]: of those labelled 0 or higher the first of each class."""
    used = labels >= 0
    limit = spec.get(f"{split}_per_class")
    if limit is not None:
        used[used] = rank_in_class(labels[used], spec["classes"]) < limit
    return used


def _check_classes(where: str, names: list[str], labels: np.ndarray) -> None:
    empty = np.flatnonzero(np.bincount(labels[labels >= 0], minlength=len(names)) == 0)
    if len(empty):
        more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        raise NoiselabError(f"{where}: no image of class {names[empty[0]]}{more}")


# ------------------------------------------------------------------------------- folders


def _tree(spec: dict, source: Path) -> tuple[dict[str, Chosen], list[str]]:
    """The images of class folders, and the names of the classes."""
    folders = {split: _split_folder(source, split) for split in _SPLITS}
    names = _listed(spec) or _first_folders(spec, folders["train"])
    splits = {}
    for split, folder in folders.items():
        files = [_image_files(source, folder / name) for name in names]
        labels = np.repeat(np.arange(len(names)), [len(f) for f in files])
        _check_classes(str(folder), names, labels)
        used = _limited(spec, split, labels)
        paths = np.array([path for f in files for path in f], dtype=object)[used]
        splits[split] = Chosen((Item(p, source / p) for p in paths), labels[used])
    return splits, names


def _split_folder(source: Path, split: str) -> Path:
    found = [source / name for name in _SPLITS[split] if (source / name).is_dir()]
    if not found:
        wanted = " nor ".join(f"{name}/" for name in _SPLITS[split])
        raise NoiselabError(f"{source}: no {wanted} with a folder per class")
    if not _class_folders(found[0]):
        raise NoiselabError(
            f"{found[0]}: its images must be sorted into class folders first, like those of train/"
        )
    return found[0]


def _class_folders(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.glob("*/") if not f.name.startswith("."))


def _first_folders(spec: dict, folder: Path) -> list[str]:
    names = _class_folders(folder)
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


# ------------------------------------------------------------------------------- parquet


def _parquet(spec: dict, source: Path) -> tuple[dict[str, Chosen], list[str]]:
    """The images of parquet files, and the names of the classes: WordNet ids or label numbers."""
    files = {split: _parquet_files(source, split) for split in _SPLITS}
    labels = {split: np.concatenate(list(map(_labels, f))) for split, f in files.items()}
    wordnet_ids = _wordnet_ids(source, files["train"], labels["train"])
    numbers = _label_numbers(spec, source, labels["train"], wordnet_ids)
    names = [wordnet_ids.get(number, str(number)) for number in numbers]
    splits = {}
    for split in _SPLITS:
        ours = _renumbered(labels[split], numbers)
        _check_classes(f"{source}: {split} split", names, ours)
        used = _limited(spec, split, ours)
        splits[split] = Chosen(_rows(files[split], used), ours[used])
    return splits, names


def _parquet_files(source: Path, split: str) -> list[Path]:
    for name in _SPLITS[split]:
        if files := sorted(source.rglob(f"{name}*.parquet")):
            return files
    wanted = " nor ".join(f"{name}*.parquet" for name in _SPLITS[split])
    raise NoiselabError(f"{source}: no {wanted}, and no class folders in {source / 'train'}")


@contextmanager
def _opened(file: Path):
    """A parquet file; NoiselabError where it, or what is read of it in the block, is broken."""
    import pyarrow.parquet
    from pyarrow import ArrowException

    try:
        with pyarrow.parquet.ParquetFile(file) as opened:
            columns = opened.schema_arrow.names
            if not set(_COLUMNS) <= set(columns):
                found = ", ".join(columns)
                raise NoiselabError(f"{file}: no columns image and label (found {found})")
            yield opened
    except (ArrowException, OSError) as error:
        raise NoiselabError(f"{file}: cannot be read ({first_line(error)})") from error


def _labels(file: Path) -> np.ndarray:
    with _opened(file) as opened:
        labels = opened.read(["label"])["label"]
        if labels.null_count or not np.issubdtype(labels.type.to_pandas_dtype(), np.integer):
            raise NoiselabError(f"{file}: column label is not whole numbers throughout")
        return labels.to_numpy().astype(np.int64)


def _wordnet_ids(source: Path, files: list[Path], labels: np.ndarray) -> dict[int, str]:
    """WordNet id of each label, from classes.json or the paths of the images; empty if unknown."""
    for folder in (source, files[0].parent):
        if (folder / "classes.json").is_file():
            return _from_json(folder / "classes.json")
    numbers, first = np.unique(labels, return_index=True)  # one image of each class says it
    paths = _image_paths(files, first)
    found = [_WORDNET_ID.search(path or "") for path in paths]
    if not all(found):
        return {}
    return {int(n): match[1] for n, match in zip(numbers, found, strict=True)}


def _from_json(file: Path) -> dict[int, str]:
    try:
        return {entry["label"]: entry["wnid"] for entry in read_json(file)}
    except (TypeError, KeyError) as error:
        raise NoiselabError(f'{file}: not a list of {{"label": 0, "wnid": "n…"}}') from error


def _image_paths(files: list[Path], rows: np.ndarray) -> list[str | None]:
    """The paths of the images in these rows, counted over all files."""
    import pyarrow

    columns = []
    for file in files:
        with _opened(file) as opened:
            table = opened.read(["image.path"])
            if not table.num_columns:  # images without paths
                return [None] * len(rows)
            columns += [chunk.field("path") for chunk in table["image"].chunks]
    return pyarrow.chunked_array(columns).take(rows).to_pylist()


def _label_numbers(spec, source: Path, labels: np.ndarray, wordnet_ids: dict) -> list[int]:
    """The source's numbers of the classes that are used, in their order."""
    listed = _listed(spec)
    if listed is None:
        if labels.max() < spec["classes"] - 1:
            raise NoiselabError(
                f"config key datasets.{spec['name']}.classes: configured {spec['classes']}, but "
                f"the labels in {source} run to {labels.max()}"
            )
        return list(range(spec["classes"]))
    known = {name: number for number, name in wordnet_ids.items()}
    known |= {str(number): int(number) for number in np.unique(labels)}
    if unknown := [name for name in listed if name not in known]:
        raise NoiselabError(
            f"{spec['class_list']}: {unknown[0]} is neither a label number nor a WordNet id of "
            f"{source}" + ("" if wordnet_ids else " (which has no classes.json)")
        )
    return [known[name] for name in listed]


def _renumbered(labels: np.ndarray, numbers: list[int]) -> np.ndarray:
    """Places of labels in `numbers`, -1 for those that are not there, int64 [n]."""
    table = np.full(max(labels.max(), *numbers, 0) + 2, -1)  # the last is for labels below 0
    table[numbers] = np.arange(len(numbers))
    return table[np.maximum(labels, -1)]


def _rows(files: list[Path], used: np.ndarray) -> Iterator[Item]:
    """The images of these rows, counted over all files."""
    start = 0
    for file in files:
        with _opened(file) as opened:
            count = opened.metadata.num_rows
            yield from _rows_of(file, opened, used[start : start + count])
            start += count


def _rows_of(file: Path, opened, used: np.ndarray) -> Iterator[Item]:
    start = 0
    for group in range(opened.num_row_groups):
        stop = start + opened.metadata.row_group(group).num_rows
        if used[start:stop].any():  # a group at a time, or all of the file would be in memory
            for batch in opened.iter_batches(_ROWS, [group], ["image"]):
                images, row = batch.column("image"), start
                for i in np.flatnonzero(used[row : row + len(images)]):
                    yield _item(file, row + int(i), images[int(i)].as_py())
                start += len(images)
        start = stop


def _item(file: Path, row: int, image: dict | None) -> Item:
    content = image.get("bytes") if isinstance(image, dict) else None
    if not content:
        raise NoiselabError(f"{file}: row {row} of column image has no bytes")
    return Item(f"{file}: row {row} ({image.get('path')})", content)


# ------------------------------------------------------------------------------- check


def check(spec: dict, source: Path) -> complete.Source:
    """What `source` has of the data set, from names and footers; no image is read. NoiselabError
    where prepare() would not find in it what it needs."""
    if not source.is_dir():
        raise NoiselabError(f"no folder {source}")
    if _class_folders(source / "train"):
        return _check_tree(spec, source)
    _listed(spec)
    for split in _SPLITS:
        files = _parquet_files(source, split)
        if lacking := complete.missing_shards(files):
            raise NoiselabError(f"no {complete.named(lacking)}")
        rows = 0
        for file in files:
            with _opened(file) as opened:
                rows += opened.metadata.num_rows
        if rows < spec[f"{split}_size"]:
            _check_size(spec, source, split, rows)
    return complete.Source(f"{source}: parquet files")


def _check_tree(spec: dict, source: Path) -> complete.Source:
    folders = {split: _split_folder(source, split) for split in _SPLITS}
    names = _listed(spec) or _first_folders(spec, folders["train"])
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


# ------------------------------------------------------------------------------- download

_PATTERNS = ["*train*.parquet", "*val*.parquet"]


def download(spec: dict, folder: Path) -> None:
    """Fetch the data set's parquet files from the Hugging Face hub.

    NoiselabError, with what to do, where the hub refuses them.
    """
    try:
        text_sources.snapshot(spec["hub"], _PATTERNS, folder)
    except NoiselabError as error:
        if not refused(error.__cause__):
            raise
        raise NoiselabError(
            f"data set {spec['hub']}: the hub refuses it; {access(spec, folder)}"
        ) from error


def available(spec: dict, timeout: float) -> int:
    """Bytes that download() would fetch; asks the hub."""
    return text_sources.snapshot_bytes(spec["hub"], _PATTERNS, timeout)


def access(spec: dict, folder: Path) -> str:
    """What to do about a data set that the hub refuses."""
    return (
        f"accept its terms on https://huggingface.co/datasets/{spec['hub']} and log in with "
        f"`hf auth login` or set HF_TOKEN, or set data.root to a folder that has "
        f"{folder.name}/train/<WordNet id>/… and {folder.name}/val/…"
    )


def refused(error: BaseException | None) -> bool:
    """Whether access was denied: ImageNet is only for those who have accepted its terms."""
    from huggingface_hub.errors import GatedRepoError

    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, GatedRepoError) or status in (401, 403):
            return True
        error = error.__cause__ or error.__context__
    return False
