"""Arguments of the public interface: from whatever a notebook holds to checked arrays."""

from collections.abc import Mapping
from difflib import get_close_matches
from numbers import Real

import numpy as np

from noiselab.errors import InputError, first_line

SUM_TOLERANCE = 1e-3  # of probabilities, which may come from half precision
CLASSES = 100_000  # more are a mistake


def probabilities(values, name: str = "probabilities") -> np.ndarray:
    """Probabilities of classes, float64 [n, C], as they are. InputError: they are none."""
    p = numbers(values, name, "fiu").astype(np.float64)
    if p.ndim != 2 or p.shape[0] < 1 or p.shape[1] < 2:
        raise InputError(
            f"{name}: need one row per item and one column per class (two or more), "
            f"found shape {p.shape}"
        )
    if not np.isfinite(p).all():
        row = np.flatnonzero(~np.isfinite(p).all(axis=1))[0]
        raise InputError(f"{name}: row {row} has {_first(p[row], ~np.isfinite(p[row]))}")
    sums, unlikely = p.sum(axis=1), (p < 0).any(axis=1)
    if unlikely.any():
        row = unlikely.argmax()
        value = _first(p[row], p[row] < 0)
        raise InputError(f"{name}: row {row} has {value}, below 0; {_remedy(p)}")
    off = np.abs(sums - 1) > SUM_TOLERANCE
    if off.any():
        row = off.argmax()
        raise InputError(f"{name}: row {row} sums to {sums[row]:.6g}, not to 1; {_remedy(p)}")
    return p


def _remedy(p: np.ndarray) -> str:
    with np.errstate(over="ignore"):
        if np.allclose(np.exp(p).sum(axis=1), 1, atol=SUM_TOLERANCE):
            return "log-probabilities? Take exp first"
    return "logits? Take the softmax first"


def labels(values, classes: int, count: int | None = None) -> np.ndarray:
    """Class labels, int64 [n], from 0 to classes - 1. count: how many there must be.

    InputError: they are none.
    """
    y = numbers(values, "labels", "iuf")
    if y.dtype.kind == "f":
        raise InputError(f"labels: must be whole numbers from 0 to C - 1, found {y.dtype}")
    if y.ndim != 1 or not len(y):
        raise InputError(f"labels: need one number per item, found shape {y.shape}")
    if count is not None and len(y) != count:
        raise InputError(f"labels: {len(y)} labels for {count} rows of probabilities")
    if outside := [value for value in (y.min(), y.max()) if not 0 <= value < classes]:
        raise InputError(
            f"labels: {outside[0]} is no class; {classes} classes are 0 … {classes - 1}"
        )
    return y.astype(np.int64)


def transitions(values, classes: int | None = None) -> np.ndarray:
    """A transition matrix, float64 [C, C]. classes: C that it must have. InputError: it is none."""
    matrix = numbers(values, "noise", "fiu").astype(np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise InputError(f"noise: a transition matrix is square, found shape {matrix.shape}")
    if classes is not None and len(matrix) != classes:
        raise InputError(f"noise: a matrix of {len(matrix)} classes for {classes} classes")
    impossible = ~((matrix >= 0) & (matrix <= 1))  # not a number, too
    if impossible.any():
        row = impossible.any(axis=1).argmax()
        value = _first(matrix[row], impossible[row])
        raise InputError(f"noise: row {row} has {value}: no probability")
    off = np.abs(matrix.sum(axis=1) - 1) > 1e-6
    if off.any():
        row = off.argmax()
        raise InputError(f"noise: row {row} sums to {matrix[row].sum():.8g}, not to 1")
    return matrix


def flips(values, classes: int) -> dict[int, int]:
    """Which class becomes which. InputError: not a mapping of classes, or a class would stay."""
    if not isinstance(values, Mapping) or not values:
        raise InputError(f"flips: must map classes to classes, found {values!r}")
    found = {}
    for pair in values.items():
        for label in pair:
            number = isinstance(label, int | np.integer) and not isinstance(label, bool)
            if not number or not 0 <= label < classes:
                raise InputError(f"flips: {label!r} is no class; classes are 0 … {classes - 1}")
        if pair[0] == pair[1]:
            raise InputError(f"flips: class {pair[0]} would stay what it is; leave it out")
        found[int(pair[0])] = int(pair[1])
    return found


def rate(value) -> float:
    """An error rate, from 0 to 1. InputError: it is none."""
    number = isinstance(value, Real | np.number) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:
        raise InputError(f"rate: must be a number from 0 to 1, found {value!r}")
    return float(value)


def whole(value, name: str, least: int) -> int:
    """A whole number of 63 bits, `least` or more. InputError: it is none."""
    number = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not number or not least <= value < 2**63:
        raise InputError(f"{name}: must be a whole number, {least} or more, found {value!r}")
    return int(value)


def choice(value, known: list[str], name: str) -> str:
    """One of the known names. InputError says which is close."""
    if isinstance(value, str) and value in known:
        return value
    close = get_close_matches(str(value), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
    raise InputError(f"{name}: unknown {value!r} ({hint})")


def numbers(values, name: str, kinds: str) -> np.ndarray:
    """Lists, NumPy, pandas, torch on the CPU. kinds: of NumPy's types."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}: cannot be read as an array ({first_line(error)})") from error
    if array.dtype.kind not in kinds:
        raise InputError(f"{name}: must be an array of numbers, found {array.dtype}")
    return array


def _first(values: np.ndarray, where: np.ndarray) -> str:
    return f"{values[where.argmax()]:g}"
