"""Labels of images as a column of numbers or names has them."""

from pathlib import Path

import numpy as np

from noiselab.errors import NoiselabError
from noiselab.noise import label_file

GREATEST = 1_000_000  # classes; a larger label is none


def column(file: Path, name: str, values) -> np.ndarray:
    """Labels of a pyarrow column: int64 [n], or texts [n], as objects, where classes are named.
    NoiselabError names the first row whose label is none."""
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    where = f"{file}: column {name}"
    if values.null_count:
        row = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
        raise NoiselabError(f"{where} has no label in row {row}")
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return _texts(where, values.to_pylist())
    whole = pa.types.is_integer(values.type)
    if not (whole or pa.types.is_floating(values.type)):
        raise NoiselabError(f"{where} is not whole numbers throughout, but {values.type}")
    found = values.to_numpy(zero_copy_only=False)
    return _whole(where, found if whole else found.astype(np.float64))  # float16 has no 1,000,000


def _texts(where: str, values: list[str]) -> np.ndarray:
    names = [value.strip() for value in values]
    if "" in names:
        raise NoiselabError(f"{where} has no label in row {names.index('')}")
    label_file.check_names(where, names)
    return np.array(names, dtype=object)


def _whole(where: str, values: np.ndarray) -> np.ndarray:
    bad = ~((values >= 0) & (values < GREATEST) & (values == np.floor(values)))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise NoiselabError(
            f"{where} is not whole numbers from 0 throughout: {values[row]} in row {row}"
        )
    return values.astype(np.int64)
