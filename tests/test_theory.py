"""The noise floor against simulation and closed forms."""

import numpy as np
import pytest

from noiselab import noise, theory
from noiselab.metrics import accuracy, classifier_metrics, confusion_matrix

CORRUPTIONS = ["uniform_label", "shift_label"]
RATES = [1 / 11, 3 / 13, 1 / 3, 0.5]


@pytest.mark.parametrize("corruption", CORRUPTIONS)
@pytest.mark.parametrize("error_rate", RATES)
def test_transition_matrix_is_what_the_corruption_does(corruption, error_rate):
    matrix = theory.transition_matrix(corruption, error_rate, 7)
    labels = np.arange(700_000) % 7
    observed, _ = noise.corrupt(
        labels, np.random.default_rng(0).random(700_000), corruption, error_rate, 7
    )
    counts = np.zeros((7, 7))
    np.add.at(counts, (labels, observed), 1)
    standard_error = np.sqrt(matrix * (1 - matrix) / 100_000) + 1e-12
    assert np.all(np.abs(counts / 100_000 - matrix) < 5 * standard_error)


def test_observed_posterior_is_the_printed_formula():
    p = np.random.default_rng(0).dirichlet(np.ones(6), 50)
    e = 0.3
    uniform = (1 - e) * p + e * (1 - p) / 5
    shift = (1 - e) * p + e * np.roll(p, 1, axis=1)
    assert np.allclose(theory.observed_posterior(p, "uniform_label", e), uniform, atol=1e-14)
    assert np.allclose(theory.observed_posterior(p, "shift_label", e), shift, atol=1e-14)
    assert np.allclose(theory.observed_posterior(p, "none", 0), p)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
@pytest.mark.parametrize("error_rate", RATES)
def test_floor_is_the_score_of_a_model_that_learned_the_corrupted_labels(corruption, error_rate):
    """An observer that counts noisy labels per type of input reaches the floor."""
    rng = np.random.default_rng(1)
    types = rng.dirichlet(np.full(4, 0.5), 30)  # p(y | type), known
    kind = np.repeat(np.arange(30), 20_000)
    labels = (types[kind].cumsum(1) > rng.random((len(kind), 1))).argmax(1)
    noisy, _ = noise.corrupt(labels, rng.random(len(kind)), corruption, error_rate, 4)
    counts = np.zeros((30, 4))
    np.add.at(counts, (kind, noisy), 1)
    learned = confusion_matrix((counts / 20_000)[kind], labels)
    floor = confusion_matrix(theory.observed_posterior(types, corruption, error_rate)[kind], labels)
    assert accuracy(learned) == pytest.approx(accuracy(floor), abs=1.0)


@pytest.mark.parametrize("error_rate", RATES)
def test_uniform_noise_leaves_the_decision_unchanged(error_rate):
    p = np.random.default_rng(0).dirichlet(np.full(5, 0.5), 200_000)
    q = theory.observed_posterior(p, "uniform_label", error_rate)
    assert np.array_equal(q.argmax(1), p.argmax(1))


def test_beyond_its_limit_uniform_noise_inverts_the_decision():
    p = np.array([[0.7, 0.2, 0.1]])
    q = theory.observed_posterior(p, "uniform_label", 0.9)  # limit (C - 1) / C = 0.667
    assert q.argmax() == 2


def test_shift_at_one_half_is_an_exact_tie_for_a_certain_model():
    labels = np.arange(100) % 10
    certain = np.eye(10)[labels].astype(np.float32)
    scores = classifier_metrics(certain, labels, certain, "shift_label", 0.5)
    assert scores["accuracy"]["floor"] == 50
    assert scores["kl"]["floor"] == pytest.approx(0, abs=1e-12)
    below = classifier_metrics(certain, labels, certain, "shift_label", 1 / 3)
    assert below["accuracy"]["floor"] == 100


def test_ties_share_their_weight():
    p = np.array([[0.4, 0.4, 0.2], [0.2, 0.5, 0.3]])
    assert np.array_equal(theory.decisions(p), [[0.5, 0.5, 0], [0, 1, 0]])
    assert np.array_equal(theory.decisions(p, tie=0.25), [[1 / 3] * 3, [0, 0.5, 0.5]])
