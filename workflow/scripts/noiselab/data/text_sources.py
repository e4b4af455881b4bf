"""Where texts come from: files, the docstrings of installed packages, the Hugging Face hub."""

import ast
import gc
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from noiselab.errors import NoiselabError, first_line
from noiselab.processes import follow_parent

_SHORTEST_DOCSTRING = 40  # characters; shorter ones are labels rather than text
_STRUCT = "translation"  # where the hub's translation sets keep their columns


def docstring_documents(packages: list[str]) -> Iterator[str]:
    """The docstrings of installed packages, a document per source file.

    The packages are read, not imported. Docstrings under 40 characters are left out, and so are
    those seen before in any file; the others of a file are joined by an empty line.
    NoiselabError, with the first document, where a package is not installed.
    """
    seen: set[str] = set()
    for docstrings in map_sources(_docstrings, packages):
        new = [d for d in dict.fromkeys(docstrings) if d not in seen]
        seen.update(new)
        if new:
            yield "\n\n".join(new)


def map_sources(function: Callable[[Path], list], packages: list[str]) -> Iterator[list]:
    """What `function` gives for each source file of installed packages, in their order.

    It is called in several processes, which import its module. NoiselabError, with the first
    file, where a package is not installed.
    """
    sources = [_source_files(package) for package in packages]
    # Started afresh, as forking a process that has threads (torch's, say) can hang. Without
    # garbage collection it takes half the time: syntax trees have no cycles.
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(min(_cores(), 8), initializer=_begin) as pool:
        for files in sources:  # one at a time: who wants little text need not wait for all
            yield from pool.imap(function, files, chunksize=32)


def _begin() -> None:
    follow_parent()
    gc.disable()


def folder_documents(folder: Path, text_column: str, files: str | None = None) -> Iterator[str]:
    """The documents of a folder and the folders below it, in the order of their paths.

    Each *.txt is a document, and so is each row of each *.parquet and *.jsonl, in their column
    `text_column`; blank ones are left out. `files`: a glob; without it, where there are files
    train*, only these are read. Rows are streamed. NoiselabError, when the file is reached, names
    what cannot be read.
    """
    for file in document_files(folder, files):
        for (text,) in rows(file, [text_column]):
            if text and not text.isspace():
                yield text


def document_files(folder: Path, pattern: str | None = None) -> list[Path]:
    """The files of documents in a folder and those below it: all that match the pattern; without
    one, train* if there are such, or else all. NoiselabError where there are none."""
    if not folder.is_dir():
        raise NoiselabError(f"no folder {folder}")
    files = sorted(f for f in folder.rglob("*") if f.suffix in _READERS and f.is_file())
    if not files:
        raise NoiselabError(f"{folder}: no {', '.join(PATTERNS)}")
    if pattern is None:
        return [f for f in files if f.name.startswith("train")] or files
    if chosen := [f for f in files if f.relative_to(folder).match(pattern)]:
        return chosen
    raise NoiselabError(f"{folder}: no {', '.join(PATTERNS)} matches {pattern!r}")


def check_file(file: Path, columns: Sequence[str]) -> None:
    """NoiselabError where rows() could not begin to read these columns of a file."""
    if file.suffix == ".parquet":
        with _opened_parquet(file, columns):
            return
    next(rows(file, columns), None)


def rows(file: Path, columns: Sequence[str]) -> Iterator[list[str | None]]:
    """The values that each row of a *.parquet or *.jsonl has in these columns, streamed.

    Columns may also be fields of a column `translation`. A *.txt is one row, whatever the
    column. NoiselabError names the file that cannot be read, has no such column, or no text in it.
    """
    for row in _READERS[file.suffix](file, columns):
        for column, value in zip(columns, row, strict=True):
            if not isinstance(value, str | None):
                raise NoiselabError(f"{file}: column {column} is not text")
        yield row


def _source_files(package: str) -> list[Path]:
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        found = None
    if found is None or not found.submodule_search_locations:
        raise NoiselabError(f"package {package} is not installed, so its docstrings are missing")
    folders = map(Path, found.submodule_search_locations)
    return sorted(f for folder in folders for f in folder.rglob("*.py") if f.is_file())


def _docstrings(file: Path) -> list[str]:
    """The long docstrings of a source file from top to bottom."""
    docstrings = (ast.get_docstring(node) or "" for node, _ in definitions(parsed(file)))
    return [valid(d) for d in docstrings if len(d) >= _SHORTEST_DOCSTRING]


def parsed(file: Path) -> ast.Module:
    """The syntax tree of a source file; an empty one if it does not parse."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SyntaxWarning: invalid escape sequences
        try:
            return ast.parse(file.read_bytes())
        except (SyntaxError, ValueError, RecursionError):
            return ast.Module([], [])


def definitions(node: ast.AST, classes: str = "") -> Iterator[tuple[ast.AST, str]]:
    """A module and the classes and functions in it, from top to bottom.

    With each come the classes it is directly in, "Outer.Inner." for their methods.
    """
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node, classes
        classes = f"{classes}{node.name}." if isinstance(node, ast.ClassDef) else ""
    # ast.walk would also visit every expression, and goes by depth rather than by line.
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        children = getattr(node, field, ())
        for child in children if isinstance(children, list) else ():
            yield from definitions(child, classes)


def valid(text: str) -> str:
    """The text with "?" for lone surrogates, which Python's and JSON's escapes can make."""
    return text.encode("utf-8", "replace").decode()


def _text_file(file: Path, _columns: Sequence[str]) -> Iterator[list[str]]:
    try:
        yield [file.read_bytes().decode("utf-8")]
    except (OSError, UnicodeDecodeError) as error:
        raise NoiselabError(f"{file}: cannot be read ({first_line(error)})") from error


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
            yield parquet, [c if c in blank else f"{_STRUCT}.{c}" for c in columns]
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        raise NoiselabError(f"{file}: cannot be read ({first_line(error)})") from error


def _parquet(file: Path, columns: Sequence[str]) -> Iterator[list]:
    with _opened_parquet(file, columns) as (parquet, paths):
        for batch in parquet.iter_batches(batch_size=1000, columns=paths):
            yield from (_values(file, row, columns) for row in batch.to_pylist())


def _json_lines(file: Path, columns: Sequence[str]) -> Iterator[list]:
    with open(file, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = dict(json.loads(line))
            except (ValueError, TypeError) as error:
                reason = getattr(error, "msg", error)  # without the place, which is in line 1
                raise NoiselabError(f"{file}: line {number} cannot be read ({reason})") from error
            values = _values(file, row, columns)
            yield [valid(value) if isinstance(value, str) else value for value in values]


_READERS = {".txt": _text_file, ".parquet": _parquet, ".jsonl": _json_lines}
PATTERNS = [f"*{suffix}" for suffix in _READERS]


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
            raise NoiselabError(f"{file}: no column {column} (found {', '.join(found)})")
    return [found[column] for column in columns]


def version(package: str) -> str:
    """A package with the version of its distribution: `sklearn` is scikit-learn's."""
    distributions = importlib.metadata.packages_distributions().get(package)
    return f"{package} {importlib.metadata.version(distributions[0])}" if distributions else package


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux: the cores of this job
    return len(affinity(0)) if affinity else os.cpu_count() or 1


# -------------------------------------------------------------------------------- the hub


def snapshot(hub: str, patterns: list[str], folder: Path) -> None:
    """Fetch the files of a data set on the Hugging Face hub that match one of the patterns."""
    from huggingface_hub import snapshot_download

    with downloading(hub):
        snapshot_download(hub, repo_type="dataset", allow_patterns=patterns, local_dir=folder)


def snapshot_bytes(hub: str, patterns: list[str], timeout: float) -> int:
    """Bytes that snapshot() would fetch. The hub is asked, and whether it hands out the first of
    the files; errors are those of its library, a request may take `timeout` seconds."""
    from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import filter_repo_objects

    there = HfApi().dataset_info(hub, files_metadata=True, timeout=timeout).siblings
    files = list(filter_repo_objects(there, allow_patterns=patterns, key=lambda f: f.rfilename))
    if not files:
        raise NoiselabError(f"{hub} has no {' nor '.join(patterns)}")
    first = hf_hub_url(hub, files[0].rfilename, repo_type="dataset")
    get_hf_file_metadata(first, timeout=timeout)
    return sum(file.size or 0 for file in files)


@contextmanager
def downloading(hub: str) -> Iterator[None]:
    """Errors of the block, whatever they are, become a NoiselabError that says what to do."""
    try:
        yield
    except Exception as error:  # of the hub, of its HTTP library, of the file system
        raise NoiselabError(
            f"data set {hub}: download failed ({first_line(error)}); "
            "where there is no network, set data.root to a folder that holds it"
        ) from error
