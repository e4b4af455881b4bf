"""Files of text: which of them a folder has, how they are encoded, and their rows.

*.txt, and tables with named columns: *.jsonl, *.parquet, *.csv, *.tsv. Text is UTF-8, or UTF-16 or
UTF-32 where a byte-order mark says so.
"""

import codecs
import csv
import difflib
import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, groupby
from pathlib import Path

from noiselab.data import complete
from noiselab.data.sources import hidden
from noiselab.errors import NoiselabError, first_line

_STRUCT = "translation"  # where the hub's translation sets keep their columns
_HEAD = 4096  # bytes that tell how a file is encoded
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before that of UTF-16, which it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
_OTHERS = {
    b"\x1f\x8b": "a gzip archive",
    b"PK\x03\x04": "a zip archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"PAR1": "a parquet file",
    b"%PDF-": "a PDF",
}
_KINDS = {bool: "true or false", int: "a number", float: "a number", list: "a list"}
_KINDS |= {dict: "an object", bytes: "binary", type(None): "null"}

Row = tuple[str, list]  # where it stands in its file, and its values


# -------------------------------------------------------------------------------- which files


def files(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """The files in a folder and those below it that end so, in the order of their paths.

    Hidden ones, and backups of editors, are left out. A folder is read once, however many links
    lead to it. NoiselabError: there is no such folder, one below cannot be read, or something with
    such a name is no file.
    """
    if not folder.is_dir():
        raise NoiselabError(f"no folder {folder}")
    found, seen, tops = [], set(), [folder]
    for top in tops:
        for place, folders, names in os.walk(top, onerror=_refuse):
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders[:] = sorted(name for name in folders if not hidden(name))
            tops += (p for p in (Path(place, name) for name in folders) if p.is_symlink())
            found += (Path(place, n) for n in names if _suffix(n) in suffixes and not hidden(n))
    files = sorted(_regular(file) for file in found)
    if any(file.is_symlink() for file in files):
        complete.check_links(files, "it would be read twice")
    return files


def matching(found: list[Path], folder: Path, pattern: str) -> list[Path]:
    """Those files below a folder that a glob names."""
    try:
        return [file for file in found if file.relative_to(folder).match(pattern)]
    except ValueError as error:
        raise NoiselabError(f"{folder}: {pattern!r} is no pattern of names ({error})") from error


def _refuse(error: OSError) -> None:
    raise NoiselabError(f"cannot read {error.filename} ({error.strerror})") from error


def _regular(file: Path) -> Path:
    """The file; it is not opened, as one that is a pipe would never end."""
    try:
        mode = file.stat().st_mode
    except OSError as error:
        what = "a link that leads nowhere" if file.is_symlink() else error.strerror
        raise NoiselabError(f"{file}: cannot be read ({what})") from error
    if not stat.S_ISREG(mode):
        what = "a pipe" if stat.S_ISFIFO(mode) else "a socket or device"
        raise NoiselabError(f"{file}: cannot be read ({what}, not a file)")
    return file


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


# -------------------------------------------------------------------------------- encodings


def encoding(file: Path) -> str:
    """How a file of text is encoded. NoiselabError: its first bytes are not those of text, or of
    an encoding that no byte-order mark tells."""
    try:
        with open(file, "rb") as opened:
            head = opened.read(_HEAD)
    except OSError as error:
        raise NoiselabError(f"{file}: cannot be read ({error.strerror})") from error
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            return name
    for start, what in _OTHERS.items():
        if head.startswith(start):
            raise NoiselabError(f"{file}: cannot be read ({what}, not text)")
    if seems := _wide(head):
        raise NoiselabError(
            f"{file}: cannot be read (it seems to be {seems} without a byte-order mark; save it "
            "as UTF-8)"
        )
    return "utf-8"


def _wide(head: bytes) -> str | None:
    """The encoding of 2 or 4 bytes per character that Latin letters between zeros speak of."""
    for width, name in ((4, "UTF-32"), (2, "UTF-16")):
        zeros = [head[i::width].count(0) * width / max(len(head), 1) for i in range(width)]
        for order, letter in (("little-endian", 0), ("big-endian", width - 1)):
            others = [share for i, share in enumerate(zeros) if i != letter]
            if len(head) >= 2 * width and min(others) > 0.5 and zeros[letter] < 0.1:
                return f"{name} ({order})"
    return None


@contextmanager
def _readable(file: Path, name: str):
    """What cannot be decoded in the block is told as a byte of the file."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise NoiselabError(f"{file}: cannot be read ({_undecodable(file, name)})") from error
    except OSError as error:
        raise NoiselabError(f"{file}: cannot be read ({error.strerror})") from error


def _undecodable(file: Path, name: str) -> str:
    """Which byte of a file is not of this encoding."""
    name = name.removesuffix("-sig")  # whose decoder does not count the mark
    decoder, start = codecs.getincrementaldecoder(name)(), 0
    with open(file, "rb") as opened:
        while True:
            chunk = opened.read(2**20)
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                offset = start - held + error.start
                value = error.object[error.start]
                return f"byte {offset}, 0x{value:02x}, is not {name.upper()}; save it as UTF-8"
            if not chunk:
                return f"it is not {name.upper()}"
            start += len(chunk)


def _without_zeros(file: Path, text: str, place: str = "") -> str:
    """The text. NoiselabError: it has the character 0, which is in no text."""
    if "\0" in text:
        where = place or f"after {text.index(chr(0)):,} characters"
        raise NoiselabError(f"{file}: cannot be read ({where}: a zero byte, which no text has)")
    return text


def _lines(file: Path) -> Iterator[str]:
    """The lines of a file of text, with their ends as they are."""
    name = encoding(file)
    with _readable(file, name), open(file, encoding=name, newline="") as lines:
        for number, line in enumerate(lines, 1):
            yield _without_zeros(file, line, f"line {number}")


# -------------------------------------------------------------------------------- rows


def check_file(file: Path, columns: Sequence[str]) -> None:
    """NoiselabError where rows() could not begin to read these columns of a file."""
    if _suffix(file.name) == ".parquet":
        with _opened_parquet(file, columns):
            return
    if _suffix(file.name) == ".txt":
        encoding(file)
        return
    next(rows(file, columns), None)


def rows(
    file: Path, columns: Sequence[str], documents: str | None = None
) -> Iterator[list[str | None]]:
    """The values that each row of a table has in these columns, streamed.

    Columns may also be fields of a column `translation`. A *.txt has one column, whatever its name;
    its rows are its `documents`: the whole `file` by default, parts between blank lines
    (`blank_line`), or a `line` each. NoiselabError names the file that cannot be read, has no such
    column, or no text in it, and the line.
    """
    for place, values in placed_rows(file, columns, documents):
        check_text(file, place, columns, values)
        yield values


def placed_rows(
    file: Path, columns: Sequence[str], documents: str | None = None
) -> Iterator[tuple[str, list]]:
    """The same, each with where it stands in its file, of values that need not be text."""
    return READERS[_suffix(file.name)](file, columns, documents or "file")


def check_text(file: Path, place: str, columns: Sequence[str], values: Sequence) -> None:
    """NoiselabError: a value of a row is no text. place: where it stands in its file."""
    for column, value in zip(columns, values, strict=True):
        if not isinstance(value, str | None):
            kind = _KINDS.get(type(value), type(value).__name__)
            raise NoiselabError(f"{file}: column {column} is not text but {kind} ({place})")


def valid(text: str) -> str:
    """The text with "?" for lone surrogates, which Python's and JSON's escapes can make."""
    return text.encode("utf-8", "replace").decode()


def _text_file(file: Path, _columns: Sequence[str], documents: str) -> Iterator[Row]:
    if documents == "file":
        name = encoding(file)
        with _readable(file, name):
            text = file.read_bytes().decode(name)
        yield "", [_without_zeros(file, text)]
    elif documents == "line":
        for number, line in enumerate(_lines(file), 1):
            yield f"line {number}", [line.rstrip("\r\n")]
    else:
        for blank, lines in groupby(_lines(file), key=str.isspace):
            if not blank:
                yield "", ["".join(lines).rstrip("\r\n")]


def _json_lines(file: Path, columns: Sequence[str], _documents: str) -> Iterator[Row]:
    keys = [json.dumps(column) for column in columns]
    for number, line in _not_empty(file, enumerate(_lines(file), 1)):
        if line.isspace():
            continue
        place = f"line {number}"
        try:
            row = json.loads(line)
        except RecursionError as error:
            raise NoiselabError(f"{file}: {place} cannot be read (nested too deep)") from error
        except ValueError as error:
            reason = getattr(error, "msg", error)  # without the place, which is in line 1
            raise NoiselabError(f"{file}: {place} cannot be read ({reason})") from error
        if not isinstance(row, dict):
            kind = _KINDS.get(type(row), "no object")
            raise NoiselabError(f"{file}: {place} cannot be read ({kind}, not an object)")
        values = _values(file, row, columns)
        if any(line.count(key) > 1 for key in keys):
            _check_keys(file, line, place, columns)
        yield place, [valid(value) if isinstance(value, str) else value for value in values]


def _check_keys(file: Path, line: str, place: str, columns: Sequence[str]) -> None:
    """NoiselabError: an object of a line has one of these keys twice: one would be lost."""

    def once(pairs: list) -> dict:
        names = [name for name, _ in pairs]
        if twice := [column for column in columns if names.count(column) > 1]:
            raise NoiselabError(f"{file}: {place} has {twice[0]} twice")
        return dict(pairs)

    json.loads(line, object_pairs_hook=once)


def _separated(file: Path, columns: Sequence[str], _documents: str) -> Iterator[Row]:
    """Of *.csv and *.tsv: the first row names the columns; cells may be quoted."""
    csv.field_size_limit(sys.maxsize)  # a cell may be a book
    delimiter, called = ("\t", "tabs") if _suffix(file.name) == ".tsv" else (",", "commas")
    reader = csv.reader(_not_empty(file, _lines(file)), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next((row for row in reader if row), [])]
        _check_header(file, header, columns, called)
        places = [header.index(column) for column in columns]
        for cells in reader:
            if cells and len(cells) != len(header):
                raise NoiselabError(
                    f"{file}: line {reader.line_num} has {len(cells)} cells, the header "
                    f"{len(header)}"
                )
            if cells:
                yield f"line {reader.line_num}", [cells[i] for i in places]
    except csv.Error as error:
        reason = error
        if "unexpected end" in str(error):
            reason = "a quotation mark opens a cell and none ends it"
        elif "expected after" in str(error):
            reason = 'a quotation mark within a quoted cell; write "" for it'
        place = f"line {reader.line_num}"
        raise NoiselabError(f"{file}: {place} cannot be read ({reason})") from error


def _check_header(file: Path, header: list[str], columns: Sequence[str], separators: str) -> None:
    for column in columns:
        if column not in header:
            one = len(header) == 1 and not header[0].isidentifier()
            wrong = f"; {separators} separate them" if one else ""
            raise _no_column(file, column, header, wrong)
    _check_once(file, header, columns)


def _check_once(file: Path, found: list[str], columns: Sequence[str]) -> None:
    """NoiselabError: several columns have one of these names."""
    for column in columns:
        if found.count(column) > 1:
            raise NoiselabError(f"{file}: {found.count(column)} columns are called {column}")


def _parquet(file: Path, columns: Sequence[str], _documents: str) -> Iterator[Row]:
    numbers = count(1)
    with _opened_parquet(file, columns) as (parquet, paths):
        for batch in parquet.iter_batches(batch_size=1000, columns=paths):
            for row in batch.to_pylist():
                yield f"row {next(numbers)}", _values(file, row, columns)


@contextmanager
def _opened_parquet(file: Path, columns: Sequence[str]):
    """A parquet file and the paths of its columns; NoiselabError where it, or what is read of it
    in the block, is broken."""
    import pyarrow.parquet
    from pyarrow import ArrowException

    try:
        with pyarrow.parquet.ParquetFile(file) as parquet:
            blank = {field.name: _blank(field.type) for field in parquet.schema_arrow}
            _values(file, blank, columns)  # complains even where there are no rows
            _check_once(file, parquet.schema_arrow.names, columns)
            yield parquet, [c if c in blank else f"{_STRUCT}.{c}" for c in columns]
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        raise NoiselabError(f"{file}: cannot be read ({first_line(error)})") from error


READERS: dict[str, Callable[[Path, Sequence[str], str], Iterator[Row]]] = {
    ".txt": _text_file,
    ".parquet": _parquet,
    ".jsonl": _json_lines,
    ".csv": _separated,
    ".tsv": _separated,
}
TABLES = tuple(suffix for suffix in READERS if suffix != ".txt")


def patterns(suffixes: Iterable[str]) -> list[str]:
    """Globs of the names of files that end so."""
    return [f"*{suffix}" for suffix in suffixes]


def _not_empty(file: Path, found: Iterator) -> Iterator:
    """The same. NoiselabError: there is nothing, which a table never is."""
    first = next(found, None)
    if first is None:
        raise NoiselabError(f"{file}: is empty")
    yield first
    yield from found


def _blank(arrow_type) -> dict | str:
    """A value of a column: its fields where it is a struct."""
    import pyarrow.types

    return {field.name: "" for field in arrow_type} if pyarrow.types.is_struct(arrow_type) else ""


def _values(file: Path, row: dict, columns: Sequence[str]) -> list:
    """What a row has in these columns, or else in these fields of its column `translation`."""
    fields = row.get(_STRUCT, {})
    if fields is None:
        fields = dict.fromkeys(columns)
    found = (fields if isinstance(fields, dict) else {}) | row
    for column in columns:
        if column not in found:
            raise _no_column(file, column, list(found))
    return [found[column] for column in columns]


def _no_column(file: Path, column: str, found: list[str], more: str = "") -> NoiselabError:
    close = difflib.get_close_matches(column, found, 1)
    like = f"; did you mean {close[0]}?" if close else ""
    names = ", ".join(found[:20]) + (", …" if len(found) > 20 else "")
    return NoiselabError(f"{file}: no column {column} (found {names or 'none'}{more or like})")
