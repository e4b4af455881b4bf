"""Trainings that are interrupted: they go on from their checkpoints as if nothing had been."""

import json
import os
import signal
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from noiselab import reading
from noiselab.errors import NoiselabError
from noiselab.files import sha256
from noiselab.training import checkpoint, records
from noiselab.training import loop as training
from noiselab.training.loop import Interrupted
from noiselab.training.records import History, Meter
from training_samples import STEPS, assert_same, history, plain_batch, run


def at_step(step, action):
    """A batch function that does `action` when it serves this step."""

    def batch(start, stop):
        if start == step * 16:
            action()
        return plain_batch(start, stop)

    return batch


def send(number):
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    "steps", [(0, 17), (4, 5), (9, 29), tuple(np.random.default_rng().choice(30, 2, False))]
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_stopped_twice_equals_not_stopped_bit_for_bit(tmp_path, steps, number):
    reference = run(tmp_path / "reference")
    for step in sorted(steps):
        with pytest.raises(Interrupted) as stop:
            run(tmp_path / "stopped", at_step(step, send(number)))
        assert stop.value.code != 0
    resumed = run(tmp_path / "stopped")
    assert_same(reference, resumed)
    assert history(tmp_path / "reference") == history(tmp_path / "stopped")


def test_the_speed_of_a_row_that_was_interrupted_is_over_all_its_steps(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(records.time, "monotonic", lambda: now[0])
    meter = Meter(torch.device("cpu"), None)
    meter.add(torch.tensor(1.0), torch.zeros(8))
    meter.steps, now[0] = 9, 103.0
    saved = meter.state()
    now[0] = 5000.0  # some hours later
    meter = Meter(torch.device("cpu"), saved)
    meter.steps, now[0] = 10, 5002.0
    assert meter.row(8)["examples_per_second"] == 10 * 8 / (3 + 2)
    assert meter.elapsed() == 5


def test_killed_without_warning_resumes_from_the_last_checkpoint(tmp_path):
    reference = run(tmp_path / "reference")

    def die():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", at_step(13, die), checkpoint_minutes=0)
    assert len(list((tmp_path / "killed").glob("step-*.pt"))) == 2
    served = []

    def spy(start, stop):
        served.append(start // 16)
        return plain_batch(start, stop)

    assert_same(reference, run(tmp_path / "killed", spy))
    assert served == list(range(13, STEPS))
    assert history(tmp_path / "reference") == history(tmp_path / "killed")


def stopped_folder(folder, *steps):
    for step in steps:
        with pytest.raises(Interrupted):
            run(folder, at_step(step, send(signal.SIGTERM)))
    return sorted(folder.glob("step-*.pt"))


def test_damaged_checkpoint_is_refused_and_the_one_before_used(tmp_path, capfd):
    _, newest = stopped_folder(tmp_path / "x", 5, 20)
    newest.write_bytes(newest.read_bytes()[:-1000])
    resumed = run(tmp_path / "x")
    assert f"{newest}: damaged checkpoint" in capfd.readouterr().err
    assert_same(run(tmp_path / "reference"), resumed)


def test_with_all_checkpoints_damaged_training_starts_afresh(tmp_path):
    for file in stopped_folder(tmp_path / "x", 5, 20):
        file.write_bytes(b"")
    assert_same(run(tmp_path / "reference"), run(tmp_path / "x"))


def test_checkpoint_of_another_run_is_refused(tmp_path):
    (file,) = stopped_folder(tmp_path / "x", 5)
    with pytest.raises(NoiselabError, match=r"checkpoint of another run") as error:
        run(tmp_path / "x", digest="another run")
    assert str(file) in str(error.value)
    assert file.exists()


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    """A whole file, by the digest in its name."""

    class Harm:
        def __reduce__(self):
            return open, (str(tmp_path / "harm"), "w")

    torch.save({"run_digest": "run", "state": Harm()}, tmp_path / "state")
    digest = sha256(tmp_path / "state")[: checkpoint.DIGITS]
    (tmp_path / "state").rename(tmp_path / f"step-000000001-{digest}.pt")
    with pytest.raises(NoiselabError, match="no checkpoint, there are objects in it"):
        checkpoint.load(tmp_path, "run", torch.device("cpu"))
    assert not (tmp_path / "harm").exists()


def test_a_usable_checkpoint_behind_a_foreign_one_is_used(tmp_path, capfd):
    stopped_folder(tmp_path / "x", 5)
    with checkpoint.Writer(tmp_path / "x", "another run") as writer:
        writer.save({"step": 25})
    foreign = max((tmp_path / "x").glob("step-*.pt"))
    assert_same(run(tmp_path / "reference"), run(tmp_path / "x"))
    assert f"{foreign}: checkpoint of another run" in capfd.readouterr().err


def test_a_history_that_cannot_be_written_is_one_line(tmp_path):
    history = training.History(tmp_path / "history.jsonl", 0)
    history.path.unlink()
    history.path.mkdir()
    with pytest.raises(NoiselabError, match=r"cannot write the history .*history\.jsonl"):
        history.add({"step": 1})


NOT_WRITTEN = r"cannot write .*step-\d+-\w+\.pt: "


@contextmanager
def no_large_files():
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_ends_in_one_line_and_leaves_the_older_checkpoint(tmp_path):
    (kept,) = stopped_folder(tmp_path / "x", 5)
    with no_large_files(), pytest.raises(NoiselabError, match=NOT_WRITTEN) as error:
        run(tmp_path / "x", at_step(9, send(signal.SIGTERM)))
    assert "\n" not in str(error.value)
    assert [p for p in (tmp_path / "x").iterdir() if p.suffix != ".jsonl"] == [kept]
    assert_same(run(tmp_path / "reference"), run(tmp_path / "x"))


def test_a_training_that_goes_on_hears_of_a_full_disk_by_the_next_checkpoint(tmp_path):
    served = []

    def spy(start, stop):
        served.append(start // 16)
        return plain_batch(start, stop)

    with no_large_files(), pytest.raises(NoiselabError, match=NOT_WRITTEN):
        run(tmp_path / "x", spy, checkpoint_minutes=0)
    assert len(served) <= 2
    assert not list((tmp_path / "x").glob("*step*"))


def test_a_checkpoint_keeps_the_state_of_its_step_while_the_training_goes_on(tmp_path, monkeypatch):
    slow, write = threading.Event(), checkpoint._write
    monkeypatch.setattr(checkpoint, "_write", lambda *what: slow.wait(600) and write(*what))
    weights = torch.ones(3)
    with checkpoint.Writer(tmp_path, "run") as writer:
        writer.save({"step": 7, "weights": weights})
        weights.zero_()
        assert not list(tmp_path.iterdir())
        slow.set()
    state = checkpoint.load(tmp_path, "run", torch.device("cpu"))
    assert state["step"] == 7
    assert state["weights"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "half", [b'{"step": 3, "lo', b'{"step": 3}{"st', b"\0\0\0", b"3", b"\xff", b"[" * 9999, b"{}"]
)
def test_a_half_line_of_a_killed_training_is_not_taken_for_a_row(tmp_path, half):
    path = tmp_path / "history.jsonl"
    rows = [{"step": 1, "loss": 0.1 + 0.2}, {"step": 2, "loss": 1e-7}]
    whole = "".join(f"{json.dumps(row)}\n" for row in rows)
    path.write_bytes(whole.encode() + half)
    history = History(path, start=2)
    assert path.read_text(encoding="utf-8") == whole
    history.add({"step": 3})
    assert reading.rows(path) == [*rows, {"step": 3}]
    History(path, start=1)
    assert reading.rows(path) == rows[:1]
