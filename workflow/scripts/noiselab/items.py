"""train_items.txt of a prepared image data set: where each training example is in its source.

One line per example, in prepared order, UTF-8: the path relative to the source folder where the
source is a folder of files, else the number of the row, counted from 0 over all files of the split
in sorted order. Files of labels are matched against it.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from noiselab.errors import NoiselabError
from noiselab.files import whole_file

FILE = "train_items.txt"


def write(folder: Path, items: Iterable[str | int]) -> str:
    """Write the file into `folder`; returns its SHA-256. NoiselabError: a name is no line."""
    content = b"".join(_line(item) for item in items)
    with whole_file(folder / FILE) as path:
        path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def read(folder: str | Path) -> list[str]:
    """The items of a prepared data set, in its order. NoiselabError: they cannot be read."""
    file = Path(folder, FILE)
    try:
        return file.read_bytes().decode("utf-8").split("\n")[:-1]
    except (OSError, UnicodeDecodeError) as error:
        raise NoiselabError(f"cannot read {file}: {error}") from error


def _line(item: str | int) -> bytes:
    name = str(item)
    try:
        line = name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NoiselabError(f"{name!r}: a file's name must be UTF-8; rename it") from error
    if len(name.splitlines()) != 1:
        raise NoiselabError(f"{name!r}: a file's name must have no line break; rename it")
    return line + b"\n"
