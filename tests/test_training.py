"""The training loop: interruption, accumulation, schedules, averages, bad endings."""

import json
import os
import signal
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from noiselab import reading
from noiselab.errors import NoiselabError
from noiselab.files import sha256
from noiselab.training import checkpoint, precision
from noiselab.training import loop as training
from noiselab.training.loop import Batch, Interrupted, Settings
from noiselab.training.records import History

STEPS = 30
RNG = np.random.default_rng(3)
INPUTS = torch.from_numpy(RNG.normal(size=(STEPS * 16, 6)).astype(np.float32))
TARGETS = torch.from_numpy(RNG.integers(0, 3, STEPS * 16))


def settings(**changes) -> Settings:
    values = {
        "steps": STEPS,
        "batch_size": 16,
        "micro_batch_size": None,
        "optimizer": {
            "name": "sgd",
            "learning_rate": 0.1,
            "momentum": 0.9,
            "weight_decay": 1e-3,
        },
        "schedule": "cosine",
        "schedule_steps": STEPS,
        "warmup_steps": 0,
        "final_learning_rate": 0.0,
        "clip_norm": 1.0,
        "ema_decay": 0.9,
        "precision": "fp32",
        "compile": False,
        "evaluate_every": 10,
        "checkpoint_minutes": 1000,
    }
    return Settings(**values | changes)


def network(dropout=0.2):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 3)
    )


def plain_batch(start, stop):
    return Batch(INPUTS[start:stop], TARGETS[start:stop], TARGETS[start:stop] == 0)


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch.inputs), batch.targets)


def run(folder: Path, batch=plain_batch, model=None, digest="a run", **changes):
    return training.train(
        model or network(),
        batch,
        loss,
        settings(**changes),
        seed=5,
        run_digest=digest,
        folder=folder,
        device=torch.device("cpu"),
        evaluate=lambda m: {"first_weight": m(INPUTS[:4]).sum().item()},
    )


def at_step(step, action):
    """A batch function that does `action` when it serves this step."""

    def batch(start, stop):
        if start == step * 16:
            action()
        return plain_batch(start, stop)

    return batch


def send(number):
    return lambda: os.kill(os.getpid(), number)


def history(folder):
    rows = [json.loads(r) for r in (folder / "history.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "examples_per_second"} for row in rows]


def assert_same(first, second):
    (model, summary), (other, other_summary) = first, second
    for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    for key in ("steps", "targets", "measured_error_rate"):
        assert summary[key] == other_summary[key]


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


def test_accumulated_micro_batches_equal_one_batch(tmp_path):
    # Without batch norm, whose statistics are those of a micro-batch by definition.
    def model():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3)).double()

    def batch(start, stop):
        return plain_batch(start, stop)._replace(inputs=INPUTS[start:stop].double())

    def train(name, micro):
        return training.train(
            model(),
            batch,
            loss,
            settings(micro_batch_size=micro, evaluate_every=None),
            seed=0,
            run_digest="r",
            folder=tmp_path / name,
            device=torch.device("cpu"),
        )

    whole, parts = train("whole", None), train("parts", 4)
    for a, b in zip(whole[0].parameters(), parts[0].parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-12)
    for a, b in zip(history(tmp_path / "whole"), history(tmp_path / "parts"), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], abs=1e-6)
        assert a["error_rate"] == b["error_rate"]


@pytest.mark.parametrize("changes", [{"batch_size": 16, "micro_batch_size": 5}])
def test_a_batch_that_cannot_be_split_is_named(tmp_path, changes):
    with pytest.raises(NoiselabError, match="batch_size 16 cannot be split evenly"):
        run(tmp_path, **changes)


def test_average_is_the_exponential_moving_average_of_the_weights(tmp_path):
    """Against a loop written here: v <- 0.9 v + 0.1 w, from the first step's weights."""
    model, seen = network(0.0), []
    hook = torch.optim.SGD.step

    def step(self, *args):
        hook(self, *args)
        seen.append(model[0].weight.detach().clone())

    torch.optim.SGD.step = step
    try:
        averaged, _ = run(tmp_path, model=model)
    finally:
        torch.optim.SGD.step = hook
    expected = seen[0]
    for weight in seen[1:]:
        expected = 0.9 * expected + 0.1 * weight
    assert torch.allclose(averaged[0].weight, expected, atol=1e-6)


def test_without_decay_the_model_itself_comes_back(tmp_path):
    model = network()
    assert run(tmp_path, model=model, ema_decay=None)[0] is model


def test_divergence_ends_training_and_is_reported(tmp_path):
    def batch(start, stop):
        data = plain_batch(start, stop)
        return data._replace(inputs=data.inputs * (float("inf") if start >= 160 else 1))

    model, summary = run(tmp_path, batch)
    assert summary["diverged_at"] == 11
    assert all(weights.isnan().all() for weights in model.parameters())  # nothing to be taken
    assert run(tmp_path / "fine")[1]["diverged_at"] is None


def test_measured_error_rate_is_that_of_the_batches(tmp_path):
    _, summary = run(tmp_path)
    assert summary["measured_error_rate"] == (TARGETS == 0).double().mean().item()


# ------------------------------------------------------------------------- learning rate


def test_cosine_equals_torchs():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS, eta_min=0.01)
    ours = settings(final_learning_rate=0.01)
    for step in range(STEPS):
        assert training.learning_rate(step, ours) == pytest.approx(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()


def test_warmup_is_linear_and_reaches_the_peak():
    ours = settings(warmup_steps=5)
    rates = [training.learning_rate(step, ours) for step in range(6)]
    assert rates == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1, 0.1])


def test_a_run_twice_as_long_as_its_schedule_climbs_back_to_the_peak():
    """docs/AUDIT.md, 1: the published code at r = 1."""
    ours = settings(steps=2 * STEPS, schedule_steps=STEPS)
    rates = [training.learning_rate(step, ours) for step in range(2 * STEPS)]
    assert min(rates) == rates[STEPS] == 0
    assert rates[-1] > 0.099


def test_constant_schedule():
    assert training.learning_rate(29, settings(schedule="constant")) == 0.1


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


# ------------------------------------------------------------------------- optimiser, precision


def test_biases_may_learn_faster_and_decay_as_before():
    """Step by step as one plain optimiser per kind of parameter."""
    ours, theirs = network(0.0), network(0.0)
    spec = settings().optimizer | {"nesterov": True}
    optimizer = training.build_optimizer(ours, spec | {"bias_multiplier": 8})
    common = {"momentum": 0.9, "nesterov": True}
    plain = [
        torch.optim.SGD(
            [p for p in theirs.parameters() if p.dim() == dim], lr, weight_decay=w, **common
        )
        for dim, lr, w in ((2, 0.05, 1e-3), (1, 0.4, 1e-3 / 8))
    ]
    for _ in range(5):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * group.get("multiplier", 1)
        for model, several in ((ours, [optimizer]), (theirs, plain)):
            training_loss = nn.functional.cross_entropy(model(INPUTS[:16]), TARGETS[:16])
            model.zero_grad()
            training_loss.backward()
            for one in several:
                one.step()
    torch.testing.assert_close(list(ours.parameters()), list(theirs.parameters()))


def test_frozen_weights_are_not_trained():
    model = network()
    model[0].weight.requires_grad_(False)
    optimizer = training.build_optimizer(model, settings().optimizer)
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in model.parameters()} - {id(model[0].weight)}


@pytest.mark.parametrize("has", [False, True])
def test_auto_is_bf16_where_the_cpu_has_it(has, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    cpu = torch.device("cpu")
    assert precision.resolved("auto", cpu) == ("bf16" if has else "fp32")
    assert precision.resolved("bf16", cpu) == precision.resolved("fp32", cpu) == "fp32"
    seen, model = [], network()
    model[-1].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    _, summary = run(tmp_path, model=model, precision="auto", evaluate_every=None)
    assert set(seen) == {torch.bfloat16 if has else torch.float32}
    assert summary["precision"] == ("bf16" if has else "fp32")
    assert all(weights.dtype == torch.float32 for weights in model.parameters())


# --------------------------------------------------------------------------- ending early


def test_training_ends_at_the_first_evaluation_that_reaches_the_goal(tmp_path):
    whole = run(tmp_path / "whole", evaluate_every=5)
    rows = history(tmp_path / "whole")
    values = [row["first_weight"] for row in rows if "first_weight" in row]
    goal = sorted(values)[len(values) // 2]
    step = 5 * (1 + next(i for i, value in enumerate(values) if value >= goal))
    assert step < STEPS
    _, summary = run(tmp_path / "early", evaluate_every=5, stop_at={"first_weight": goal})
    assert (summary["steps"], summary["examples"]) == (step, step * 16)
    assert history(tmp_path / "early") == [row for row in rows if row["step"] <= step]
    far = {"first_weight": max(values) + 1}
    assert_same(run(tmp_path / "never", evaluate_every=5, stop_at=far), whole)


def test_a_goal_that_is_not_measured_is_named(tmp_path):
    with pytest.raises(
        NoiselabError, match=r"stop_at: accuracy is not measured .*first_weight are"
    ):
        run(tmp_path, evaluate_every=5, stop_at={"accuracy": 1.0})
