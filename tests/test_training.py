"""The training loop: accumulation, averages, learning rates, optimisers, bad and early ends."""

import pytest
import torch
from torch import nn

from noiselab.errors import NoiselabError
from noiselab.training import loop as training
from noiselab.training import precision
from training_samples import (
    INPUTS,
    STEPS,
    TARGETS,
    assert_same,
    history,
    loss,
    network,
    plain_batch,
    run,
    settings,
)


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


def test_an_evaluation_sees_the_model_itself_not_what_wraps_it(tmp_path):
    """Scores of language models ask the model for its settings."""
    seen = []
    averaged, _ = run(tmp_path, evaluate=lambda model: seen.append(model) or {}, evaluate_every=5)
    assert seen
    assert all(model is averaged for model in seen)


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
