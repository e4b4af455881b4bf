"""How fast a device trains: several trainings at once, each step as in a real run."""

import multiprocessing
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from queue import Empty
from threading import BrokenBarrierError

import torch

from noiselab.processes import follow_parent
from noiselab.run import Run
from noiselab.training import distributed
from noiselab.training.loop import Settings, Trained, micro_batches

WARM = 3  # steps that are not counted: memory is found, kernels are chosen
PATIENCE = 120  # seconds that one process waits for the others


def together(runs: Sequence[Run], at_once: int, seconds: float) -> list[float]:
    """Examples per second of each run's training on this machine's device, summed over `at_once`
    processes that all train it for so many seconds; 0.0 where a process failed."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(at_once), context.Queue()
    processes = [
        context.Process(target=_measure, args=(list(runs), seconds, barrier, results), daemon=True)
        for _ in range(at_once)
    ]
    for process in processes:
        process.start()
    found = []
    try:
        limit = (PATIENCE + seconds) * (len(runs) + 1)
        for process in processes:
            process.join(limit)
        with suppress(Empty):
            while len(found) < at_once:
                found.append(results.get(timeout=5))
    finally:
        for process in processes:
            process.kill()
    rates = [sum(rates) for rates in zip(*found, strict=True)]
    return rates if len(found) == at_once else [0.0] * len(runs)


def _measure(runs: list[Run], seconds: float, barrier, results) -> None:
    follow_parent()
    rates = []
    with distributed.process_group() as device, suppress(BrokenBarrierError):
        try:
            for run in runs:
                rates.append(_rate(run, device, seconds, barrier))
        finally:
            if len(rates) < len(runs):  # out of memory, above all: the others need not wait
                barrier.abort()
    results.put(rates + [0.0] * (len(runs) - len(rates)))


def _rate(run: Run, device: torch.device, seconds: float, barrier) -> float:
    """Examples per second of one process, while the others train the same."""
    task = import_module(f"noiselab.families.{run.family}.task").task(run, device)
    settings = Settings(**run.training)
    trained = Trained(task.model, task.loss, settings, device)
    trained.set_learning_rate(settings.optimizer["learning_rate"] / 100)  # it shall not diverge
    shares, step = micro_batches(settings), 0

    def train_step() -> None:
        nonlocal step
        for first, last in shares:
            offset = step * settings.batch_size
            data = task.batch(offset + first, offset + last)
            trained.backward(data, len(shares), final=(first, last) == shares[-1])
        trained.update()
        step += 1

    for _ in range(WARM):
        train_step()
    _wait(device)
    barrier.wait(PATIENCE)
    begun, first = time.perf_counter(), step
    while time.perf_counter() - begun < seconds:
        train_step()
        _wait(device)
    rate = (step - first) * settings.batch_size / (time.perf_counter() - begun)
    barrier.wait(PATIENCE)  # nobody stops the work of the others with the start of the next
    return rate


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
