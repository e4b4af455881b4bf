"""Files of the pipeline, read with a look at what they hold: a broken file, or one of another run,
is one line that names it and says what to do.

Scripts read what other jobs wrote long ago, on other machines, on disks that were full.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from noiselab.errors import NoiselabError, first_line

LARGEST = 2**33  # bytes that the arrays of a file may have: a small archive can hold very many
AGAIN = "remove it, and it is made again"
BROKEN = (OSError, ValueError, KeyError, EOFError, BadZipFile, MemoryError)


def array(path: str | Path, kinds: str = "biuf", shape: tuple | None = None) -> np.ndarray:
    """The array of an npy file, memory-mapped. kinds, shape: as for `expect`. NoiselabError: it is
    missing, broken, holds objects or is not as expected."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except BROKEN as error:
        raise NoiselabError(f"{path}: {_reason(error)}") from error
    if not isinstance(found, np.ndarray):
        raise NoiselabError(f"{path}: several arrays, not one; {AGAIN}")
    return expect(found, path, "", kinds, shape)


def arrays(path: str | Path, *names: str) -> dict[str, np.ndarray]:
    """All arrays of an npz file, which has these names among others. NoiselabError: it is missing
    or broken, holds objects, or lacks a name."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if not hasattr(file, "files"):
                raise ValueError("one array, not several")
            size = sum(entry.file_size for entry in file.zip.infolist())
            if size > LARGEST:
                raise ValueError(f"it unpacks to {size:,} bytes, more than {LARGEST:,}")
            found = {name: file[name] for name in file.files}
    except (*BROKEN, AttributeError, TypeError) as error:
        raise NoiselabError(f"{path}: {_reason(error)}") from error
    if lacking := [name for name in names if name not in found]:
        raise NoiselabError(f"{path}: has no {lacking[0]}; {AGAIN}")
    return found


def expect(
    found: np.ndarray, path: str | Path, name: str, kinds: str = "biuf", shape: tuple | None = None
) -> np.ndarray:
    """The array, once it is known to be as it must. kinds: of NumPy's types, as letters; shape:
    None in it stands for any length; name: of it in the file. NoiselabError: it is of another run
    or data set."""
    of = f"{path}: {name} " if name else f"{path}: "
    if found.dtype.kind not in kinds:
        raise NoiselabError(f"{of}is an array of {found.dtype}, which it cannot be; {AGAIN}")
    fits = shape is None or (
        len(shape) == found.ndim
        and all(a in (None, b) for a, b in zip(shape, found.shape, strict=True))
    )
    if not fits:
        wanted = tuple("any" if a is None else a for a in shape)
        raise NoiselabError(
            f"{of}has the shape {found.shape}, not {wanted}: of another run or data set; {AGAIN}"
        )
    return found


def table(path: str | Path, *columns: str):
    """The rows of a csv file of ours, a pandas.DataFrame with these columns among others. Names of
    data sets stay texts, be they 2024 or NA. NoiselabError: it is missing, broken or lacks one."""
    import pandas as pd

    options = {"keep_default_na": False, "na_values": [""], "dtype": {"dataset": str}}
    try:
        found = pd.read_csv(path, **options)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise NoiselabError(f"{path}: {_reason(error)}") from error
    if lacking := [column for column in columns if column not in found.columns]:
        raise NoiselabError(f"{path}: has no column {lacking[0]}; {AGAIN}")
    return found


METRICS = ("run_id", "metric", "value", "noise_ratio", "error_rate")  # columns, among others


def metrics(path: str | Path):
    """The rows of an experiment's metrics, as `table`."""
    return table(path, *METRICS)


def tables(paths: Iterable[str | Path], *columns: str) -> list:
    """The rows of several csv files."""
    return [table(path, *columns) for path in paths]


def rows(path: str | Path) -> list[dict]:
    """The rows of a file of JSON lines. NoiselabError: it is missing, or a line is broken."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise NoiselabError(f"{path}: {_reason(error)}") from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise NoiselabError(f"{path}, line {number}: broken; {AGAIN}")
        found.append(row)
    return found


def _reason(error: Exception) -> str:
    """What is wrong with a file, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read ({error.strerror})"
    if "pickle" in str(error) or "Python objects" in str(error):
        return f"broken, or with objects in it, which are not read; {AGAIN}"
    return f"broken ({first_line(error) or type(error).__name__}); {AGAIN}"
