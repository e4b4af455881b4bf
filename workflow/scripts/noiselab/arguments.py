"""Arguments of the public interface: from whatever a notebook holds to checked arrays."""

from collections.abc import Mapping
from difflib import get_close_matches
from numbers import Real

import numpy as np

from noiselab.errors import InputError, first_line

SUM_TOLERANCE = 1e-3  # of probabilities, which may come from half precision
MATRIX_TOLERANCE = 1e-6
ROUNDING = 0.02  # of sums of what was rounded to a few digits
CLASSES = 30_000  # of which T has 7 GB


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
    """What finite numbers that are no probabilities may be, and what makes some of them."""
    sums, least, most = p.sum(axis=1), p.min(), p.max()
    with np.errstate(over="ignore"):
        if np.allclose(np.exp(p).sum(axis=1), 1, atol=SUM_TOLERANCE):
            return "log-probabilities? Take exp first"
    without = np.abs(sums[:, None] - p - 1) <= SUM_TOLERANCE  # a column
    if p.shape[1] > 2 and (extra := without.all(axis=0)).any():
        return f"a column that is no class? Without column {extra.argmax()} rows sum to 1"
    if least < 0:
        return "logits? Take the softmax first" if least < -SUM_TOLERANCE else "clip at 0"
    if (np.abs(sums - 100) <= 100 * SUM_TOLERANCE).all():
        return "per cent? Divide by 100"
    if most > 1 and (p == np.round(p)).all():
        return "counts? Divide each row by its sum"
    if most > 1 and (len(p) == 1 or np.ptp(sums) > ROUNDING * sums.mean()):
        return "logits? Take the softmax first"
    if most > 1 or (np.abs(sums - 1) <= ROUNDING).all():
        return "rounded or scaled? Divide each row by its sum"
    return "a column that is no class, or one that is missing?"


def labels(
    values, classes: int | None, count: int | None = None, name: str = "labels"
) -> np.ndarray:
    """Class labels, int64 [n], from 0 to classes - 1. classes: None where no number is known;
    count: how many there must be.

    InputError: they are none.
    """
    y = class_numbers(values, name)
    if count is not None and len(y) != count:
        raise InputError(f"{name}: {len(y)} labels for {count} rows of probabilities")
    outside = (y < 0) | (y >= (np.inf if classes is None else classes))
    if outside.any():
        row = outside.argmax()
        known = "" if classes is None else f"; {classes} classes are 0 … {classes - 1}"
        raise InputError(f"{name}: row {row} has {y[row]}, which is no class{known}")
    return y


def class_numbers(values, name: str) -> np.ndarray:
    """Whole numbers, int64 [n]. InputError says what else they may be."""
    y = numbers(values, name, "iufOUST")
    if not y.size:
        raise InputError(f"{name}: no labels")
    if y.ndim != 1:
        raise InputError(f"{name}: need one number per item, found shape {y.shape}{_flat(y)}")
    if y.dtype.kind in "fO" and (rows := [i for i, label in enumerate(y) if _is_missing(label)]):
        raise InputError(f"{name}: row {rows[0]} is missing; leave such items out")
    if y.dtype.kind in "UST" or any(isinstance(label, str) for label in y[:1]):
        raise InputError(f"{name}: names? Number them in the order of the columns, from 0")
    if y.dtype.kind == "O" and all(isinstance(label, int | np.integer) for label in y):
        y = y.astype(np.int64)  # as pandas may have them
    if y.dtype.kind not in "iu":
        found = f"must be whole numbers from 0 to C - 1, found {y.dtype}"
        whole_ones = y.dtype.kind == "f" and (np.mod(y, 1) == 0).all()
        raise InputError(f"{name}: {found}{'; take .astype(int)' if whole_ones else ''}")
    return y.astype(np.int64)


def _flat(y: np.ndarray) -> str:
    """How labels in rows become one number per item."""
    if y.ndim != 2:
        return ""
    return "; take [:, 0]" if y.shape[1] == 1 else "; one-hot? Take .argmax(1)"


def _is_missing(label) -> bool:
    return label is None or str(label) in ("nan", "<NA>", "NaT")  # also what pandas has for it


def transitions(values, classes: int | None = None) -> np.ndarray:
    """A transition matrix, float64 [C, C]. classes: C that it must have. InputError: it is none."""
    _check_names(values)
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
    sums = matrix.sum(axis=1)
    off = np.abs(sums - 1) > MATRIX_TOLERANCE
    if off.any():
        row = off.argmax()
        remedy = ""
        if (np.abs(matrix.sum(axis=0) - 1) <= MATRIX_TOLERANCE).all():
            remedy = "; columns do: turn it, a row is a true class"
        elif (np.abs(sums - 1) <= ROUNDING).all():
            remedy = "; rounded? Divide each row by its sum"
        raise InputError(f"noise: row {row} sums to {sums[row]:.8g}, not to 1{remedy}")
    return matrix


def _check_names(frame) -> None:
    """Rows and columns of a pandas frame are the same classes. InputError: they are not."""
    if not (hasattr(frame, "index") and hasattr(frame, "columns")):
        return
    rows, columns = ([str(name) for name in names] for names in (frame.index, frame.columns))
    if rows != columns:
        pair = next((p for p in zip(rows, columns, strict=False) if p[0] != p[1]), None)
        found = f"row {pair[0]!r} is beside column {pair[1]!r}" if pair else "it is not square"
        raise InputError(
            f"noise: {found}; give rows and columns the same names in the same order, or "
            "take .to_numpy()"
        )


def classes(value) -> int:
    """A number of classes. InputError: it is none, or T would be too large."""
    found = whole(value, "classes", 2)
    if found > CLASSES:
        size = f"{8 * found**2 / 1e9:,.0f} GB"
        raise InputError(f"classes: at most {CLASSES}, as T of {found} classes would have {size}")
    return found


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
    if masked := np.ma.count_masked(values) if np.ma.isMaskedArray(values) else 0:
        raise InputError(f"{name}: {masked} of {np.size(values)} are masked; leave these items out")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        if "BFloat16" in str(error):
            raise InputError(f"{name}: NumPy has no bfloat16; call .float() first") from error
        raise InputError(f"{name}: cannot be read as an array ({first_line(error)})") from error
    if array.dtype.kind not in kinds:
        raise InputError(f"{name}: must be an array of numbers, found {array.dtype}")
    return array


def _first(values: np.ndarray, where: np.ndarray) -> str:
    return f"{values[where.argmax()]:g}"
