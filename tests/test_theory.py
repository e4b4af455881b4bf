"""Floors and the paper's theory against simulation and closed forms."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from noiselab.measures import statistics as stats
from noiselab.measures.metrics import classifier_metrics, decisions
from noiselab.noise import theory
from noiselab.noise.corruptions.labels import ShiftLabel, UniformLabel
from noiselab.noise.corruptions.teacher import Teacher
from noiselab.noise.corruptions.tokens import UniformToken

RATES = [1 / 11, 3 / 13, 1 / 3, 0.5]


@pytest.mark.parametrize("error_rate", RATES)
def test_uniform_noise_leaves_the_decision_unchanged(error_rate):
    p = np.random.default_rng(0).dirichlet(np.full(5, 0.5), 200_000)
    q = UniformLabel(error_rate, 5).observed(p)
    assert np.array_equal(q.argmax(1), p.argmax(1))


def test_beyond_its_limit_uniform_noise_inverts_the_decision():
    p = np.array([[0.7, 0.2, 0.1]])
    q = UniformLabel(0.9, 3).observed(p)  # limit (C - 1) / C = 0.667
    assert q.argmax() == 2


def test_shift_at_one_half_is_an_exact_tie_for_a_certain_model():
    labels = np.arange(100) % 10
    certain = np.eye(10)[labels].astype(np.float32)
    scores = classifier_metrics(certain, labels, certain, ShiftLabel(0.5, 10))
    assert scores["accuracy"]["floor"] == 50
    assert scores["kl"]["floor"] == pytest.approx(0, abs=1e-12)
    below = classifier_metrics(certain, labels, certain, ShiftLabel(1 / 3, 10))
    assert below["accuracy"]["floor"] == 100


def test_ties_share_their_weight():
    p = np.array([[0.4, 0.4, 0.2], [0.2, 0.5, 0.3]])
    assert np.array_equal(decisions(p), [[0.5, 0.5, 0], [0, 1, 0]])
    assert np.array_equal(decisions(p, tie=0.25), [[1 / 3] * 3, [0, 0.5, 0.5]])


# --------------------------------------------------------------------------- bounds


@pytest.mark.parametrize("error_rate", RATES)
def test_the_bound_of_the_rise_is_its_supremum_over_models_and_vocabularies(error_rate):
    p = np.logspace(-9, 0, 2000)

    def rise(vocabulary):
        return np.log(p) - np.log(UniformToken(error_rate, vocabulary).observed(p))

    bound = theory.floor_rise_bound(error_rate)
    assert all(np.all(rise(vocabulary) < bound) for vocabulary in (2, 100, 50_257))
    assert rise(1e9).max() == pytest.approx(bound, rel=1e-6)  # no chance hits
    assert Teacher(error_rate).observed_nll(7.0, np.inf) - 7 == pytest.approx(bound)


def test_the_bound_at_the_papers_ratios_is_ln_of_one_plus_r():
    # ln 1.1, ln 1.3, ln 1.5, ln 2; and nothing without noise
    printed = [0, 0.0953, 0.2624, 0.4055, 0.6931]
    assert theory.floor_rise_bound([0, *RATES]) == pytest.approx(printed, abs=5e-5)


def overtaking_rate(noise) -> float:
    """The smallest e at which another class is as probable as the true one, for a model that is
    certain of that: 1 - e = e max W."""
    return 1 / (1 + noise.wrong_labels().max())


@pytest.mark.parametrize("kind", [UniformLabel, ShiftLabel])
@pytest.mark.parametrize("classes", [2, 3, 7, 20])
def test_where_another_class_overtakes_a_certain_model(kind, classes):
    rates = np.linspace(0, 1, 1001)
    certain = np.eye(classes)[:1]
    q = np.concatenate([kind(e, classes).observed(certain) for e in rates])
    overtaken = q[:, 1:].max(1) >= q[:, 0] - 1e-12
    first = rates[overtaken.argmax()]
    assert overtaken.any()
    expected = overtaking_rate(kind(0.5, classes))
    assert first == pytest.approx(expected, abs=rates[1])
    assert first >= expected - 1e-9


def test_only_uniform_noise_keeps_the_decision_of_an_uncertain_model_up_to_there():
    p = np.random.default_rng(0).dirichlet(np.ones(4), 10_000)
    for kind, keeps in ((UniformLabel, True), (ShiftLabel, False)):
        below = 0.98 * overtaking_rate(kind(0.5, 4))
        q = kind(below, 4).observed(p)
        assert np.array_equal(q.argmax(1), p.argmax(1)) == keeps


# --------------------------------------------------------------------------- information


def mutual_information(joint: np.ndarray) -> float:
    """I(x; y) in bits, of joint probabilities or counts [C, C]."""
    joint = joint / joint.sum()
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    present = joint > 0
    return float((joint[present] * np.log2(joint[present] / independent[present])).sum())


def conditional_entropy(joint: np.ndarray) -> float:
    """H(y|x) in bits, y down and x across: the mean entropy of the columns."""
    total = 0.0
    for column in joint.T:
        p = column[column > 0] / column.sum()
        total -= column.sum() * (p * np.log2(p)).sum()
    return total


@pytest.mark.parametrize("classes", [2, 3, 10, 100])
@pytest.mark.parametrize("error_rate", [0, 0.01, *RATES, 0.9, 1])
def test_information_loss_is_that_of_the_joint_distribution(classes, error_rate):
    joint = UniformLabel(error_rate, classes).transitions / classes
    entropy = np.log2(classes)
    loss = theory.relative_information_loss(error_rate, classes)
    assert loss == pytest.approx(1 - mutual_information(joint) / entropy, abs=1e-12)
    assert loss == pytest.approx(conditional_entropy(joint) / entropy, abs=1e-12)


@pytest.mark.parametrize("error_rate", RATES)
def test_information_loss_is_that_of_sampled_labels(error_rate):
    labels = np.arange(1_000_000) % 5
    u = np.random.default_rng(0).random(len(labels))
    observed, _ = UniformLabel(error_rate, 5).draw(labels, u)
    counts = np.zeros((5, 5))
    np.add.at(counts, (labels, observed), 1)
    sampled = 1 - mutual_information(counts) / np.log2(5)
    assert theory.relative_information_loss(error_rate, 5) == pytest.approx(sampled, abs=2e-3)


def test_information_loss_is_exact_at_both_ends():
    with np.errstate(all="raise"):  # no 0 log 0
        assert theory.relative_information_loss([0, 1], 2).tolist() == [0, 0]
        none, inverted = theory.relative_information_loss(np.array([0, 1]), 10)
    assert none == 0
    assert inverted == pytest.approx(np.log2(9) / np.log2(10))  # one of nine, each as likely


@pytest.mark.parametrize("classes", [2, 3, 10, 1000, 50_257])
def test_information_loss_is_greatest_where_labels_are_independent(classes):
    found = minimize_scalar(
        lambda e: -theory.relative_information_loss(e, classes),
        bounds=(0, 1),
        method="bounded",
        options={"xatol": 1e-12},
    )
    rate = theory.uninformative_error_rate(classes)
    assert rate == pytest.approx(found.x, abs=1e-5)
    assert -found.fun == pytest.approx(1, abs=1e-9)
    assert theory.relative_information_loss(rate, classes) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
def test_there_each_label_is_as_likely_whatever_the_true_one(classes):
    rate = theory.uninformative_error_rate(classes)
    assert np.ptp(UniformLabel(rate, classes).transitions) < 1e-12


# --------------------------------------------------------------------------- sample complexity


def test_sample_bound_of_a_case_done_by_hand():
    e = np.e  # eps = 1/e, delta = 1/e^2: logarithms 1 and 2, so m = 2 (2 e + 3 e)
    bound = theory.pac_sample_bound(error=1 / e, confidence=e**-2, vc_dimension=3, constant=2)
    assert bound == pytest.approx(10 * e)
    # eps = 0.1, delta = 0.05, d = 100, c0 = 1: 29.957 + 2302.585
    assert theory.pac_sample_bound(0.1, 0.05, 100, 1) == pytest.approx(2332.542, abs=1e-3)


def test_sample_bound_grows_with_capacity_and_with_what_is_asked():
    by_capacity = theory.pac_sample_bound(0.1, 0.05, np.array([1, 10, 1000]), 1)
    by_error = theory.pac_sample_bound(np.array([0.5, 0.1, 0.01]), 0.05, 10, 1)
    by_confidence = theory.pac_sample_bound(0.1, np.array([0.5, 0.05, 0.001]), 10, 1)
    for bound in (by_capacity, by_error, by_confidence):
        assert np.all(np.diff(bound) > 0)


@pytest.mark.parametrize("error_rate", RATES)
def test_clean_examples_are_those_that_noise_leaves(error_rate):
    labels = np.zeros(100_000, dtype=np.int64)
    u = np.random.default_rng(0).random(len(labels))
    _, corrupted = UniformLabel(error_rate, 10).draw(labels, u)
    left = theory.clean_examples(len(labels), error_rate)
    assert left == pytest.approx((~corrupted).sum(), abs=5 * np.sqrt(len(labels) / 4))


# --------------------------------------------------------------------------- averaging


@pytest.mark.parametrize("larger", [6, 24, 96])
def test_averaged_std_is_that_of_means_of_independent_losses(larger):
    losses = np.random.default_rng(0).gamma(2.0, 1.0, 960_000)
    small = stats.macro_batch_losses(losses, 6, 160_000).std(ddof=1)
    large = stats.macro_batch_losses(losses, larger, 10_000).std(ddof=1)
    assert theory.averaged_std(small, 6, larger) == pytest.approx(large, rel=0.04)


@pytest.mark.parametrize("cosine", [0, 0.02, 0.52, 1])
@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_sum_norm_of_vectors_at_equal_angles(cosine, count):
    shared = np.eye(1, count + 1)
    own = np.eye(count + 1)[1:]
    vectors = 3.0 * (np.sqrt(cosine) * shared + np.sqrt(1 - cosine) * own)
    norm = np.linalg.norm(vectors.sum(0))
    assert theory.sum_norm(3.0, count, cosine) == pytest.approx(norm, rel=1e-12)


def test_sum_norm_needs_the_mean_cosine_only():
    rng = np.random.default_rng(0)
    vectors = rng.normal(0.2, 1, (40, 30))
    vectors *= 2.5 / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [(i, j) for i in range(40) for j in range(40) if i != j]
    cosine = np.mean([vectors[i] @ vectors[j] / 2.5**2 for i, j in pairs])
    norm = np.linalg.norm(vectors.sum(0))
    assert theory.sum_norm(2.5, 40, cosine) == pytest.approx(norm, rel=1e-12)
