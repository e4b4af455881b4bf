"""Images in parquet files, as on the Hugging Face hub."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from noiselab.data import complete
from noiselab.data.image_files import labels
from noiselab.data.image_files.source import (
    SPLITS,
    Found,
    Item,
    check_size,
    class_list,
    wanted_classes,
)
from noiselab.data.sources import hidden
from noiselab.errors import NoiselabError, first_line
from noiselab.files import read_json
from noiselab.noise import label_file

_IMAGES = ("image", "img")  # names of columns, where the specification has none
_LABELS = ("label", "labels", "fine_label", "class", "target")
_WORDNET_ID = re.compile(r"(?:^|/)(n\d{8})(?=[_/])")
_FIXED = ("cifar", "image_files")  # kinds whose columns are not chosen
_ROWS = 64  # rows of a parquet file in memory at once


class Columns(NamedTuple):
    """Names of the columns of images and labels."""

    image: str
    label: str


def found(spec: dict, source: Path) -> Found:
    """The images of each split. Classes are called by their names, WordNet ids or numbers.
    NoiselabError names what is missing, or what is no label."""
    files = {split: split_files(source, split) for split in SPLITS}
    check_files([file for part in files.values() for file in part])
    columns = {file: _columns(spec, file) for part in files.values() for file in part}
    given = {split: _labels(part, columns) for split, part in files.items()}
    if given["train"].dtype != given["test"].dtype:
        raise NoiselabError(
            f"{source}: labels are numbers in one split, names in the other; write them alike"
        )
    _check_test(spec, source, given)
    names, numbers = _classes(spec, source, files["train"], columns, given["train"])
    ours = {split: _renumbered(given[split], numbers) for split in SPLITS}
    rows = {split: range(len(given[split])) for split in SPLITS}
    contents = partial(_contents, files, columns)
    where = {split: f"{source}: {split} split" for split in SPLITS}
    return Found(names, ours, rows, contents, where, [source, *columns])


def read(spec: dict, files: list[Path]) -> tuple[np.ndarray, Iterator[Item]]:
    """All labels of some files as they are, and the images, one after the other."""
    columns = {file: _columns(spec, file) for file in files}
    given = _labels(files, columns)
    return given, _contents({"": files}, columns, "", np.ones(len(given), dtype=bool))


def split_files(source: Path, split: str) -> list[Path]:
    """The parquet files of a split, sorted; hidden ones do not count."""
    for name in SPLITS[split]:
        if files := named(source, name):
            return files
    wanted = " nor ".join(f"{name}*.parquet" for name in SPLITS[split])
    raise NoiselabError(f"{source}: no {wanted}, and no class folders in {source / 'train'}")


def named(source: Path, name: str) -> list[Path]:
    """The parquet files that begin so, there and below, sorted; hidden ones do not count."""
    there = sorted(source.rglob(f"{name}*.parquet"))
    return [f for f in there if not any(map(hidden, f.relative_to(source).parts))]


def check_files(files: list[Path]) -> None:
    """NoiselabError where a file is there twice, by a link, or one is not there that the names of
    others speak of."""
    complete.check_links(files, "its images would be counted twice")
    if lacking := complete.missing_shards(files):
        raise NoiselabError(f"no {complete.named(lacking)}")


@contextmanager
def opened(file: Path):
    """A parquet file; NoiselabError where it, or what is read of it in the block, is broken."""
    import pyarrow.parquet
    from pyarrow import ArrowException

    try:
        if not file.is_file():
            raise NoiselabError(f"{file}: no regular file")
        with pyarrow.parquet.ParquetFile(file) as content:
            yield content
    except (ArrowException, OSError) as error:
        raise NoiselabError(f"{file}: cannot be read ({first_line(error)})") from error


def _columns(spec: dict, file: Path) -> Columns:
    """Those that the specification names, or that there are. NoiselabError: none or several fit,
    or images are no bytes."""
    with opened(file) as content:
        schema = content.schema_arrow
    chosen = Columns(
        _column(file, schema.names, spec, "image_column", _IMAGES),
        _column(file, schema.names, spec, "label_column", _LABELS),
    )
    kind = schema.field(chosen.image).type
    if not has_bytes(kind):
        raise NoiselabError(
            f"{file}: column {chosen.image} has no bytes of image files, but {first_line(kind)}"
        )
    return chosen


def _column(file: Path, there: list[str], spec: dict, key: str, usual: tuple[str, ...]) -> str:
    wanted = (spec[key],) if spec.get(key) else usual
    fitting = [name for name in there if name in wanted]
    if len(fitting) == 1:
        return fitting[0]
    lacking = f"no column {spec[key]}" if spec.get(key) else "no columns image and label"
    what = f"{len(fitting)} columns that fit ({', '.join(fitting)})" if fitting else lacking
    own = "" if spec["kind"] in _FIXED else f"; {key} of the data set can name one"
    raise NoiselabError(f"{file}: {what} (found {', '.join(there)}){own}")


def has_bytes(kind) -> bool:
    """Whether values of a type are bytes, or structures that have them as the hub's."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and has_bytes(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _labels(files: list[Path], columns: dict[Path, Columns]) -> np.ndarray:
    """The labels of a split, numbers or names."""
    parts = []
    for file in files:
        name = columns[file].label
        with opened(file) as content:
            parts.append(labels.column(file, name, content.read([name])[name]))
    if len({part.dtype for part in parts}) > 1:
        raise NoiselabError(f"{files[0].parent}: labels are numbers in one file, names in another")
    whole = np.concatenate(parts)
    if not len(whole):
        raise NoiselabError(f"{complete.named(files)}: no rows")
    return whole


def _check_test(spec: dict, source: Path, given: dict[str, np.ndarray]) -> None:
    """Test images have no class that the training images do not have."""
    train, test = (set(np.unique(given[split]).tolist()) for split in SPLITS)
    if not spec.get("class_list") and (other := test - train):
        raise NoiselabError(
            f"{source}: test split: label {min(other, key=str)}, which no training image has"
        )


def _classes(
    spec: dict, source: Path, files: list[Path], columns: dict, given: np.ndarray
) -> tuple[list[str], list]:
    """Names of the classes that are used, and how the source writes them, in their order."""
    if given.dtype == object:
        there = label_file.in_order(given)
        if spec["kind"] == "image_files":
            raise NoiselabError(f"{files[0]}: column label is not whole numbers throughout")
        names = class_list(spec) or there[: wanted_classes(spec, source, len(there))]
        return names, names
    wordnet_ids = _wordnet_ids(source, files, columns, given)
    numbers = _label_numbers(spec, source, given, wordnet_ids)
    return [wordnet_ids.get(number, str(number)) for number in numbers], numbers


def _wordnet_ids(
    source: Path, files: list[Path], columns: dict, given: np.ndarray
) -> dict[int, str]:
    """WordNet id of each label, from classes.json or the paths of the images; empty if unknown."""
    for folder in (source, files[0].parent):
        if (folder / "classes.json").is_file():
            return _from_json(folder / "classes.json")
    numbers, first = np.unique(given, return_index=True)  # one image of each class says it
    paths = _image_paths(files, columns, first)
    found = [_WORDNET_ID.search(path or "") for path in paths]
    if not all(found):
        return {}
    return {int(n): match[1] for n, match in zip(numbers, found, strict=True)}


def _from_json(file: Path) -> dict[int, str]:
    form = 'a list of {"label": 0, "wnid": "n…"}'
    try:
        pairs = [(entry["label"], entry["wnid"]) for entry in read_json(file, list)]
        found = dict(pairs)
    except (TypeError, KeyError) as error:
        raise NoiselabError(f"{file}: not {form}") from error
    if any(type(label) is not int or type(wnid) is not str for label, wnid in pairs):
        raise NoiselabError(f"{file}: not {form}")
    if not len(found) == len(set(found.values())) == len(pairs):
        raise NoiselabError(f"{file}: a label or a wnid is there twice")
    return found


def _image_paths(files: list[Path], columns: dict, rows: np.ndarray) -> list[str | None]:
    """The paths of the images in these rows, counted over all files."""
    import pyarrow

    parts = []
    for file in files:
        name = columns[file].image
        with opened(file) as content:
            table = content.read([f"{name}.path"])
            if not table.num_columns:  # images without paths
                return [None] * len(rows)
            parts += [chunk.field("path") for chunk in table[name].chunks]
    return pyarrow.chunked_array(parts).take(rows).to_pylist()


def _label_numbers(spec, source: Path, given: np.ndarray, wordnet_ids: dict) -> list[int]:
    """The source's numbers of the classes that are used, in their order."""
    listed, there = class_list(spec), np.unique(given)
    if listed is None:
        wanted = wanted_classes(spec, f"labels in {source}", int(there[-1]) + 1)
        if len(lacking := np.setdiff1d(range(wanted), there)):
            raise NoiselabError(
                f"{source}: train split: no image of class {lacking[0]}, though labels run to "
                f"{there[-1]}; a class_list can name the labels that are classes"
            )
        return list(range(wanted))
    known = {name: number for number, name in wordnet_ids.items()}
    known |= {str(number): int(number) for number in there}
    if unknown := [name for name in listed if name not in known]:
        raise NoiselabError(
            f"{spec['class_list']}: {unknown[0]} is neither a label number nor a WordNet id of "
            f"{source}" + ("" if wordnet_ids else " (which has no classes.json)")
        )
    return [known[name] for name in listed]


def _renumbered(given: np.ndarray, numbers: list) -> np.ndarray:
    """Places of labels in `numbers`, -1 for those that are not there, int64 [n]."""
    order = np.argsort(np.array(numbers, dtype=given.dtype), kind="stable")
    ordered = np.array(numbers, dtype=given.dtype)[order]
    place = np.minimum(np.searchsorted(ordered, given), len(numbers) - 1)
    return np.where(ordered[place] == given, order[place], -1)


def _contents(files: dict, columns: dict, split: str, used: np.ndarray) -> Iterator[Item]:
    """The images of these rows, counted over all files of the split."""
    start = 0
    for file in files[split]:
        with opened(file) as content:
            count = content.metadata.num_rows
            yield from _rows(file, content, columns[file].image, used[start : start + count])
            start += count


def _rows(file: Path, content, column: str, used: np.ndarray) -> Iterator[Item]:
    start = 0
    for group in range(content.num_row_groups):
        stop = start + content.metadata.row_group(group).num_rows
        if used[start:stop].any():  # a group at a time, or all of the file would be in memory
            for batch in content.iter_batches(_ROWS, [group], [column]):
                images, row = batch.column(column), start
                for i in np.flatnonzero(used[row : row + len(images)]):
                    yield _item(file, row + int(i), column, images[int(i)].as_py())
                start += len(images)
        start = stop


def _item(file: Path, row: int, column: str, image: dict | bytes | None) -> Item:
    content = image.get("bytes") if isinstance(image, dict) else image
    if not content:
        raise NoiselabError(f"{file}: row {row} of column {column} has no bytes")
    path = image.get("path") if isinstance(image, dict) else None
    return Item(f"{file}: row {row}" + (f" ({path})" if path else ""), content)


def count(spec: dict, file: Path) -> int:
    """Rows of a file, from its footer; NoiselabError where it has not the columns."""
    _columns(spec, file)
    with opened(file) as content:
        return content.metadata.num_rows


def check(spec: dict, source: Path) -> complete.Source:
    """What the folder has, from names and footers; NoiselabError where that is not enough."""
    class_list(spec)
    for split in SPLITS:
        files = split_files(source, split)
        if lacking := complete.missing_shards(files):
            raise NoiselabError(f"no {complete.named(lacking)}")
        rows = 0
        for file in files:
            rows += count(spec, file)
        if rows < (spec.get(f"{split}_size") or 1):
            check_size(spec, source, split, rows)
    return complete.Source(f"{source}: parquet files")
