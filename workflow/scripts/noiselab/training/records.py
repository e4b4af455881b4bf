"""What a run writes down on its way: sums of the loss and of what was corrupted, and a history."""

import json
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from noiselab.errors import NoiselabError
from noiselab.files import whole_file, write_text
from noiselab.training import distributed


class Meter:
    """Sums since the last history row, and totals of the run; all survive a restart."""

    def __init__(self, device: torch.device, saved: dict | None):
        saved = saved or {"sums": [0.0] * 3, "totals": [0.0] * 2, "steps": 0}
        saved = {"seconds": 0.0, "row_seconds": 0.0} | saved
        exact = {"dtype": torch.float64, "device": device}
        self.sums = torch.tensor(saved["sums"], **exact)  # loss, corrupted, targets
        self.totals = torch.tensor(saved["totals"], **exact)  # corrupted, targets
        self._carry_on_process_0()  # what was saved is the sum over processes
        self.steps: int = saved["steps"]  # since the last row
        self.diverged_at: int | None = None  # step at which the loss was no longer finite
        self.seconds: float = saved["seconds"]  # of training, in all
        self.clock = time.monotonic()
        self.row_clock = self.clock - saved["row_seconds"]  # of the row that was begun before

    def add(self, loss: torch.Tensor, corrupted: torch.Tensor) -> None:
        """Count one micro-batch, its loss and which targets were corrupted; nothing waits for the
        device."""
        self.sums[0] += loss
        self.sums[1] += corrupted.sum()
        self.sums[2] += corrupted.numel()

    def row(self, batch_size: int) -> dict:
        """Means since the last row, over all processes."""
        loss, corrupted, targets = self._reduced(self.sums)
        elapsed = time.monotonic() - self.row_clock
        row = {
            "loss": loss / (self.steps * distributed.world_size()),
            "error_rate": corrupted / targets,
            "examples_per_second": self.steps * batch_size / elapsed,
        }
        self.totals += self.sums[1:]
        self.sums.zero_()
        self.steps = 0
        self.row_clock = time.monotonic()
        return row

    @contextmanager
    def paused(self):
        """Keep evaluation out of the speed figures."""
        before = time.monotonic()
        yield
        away = time.monotonic() - before
        self.clock += away
        self.row_clock += away

    def state(self) -> dict:
        """What a checkpoint keeps; every process must call it."""
        for tensor in (self.sums, self.totals):
            distributed.reduce(tensor)
        sums, totals = self.sums.tolist(), self.totals.tolist()
        self._carry_on_process_0()
        state = {"sums": sums, "totals": totals, "steps": self.steps}
        row_seconds = time.monotonic() - self.row_clock
        return state | {"seconds": self.elapsed(), "row_seconds": row_seconds}

    def _carry_on_process_0(self) -> None:
        if distributed.rank() > 0:
            self.sums.zero_()
            self.totals.zero_()

    def elapsed(self) -> float:
        """Seconds of training so far, over all attempts, without evaluations."""
        now = time.monotonic()
        self.seconds += now - self.clock
        self.clock = now
        return self.seconds

    def summary(self, steps: int, batch_size: int) -> dict:
        """Totals of the finished run."""
        corrupted, targets = self._reduced(self.totals)
        seconds = self.elapsed()
        examples = steps * batch_size
        return {
            "steps": steps,
            "examples": examples,
            "targets": int(targets),
            "measured_error_rate": corrupted / targets,
            "seconds": seconds,
            "examples_per_second": examples / seconds if seconds else None,
            "processes": distributed.world_size(),
            "diverged_at": self.diverged_at,
        }

    @staticmethod
    def _reduced(tensor: torch.Tensor) -> list[float]:
        return distributed.reduce(tensor.clone()).tolist()


class History:
    """JSON lines of a run, one row per logged step; rows after the resumed step are dropped."""

    def __init__(self, path: Path, start: int):
        self.path = path
        self.writes = distributed.rank() == 0
        if self.writes:
            kept = [row for row in _whole_rows(path) if row["step"] <= start]
            write_text(path, "".join(f"{json.dumps(row)}\n" for row in kept))

    def add(self, row: dict) -> None:
        """Append one row and hand it to the operating system at once. NoiselabError: it cannot."""
        if self.writes:
            try:
                with open(self.path, "a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
            except OSError as error:  # a full disk, above all
                raise NoiselabError(f"cannot write the history {self.path}: {error}") from error


def _whole_rows(path: Path) -> list[dict]:
    """The rows of a history; what a killed process left half-written is none."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    rows = []
    for line in lines:
        with suppress(ValueError, RecursionError):
            rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("step"), int)]


def finish(folder: Path, history: Path) -> None:
    """Move the history to its place and remove the checkpoints of a finished run."""
    with whole_file(history) as temporary:
        shutil.copyfile(folder / "history.jsonl", temporary)
    shutil.rmtree(folder)
