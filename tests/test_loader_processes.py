"""Processes that make batches of encoded images: they end with their batches and their trainer."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from itertools import count
from pathlib import Path

import psutil
import pytest
import torch

from commands import LIMIT, started
from encoded_samples import encoded_run, packed_photos
from image_folders import image_folder
from noiselab.data import encoded, prepared
from noiselab.data.encoded_batches import EncodedBatches, views
from noiselab.errors import NoiselabError
from noiselab.training import loop as training

TESTS = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    return packed_photos(folder, image_folder(folder / "tree"))


def children():
    return psutil.Process().children(recursive=True)


def test_loader_processes_end_with_their_batches(packed):
    _, train, _ = prepared.read(packed)
    before = set(children())
    batches = EncodedBatches(encoded_run(), train, "cpu", 2)
    batches(0, 10)
    assert len(set(children()) - before) == 2
    batches(50, 60)  # somewhere else: new ones take their place
    assert len(set(children()) - before) == 2
    del batches
    assert set(children()) <= before


class Deadly(encoded.EncodedImages):
    """Images of which number 5 kills the process that reads it."""

    def __getitem__(self, i):
        if i == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(i)


def test_the_sudden_end_of_a_loader_process_is_one_line(packed):
    _, _, test = prepared.read(packed)
    test.x.__class__ = Deadly
    with pytest.raises(NoiselabError, match="photos: a loader process has ended") as error:
        list(views(test.x, range(8), 1, 1))
    assert "\n" not in str(error.value)


def kill_loaders():
    """Kill the loader processes of this process, and wait until it has been told so."""
    loaders = [psutil.Process(loader.pid) for loader in multiprocessing.active_children()]
    assert loaders
    for loader in loaders:
        loader.kill()
    until(lambda: all(loader.status() == psutil.STATUS_ZOMBIE for loader in loaders))


@pytest.mark.parametrize("place", ["loss", "evaluation"])
def test_the_sudden_end_of_loader_processes_is_one_line_wherever_the_trainer_is(
    packed, tmp_path, place
):
    """The error comes when a batch is asked for, not in the midst of something else."""
    calls, survived = count(), []

    def kill(*_):
        if next(calls) == 3:  # when all is under way
            kill_loaders()
            survived.append(True)
        return {}

    hooks = {"loss": {"step": kill}, "evaluation": {"evaluate": kill}}[place]
    with pytest.raises(NoiselabError, match="photos: a loader process has ended") as error:
        run_training(packed, tmp_path / "x", 2, **hooks)
    assert survived
    assert "\n" not in str(error.value)


def script(code: str, *arguments):
    """Python code in a process group of its own, which ends with the block."""
    paths = [str(TESTS), str(TESTS.parent / "workflow" / "scripts")]
    return started(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition, seconds=300):
    """Wait for a condition; the seconds are those of a loaded machine."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def runs(pid: int) -> bool:
    """Whether a process does anything; what has ended may wait for its parent to notice."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_processes_may_be_spawned(packed):
    code = """
        import sys, multiprocessing, numpy
        from noiselab.data import prepared
        from noiselab.data.encoded_batches import views
        if __name__ == "__main__":
            multiprocessing.set_start_method("spawn")
            _, _, test = prepared.read(sys.argv[1])
            for batch in views(test.x, range(8), 4, 1):
                print(batch.sum().item())
    """
    with script(code, packed) as process:
        out, errors = process.communicate(timeout=LIMIT)
    _, _, test = prepared.read(packed)
    expected = [batch.sum().item() for batch in views(test.x, range(8), 4, 0)]
    assert list(map(int, out.split())) == expected, errors


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 4))


def run_training(folder, checkpoints, workers, step=lambda: None, evaluate=None):
    """A short training on encoded images; `step` is called in each forward pass."""
    run = encoded_run(batch_size=10, steps=60, micro_batch_size=5)
    run |= {
        "training": run["training"]
        | {"schedule_steps": 60, "evaluate_every": 2, "checkpoint_minutes": 1000}
    }
    _, train, _ = prepared.read(folder)
    batches = EncodedBatches(run, train, torch.device("cpu"), workers)

    def loss(model, batch):
        step()
        return torch.nn.functional.cross_entropy(model(batch.inputs / 255), batch.targets)

    settings = training.Settings(**run["training"])
    options = {"seed": 0, "run_digest": "r", "folder": Path(checkpoints), "evaluate": evaluate}
    return training.train(
        network(), batches, loss, settings, **options, device=torch.device("cpu")
    )[0]


def resized(size, *settings):
    """Instead of the transforms of timm, whose import takes long."""
    return lambda image: image.resize((size, size)), None


def test_a_signal_to_the_process_group_lets_the_trainer_write_its_checkpoint(
    packed, tmp_path, monkeypatch
):
    code = """
        import sys, os, threading, psutil, signal, time
        from test_loader_processes import encoded, resized, run_training
        encoded._transforms = resized
        handled = []
        def stop():
            while len(psutil.Process().children()) < 2:
                time.sleep(0.01)
            print(*(child.pid for child in psutil.Process().children()), flush=True)
            for _ in range(3):  # from the first moment of the loader processes on
                os.killpg(0, signal.SIGTERM)
                time.sleep(0.1)
            handled.append(True)
        def wait():  # no step ends before the signals have come
            while not handled:
                time.sleep(0.01)
        threading.Thread(target=stop, daemon=True).start()
        run_training(sys.argv[1], sys.argv[2], 2, wait)
    """
    with script(code, packed, tmp_path / "x") as process:
        out, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert "Traceback" not in errors
    assert len(out.split()) == 2
    until(lambda: not any(runs(int(pid)) for pid in out.split()))
    assert list((tmp_path / "x").glob("step-*.pt"))
    monkeypatch.setattr(encoded, "_transforms", resized)
    resumed = run_training(packed, tmp_path / "x", 0)
    uninterrupted = run_training(packed, tmp_path / "y", 0)
    for a, b in zip(resumed.parameters(), uninterrupted.parameters(), strict=True):
        assert torch.equal(a, b)


def test_loader_processes_do_not_survive_a_killed_trainer(packed):
    code = """
        import sys, psutil, time
        from noiselab.data import prepared
        from noiselab.data.encoded_batches import views
        _, _, test = prepared.read(sys.argv[1])
        batches = views(test.x, list(range(8)) * 1000, 4, 2)
        next(batches)
        print(*(child.pid for child in psutil.Process().children()), flush=True)
        time.sleep(1000)
    """
    with script(code, packed) as process:
        pids = list(map(int, process.stdout.readline().split()))
        assert len(pids) == 2
        process.kill()
        process.communicate(timeout=LIMIT)  # the pipes are closed only if nobody is left
        until(lambda: not any(runs(pid) for pid in pids))


# Where a trainer may be when it is killed, seen from a loader process that has just begun.
MOMENTS = {
    "before its first line": "(torch.utils.data._utils.worker, '_worker_loop')",
    "before it follows its parent": "(encoded_batches, '_begin')",
    "after it follows its parent": "(encoded_batches.signal, 'signal')",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_loader_processes_end_with_a_trainer_that_is_killed_at_their_start(packed, moment):
    """A gate: the loader processes go on when their parent has gone."""
    code = """
        import os, sys, time, torch
        from noiselab.data import encoded_batches, prepared
        trainer, (module, name) = os.getpid(), MOMENT
        original = getattr(module, name)
        def wait(*arguments):
            if os.getpid() != trainer:
                print(os.getpid(), flush=True)
                while os.getppid() == trainer:
                    time.sleep(0.01)
            return original(*arguments)
        setattr(module, name, wait)
        _, _, test = prepared.read(sys.argv[1])
        next(encoded_batches.views(test.x, list(range(8)) * 1000, 4, 2))
    """
    with script(code.replace("MOMENT", MOMENTS[moment]), packed) as process:
        pids = [int(process.stdout.readline()) for _ in range(2)]
        process.kill()
        process.communicate(timeout=LIMIT)
        until(lambda: not any(runs(pid) for pid in pids))
