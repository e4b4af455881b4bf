"""The one training loop. Families differ by model, batch and loss only."""

import math
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
from noiselab.processes import give_back
from noiselab.training import checkpoint, distributed, precision
from noiselab.training.records import History, Meter
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
    stop_at: dict[str, float] | None = None  # scores that end training where all are reached


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
    trained = Trained(model, loss, settings, device)
    shares, batch_size = micro_batches(settings), settings.batch_size
    state = checkpoint.load(folder, run_digest, device)
    done = start = trained.restore(state)
    meter = Meter(device, state["meter"] if state else None)
    history = History(folder / "history.jsonl", start)

    with _stop_signals() as stop, checkpoint.Writer(folder, run_digest) as writer:
        checkpoints = Checkpoints(writer, stop, settings, device)
        for step in _progress(start, settings.steps):
            # Dropout and the like are a function of the step, so a restart repeats nothing.
            torch.manual_seed(streams.integer(seed, f"dropout-{distributed.rank()}", step))
            rate = trained.set_learning_rate(learning_rate(step, settings))
            for first, last in shares:
                offset = step * batch_size
                data = batch(offset + first, offset + last)
                value = trained.backward(data, len(shares), final=(first, last) == shares[-1])
                meter.add(value, data.corrupted)
            trained.update()
            meter.steps += 1

            done = step + 1
            if done % math.ceil(settings.steps / HISTORY_ROWS) == 0 or done == settings.steps:
                row = meter.row(batch_size)
                if not math.isfinite(row["loss"]):
                    meter.diverged_at = done  # a result too: the table says so
                    trained.spoil()
                    break
                history.add({"step": done, "learning_rate": rate, **row})
            # On every process: an evaluation may be shared out among them.
            if evaluate and _due(done, settings.evaluate_every, settings.steps):
                scores = _evaluate(trained.result, evaluate, meter)
                history.add({"step": done, **scores})
                if _reached(scores, settings.stop_at):
                    break
            if done == settings.snapshot_step and history.writes:
                save_weights(folder / SNAPSHOT, trained.result, run_digest)
            checkpoints.after(done, trained, meter)
    if meter.steps:  # training ended between two rows
        history.add({"step": done, "learning_rate": rate, **meter.row(batch_size)})
    return trained.result, meter.summary(done, batch_size) | {"precision": trained.precision}


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
        return _sgd(model, spec)
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


def _sgd(model: nn.Module, spec: dict) -> torch.optim.Optimizer:
    """Biases may have a larger learning rate, by `bias_multiplier`, and then decay by as much less:
    what decay takes from them in a step stays the same."""
    options = {key: spec[key] for key in ("momentum", "weight_decay")}
    options |= {"lr": spec["learning_rate"], "nesterov": spec.get("nesterov", False)}
    times = spec.get("bias_multiplier", 1)
    trained = [p for p in model.parameters() if p.requires_grad]
    if times == 1:
        return torch.optim.SGD(trained, fused=True, **options)
    biases = {"params": [p for p in trained if p.dim() == 1], "multiplier": times}
    biases |= {"weight_decay": spec["weight_decay"] / times}
    groups = [{"params": [p for p in trained if p.dim() > 1]}, biases]
    return torch.optim.SGD(groups, fused=True, **options)


class Trained:
    """A model, in the form that several processes train together, its optimiser and its average."""

    def __init__(self, model: nn.Module, loss: Callable, settings: Settings, device: torch.device):
        self.model, self.loss, self.settings = model.to(device), loss, settings
        self.parallel = distributed.data_parallel(model, device)
        if settings.compile and device.type == "cuda":
            self.parallel = torch.compile(self.parallel)
        self.optimizer = build_optimizer(model, settings.optimizer)
        self.average = _moving_average(model, settings.ema_decay)
        self.precision = precision.resolved(settings.precision, device)
        self.autocast = precision.autocast(self.precision, device)

    @property
    def result(self) -> nn.Module:
        """The model to evaluate: the average, if any."""
        return self.average.module if self.average else self.model

    def set_learning_rate(self, rate: float) -> float:
        """Returns the rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("multiplier", 1)
        return rate

    def backward(self, data: Batch, parts: int, final: bool) -> torch.Tensor:
        """Add the gradients of one of the `parts` of a batch; returns its part of the loss. Only
        with the `final` one do processes exchange their gradients."""
        with _local_gradients(self.parallel, not final), self.autocast:
            value = self.loss(self.parallel, data) / parts
        value.backward()
        return value.detach()

    def update(self) -> None:
        """One step of the optimiser, and of the average."""
        if self.settings.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.average:
            self.average.update_parameters(self.model)

    def spoil(self) -> None:
        """Nothing can be taken from a model that diverged, not even where what it says happens to
        be finite: its weights are no numbers from now on."""
        with torch.no_grad():
            for parameter in self.result.parameters():
                parameter.fill_(math.nan)

    def states(self) -> dict:
        """What a checkpoint keeps."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def restore(self, state: dict | None) -> int:
        """Put a checkpoint's content in place; returns the step to go on from."""
        if state is None:
            return 0
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        return state["step"]

    def _parts(self) -> dict:
        parts = {"model": self.model, "optimizer": self.optimizer}
        return parts | ({"average": self.average} if self.average else {})


class Checkpoints:
    """Saves a run every few minutes and when it is asked to stop, which then ends it."""

    SAVE, STOP = 1, 2

    def __init__(
        self, writer: checkpoint.Writer, stop: Any, settings: Settings, device: torch.device
    ):
        self.writer, self.stop, self.settings, self.device = writer, stop, settings, device
        self.saved = time.monotonic()

    def after(self, step: int, trained: Trained, meter: Meter) -> None:
        """Save if it is time to; Interrupted if it is time to stop, on all processes."""
        action = self._action(step)
        if action:
            state = {"step": step, "meter": meter.state()}
            if distributed.rank() == 0:
                self.writer.save(state | trained.states())
            self.saved = time.monotonic()
        self.writer.check()
        if action == self.STOP:
            self.writer.wait()
            distributed.barrier()  # the end of one process is the end of all
            raise Interrupted(128 + signal.SIGTERM)

    def _action(self, step: int) -> int:
        """The most urgent wish of any process, so that all of them do the same."""
        due = time.monotonic() - self.saved > 60 * self.settings.checkpoint_minutes
        save = due and step < self.settings.steps
        wish = self.STOP if self.stop.requested else self.SAVE if save else 0
        if distributed.world_size() == 1:
            return wish
        return int(distributed.reduce(torch.tensor(wish, device=self.device), "max"))


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


def _evaluate(model: nn.Module, evaluate: Callable, meter: Meter) -> dict[str, float]:
    model.eval()
    with meter.paused(), torch.no_grad():
        scores = evaluate(model)
    model.train()
    give_back()  # what it used is of other shapes than what a step needs
    return scores


def _due(done: int, every: int | None, steps: int) -> bool:
    return bool(every) and (done % every == 0 or done == steps)


def _reached(scores: dict[str, float], goal: dict[str, float] | None) -> bool:
    """Whether all scores of a goal are as high as it says. NoiselabError: one is not measured."""
    unknown = set(goal or {}) - set(scores)
    if unknown:
        known = ", ".join(sorted(scores))
        raise NoiselabError(
            f"stop_at: {min(unknown)} is not measured during training ({known} are)"
        )
    return bool(goal) and all(scores[name] >= value for name, value in goal.items())


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
