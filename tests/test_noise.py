"""Corruption is exact: rate, classes, and what it depends on."""

import numpy as np
import pytest
from scipy import stats

from helpers import random_images, small_run
from noiselab import noise, streams
from noiselab.data.batches import ImageBatches

DRAWS = 1_000_000


@pytest.fixture(scope="module")
def draws():
    labels = np.arange(DRAWS) % 10
    return labels, streams.uniform(0, "noise", 0, DRAWS)


@pytest.mark.parametrize("corruption", ["uniform_label", "shift_label"])
@pytest.mark.parametrize("error_rate", [1 / 11, 3 / 13, 1 / 3, 0.5])
def test_rate_is_within_four_standard_errors(draws, corruption, error_rate):
    labels, u = draws
    observed, corrupted = noise.corrupt(labels, u, corruption, error_rate, 10)
    standard_error = np.sqrt(error_rate * (1 - error_rate) / DRAWS)
    assert abs(corrupted.mean() - error_rate) < 4 * standard_error
    assert np.array_equal(observed != labels, corrupted)  # never the true class, and only these


@pytest.mark.parametrize("true", [0, 3, 9])
def test_uniform_label_is_uniform_over_the_other_classes(draws, true):
    _, u = draws
    observed, _ = noise.corrupt(np.full(DRAWS, true), u, "uniform_label", 0.5, 10)
    counts = np.bincount(observed, minlength=10)
    others = np.delete(counts, true)
    assert stats.chisquare(others).pvalue > 1e-4
    assert counts[true] == DRAWS - others.sum()


def test_uniform_label_agrees_with_algorithm_3_in_distribution(draws):
    labels, u = draws
    observed, _ = noise.corrupt(labels, u, "uniform_label", 1 / 3, 10)
    rng = np.random.default_rng(1)
    reference = np.zeros((10, 10))
    for label in labels[:60000]:
        wrong = [c for c in range(10) if c != label]
        reference[label, rng.choice(wrong) if rng.random() < 1 / 3 else label] += 1
    ours = np.zeros((10, 10))
    np.add.at(ours, (labels, observed), 1)
    table = np.stack([ours.ravel(), reference.ravel()])
    assert stats.chi2_contingency(table).pvalue > 1e-4


def test_shift_label_is_always_the_next_class(draws):
    labels, u = draws
    observed, corrupted = noise.corrupt(labels, u, "shift_label", 0.5, 10)
    assert np.array_equal(observed[corrupted], (labels[corrupted] + 1) % 10)


def test_smaller_noise_is_nested_in_larger(draws):
    labels, u = draws
    _, few = noise.corrupt(labels, u, "uniform_label", 1 / 11, 10)
    _, many = noise.corrupt(labels, u, "uniform_label", 0.5, 10)
    assert np.all(many[few])


def test_two_classes_always_flip():
    labels = np.arange(1000) % 2
    observed, _ = noise.corrupt(labels, np.zeros(1000), "uniform_label", 0.5, 2)
    assert np.array_equal(observed, 1 - labels)


def test_the_largest_u_below_e_stays_in_range():
    e = 1 / 3
    u = np.full(10, np.nextafter(e, 0))
    observed, corrupted = noise.corrupt(np.arange(10), u, "uniform_label", e, 10)
    assert corrupted.all()
    assert np.array_equal(observed, (np.arange(10) + 9) % 10)


# ------------------------------------------------------------ noise as the training sees it


def visits(batches, n, epochs):
    """Labels as trained on, by epoch and example: int [epochs, n]."""
    labels = np.empty((epochs, n), dtype=int)
    for epoch in range(epochs):
        start = epoch * n
        index = batches.indices(start, start + n)
        labels[epoch, index] = batches.corrupted_labels(index, start, start + n)[0]
    return labels


def batches_of(**experiment):
    train = random_images(1000, 1, 8, 10)
    return ImageBatches(small_run(**experiment), train, "cpu"), np.arange(1000) % 10


def test_fixed_noise_is_the_same_at_every_visit():
    batches, true = batches_of(resample="fixed", noise_ratio=1.0)
    seen = visits(batches, 1000, 3)
    assert np.array_equal(seen[0], seen[1])
    assert np.array_equal(seen[0], seen[2])
    assert 0.4 < (seen[0] != true).mean() < 0.6


def test_fresh_noise_is_drawn_anew_at_every_visit():
    batches, true = batches_of(resample="fresh", noise_ratio=1.0)
    seen = visits(batches, 1000, 40)
    often = (seen != true).mean(axis=0)
    assert often.min() > 0.1
    assert often.max() < 0.9


def test_clean_run_sees_true_labels():
    batches, true = batches_of(noise_ratio=0)
    assert np.array_equal(visits(batches, 1000, 1)[0], true)


def test_all_noise_ratios_of_a_seed_share_order_and_augmentation():
    clean, noisy = (batches_of(noise_ratio=r)[0](900, 1100) for r in (0, 1.0))
    assert np.array_equal(clean.inputs, noisy.inputs)
    unequal = clean.targets != noisy.targets
    assert np.array_equal(unequal, noisy.corrupted)


def test_noise_does_not_depend_on_how_a_batch_is_cut():
    batches, _ = batches_of(noise_ratio=0.5)
    whole = batches(950, 1050)
    parts = [batches(950, 983), batches(983, 1050)]
    for field in ("inputs", "targets", "corrupted"):
        joined = np.concatenate([getattr(part, field) for part in parts])
        assert np.array_equal(joined, getattr(whole, field))
