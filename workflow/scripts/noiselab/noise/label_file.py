"""Labels in files of one's own, csv, tsv or parquet: of each row or file of a training set."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from noiselab.errors import NoiselabError, first_line

# Columns that say which example a label is of, where none is named.
ROWS = ("row", "index")
FILES = ("file", "filename", "file_name", "image", "path", "name")
LABEL = "label"
SEPARATORS = {".csv": ",", ".tsv": "\t"}
SHOWN = 10  # names of classes that a message lists
FORMS = f"{', '.join(SEPARATORS)} or .parquet"


class LabelFile(NamedTuple):
    """What a file of labels says."""

    path: str
    by_row: bool  # items are numbers of rows, not names of files
    items: list[str]  # which example each label is of, each once
    labels: list[str]


def read(path: str | Path, label_column: str | None = None, item_column: str | None = None):
    """The LabelFile of a csv, tsv or parquet file.

    label_column: by default `label`; item_column: by default the first of `ROWS` and `FILES` that
    there is. NoiselabError where the file is none, or a label or an item is missing or there twice.
    """
    path = Path(path)
    with _readable(path):
        columns = _Parquet(path) if path.suffix.lower() == ".parquet" else _separated(path)
        label = _column(path, list(columns), (label_column or LABEL,))
        wanted = (item_column,) if item_column else ROWS + FILES
        item = _column(path, list(columns), wanted, label)
        items, labels = _texts(path, item, columns[item]), _texts(path, label, columns[label])
    if not items:
        raise NoiselabError(f"{path}: no labels in it")
    by_row = all(map(_is_number, items))
    if item in ROWS and not by_row:
        wrong = next(text for text in items if not _is_number(text))
        raise NoiselabError(f"{path}: column {item} has {wrong!r}, no number of a row")
    items = [str(int(text)) for text in items] if by_row else items
    twice, times = Counter(items).most_common(1)[0]
    if times > 1:
        raise NoiselabError(f"{path}: {times} labels of {item} {twice}, need one")
    return LabelFile(str(path), by_row, items, labels)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """NoiselabError where a file is none of labels, or cannot be read in the block."""
    if path.suffix.lower() not in (*SEPARATORS, ".parquet"):
        raise NoiselabError(f"{path}: labels are read from {FORMS}")
    if not path.is_file():  # a pipe would be waited for
        reason = "no regular file" if path.exists() else "no such file"
        raise NoiselabError(f"cannot read {path} ({reason})")
    try:
        yield
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # pyarrow's, too
        raise NoiselabError(f"{path}: cannot be read ({first_line(error)})") from error


def class_numbers(file: LabelFile, items: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """The class that the file gives each of these examples, int64 [n].

    items: rows or names of files, as train_items.txt has them; names: of the classes. A label is
    the name of a class or else its number, where no name is a number itself. NoiselabError: an
    example has no label, or a label is no class.
    """
    matching = _matching(file, items)
    given = dict(zip(matching, file.labels, strict=True))
    if len(given) < len(matching):  # a path that is written in two ways
        twice, times = Counter(matching).most_common(1)[0]
        raise NoiselabError(f"{file.path}: {times} labels of {twice}, need one")
    lacking = [item for item in items if item not in given]
    if lacking:
        what = "row" if file.by_row else "file"
        found = f"{len(lacking)} of {len(items)} training examples have no label"
        instead = _instead(lacking[0], sorted(given.keys() - set(items)))
        raise NoiselabError(f"{file.path}: {found}, the first is {what} {lacking[0]}{instead}")
    wanted = [given[item] for item in items]
    numbers = {name: number for number, name in enumerate(names)}
    counted = not set(wanted) <= set(numbers) and all(map(_is_number, wanted))
    if counted and not any(map(_is_number, names)):
        numbers = {str(number): number for number in range(len(names))}
    if unknown := [label for label in dict.fromkeys(wanted) if label not in numbers]:
        raise NoiselabError(f"{file.path}: {unknown[0]!r} is no class ({_known(numbers, names)}")
    return np.array([numbers[label] for label in wanted], dtype=np.int64)


def _instead(item: str, others: list[str]) -> str:
    """Which item a file has where one is missing: if there is one, that of the same name."""
    if not others:
        return ""
    alike = [other for other in others if _name(other) == _name(item)]
    return f"; it has, for instance, {(alike or others)[0]}"


def _known(numbers: Mapping[str, int], names: Sequence[str]) -> str:
    """The end of a message on a label that is no class: what is one."""
    shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    if list(numbers) != list(names):
        shown = f"0 … {len(names) - 1}"
    from_0 = list(names) == [str(number) for number in range(len(names))]
    both = any(map(_is_number, names)) and not from_0
    told = "; these names are numbers, so a label must be a name" if both else ""
    return f"{len(names)} classes: {shown}){told}"


def _is_number(label: str) -> bool:
    return label.isascii() and label.isdigit()


def in_order(labels: Iterable[str]) -> list[str]:
    """The different labels: numbers in their order, which as text begin with 0, 1, 10, 11, or else
    names in that of text."""
    names = sorted(set(labels))
    return sorted(names, key=int) if all(map(_is_number, names)) else names


def check_names(where: object, labels: Iterable[str]) -> None:
    """NoiselabError where labels that are numbers throughout are not whole ones from 0, or one of
    them is written in two ways."""
    names = sorted(set(labels))
    try:
        values = [float(name) for name in names]
    except ValueError:  # names
        return
    if odd := [name for name in names if not _is_number(name)]:
        raise NoiselabError(
            f"{where}: label {odd[0]!r} is neither a whole number from 0 nor a name"
        )
    if len(set(values)) < len(values):
        twice = next(n for n in names if n != str(int(n)))
        raise NoiselabError(f"{where}: label {twice!r} is a number that is also written otherwise")


def _matching(file: LabelFile, items: Sequence[str]) -> list[str]:
    """The file's items in the form that `items` have: paths may lack the folder of the split, or
    all folders, where the rest still tells the examples apart."""
    rows = all(map(_is_number, items))
    if rows != file.by_row:
        have, need = ("rows", "names of files") if file.by_row else ("names of files", "rows")
        raise NoiselabError(f"{file.path}: labels of {have}, but the data set has {need}")
    if rows:
        return file.items
    paths = [str(PurePosixPath(text.replace("\\", "/"))) for text in file.items]
    forms = [{form(item): item for item in items} for form in (str, _without_split, _name)]
    unique = [known for known in forms if len(known) == len(items)]
    best = max(unique, key=lambda known: len(known.keys() & set(paths)))
    return [best.get(path, path) for path in paths]


def _without_split(path: str) -> str:
    return path.partition("/")[2] or path


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _column(path, names: list[str], wanted: Sequence[str], taken: str = "") -> str:
    """The first of the wanted columns that there is."""
    left = [name for name in names if name != taken]
    for name in wanted:
        if name in left:
            return name
    found = ", ".join(names)
    close = get_close_matches(wanted[0], left, n=1)
    hint = f"did you mean {close[0]}?" if close else f"found {found}"
    if len(names) == 1 and (";" in found or "\t" in found):
        hint = f"found {found!r}: .csv has commas between its columns, .tsv tabs"
    raise NoiselabError(f"{path}: no column {' or '.join(wanted)} ({hint})")


def _texts(path, name: str, values: list) -> list[str]:
    """The values of a column as texts."""
    found = ["" if value is None else str(value).strip() for value in values]
    if "" in found:
        raise NoiselabError(f"{path}: column {name} is empty in row {found.index('')}")
    if broken := [text for text in found if len(text.splitlines()) > 1]:
        raise NoiselabError(f"{path}: column {name} has a line break in {broken[0]!r}")
    return found


def _separated(path: Path) -> dict[str, list[str]]:
    """Columns of a csv or tsv file whose first line names them."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=SEPARATORS[path.suffix.lower()], strict=True)
            lines = [(reader.line_num, line) for line in reader if line]
    except UnicodeDecodeError as error:
        what = f"byte {error.start}, 0x{error.object[error.start]:02x}, is not UTF-8"
        raise NoiselabError(f"{path}: cannot be read ({what}; save it as UTF-8)") from error
    except csv.Error as error:
        raise NoiselabError(f"{path}: cannot be read as text in columns ({error})") from error
    if not lines:
        raise NoiselabError(f"{path}: empty")
    head = [name.strip() for name in lines[0][1]]
    if len(set(head)) < len(head):
        raise NoiselabError(f"{path}: two columns have one name ({', '.join(head)})")
    for number, line in lines:
        if len(line) != len(head):
            raise NoiselabError(f"{path}: line {number} has {len(line)} columns, not {len(head)}")
    return {name: [line[i] for _, line in lines[1:]] for i, name in enumerate(head)}


class _Parquet(Mapping):
    """Columns of a parquet file, each read when it is asked for: others may hold images."""

    def __init__(self, path: Path):
        import pyarrow.parquet

        self.path, self.read = path, partial(pyarrow.parquet.read_table, path)
        self.names = pyarrow.parquet.read_schema(path).names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> list:
        import pyarrow.types as types

        column = self.read(columns=[name])[name]
        kind = column.type.value_type if types.is_dictionary(column.type) else column.type
        if not (types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind)):
            found = f"column {name} has values of type {kind}, not whole numbers or texts"
            raise NoiselabError(f"{self.path}: {found}")
        return column.to_pylist()
