"""Images in parquet files, as on the Hugging Face hub."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from noiselab.data import complete
from noiselab.data.image_files.source import (
    SPLITS,
    Chosen,
    Item,
    check_classes,
    check_size,
    class_list,
    first_images,
)
from noiselab.errors import NoiselabError, first_line
from noiselab.files import read_json

_COLUMNS = ("image", "label")
_WORDNET_ID = re.compile(r"(?:^|/)(n\d{8})(?=[_/])")
_ROWS = 64  # rows of a parquet file in memory at once


def chosen(spec: dict, source: Path) -> tuple[dict[str, Chosen], list[str]]:
    """The images of each split, and the names of the classes: WordNet ids or label numbers."""
    files = {split: _parquet_files(source, split) for split in SPLITS}
    labels = {split: np.concatenate(list(map(_labels, f))) for split, f in files.items()}
    wordnet_ids = _wordnet_ids(source, files["train"], labels["train"])
    numbers = _label_numbers(spec, source, labels["train"], wordnet_ids)
    names = [wordnet_ids.get(number, str(number)) for number in numbers]
    splits = {}
    for split in SPLITS:
        ours = _renumbered(labels[split], numbers)
        check_classes(f"{source}: {split} split", names, ours)
        used = first_images(spec, split, ours)
        rows = np.flatnonzero(used)
        splits[split] = Chosen(_rows(files[split], used), ours[used], rows)
    return splits, names


def _parquet_files(source: Path, split: str) -> list[Path]:
    for name in SPLITS[split]:
        if files := sorted(source.rglob(f"{name}*.parquet")):
            return files
    wanted = " nor ".join(f"{name}*.parquet" for name in SPLITS[split])
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
    listed = class_list(spec)
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


def check(spec: dict, source: Path) -> complete.Source:
    """What the folder has, from names and footers; NoiselabError where that is not enough."""
    class_list(spec)
    for split in SPLITS:
        files = _parquet_files(source, split)
        if lacking := complete.missing_shards(files):
            raise NoiselabError(f"no {complete.named(lacking)}")
        rows = 0
        for file in files:
            with _opened(file) as opened:
                rows += opened.metadata.num_rows
        if rows < spec[f"{split}_size"]:
            check_size(spec, source, split, rows)
    return complete.Source(f"{source}: parquet files")
