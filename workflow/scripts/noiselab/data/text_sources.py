"""Where texts come from: files, the docstrings of installed packages, the Hugging Face hub."""

import ast
import gc
import importlib.metadata
import importlib.util
import itertools
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from noiselab.data import text_files
from noiselab.data.process_pool import begin, process_pool
from noiselab.data.sources import hidden
from noiselab.errors import NoiselabError, first_line

_SHORTEST_DOCSTRING = 40  # characters; shorter ones are labels rather than text
LICENSES = ("LICENSE", "LICENCE", "COPYING")  # how names of such files begin
PATTERNS = text_files.patterns(text_files.READERS)


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


def outside_documents(part: dict, source: Path | None) -> Iterator[str]:
    """The documents of a text out of a data set's domain; the last one is cut where it is said how
    many characters there are. part: {packages} or {licenses}, of installed packages, or {folder,
    text_column, files}, beside `source`, of which each file is a document and its rows lines."""
    if "folder" in part:
        folder, column = source.parent / part["folder"], part["text_column"]
        files = document_files(folder, part.get("files"), column)
        rows = (text_files.rows(file, [column]) for file in files)
        documents = ("\n".join(text or "" for (text,) in of_file) for of_file in rows)
    elif "packages" in part:
        documents = docstring_documents(part["packages"])
    else:
        documents = license_documents(part["licenses"])
    left = part.get("max_characters")
    for document in documents:
        yield document[:left]
        if left is not None:
            left -= len(document)
            if left <= 0:
                return


def license_documents(packages: list[str]) -> Iterator[str]:
    """The licences of installed packages: legal prose. Those seen before are left out.
    NoiselabError where a package is not installed, or has none."""
    seen: set[str] = set()
    for package in packages:
        found = [text for text in _licenses(package) if text not in seen]
        seen.update(found)
        if not found:
            raise NoiselabError(f"package {package} is not installed, or has no new licence")
        yield "\n\n".join(found)


def _licenses(package: str) -> Iterator[str]:
    for name in importlib.metadata.packages_distributions().get(package, [])[:1]:
        files = importlib.metadata.files(name) or []
        for file in sorted(f for f in files if f.name.upper().startswith(LICENSES)):
            yield Path(file.locate()).read_text(encoding="utf-8", errors="replace")


def map_sources(function: Callable[[Path], list], packages: list[str]) -> Iterator[list]:
    """What `function` gives for each source file of installed packages, in their order.

    It is called in several processes, which import its module. NoiselabError, with the first
    file, where a package is not installed, or where a process was killed.
    """
    sources = [_source_files(package) for package in packages]
    with process_pool(min(_cores(), 8), _begin) as pool:
        for files in sources:  # one at a time: who wants little text need not wait for all
            if pool is None:
                yield from map(function, files)
            else:
                yield from pool.map(function, files, chunksize=32)


def _begin() -> None:
    begin()
    gc.disable()  # it takes half the time: syntax trees have no cycles


def file_documents(
    files: list[Path], text_column: str | None, documents: str | None = None
) -> Iterator[str]:
    """The documents of files, in their order, streamed.

    Each *.txt is a document, or several where `documents` says so, and so is each row of each table
    in its column `text_column`; blank ones are left out. NoiselabError, when the file is reached,
    names what cannot be read.
    """
    for file in files:
        for (text,) in text_files.rows(file, [text_column], documents):
            if text and not text.isspace():
                yield text


def document_files(
    folder: Path, pattern: str | None = None, text_column: str | None = "text"
) -> list[Path]:
    """The files of documents in a folder and those below it: all that match the pattern; without
    one, train* if there are such, or else all. Without a column, *.csv and *.tsv are no documents
    where there are others. NoiselabError where there are none."""
    found = text_files.files(folder, text_files.READERS)
    if text_column is None:
        found = [f for f in found if f.suffix.lower() not in (".csv", ".tsv")] or found
    if not found:
        others = (name.name for name in sorted(folder.iterdir()) if not hidden(name.name))
        there = ", ".join([*itertools.islice(others, 3)]) or "nothing"
        raise NoiselabError(f"{folder}: no {', '.join(PATTERNS)} (found {there})")
    if pattern is None:
        chosen = [f for f in found if f.name.startswith("train")] or found
    else:
        chosen = text_files.matching(found, folder, pattern)
    if not chosen:
        raise NoiselabError(f"{folder}: no {', '.join(PATTERNS)} matches {pattern!r}")
    tables = [f for f in chosen if f.suffix.lower() in text_files.TABLES]
    if tables and text_column is None:
        raise NoiselabError(f"{tables[0]}: which column has the text? say so by text_column")
    return chosen


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
    return [text_files.valid(d) for d in docstrings if len(d) >= _SHORTEST_DOCSTRING]


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


def version(package: str) -> str:
    """A package with the version of its distribution: `sklearn` is scikit-learn's."""
    distributions = importlib.metadata.packages_distributions().get(package)
    return f"{package} {importlib.metadata.version(distributions[0])}" if distributions else package


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux: the cores of this job
    return len(affinity(0)) if affinity else os.cpu_count() or 1


# -------------------------------------------------------------------------------- the hub


def snapshot(hub: str, patterns: list[str], folder: Path, kind: str = "dataset") -> None:
    """Fetch the files of a repository on the Hugging Face hub that match one of the patterns.
    kind: dataset or model."""
    from huggingface_hub import snapshot_download

    with downloading(hub, kind):
        snapshot_download(hub, repo_type=kind, allow_patterns=patterns, local_dir=folder)


def snapshot_bytes(hub: str, patterns: list[str], timeout: float, kind: str = "dataset") -> int:
    """Bytes that snapshot() would fetch. The hub is asked, and whether it hands out the first of
    the files; errors are those of its library, a request may take `timeout` seconds."""
    from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import filter_repo_objects

    asked = {"repo_type": kind, "files_metadata": True, "timeout": timeout}
    there = HfApi().repo_info(hub, **asked).siblings
    files = list(filter_repo_objects(there, allow_patterns=patterns, key=lambda f: f.rfilename))
    if not files:
        raise NoiselabError(f"{hub} has no {' nor '.join(patterns)}")
    first = hf_hub_url(hub, files[0].rfilename, repo_type=kind)
    get_hf_file_metadata(first, timeout=timeout)
    return sum(file.size or 0 for file in files)


@contextmanager
def downloading(hub: str, kind: str = "dataset") -> Iterator[None]:
    """Errors of the block, whatever they are, become a NoiselabError that says what to do."""
    try:
        yield
    except Exception as error:  # of the hub, of its HTTP library, of the file system
        what = kind.replace("dataset", "data set")
        raise NoiselabError(
            f"{what} {hub}: download failed ({first_line(error)}); "
            "where there is no network, set data.root to a folder that holds it"
        ) from error
