"""Noise that depends on the example: rate, drawn labels and floor against brute force."""

from itertools import pairwise

import numpy as np
import pytest

from noiselab.errors import NoiselabError
from noiselab.noise.corruptions.instance import Doubts, InstanceDependent, doubts, scale

RATES = [0.05, 0.2, 0.4, 0.8, 1.0]


def posteriors(n: int, classes: int = 4, seed: int = 0) -> np.ndarray:
    """Of a mixture of unit Gaussians on a circle, float64 [n, C]."""
    return mixture(n, classes, seed)[1]


def mixture(n: int, classes: int, seed: int = 0):
    """True classes int64 [n] of points of a Gaussian mixture, and their posteriors."""
    rng = np.random.default_rng(seed)
    angles = 2 * np.pi * np.arange(classes) / classes
    centres = 1.5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = rng.integers(0, classes, n)
    points = centres[labels] + rng.standard_normal((n, 2))
    squares = ((points[:, None] - centres) ** 2).sum(-1)
    p = np.exp(-squares / 2)
    return labels, p / p.sum(axis=1, keepdims=True)


def noise_at(rate: float, train: np.ndarray, test: np.ndarray) -> InstanceDependent:
    """Noise of an annotator with these probabilities."""
    return InstanceDependent(rate, doubts(train), doubts(test))


@pytest.mark.parametrize("rate", RATES)
def test_mean_probability_of_an_error_is_the_rate(rate):
    noise = noise_at(rate, posteriors(5000), posteriors(10, seed=1))
    q = noise.error_probability(noise.train)
    assert q.min() >= 0
    assert q.max() <= 1
    assert q.mean() == pytest.approx(rate, abs=1e-12)


def test_scale_is_that_of_a_search():
    """Against bisection on the mean, where some examples are wrong with certainty."""
    chances = doubts(posteriors(300)).chance
    for rate in RATES[:-1]:
        low, high = 0.0, 1e9
        for _ in range(200):
            middle = (low + high) / 2
            enough = np.minimum(1, middle * chances).mean() >= rate
            low, high = (low, middle) if enough else (middle, high)
        assert scale(chances, rate) == pytest.approx(high, rel=1e-9)


def test_errors_are_likelier_where_the_annotator_is_unsure():
    p = posteriors(2000)
    noise = noise_at(0.3, p, p)
    ordered = np.sort(p, axis=1)
    margin = ordered[:, -1] - ordered[:, -2]
    q = noise.error_probability(noise.train)
    assert (np.diff(q[np.argsort(margin)]) <= 1e-15).all()


def test_drawn_labels_have_the_probabilities_of_each_example():
    """10⁵ draws of each of some examples: whether and to what."""
    p = posteriors(6)
    noise = noise_at(0.4, p, p)
    labels, times = np.array([0, 1, 2, 3, 0, 1]), 100_000
    index = np.tile(np.arange(6), times)
    u = np.random.default_rng(2).random(len(index))
    taught, wrong = noise.taught(labels, index, u)
    q = noise.error_probability(noise.train)
    assert wrong.reshape(times, 6).mean(0) == pytest.approx(q, abs=0.01)
    assert np.array_equal(taught != labels[index], wrong)  # a wrong label is never the true one
    order = np.argsort(p, axis=1)
    for i, label in enumerate(labels):
        drawn = taught[index == i]
        expected = order[i, -1] if order[i, -1] != label else order[i, -2]
        assert set(drawn) == {label, expected}
        for z in range(4):
            chance = noise.chance(labels[[i]], np.array([z]), np.array([i]))
            assert chance[0] == pytest.approx((drawn == z).mean(), abs=0.01)


def test_what_is_wrong_at_a_small_rate_is_so_at_a_larger_one():
    p, labels = posteriors(1000), np.arange(1000) % 4
    index, u = np.arange(1000), np.random.default_rng(0).random(1000)
    drawn = [noise_at(e, p, p).taught(labels, index, u) for e in (0.1, 0.3, 0.7)]
    for (few, first), (more, second) in pairwise(drawn):
        assert (second | ~first).all()
        assert np.array_equal(few[first], more[first])


@pytest.mark.parametrize("rate", RATES)
def test_floor_is_that_of_labels_drawn_by_brute_force(rate):
    """A Gaussian mixture whose posteriors are known: a calibrated model of labels drawn by this
    noise, simulated, against `observed`; and the scores on true labels that follow."""
    labels, p = mixture(40_000, 4, seed=5)
    noise = noise_at(rate, p, p)
    matrices = np.zeros((len(p), 4, 4))  # T of each example
    q, of = noise.error_probability(noise.test), noise.test
    rows = np.arange(len(p))
    for y in range(4):
        wrong = np.where(of.first == y, of.second, of.first)
        matrices[rows, y, y] += 1 - q
        matrices[rows, y, wrong] += q
    expected = np.einsum("ny,nyz->nz", p, matrices)
    assert noise.observed(p) == pytest.approx(expected, abs=1e-12)
    taught, _ = noise.taught(labels, rows, np.random.default_rng(6).random(len(p)))
    # Calibration of the taught labels: in each cell of the prediction as many are right.
    observed = noise.observed(p)
    for z in range(4):
        cells = np.digitize(observed[:, z], np.linspace(0, 1, 11)[1:-1])
        for cell in range(10):
            chosen = cells == cell
            if chosen.sum() > 500:
                found = (taught[chosen] == z).mean()
                error = 5 * np.sqrt(0.25 / chosen.sum())
                assert observed[chosen, z].mean() == pytest.approx(found, abs=error)


def test_an_annotator_that_is_too_sure_is_told():
    sure = np.eye(3)[np.arange(90) % 3]
    with pytest.raises(NoiselabError, match="doubts 0 % of the training examples"):
        noise_at(0.1, sure, sure)
    half = np.where(np.arange(90)[:, None] < 45, sure, 1 / 3)
    assert noise_at(0.5, half, half).error_probability(doubts(half)).mean() == 0.5
    with pytest.raises(NoiselabError, match=r"doubts 50 % .* too few for an error rate of 60 %"):
        noise_at(0.6, half, half)


def test_an_annotator_that_diverged_is_told():
    lost = np.full((10, 3), np.nan)
    with pytest.raises(NoiselabError, match="annotator diverged"):
        noise_at(0.1, lost, lost)


def test_doubts():
    found = doubts(np.array([[0.7, 0.1, 0.2], [0.2, 0.4, 0.4]]))
    assert isinstance(found, Doubts)
    assert found.first.tolist() == [0, 1]
    assert found.second.tolist() == [2, 2]
    assert found.chance == pytest.approx([(1 - 0.25) / 2, 0.5])
