"""Checkpoints that survive kills, full disks and mix-ups.

A checkpoint is one file, `step-<step>-<digest>.pt`, written under another name and then
renamed; the digest of its content is in the name, so a damaged file is recognised. The two
newest are kept. They live in a folder that no Snakemake rule declares as output, because
Snakemake deletes the outputs of failed jobs.
"""

import hashlib
import io
import re
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from pickle import UnpicklingError

import torch

from noiselab.errors import NoiselabError
from noiselab.files import sha256, whole_file

KEEP = 2
DIGITS = 16  # of the digest, in a name
_NAME = re.compile(rf"step-(\d+)-([0-9a-f]{{{DIGITS}}})\.pt")


class Writer:
    """Writes the checkpoints of a run, in a thread, so that the training need not wait for disks.

    NoiselabError, from any method, where an earlier checkpoint could not be written because the
    disk is full or the folder cannot be written; nothing of it is left then.
    """

    def __init__(self, folder: Path, run_digest: str):
        self.folder, self.run_digest = folder, run_digest
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._pending: Future | None = None

    def save(self, state: dict) -> None:
        """Write `state` (must hold `step`) as it is now; returns as soon as it is in memory."""
        self.wait()
        content = io.BytesIO()
        torch.save({**state, "run_digest": self.run_digest}, content)
        self._pending = self._thread.submit(_write, self.folder, state["step"], content.getbuffer())

    def check(self) -> None:
        """Raise the error of a checkpoint that could not be written, as soon as that is known."""
        if self._pending and self._pending.done():
            self.wait()

    def wait(self) -> None:
        """Wait until the last checkpoint is on the disk."""
        pending, self._pending = self._pending, None
        if pending:
            pending.result()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind, *_) -> None:
        self._thread.shutdown()
        if kind is None:
            self.wait()


def _write(folder: Path, step: int, content: memoryview) -> None:
    digest = hashlib.sha256(content).hexdigest()[:DIGITS]
    with whole_file(folder / f"step-{step:09d}-{digest}.pt") as temporary:
        temporary.write_bytes(content)
    for _, old in _found(folder)[KEEP:]:
        old.unlink(missing_ok=True)


def load(folder: Path, run_digest: str, device: torch.device) -> dict | None:
    """The newest usable state in `folder`, or None where there is none to resume from.

    Damaged files and files of another run are refused with a line on stderr, and the one
    before is tried. NoiselabError where nothing but files of other runs is left.
    """
    foreign = None
    for digest, path in _found(folder):
        if sha256(path)[:DIGITS] != digest:
            print(f"noiselab: {path}: damaged checkpoint, trying the one before", file=sys.stderr)
            continue
        try:
            state = torch.load(path, map_location=device, weights_only=True)
        except UnpicklingError as error:  # whose reading could run code
            raise NoiselabError(f"{path}: no checkpoint, there are objects in it") from error
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
