"""Losses that are corrected for a known noise."""

from types import SimpleNamespace

import pytest
import torch

from noiselab.errors import NoiselabError
from noiselab.families.classifier import task as classifier
from noiselab.noise.corruptions.labels import ShiftLabel
from noiselab.planning import config, runs
from noiselab.run import Run

E, CLASSES = 0.3, 10
SHIFT = {"datasets": ["digits"], "noise_ratios": [0, E / (1 - E)]}


def planned(correction="forward", **changes):
    """Runs of shifted labels, clean and noisy."""
    experiment = SHIFT | changes | {"training": {"correction": correction}}
    plan = runs.plan(config.load({"experiments": {"table10": experiment}}, tier="smoke"), "r")
    return [plan.runs[name] for name in plan.experiments["table10"]]


def loss(run, logits, labels):
    return classifier.smoothed_loss(run)(
        lambda x: x, SimpleNamespace(inputs=logits, targets=labels)
    )


@pytest.fixture(scope="module")
def run():
    return planned()[1]


def test_it_is_the_cross_entropy_of_what_the_noise_makes_of_the_prediction(run):
    logits = torch.randn(6, CLASSES, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(6)
    q = logits.double().softmax(-1) @ torch.from_numpy(ShiftLabel(E, CLASSES).transitions)
    expected = -q[range(6), labels].log()
    assert loss(run, logits, labels).item() == pytest.approx(expected.mean().item(), abs=1e-6)
    smoothed = (0.8 * expected - 0.2 * q.log().mean(-1)).mean().item()
    found = loss(run | {"label_smoothing": 0.2}, logits, labels)
    assert found.item() == pytest.approx(smoothed, abs=1e-6)


def test_rounded_products_of_matrices_leave_it_as_it_is(run):
    """A training in bf16 takes its losses in single precision."""
    logits = torch.randn(6, CLASSES, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(6)
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(run, logits, labels)
    assert found.item() == loss(run, logits, labels).item()


def test_it_is_least_at_the_probabilities_of_the_clean_labels(run):
    """Where labels are drawn from p T, the mean loss is flat at p, and without the correction it
    is not."""
    p = torch.tensor([0.5, 0.2, 0.1, *[0.2 / 7] * 7])
    q = torch.from_numpy(ShiftLabel(E, CLASSES).observed(p.numpy()[None])[0]).float()
    plain = Run.from_content({k: v for k, v in run.content().items() if k != "correction"})
    slopes = []
    for each in (run, plain):
        logits = p.log().requires_grad_()
        losses = [loss(each, logits[None], torch.tensor([z])) for z in range(CLASSES)]
        (torch.stack(losses) * q).sum().backward()
        slopes.append(logits.grad.abs().max().item())
    assert slopes[0] < 1e-6
    assert slopes[1] > 0.05


def test_predictions_that_rule_a_label_out_have_a_finite_loss(run):
    logits = torch.full((1, CLASSES), -200.0)
    logits[0, 3] = 200.0
    found = loss(run, logits.requires_grad_(), torch.tensor([0]))
    found.backward()
    assert found.isfinite()
    assert logits.grad.isfinite().all()


def test_only_noisy_runs_are_corrected_and_share_the_clean_one():
    clean, noisy = planned()
    assert clean.run_id == noisy.parents["clean"] == "classifier/digits/clean-s0"
    assert "correction" not in clean
    assert noisy["correction"] == "forward"
    assert "-x" in noisy.run_id


def test_noise_without_a_transition_matrix_is_refused():
    with pytest.raises(NoiselabError, match="has no transition matrix to correct by"):
        planned(corruption="instance_dependent", resample="fixed")
    with pytest.raises(NoiselabError, match="correction: no 'backward'"):
        planned(correction="backward")
