"""Long inference in parts: each is a file, so that the same command goes on after a stop."""

from collections.abc import Callable, Iterator
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from tqdm import tqdm

from noiselab import progress
from noiselab.files import digest, save_arrays, sha256
from noiselab.run import Run
from noiselab.training import distributed

Arrays = dict[str, np.ndarray]


def in_shards(folder: Path, count: int, make: Callable[[int], Arrays]) -> Iterator[Arrays]:
    """What `make` gives for each of `count` shards, in their order.

    Missing and damaged files in `folder` are made first; processes share them out. The folder
    must be named after everything that the result depends on: `identity`.
    """
    mine = range(distributed.rank(), count, distributed.world_size())
    for number in tqdm(mine, unit="shard", mininterval=progress.interval(), disable=mine.start > 0):
        path = _path(folder, number)
        if _read(path) is None:
            save_arrays(path, make(number))
    distributed.barrier()
    return (_read(_path(folder, number)) for number in range(count))


def identity(run: Run, weights: Path | None, *settings) -> str:
    """Name of a folder of shards: of the run, the content of its weights where it says nothing of
    it, and further settings."""
    return digest([run.content(), weights and sha256(weights), *settings])[:12]


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.npz"


def _read(path: Path) -> Arrays | None:
    """A shard's arrays; None where it is missing or damaged."""
    try:
        with np.load(path) as file:
            return dict(file)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
