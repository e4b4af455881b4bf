"""The one training loop. Families differ by model, batch and loss only."""

import json
import math
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from noiselab import progress, streams
from noiselab.errors import NoiselabError
from noiselab.training import checkpoint, distributed
from noiselab.training.weights import save_weights

HISTORY_ROWS = 100  # loss rows per run, whatever its length
SNAPSHOT = "snapshot.safetensors"  # beside the checkpoints


class Batch(NamedTuple):
    """One (micro-)batch on the device."""

    inputs: Any  # what the model takes
    targets: torch.Tensor  # what it is taught, corrupted or not
    corrupted: torch.Tensor  # bool, which targets were corrupted


@dataclass(frozen=True)
class Task:
    """What a family brings to the loop; arguments as in `train`."""

    model: nn.Module
    batch: Callable[[int, int], Batch]
    loss: Callable[[nn.Module, Batch], torch.Tensor]
    evaluate: Callable[[nn.Module], dict[str, float]]
    predict: Callable[[nn.Module], Any] | None = None  # predictions on test data, to be kept


@dataclass(frozen=True)
class Settings:
    """`training` of run.json."""

    steps: int
    batch_size: int  # examples per optimiser step, over all processes
    micro_batch_size: int | None  # examples per forward pass and process
    optimizer: dict
    schedule: str
    schedule_steps: int  # steps over which the schedule anneals
    warmup_steps: int
    final_learning_rate: float
    clip_norm: float | None
    ema_decay: float | None
    precision: str
    compile: bool  # torch.compile, on CUDA
    evaluate_every: int | None  # steps
    checkpoint_minutes: float
    snapshot_step: int | None = None  # step after which the weights are kept, too


class Interrupted(SystemExit):
    """Stopped by a signal after writing a checkpoint; the same command goes on from there."""


def train(
    model: nn.Module,
    batch: Callable[[int, int], Batch],
    loss: Callable[[nn.Module, Batch], torch.Tensor],
    settings: Settings,
    *,
    seed: int,
    run_digest: str,
    folder: Path,
    device: torch.device,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
) -> tuple[nn.Module, dict]:
    """Train `model` in place; returns the model to evaluate (its EMA if any) and a summary.

    batch(start, stop): the examples at positions start … stop - 1 of the run's endless
    stream, a pure function, so that neither the number of processes nor a restart changes
    what is seen. loss(model, batch): mean over the batch's targets. folder: checkpoints and
    the history so far; the same command resumes from there.
    """
    model.to(device)
    parallel = distributed.data_parallel(model, device)
    if settings.compile and device.type == "cuda":
        parallel = torch.compile(parallel)
    optimizer = build_optimizer(model, settings.optimizer)
    average = _moving_average(model, settings.ema_decay)
    parts = {"model": model, "optimizer": optimizer} | ({"average": average} if average else {})
    shares = micro_batches(settings)
    bf16 = settings.precision == "bf16" and device.type == "cuda"
    precision = torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext()

    state = checkpoint.load(folder, run_digest, device)
    start = _restore(parts, state)
    meter = Meter(device, state["meter"] if state else None)
    history = History(folder / "history.jsonl", start)
    saved = time.monotonic()

    with _stop_signals() as stop, checkpoint.Writer(folder, run_digest) as writer:
        for step in _progress(start, settings.steps):
            # Dropout and the like are a function of the step, so a restart repeats nothing.
            torch.manual_seed(streams.integer(seed, f"dropout-{distributed.rank()}", step))
            rate = learning_rate(step, settings)
            for group in optimizer.param_groups:
                group["lr"] = rate
            for i, (first, last) in enumerate(shares):
                offset = step * settings.batch_size
                data = batch(offset + first, offset + last)
                final = i == len(shares) - 1
                with _local_gradients(parallel, not final), precision:
                    value = loss(parallel, data) / len(shares)
                value.backward()
                meter.add(value.detach(), data)
            if settings.clip_norm:
                nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
            optimizer.step()
            optimizer.zero_grad()
            if average:
                average.update_parameters(model)
            meter.steps += 1

            done = step + 1
            if done % math.ceil(settings.steps / HISTORY_ROWS) == 0 or done == settings.steps:
                row = meter.row(settings.batch_size)
                if not math.isfinite(row["loss"]):
                    meter.diverged_at = done  # a result too: the table says so
                    break
                history.add({"step": done, "learning_rate": rate, **row})
            # On every process: an evaluation may be shared out among them.
            if evaluate and _due(done, settings.evaluate_every, settings.steps):
                with meter.paused():
                    history.add({"step": done, **_evaluate(average or model, evaluate)})
            if done == settings.snapshot_step and history.writes:
                save_weights(folder / SNAPSHOT, average.module if average else model, run_digest)
            due = time.monotonic() - saved > 60 * settings.checkpoint_minutes
            action = _agree(stop.requested, due and done < settings.steps, device)
            if action:
                _save(writer, parts, done, meter)
                saved = time.monotonic()
            writer.check()
            if action == STOP:
                writer.wait()
                distributed.barrier()  # the end of one process is the end of all
                raise Interrupted(128 + signal.SIGTERM)
    return (average.module if average else model), meter.summary(settings)


# ------------------------------------------------------------------------ parts of the loop


def learning_rate(step: int, settings: Settings) -> float:
    """Learning rate of a step (from 0): linear warm-up, then the schedule.

    The cosine is not clamped beyond `schedule_steps`: a run longer than its schedule climbs
    again, which is what the published code did.
    """
    peak, last = settings.optimizer["learning_rate"], settings.final_learning_rate
    if step < settings.warmup_steps:
        return peak * (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return peak
    annealing = max(1, settings.schedule_steps - settings.warmup_steps)
    progress = (step - settings.warmup_steps) / annealing
    return last + 0.5 * (peak - last) * (1 + math.cos(math.pi * progress))


def build_optimizer(model: nn.Module, spec: dict) -> torch.optim.Optimizer:
    """Optimiser from its specification in the recipe.

    AdamW decays matrices and embeddings only, no biases and gains, nor what the model's
    `no_weight_decay` names; SGD, as in the CIFAR recipe, decays all.
    """
    if spec["name"] == "sgd":
        options = {"momentum": spec["momentum"], "weight_decay": spec["weight_decay"]}
        return torch.optim.SGD(model.parameters(), lr=spec["learning_rate"], fused=True, **options)
    spared = getattr(model, "no_weight_decay", set)()
    decayed, others = [], []
    for name, parameter in model.named_parameters():
        (decayed if parameter.dim() >= 2 and name not in spared else others).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": spec["weight_decay"]},
        {"params": others, "weight_decay": 0.0},
    ]
    betas = tuple(spec["betas"])
    # Adam is AdamW without decay.
    return torch.optim.AdamW(groups, lr=spec["learning_rate"], betas=betas, fused=True)


class Meter:
    """Sums since the last history row, and totals of the run; all survive a restart."""

    def __init__(self, device: torch.device, saved: dict | None):
        saved = saved or {"sums": [0.0] * 3, "totals": [0.0] * 2, "steps": 0, "seconds": 0.0}
        exact = {"dtype": torch.float64, "device": device}
        self.sums = torch.tensor(saved["sums"], **exact)  # loss, corrupted, targets
        self.totals = torch.tensor(saved["totals"], **exact)  # corrupted, targets
        self._carry_on_process_0()  # what was saved is the sum over processes
        self.steps: int = saved["steps"]  # since the last row
        self.diverged_at: int | None = None  # step at which the loss was no longer finite
        self.seconds: float = saved["seconds"]  # of training, in all
        self.clock = time.monotonic()
        self.row_clock = self.clock

    def add(self, loss: torch.Tensor, data: Batch) -> None:
        """Count one micro-batch; nothing waits for the device."""
        self.sums[0] += loss
        self.sums[1] += data.corrupted.sum()
        self.sums[2] += data.corrupted.numel()

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
        return {"sums": sums, "totals": totals, "steps": self.steps, "seconds": self.elapsed()}

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

    def summary(self, settings: Settings) -> dict:
        """Totals of the finished run."""
        corrupted, targets = self._reduced(self.totals)
        seconds = self.elapsed()
        examples = settings.steps * settings.batch_size
        return {
            "steps": settings.steps,
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
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            kept = [r for r in rows if r.endswith("}") and json.loads(r)["step"] <= start]
            path.write_text("".join(f"{row}\n" for row in kept), encoding="utf-8")

    def add(self, row: dict) -> None:
        """Append one row and hand it to the operating system at once. NoiselabError: it cannot."""
        if self.writes:
            try:
                with open(self.path, "a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
            except OSError as error:  # a full disk, above all
                raise NoiselabError(f"cannot write the history {self.path}: {error}") from error


def finish(folder: Path, history: Path) -> None:
    """Move the history to its place and remove the checkpoints of a finished run."""
    history.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / "history.jsonl", history)
    shutil.rmtree(folder)


SAVE, STOP = 1, 2


def _agree(stop: bool, save: bool, device: torch.device) -> int:
    """The most urgent wish of any process, so that all of them do the same."""
    wish = STOP if stop else SAVE if save else 0
    if distributed.world_size() == 1:
        return wish
    return int(distributed.reduce(torch.tensor(wish, device=device), "max"))


def _save(writer: checkpoint.Writer, parts: dict, step: int, meter: Meter) -> None:
    state = {"step": step, "meter": meter.state()}
    if distributed.rank() == 0:
        writer.save(state | {name: part.state_dict() for name, part in parts.items()})


def _restore(parts: dict, state: dict | None) -> int:
    """Put a checkpoint's content in place; returns the step to go on from."""
    if state is None:
        return 0
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state["step"]


def _moving_average(model: nn.Module, decay: float | None) -> AveragedModel | None:
    if decay is None:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))


def micro_batches(settings: Settings) -> list[tuple[int, int]]:
    """This process's share of a batch, as offsets (first, last) of its micro-batches."""
    processes = distributed.world_size()
    share, rest = divmod(settings.batch_size, processes)
    size = min(settings.micro_batch_size or share, share)
    if rest or share % size:
        raise NoiselabError(
            f"batch_size {settings.batch_size} cannot be split evenly over {processes} "
            f"process(es) in micro-batches of {size}"
        )
    begin = distributed.rank() * share
    return [(begin + i, begin + i + size) for i in range(0, share, size)]


def _local_gradients(model: nn.Module, local: bool):
    """While accumulating, gradients need not be exchanged."""
    return model.no_sync() if local and hasattr(model, "no_sync") else nullcontext()


def _evaluate(model: nn.Module, evaluate: Callable) -> dict[str, float]:
    model.eval()
    with torch.no_grad():
        scores = evaluate(model)
    model.train()
    return scores


def _due(done: int, every: int | None, steps: int) -> bool:
    return bool(every) and (done % every == 0 or done == steps)


def _progress(start: int, steps: int) -> tqdm:
    """Progress bar on process 0."""
    return tqdm(
        range(start, steps),
        initial=start,
        total=steps,
        unit="step",
        mininterval=progress.interval(),
        disable=distributed.rank() > 0,
    )


@contextmanager
def _stop_signals():
    """Turn SIGTERM and SIGUSR1 into a wish to stop after the current step."""

    class Stop:
        requested = False

    def request(number, frame):
        Stop.requested = True

    numbers = (signal.SIGTERM, signal.SIGUSR1)
    before = [signal.signal(n, request) for n in numbers]
    try:
        yield Stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
