"""Corruption is exact: rate, classes, and what it depends on."""

import numpy as np
import pytest
from scipy import stats

from helpers import random_images, small_run
from noiselab import streams
from noiselab.data.batches import ImageBatches
from noiselab.errors import NoiselabError
from noiselab.noise.corruptions.labels import ShiftLabel, UniformLabel
from noiselab.noise.corruptions.matrices import LabelMatrix
from noiselab.noise.draws import taught_labels
from noiselab.noise.matrix import read_matrix
from noiselab.noise.registry import corruption

DRAWS = 1_000_000


@pytest.fixture(scope="module")
def draws():
    labels = np.arange(DRAWS) % 10
    return labels, streams.uniform(0, "noise", 0, DRAWS)


@pytest.mark.parametrize("kind", [UniformLabel, ShiftLabel])
@pytest.mark.parametrize("error_rate", [1 / 11, 3 / 13, 1 / 3, 0.5])
def test_rate_is_within_four_standard_errors(draws, kind, error_rate):
    labels, u = draws
    observed, corrupted = kind(error_rate, 10).draw(labels, u)
    standard_error = np.sqrt(error_rate * (1 - error_rate) / DRAWS)
    assert abs(corrupted.mean() - error_rate) < 4 * standard_error
    assert np.array_equal(observed != labels, corrupted)  # never the true class, and only these


@pytest.mark.parametrize("true", [0, 3, 9])
def test_uniform_label_is_uniform_over_the_other_classes(draws, true):
    _, u = draws
    observed, _ = UniformLabel(0.5, 10).draw(np.full(DRAWS, true), u)
    counts = np.bincount(observed, minlength=10)
    others = np.delete(counts, true)
    assert stats.chisquare(others).pvalue > 1e-4
    assert counts[true] == DRAWS - others.sum()


def test_uniform_label_agrees_with_algorithm_3_in_distribution(draws):
    labels, u = draws
    observed, _ = UniformLabel(1 / 3, 10).draw(labels, u)
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
    observed, corrupted = ShiftLabel(0.5, 10).draw(labels, u)
    assert np.array_equal(observed[corrupted], (labels[corrupted] + 1) % 10)


def test_smaller_noise_is_nested_in_larger(draws):
    labels, u = draws
    _, few = UniformLabel(1 / 11, 10).draw(labels, u)
    _, many = UniformLabel(0.5, 10).draw(labels, u)
    assert np.all(many[few])


def test_two_classes_always_flip():
    labels = np.arange(1000) % 2
    observed, _ = UniformLabel(0.5, 2).draw(labels, np.zeros(1000))
    assert np.array_equal(observed, 1 - labels)


def test_the_largest_u_below_e_stays_in_range():
    e = 1 / 3
    u = np.full(10, np.nextafter(e, 0))
    observed, corrupted = UniformLabel(e, 10).draw(np.arange(10), u)
    assert corrupted.all()
    assert np.array_equal(observed, (np.arange(10) + 9) % 10)


# ------------------------------------------------------------ labels drawn from a matrix


def confusions(classes=10, seed=0) -> np.ndarray:
    """A matrix of wrong labels with zeros anywhere, at the ends of rows too, float [C, C]."""
    rng = np.random.default_rng(seed)
    wrong = rng.dirichlet(np.full(classes, 0.3), classes) * (rng.random((classes, classes)) < 0.6)
    np.fill_diagonal(wrong, 0)
    wrong[wrong.sum(1) == 0] += 1 - np.eye(classes)[wrong.sum(1) == 0]
    return wrong / wrong.sum(1, keepdims=True)


@pytest.mark.parametrize("error_rate", [1 / 11, 0.5, 1.0])
def test_wrong_labels_have_the_frequencies_of_their_rows(draws, error_rate):
    (labels, u), wrong = draws, confusions()
    observed, corrupted = LabelMatrix(error_rate, wrong).draw(labels, u)
    assert np.array_equal(corrupted, u < error_rate)
    assert np.array_equal(observed != labels, corrupted)
    counts = np.zeros((10, 10))
    np.add.at(counts, (labels[corrupted], observed[corrupted]), 1)
    assert np.all(counts[wrong == 0] == 0)
    of_class = counts.sum(1, keepdims=True)
    standard_error = np.sqrt(wrong * (1 - wrong) / of_class) + 1e-12
    assert np.all(np.abs(counts / of_class - wrong) < 5 * standard_error)


def test_the_matrix_of_shifted_labels_gives_the_same_labels_as_their_name(draws):
    labels, u = draws
    by_name = ShiftLabel(1 / 3, 10)
    by_matrix = LabelMatrix(1 / 3, by_name.wrong_labels())
    assert np.array_equal(by_name.draw(labels, u), by_matrix.draw(labels, u))


def test_the_matrix_of_uniform_labels_gives_their_distribution(draws):
    labels, u = draws
    by_name = UniformLabel(0.5, 10)
    by_matrix = LabelMatrix(0.5, by_name.wrong_labels())
    tables = np.zeros((2, 10, 10))
    for table, noise in zip(tables, (by_name, by_matrix), strict=True):
        observed, _ = noise.draw(labels, u)
        np.add.at(table, (labels, observed), 1)
    assert np.array_equal(np.diagonal(tables[0]), np.diagonal(tables[1]))
    assert stats.chi2_contingency(tables.reshape(2, -1)).pvalue > 1e-4


@pytest.mark.parametrize("v", [0.0, 1e-300, 2.0**-53, 1 - 2.0**-53, 1.0])
def test_no_v_leads_to_a_label_that_its_row_does_not_have(v):
    for classes in (2, 3, 10, 1000):
        wrong, labels = confusions(classes, seed=classes), np.arange(classes)
        drawn = LabelMatrix(1.0, wrong).replacements(labels, np.full(classes, v))
        assert drawn.dtype == labels.dtype
        assert np.all(wrong[labels, drawn] > 0)


def test_labels_of_a_matrix_corrupted_at_a_small_rate_stay_so_at_a_larger(draws):
    (labels, u), wrong = draws, confusions()
    few, many = (LabelMatrix(e, wrong).draw(labels, u)[1] for e in (1 / 11, 0.5))
    assert np.all(many[few])


def matrix_run(folder, wrong, **experiment) -> dict:
    """A run of the smoke tier whose matrix of wrong labels is written to a csv file."""
    np.savetxt(folder / "wrong.csv", wrong, delimiter=",")
    path = str(folder / "wrong.csv")
    return small_run(corruption="label_matrix", wrong_labels=path, **experiment)


@pytest.mark.parametrize("resample", ["fixed", "fresh"])
def test_a_run_is_taught_labels_of_its_file(tmp_path, resample):
    wrong = confusions()
    run = matrix_run(tmp_path, wrong, resample=resample)
    labels = np.arange(100_000) % 10
    noise = corruption(run)
    observed, corrupted = taught_labels(noise, run, labels, np.arange(100_000), 0, 100_000)
    matrix = 0.5 * np.eye(10) + 0.5 * wrong
    counts = np.zeros((10, 10))
    np.add.at(counts, (labels, observed), 1)
    standard_error = np.sqrt(matrix * (1 - matrix) / 10_000) + 1e-12
    assert np.all(np.abs(counts / 10_000 - matrix) < 5 * standard_error)
    assert np.array_equal(observed != labels, corrupted)


def test_a_file_that_changed_after_planning_is_refused(tmp_path):
    run = matrix_run(tmp_path, confusions())
    np.savetxt(tmp_path / "wrong.csv", confusions(seed=1), delimiter=",")
    assert read_matrix(run["wrong_labels"]["path"])[1] != run["wrong_labels"]["sha256"]
    with pytest.raises(NoiselabError, match=r"wrong\.csv has changed since this run was planned"):
        corruption(run)


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
