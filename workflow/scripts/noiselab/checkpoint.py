"""Checkpoints that survive kills, full disks and mix-ups.

A checkpoint is one file, `step-<step>-<digest>.pt`, written under another name and then
renamed; the digest of its content is in the name, so a damaged file is recognised. The two
newest are kept. They live in a folder that no Snakemake rule declares as output, because
Snakemake deletes the outputs of failed jobs.
"""

import errno
import hashlib
import os
import re
import shutil
import sys
from pathlib import Path

import torch

from noiselab.errors import NoiselabError

KEEP = 2
ALMOST_FULL = 2**20  # bytes free, after which a failed write is put down to a full disk
_NAME = re.compile(r"step-(\d+)-([0-9a-f]{16})\.pt")


def save(folder: Path, state: dict, run_digest: str) -> Path:
    """Write `state` (must hold `step`) for the run with this digest; returns the file.

    NoiselabError where the disk is full or the folder cannot be written; nothing is left then.
    """
    temporary = folder / f".step.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            torch.save({**state, "run_digest": run_digest}, file)
            file.flush()
            os.fsync(file.fileno())
        path = folder / f"step-{state['step']:09d}-{_file_digest(temporary)}.pt"
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # torch reports write errors as RuntimeError, too
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        if folder.is_dir() and shutil.disk_usage(folder).free < ALMOST_FULL:
            reason = os.strerror(errno.ENOSPC)
        raise NoiselabError(f"cannot write a checkpoint in {folder}: {reason}") from error
    finally:
        temporary.unlink(missing_ok=True)
    for _, old in _found(folder)[KEEP:]:
        old.unlink(missing_ok=True)
    return path


def load(folder: Path, run_digest: str, device: torch.device) -> dict | None:
    """The newest usable state in `folder`, or None where there is none to resume from.

    Damaged files and files of another run are refused with a line on stderr, and the one
    before is tried. NoiselabError where nothing but files of other runs is left.
    """
    foreign = None
    for digest, path in _found(folder):
        if _file_digest(path) != digest:
            print(f"noiselab: {path}: damaged checkpoint, trying the one before", file=sys.stderr)
            continue
        state = torch.load(path, map_location=device, weights_only=True)
        if state["run_digest"] == run_digest:
            return state
        foreign = path
        print(f"noiselab: {path}: checkpoint of another run, refused", file=sys.stderr)
    if foreign:
        raise NoiselabError(f"{foreign}: checkpoint of another run; remove it to start afresh")
    return None


def _found(folder: Path) -> list[tuple[str, Path]]:
    """(digest, path) of the checkpoints in a folder, newest first."""
    matches = [(m, p) for p in folder.glob("step-*.pt") if (m := _NAME.fullmatch(p.name))]
    matches.sort(key=lambda found: int(found[0].group(1)), reverse=True)
    return [(m.group(2), p) for m, p in matches]


def _file_digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
