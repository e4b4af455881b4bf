"""One process at a time: a second Snakemake, or one that was killed, may have left another training
of the same run, which would write the same checkpoints and history."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

EVERY = 1.0  # seconds between two looks


@contextmanager
def exclusive(folder: Path) -> Iterator[bool]:
    """Be the only one that holds this folder, which is made; yields whether another had to end
    first. Where the file system has no locks, nothing is waited for."""
    folder.mkdir(parents=True, exist_ok=True)
    path, waited = folder / "lock", False
    while not (file := _taken(path)):
        if not waited:
            print(f"noiselab: {folder}: another process trains this; waiting for it", flush=True)
        waited = True
        time.sleep(EVERY)
    try:
        yield waited
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _taken(path: Path) -> TextIO | None:
    """The locked file, or None where another process has it."""
    file = path.open("a", encoding="utf-8")  # open until the lock is given back
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError:
        return file
    try:
        if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
            return file
    except FileNotFoundError:
        pass
    file.close()  # who had it before has removed it, and another may hold a new one
    return _taken(path)
