"""Matrices of labels in csv files."""

import hashlib
import os
from functools import lru_cache
from typing import NamedTuple

from noiselab.errors import NoiselabError

SHOWN = 40  # characters of a file that a message repeats
ROUNDING = 0.02  # of sums of what was rounded to a few digits


class MatrixFile(NamedTuple):
    """A matrix that suits a data set."""

    path: str
    sha256: str
    rows: list[list[float]]


def planned(path: str, spec: dict, key: str, off_diagonal: bool) -> MatrixFile:
    """The matrix of a csv file as an experiment asks for it. off_diagonal: no label may stay what
    it is. NoiselabError: it cannot be read, or does not suit the data set; key: stands in front."""
    try:
        rows, sha256 = _cached(path, *_state(path))
    except NoiselabError as error:
        raise NoiselabError(f"{key}: {error}") from error
    if mistake := matrix_mistake(rows, spec["classes"], off_diagonal):
        raise NoiselabError(f"{key}: {path} {mistake} (data set {spec['name']})")
    return MatrixFile(path, sha256, rows)


def read_matrix(path: str) -> tuple[list[list[float]], str]:
    """The rows of a csv file of numbers without header, and the SHA-256 of its content.

    NoiselabError where it cannot be read. Without NumPy, which would slow each `snakemake` down.
    """
    return _cached(path, *_state(path))


def _state(path: str) -> tuple[int, int]:
    """Size and time of a file. NoiselabError: there is none; one that is no file could be read for
    ever."""
    try:
        state = os.stat(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NoiselabError(f"cannot read {path} ({reason})") from error
    if not os.path.isfile(path):
        what = "Is a directory" if os.path.isdir(path) else "not a regular file"
        raise NoiselabError(f"cannot read {path} ({what})")
    return state.st_size, state.st_mtime_ns


@lru_cache(maxsize=8)
def _cached(path: str, size: int, time: int) -> tuple[list[list[float]], str]:
    try:
        with open(path, "rb") as file:
            content = file.read()
        text = content.decode("utf-8-sig")  # spreadsheets write a mark in front
        if "\0" in text:  # as Latin letters of UTF-16 have between them
            raise UnicodeDecodeError("utf-8", content, content.index(0), content.index(0) + 1, "0")
    except OSError as error:
        raise NoiselabError(f"cannot read {path} ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise NoiselabError(f"{path} is no text in UTF-8; save it as csv in UTF-8") from error
    lines = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise NoiselabError(f"{path} is empty")
    rows = [_numbers(path, number, line, lines) for number, line in lines]
    return rows, hashlib.sha256(content).hexdigest()


def _numbers(path: str, number: int, line: str, lines: list[tuple[int, str]]) -> list[float]:
    """The numbers of a line. NoiselabError says what is there instead."""
    try:
        return [float(cell) for cell in line.split(",")]
    except ValueError:
        pass
    shown = line.strip()
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"
    for mark, name in ((";", "semicolons"), ("\t", "tabs"), (" ", "spaces")):
        if mark in line.strip() and all(map(_is_number, line.replace(",", ".").split(mark))):
            raise NoiselabError(f"{path} is separated by {name}, not by commas ({shown!r})")
    if (number, line) == lines[0] and not any(map(_is_number, line.split(","))):
        raise NoiselabError(f"{path} begins with a header ({shown!r}); leave it out")
    if any(not cell.strip() for cell in line.split(",")):
        raise NoiselabError(f"{path}, line {number}: an empty cell ({shown!r})")
    raise NoiselabError(f"{path}, line {number}: not numbers with commas between them ({shown!r})")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return not text.strip()
    return True


def matrix_mistake(rows: list[list[float]], classes: int, off_diagonal: bool) -> str | None:
    """Why a matrix cannot be T, or W (off_diagonal): C rows of the true class, C columns."""
    columns = sorted({len(row) for row in rows})
    if (len(rows), columns) != (classes, [classes]):
        found = f"has {len(rows)} rows of {' or '.join(map(str, columns)) or 0} columns"
        return f"{found}, but {classes} classes need as many of both"
    for label, row in enumerate(rows):
        if impossible := [number for number in row if not 0 <= number <= 1]:
            return f"has {impossible[0]:g} in the row of class {label}: no probability"
        if off_diagonal and row[label] != 0:
            return f"lets class {label} stay what it is: the diagonal must be 0"
        if abs(sum(row) - 1) > 1e-6:
            by_column = all(abs(sum(column) - 1) <= 1e-6 for column in zip(*rows, strict=True))
            remedy = "; its columns do: turn it, a row is a true class" if by_column else ""
            if not remedy and abs(sum(row) - 1) <= ROUNDING:
                remedy = "; rounded? Divide each row by its sum"
            return f"has {sum(row):.8g}, not 1, as the sum of the row of class {label}{remedy}"
    return None
