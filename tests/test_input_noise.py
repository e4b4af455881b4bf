"""Noise in the inputs of a training: what is drawn, the terms of the loss, which runs have it."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn.functional import cross_entropy

from noiselab import streams
from noiselab.errors import NoiselabError
from noiselab.planning import config, runs
from noiselab.training.input_noise import Images, Tokens, sensitivity, stability, with_input_noise
from noiselab.training.loop import Batch, Task

torch.set_num_threads(1)
LETTERS, LENGTH, NOISED = 23, 4, 3
COUNT = 30_000
TOKENS = torch.from_numpy(np.random.default_rng(0).integers(0, LETTERS, (COUNT, LENGTH)))


class Network(nn.Module):
    """Logits that depend on every token."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(LETTERS, 5)

    def forward(self, tokens):
        places = torch.arange(1, 1 + tokens.shape[1])
        return (self.table(tokens) * places[:, None]).sum(1)


def batch(start, stop):
    targets = TOKENS[start:stop].sum(1) % 5
    return Batch(TOKENS[start:stop], targets, torch.zeros(stop - start, dtype=torch.bool))


def plain(model, batch):
    return cross_entropy(model(batch.inputs), batch.targets)


def planned(experiment, study, **changes):
    settings = {"studies": [study], "experiments": {experiment: changes}}
    return runs.plan(config.load(settings, tier="smoke"), "r")


RUN = next(iter(planned("addition", "noise_stability").runs.values()))


def changed(seed=1, **settings):
    """The task with such noise."""
    run = RUN | {"seed": seed} | settings
    task = Task(Network(), batch, plain, evaluate=lambda model: {})
    return with_input_noise(task, run, Tokens(LETTERS, NOISED))


# ------------------------------------------------------------------------------ what is drawn


def test_noisy_copies_keep_tokens_as_often_as_is_said():
    """A token that is drawn anew may be the same: kept with keep + (1 - keep) / letters."""
    inputs = changed(stability={"strength": 1.0, "keep": 0.25}).batch(0, COUNT).inputs
    first, second = inputs.unbind(1)
    assert torch.equal(first, TOKENS)
    kept = (first == second).double().mean(0)
    expected = 0.25 + 0.75 / LETTERS
    error = 4 * (expected * (1 - expected) / COUNT) ** 0.5
    assert kept[:NOISED].tolist() == pytest.approx([expected] * NOISED, abs=error)
    assert kept[NOISED] == 1  # what is not to change stays
    drawn = second[first[:, 0] != second[:, 0], 0].numpy()
    counts = np.bincount(drawn, minlength=LETTERS)
    assert stats.chisquare(counts).pvalue > 1e-4
    assert len(counts) == LETTERS


def test_of_a_sensitive_copy_one_token_is_drawn_anew():
    first, second = changed(sensitivity={"strength": 1.0}).batch(0, COUNT).inputs.unbind(1)
    differ = first != second
    assert differ.sum(1).max() == 1
    assert not differ[:, NOISED:].any()
    expected = (1 - 1 / LETTERS) / NOISED
    error = 4 * (expected * (1 - expected) / COUNT) ** 0.5
    assert differ[:, :NOISED].double().mean(0).tolist() == pytest.approx(
        [expected] * NOISED, abs=error
    )


def test_noisy_images_have_the_correlation_and_the_same_moments():
    mean, std = torch.tensor([100.0, 50])[:, None, None], torch.tensor([20.0, 5])[:, None, None]
    generator = torch.Generator().manual_seed(0)
    images = mean + std * torch.randn(400, 2, 6, 6, generator=generator)

    def draw(count):
        return streams.uniform(3, "test", 0, len(images) * count).reshape(len(images), count)

    noisy = Images(mean, std).noisy(images, {"rho": 0.6}, draw)
    x, y = (((side - mean) / std).flatten().double() for side in (images, noisy))
    assert (x * y).mean().item() == pytest.approx(0.6, abs=0.03)
    assert y.mean().item() == pytest.approx(0, abs=0.03)
    assert y.square().mean().item() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    "settings",
    [
        {"stability": {"strength": 1.0, "keep": 0.5}},
        {"sensitivity": {"strength": 1.0}},
        {"input_noise": {"keep": 0.5}},
    ],
)
def test_noise_is_a_function_of_seed_and_position(settings):
    task = changed(**settings)
    whole = task.batch(0, 300).inputs
    parts = [task.batch(*ends).inputs for ends in ((0, 100), (100, 300))]
    assert torch.equal(whole, torch.cat(parts))
    assert not torch.equal(whole, changed(seed=2, **settings).batch(0, 300).inputs)


# ------------------------------------------------------------------------------ the terms


@pytest.mark.parametrize("strength", [0.75, -0.2])
@pytest.mark.parametrize("name", ["stability", "sensitivity"])
def test_the_loss_is_that_of_the_inputs_and_a_term_of_both(name, strength):
    task = changed(**{name: {"strength": strength, "keep": 0.5}})
    data = task.batch(0, 50)
    found = task.loss(task.model, data)
    first, second = (task.model(side).double().softmax(-1) for side in data.inputs.unbind(1))
    alike = torch.stack([a @ b for a, b in zip(first, second, strict=True)]).mean()
    apart = torch.stack([(a - b) @ (a - b) for a, b in zip(first, second, strict=True)]).mean() / 2
    term = {"stability": -alike, "sensitivity": apart}[name]
    expected = plain(task.model, batch(0, 50)).double() + strength * term
    assert found.item() == pytest.approx(expected.item(), abs=1e-6)


def test_terms_of_sequences_are_means_over_their_tokens():
    first, second = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    for term in (stability, sensitivity):
        pairs = zip(first.flatten(0, 1), second.flatten(0, 1), strict=True)
        each = [term(a[None], b[None]) for a, b in pairs]
        torch.testing.assert_close(term(first, second), torch.stack(each).mean())


def test_training_on_noisy_inputs_has_no_other_loss():
    task = changed(input_noise={"keep": 0.5})
    data = task.batch(0, 50)
    assert data.inputs.shape == (50, LENGTH)
    assert not torch.equal(data.inputs, TOKENS[:50])
    assert torch.equal(data.targets, batch(0, 50).targets)
    assert task.loss is plain


def test_a_task_without_it_is_left_alone():
    task = Task(Network(), batch, plain, evaluate=lambda model: {})
    assert with_input_noise(task, RUN, Tokens(LETTERS, NOISED)) is task


# ------------------------------------------------------------------------- which runs have it


@pytest.mark.parametrize(
    ("experiment", "study", "changes"),
    [
        ("addition_stable", "noise_stability", {"strength": 0.75, "keep": 0.625}),
        ("table2", "low_quality_data", {"strength": 0.1, "rho": 0.9}),
        ("figure1_runs", "low_quality_data", {"strength": 0.1, "keep": 0.9}),
    ],
)
def test_runs_say_what_noise_their_inputs_have(experiment, study, changes):
    without = planned(experiment, study)
    for name in without.experiments[experiment]:
        assert ("stability" in without.runs[name]) == (experiment == "addition_stable")
    plan = planned(experiment, study, training={"stability": changes})
    found = [plan.runs[name] for name in plan.experiments[experiment]]
    assert all(run["stability"] == changes for run in found)
    if experiment != "addition_stable":
        assert not set(plan.experiments[experiment]) & set(without.experiments[experiment])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stability": {"strength": 1.0}}, r"stability\.keep: is missing"),
        ({"stability": {"strength": 1.0, "rho": 0.5}}, "rho"),
        (
            {"stability": {"strength": 1.0, "keep": 0.5}, "input_noise": {"keep": 0.5}},
            "stability and input_noise: a training can have one of them",
        ),
    ],
)
def test_noise_that_cannot_be_is_answered_in_a_line(changes, message):
    with pytest.raises(NoiselabError, match=message):
        planned("addition", "noise_stability", training=changes)
