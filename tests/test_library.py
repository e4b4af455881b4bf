"""The public interface: floors against closed forms and counting, noisy labels, arguments."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import noiselab
from noiselab.errors import NoiselabError
from noiselab.measures.metrics import classifier_metrics
from noiselab.noise.corruptions.labels import ShiftLabel, UniformLabel

BY_CLASS = np.array([[0.9, 0.1, 0], [0, 1, 0], [0.2, 0.5, 0.3]])


@pytest.fixture(scope="module")
def predictions():
    """Calibrated probabilities float64 [n, 3] and labels drawn from them."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(3, 0.5), 3000)
    return p, (p.cumsum(1) > rng.random((3000, 1))).argmax(1)


# ------------------------------------------------------------------------------ floors


@pytest.mark.parametrize("rate", [0, 0.1, 0.4, 1])
def test_observed_is_the_printed_formula(predictions, rate):
    p, _ = predictions
    uniform = (1 - rate) * p + rate * (1 - p) / 2
    shifted = (1 - rate) * p + rate * np.roll(p, 1, axis=1)
    assert noiselab.observed(p, noiselab.uniform(rate)) == pytest.approx(uniform, abs=1e-14)
    assert noiselab.observed(p, noiselab.shift(rate)) == pytest.approx(shifted, abs=1e-14)


def test_transition_matrix_says_how_often_each_label_is_seen():
    uniform = noiselab.transition_matrix(noiselab.uniform(0.3), classes=4)
    assert uniform == pytest.approx(0.7 * np.eye(4) + 0.1 * (1 - np.eye(4)))
    shifted = noiselab.transition_matrix(noiselab.shift(0.3), classes=3)
    assert shifted == pytest.approx(np.array([[0.7, 0.3, 0], [0, 0.7, 0.3], [0.3, 0, 0.7]]))
    assert np.array_equal(noiselab.transition_matrix(BY_CLASS.tolist()), BY_CLASS)


def test_kinds_of_the_field_have_their_matrices():
    symmetric = noiselab.transition_matrix(noiselab.symmetric(0.4), classes=4)
    assert symmetric == pytest.approx(0.6 * np.eye(4) + 0.1)
    shifted = noiselab.transition_matrix(noiselab.shift(0.3), classes=5)
    assert np.array_equal(noiselab.transition_matrix(noiselab.pair_flip(0.3), 5), shifted)
    usual = noiselab.transition_matrix(noiselab.asymmetric(0.3), classes=5)
    chosen = noiselab.transition_matrix(noiselab.asymmetric(0.3, {0: 1, 2: 3}), classes=5)
    assert np.array_equal(usual, chosen)
    assert list(np.diagonal(usual)) == pytest.approx([0.7, 1, 0.7, 1, 1])
    cifar10 = noiselab.transition_matrix(noiselab.asymmetric(0.4, "cifar10"), classes=10)
    assert cifar10[9, 1] == cifar10[3, 5] == pytest.approx(0.4)
    assert len({noiselab.asymmetric(0.4, {0: 1}), noiselab.asymmetric(0.4, {1: 0})}) == 2


@pytest.mark.parametrize("noise", [noiselab.uniform(0.4), noiselab.shift(0.2), BY_CLASS])
def test_the_floor_is_the_score_of_whoever_counts_noisy_labels(noise):
    """An observer that sees noisy labels of 30 kinds of items, and predicts their frequencies."""
    rng = np.random.default_rng(1)
    types = rng.dirichlet(np.full(3, 0.5), 30)
    kind = np.repeat(np.arange(30), 20_000)
    labels = (types[kind].cumsum(1) > rng.random((len(kind), 1))).argmax(1)
    counts = np.zeros((30, 3))
    np.add.at(counts, (kind, noiselab.corrupt(labels, noise, seed=5, classes=3)), 1)
    learned = (counts / 20_000)[kind]
    floor, own = noiselab.noise_floor(types[kind], labels, noise), noiselab.scores(learned, labels)
    assert own.accuracy.value == pytest.approx(floor.accuracy.value, abs=0.01)
    assert own.sampled_accuracy.value == pytest.approx(floor.sampled_accuracy.value, abs=0.002)
    assert own.nll.value == pytest.approx(floor.nll.value, abs=0.01)


def test_floors_by_hand():
    p, labels = [[0.8, 0.2], [0.4, 0.6], [1, 0]], [0, 0, 0]
    floor = noiselab.noise_floor(p, labels, noiselab.uniform(0.25))
    q = np.array([0.65, 0.45, 0.75])  # of label 0
    assert floor.accuracy.value == pytest.approx(2 / 3)
    assert floor.sampled_accuracy.value == pytest.approx(q.mean())
    assert floor.nll.value == pytest.approx(-np.log(q).mean())
    low, high = stats.t.interval(0.95, 2, q.mean(), stats.sem(q))
    assert floor.sampled_accuracy[1:3] == pytest.approx((low, high))
    wilson = stats.binomtest(2, 3).proportion_ci(0.95, method="wilson")
    assert floor.accuracy[1:3] == pytest.approx((wilson.low, wilson.high))


def test_classes_that_noise_makes_equal_share_the_decision():
    p, labels = np.eye(4)[[0, 1, 2, 3]] * 0.9997 + 0.000075, [0, 1, 2, 3]
    p = p / p.sum(1, keepdims=True)
    assert noiselab.noise_floor(p, labels, noiselab.shift(0.5)).accuracy.value == 0.5
    assert noiselab.noise_floor(p, labels, noiselab.uniform(0.75)).accuracy.value == 0.25
    near = [[0.5004, 0.4996]]  # without noise nothing is a tie but equality
    assert noiselab.noise_floor(near, [0], np.eye(2)).accuracy.value == 1
    assert noiselab.noise_floor(near, [0], noiselab.uniform(0)).accuracy.value == 1
    assert noiselab.scores([[0.5, 0.5]], [0]).accuracy.value == 0.5


@pytest.mark.parametrize("kind", ["uniform", "shift"])
def test_floors_are_those_of_the_workflow(predictions, kind):
    p, labels = predictions
    of_workflow = {"uniform": UniformLabel, "shift": ShiftLabel}[kind](0.5, 3)
    expected = classifier_metrics(p, labels, p, of_workflow)
    floor = noiselab.noise_floor(p, labels, noiselab.Noise(kind, 0.5))
    for name in ("accuracy", "sampled_accuracy"):
        ours = 100 * getattr(floor, name).value
        assert ours == pytest.approx(expected[name]["floor"], abs=1e-10)
    low, high = (100 * end for end in noiselab.scores(p, labels).accuracy[1:3])
    assert (low, high) == pytest.approx(
        (expected["accuracy"]["ci_low"], expected["accuracy"]["ci_high"])
    )


def test_the_interval_of_a_floor_covers_that_of_endless_items():
    rng, noise = np.random.default_rng(2), noiselab.uniform(0.3)
    types = rng.dirichlet(np.full(3, 0.5), 50)
    q = noiselab.observed(types, noise)
    truth = -(types * np.log(q)).sum(1).mean()  # over types and their labels
    hits = 0
    for _ in range(400):
        kind = rng.integers(0, 50, 300)
        labels = (types[kind].cumsum(1) > rng.random((300, 1))).argmax(1)
        nll = noiselab.noise_floor(types[kind], labels, noise).nll
        hits += nll.ci_low <= truth <= nll.ci_high
    assert 0.92 <= hits / 400 <= 0.98


def test_an_impossible_label_has_an_infinite_nll_and_no_interval():
    nll = noiselab.scores([[1.0, 0.0], [1.0, 0.0]], [0, 1]).nll
    assert (nll.value, nll.interval) == (np.inf, "none")
    assert f"{nll.value:.3f} {nll.ci_low:.3f} {nll.ci_high:+.3f}" == "inf nan +nan"
    assert np.isnan(noiselab.scores([[1.0, 0.0]], [0]).nll[1:3]).all()


def test_an_excess_of_infinite_nll_says_whose_it_is():
    sure, never, labels = [[1.0, 0.0]] * 3, [[0.5, 0.5], [1, 0], [0.5, 0.5]], [0, 1, 0]
    noise = np.eye(2)
    assert noiselab.excess(never, [[0.5, 0.5]] * 3, labels, noise).nll.value == np.inf
    assert noiselab.excess([[0.5, 0.5]] * 3, never, labels, noise).nll.value == -np.inf
    both = noiselab.excess(sure, never, labels, noise)
    assert np.isnan(both.nll[:3]).all()
    assert f"{both.nll.ci_low:+.3f}" == "+nan"
    crossed = noiselab.excess([[1, 0], [0.5, 0.5]], [[0.5, 0.5], [1, 0]], [1, 1], noise)
    assert np.isnan(crossed.nll.value)  # each is infinite in another item


def test_excess_is_model_against_floor_item_by_item(predictions):
    p, labels = predictions
    noise = noiselab.uniform(0.4)
    q = noiselab.observed(p, noise)
    none = noiselab.excess(q, p, labels, noise)
    assert none.nll.value == none.sampled_accuracy.value == 0
    assert none.accuracy.value == pytest.approx(0, abs=0.01)  # but for ties
    unsure = 0.8 * q + 0.2 / 3
    worse = noiselab.excess(unsure, p, labels, noise)
    own, floor = noiselab.scores(unsure, labels), noiselab.noise_floor(p, labels, noise)
    assert worse.nll.value == pytest.approx(own.nll.value - floor.nll.value)
    lost = floor.sampled_accuracy.value - own.sampled_accuracy.value
    assert worse.sampled_accuracy.value == pytest.approx(lost)
    paired = worse.nll.ci_high - worse.nll.ci_low
    assert paired < 0.5 * (floor.nll.ci_high - floor.nll.ci_low)


@pytest.mark.parametrize("items", [20, 50, 100, 500])
@pytest.mark.parametrize("differ", [0.01, 0.1])
def test_the_interval_of_an_excess_covers_where_few_decisions_differ(items, differ):
    rng, hits = np.random.default_rng(4), 0
    sure = np.array([[0.9, 0.1], [0.1, 0.9]])
    for _ in range(100):
        labels = rng.integers(2, size=items)
        wrong = rng.random(items) < differ
        found = noiselab.excess(sure[labels ^ wrong], sure[labels], labels, noiselab.uniform(0.2))
        hits += found.accuracy.ci_low <= differ <= found.accuracy.ci_high
    assert hits / 100 > 0.91


# ------------------------------------------------------------------------------ noisy labels


@pytest.mark.parametrize("noise", [noiselab.uniform(0.4), noiselab.shift(0.2), BY_CLASS])
def test_labels_are_corrupted_as_often_as_the_matrix_says(noise):
    labels = np.arange(300_000) % 3
    noisy = noiselab.corrupt(labels, noise, seed=3, classes=3)
    shares = np.zeros((3, 3))
    np.add.at(shares, (labels, noisy), 1 / 100_000)
    assert shares == pytest.approx(noiselab.transition_matrix(noise, classes=3), abs=0.006)
    assert np.array_equal(noisy, noiselab.corrupt(labels, noise, seed=3, classes=3))
    assert np.array_equal(noisy[:50], noiselab.corrupt(labels[:50], noise, seed=3, classes=3))
    assert not np.array_equal(noisy, noiselab.corrupt(labels, noise, seed=4, classes=3))


def test_what_is_wrong_at_a_small_rate_is_so_at_a_larger():
    labels = np.arange(10_000) % 10
    few, many = (
        noiselab.corrupt(labels, noiselab.uniform(e), classes=10) != labels for e in (0.1, 0.5)
    )
    assert few.any()
    assert np.all(many[few])


def test_measured_transitions_are_shares_of_labels():
    clean, given = [0, 0, 0, 0, 2, 2], [0, 1, 1, 2, 2, 0]
    found = noiselab.measured_transitions(clean, given)
    assert found.tolist() == [[0.25, 0.5, 0.25], [0, 1, 0], [0.5, 0, 0.5]]
    assert noiselab.measured_transitions(clean, given, 4).shape == (4, 4)
    labels = np.arange(300_000) % 3
    drawn = noiselab.corrupt(labels, found, seed=1)
    assert noiselab.measured_transitions(labels, drawn) == pytest.approx(found, abs=0.01)
    with pytest.raises(ValueError, match="given: 2 labels for 3 clean ones"):
        noiselab.measured_transitions([0, 1, 1], [0, 1])
    with pytest.raises(ValueError, match="row 1 has 3, which is no class"):
        noiselab.measured_transitions([0, 3], [0, 1], 3)


# ------------------------------------------------------------------------------ arguments


def containers(p, labels):
    yield p.tolist(), labels.tolist()
    yield pd.DataFrame(p, index=range(7, 7 + len(p))), pd.Series(labels)
    yield torch.tensor(p), torch.tensor(labels)
    yield p, labels.astype(np.uint8)


def test_lists_frames_and_tensors_give_what_arrays_give(predictions):
    p, labels = (array[:50] for array in predictions)
    expected = noiselab.noise_floor(p, labels, BY_CLASS)
    for values, numbers in containers(p, labels):
        assert noiselab.noise_floor(values, numbers, BY_CLASS) == expected
        noise = pd.DataFrame(BY_CLASS)
        assert np.array_equal(noiselab.observed(values, noise), noiselab.observed(p, BY_CLASS))
        assert np.array_equal(
            noiselab.corrupt(numbers, BY_CLASS), noiselab.corrupt(labels, BY_CLASS)
        )


def test_half_precision_will_do(predictions):
    p, labels = predictions
    noise = noiselab.uniform(0.4)
    half = noiselab.noise_floor(torch.tensor(p).half(), labels, noise)
    assert half.nll.value == pytest.approx(
        noiselab.noise_floor(p, labels, noise).nll.value, abs=1e-3
    )


def test_masks_that_hide_nothing_and_frames_with_equal_names_will_do():
    whole = np.ma.array(P, mask=False)
    assert np.array_equal(noiselab.observed(whole, TWO), noiselab.observed(P, TWO))
    named = pd.DataFrame(TWO, index=["cat", "dog"], columns=["cat", "dog"])
    read = pd.DataFrame(TWO, columns=["0", "1"])
    for frame in (named, read):
        assert np.array_equal(noiselab.observed(P, frame), noiselab.observed(P, TWO))
    labels = pd.Series([0, 1], dtype="Int64")
    assert noiselab.scores(P, labels) == noiselab.scores(P, [0, 1])


def test_arguments_are_left_as_they_are(predictions):
    p, labels = (array.copy() for array in predictions)
    noise = BY_CLASS.copy()
    noiselab.excess(p, p, labels, noise)
    noiselab.corrupt(labels, noise)
    assert np.array_equal(p, predictions[0])
    assert np.array_equal(labels, predictions[1])
    assert np.array_equal(noise, BY_CLASS)


P, Y, E = [[0.5, 0.5], [0.2, 0.8]], [0, 1], noiselab.uniform(0.1)
TWO = [[0.9, 0.1], [0, 1]]
MASKED = np.ma.masked_equal([[0, 1], [1, 0]], 1)


def observed_flips(flips):
    return noiselab.observed(P, noiselab.asymmetric(0.1, flips))


MISTAKES = {
    "probabilities: need one row per item": lambda: noiselab.scores([0.5, 0.5], Y),
    "found shape (2, 1)": lambda: noiselab.scores([[1], [1]], Y),
    "found shape (0, 2)": lambda: noiselab.scores(np.empty((0, 2)), []),
    "probabilities: row 1 has nan": lambda: noiselab.scores([[0.5, 0.5], [np.nan, 1]], Y),
    "probabilities: row 0 has inf": lambda: noiselab.scores([[np.inf, 0], [0, 1]], Y),
    "row 0 has -2, below 0; logits? Take the softmax": lambda: noiselab.scores(
        [[3, -2], [1, 2]], Y
    ),
    "row 1 sums to 3, not to 1; logits?": lambda: noiselab.scores([[0.5, 0.5], [1, 2]], Y),
    "row 0 sums to 100, not to 1; per cent? Divide by 100": lambda: noiselab.scores(
        [[50.5, 49.5], [20, 80]], Y
    ),
    "row 0 sums to 12, not to 1; counts? Divide": lambda: noiselab.scores([[7, 5], [0, 3]], Y),
    "Without column 2 rows sum to 1": lambda: noiselab.scores([[0.5, 0.5, 0], [0.2, 0.8, 1]], Y),
    "row 0 sums to 0.6, not to 1; a column that is no class, or": lambda: noiselab.scores(
        [[0.5, 0.1], [0.2, 0.7]], Y
    ),
    "row 1 sums to 0.99, not to 1; rounded or scaled? Divide": lambda: noiselab.scores(
        [[0.5, 0.5], [0.33, 0.66]], Y
    ),
    "row 0 sums to 255, not to 1; rounded or scaled?": lambda: noiselab.scores(
        [[250.5, 4.5], [55, 200]], Y
    ),
    "row 0 has -1e-05, below 0; clip at 0": lambda: noiselab.scores([[1.00001, -1e-5], P[0]], Y),
    "probabilities: 2 of 4 are masked": lambda: noiselab.scores(MASKED, Y),
    "labels: 1 of 2 are masked; leave these items out": lambda: noiselab.scores(P, MASKED[0]),
    "probabilities: NumPy has no bfloat16; call .float()": lambda: noiselab.scores(
        torch.tensor(P).bfloat16(), Y
    ),
    "log-probabilities? Take exp": lambda: noiselab.observed(np.log(P), E),
    "probabilities: row 0 sums to 0.9": lambda: noiselab.observed([[0.4, 0.5]], E),
    "probabilities: cannot be read as an array": lambda: noiselab.scores([[1, 0], [1]], Y),
    "probabilities: must be an array of numbers": lambda: noiselab.scores([["a", "b"]], [0]),
    "labels: must be whole numbers": lambda: noiselab.scores(P, [0.5, 1.0]),
    "found float64; take .astype(int)": lambda: noiselab.scores(P, [0.0, 1.0]),
    "labels: names? Number them in the order of the columns": lambda: noiselab.scores(
        P, ["cat", "dog"]
    ),
    "labels: names? Number them": lambda: noiselab.scores(P, pd.Series(["cat", "dog"])),
    "labels: row 1 is missing; leave such items out": lambda: noiselab.scores(P, [0, None]),
    "labels: row 0 is missing": lambda: noiselab.scores(P, pd.Series([pd.NA, 1], dtype="Int64")),
    "labels: row 1 is missing;": lambda: noiselab.scores(P, [0, np.nan]),
    "labels: no labels": lambda: noiselab.scores(P, []),
    "labels: must be an array of numbers, found bool": lambda: noiselab.scores(P, [True, False]),
    "labels: row 1 has 2, which is no class; 2 classes are 0 … 1": lambda: noiselab.scores(
        P, [0, 2]
    ),
    "labels: row 0 has -1, which is no class": lambda: noiselab.scores(P, [-1, 0]),
    "labels: 3 labels for 2 rows": lambda: noiselab.scores(P, [0, 1, 0]),
    "found shape (2, 1); take [:, 0]": lambda: noiselab.scores(P, [[0], [1]]),
    "labels: need one number per item, found shape (2, 2); one-hot?": lambda: noiselab.scores(
        P, np.eye(2)
    ),
    "rate: must be a number from 0 to 1, found 40": lambda: noiselab.uniform(40),
    "rate: must be a number from 0 to 1, found -0.1": lambda: noiselab.shift(-0.1),
    "rate: must be a number from 0 to 1, found nan": lambda: noiselab.shift(float("nan")),
    "rate: must be a number from 0 to 1, found '0.4'": lambda: noiselab.shift("0.4"),
    "unknown 'unifrom' (did you mean 'uniform'?)": lambda: noiselab.Noise("unifrom", 0.1),
    "noise: unknown 'gaussian' (known: uniform, ": lambda: noiselab.Noise("gaussian", 0.1),
    "noise: unknown 7": lambda: noiselab.Noise(7, 0.1),
    "'uniform' has no rate, use noiselab.Noise": lambda: noiselab.noise_floor(P, Y, "uniform"),
    "noise: unknown 'shfit' (did you mean 'shift'?)": lambda: noiselab.observed(P, "shfit"),
    "noise: a transition matrix is square": lambda: noiselab.observed(P, [[0.5, 0.5]]),
    "noise: a matrix of 3 classes for 2 classes": lambda: noiselab.observed(P, BY_CLASS),
    "noise: row 1 sums to 0.9": lambda: noiselab.observed(P, [[1, 0], [0.4, 0.5]]),
    "sums to 0.9999, not to 1; rounded? Divide": lambda: noiselab.observed(
        P, [[1, 0], [0.4999, 0.5]]
    ),
    "noise: row 0 sums to 0.75, not to 1; columns do: turn it": lambda: noiselab.observed(
        P, [[0.5, 0.25], [0.5, 0.75]]
    ),
    "noise: row 'dog' is beside column 'cat'; give rows": lambda: noiselab.observed(
        P, pd.DataFrame(TWO, index=["dog", "cat"], columns=["cat", "dog"])
    ),
    "noise: row '0' is beside column 'cat'": lambda: noiselab.observed(
        P, pd.DataFrame(TWO, columns=["cat", "dog"])
    ),
    "noise: row 0 has 1.1: no probability": lambda: noiselab.observed(P, [[1.1, -0.1], [0, 1]]),
    "noise: row 1 has nan": lambda: noiselab.observed(P, [[1, 0], [np.nan, 1]]),
    "noise: must be an array of numbers": lambda: noiselab.observed(P, None),
    "flips: must map classes to classes, found {}": lambda: observed_flips({}),
    "flips: must map classes to classes, found [1]": lambda: observed_flips([1]),
    "flips: 2 is no class; classes are 0 … 1": lambda: observed_flips({0: 2}),
    "flips: True is no class": lambda: observed_flips({True: 0}),
    "flips: 0.5 is no class": lambda: observed_flips({0: 0.5}),
    "flips: class 1 would stay what it is": lambda: observed_flips({1: 1}),
    "flips: unknown 'cifar' (did you mean 'cifar10'?)": lambda: observed_flips("cifar"),
    "flips: cifar10 has 10 classes, not 2": lambda: observed_flips("cifar10"),
    "flips: cifar10 has 10 classes, not 12": lambda: noiselab.transition_matrix(
        noiselab.asymmetric(0.1, "cifar10"), 12
    ),
    "flips: for asymmetric noise, not for shift": lambda: noiselab.Noise("shift", 0.1, {0: 1}),
    "classes: needed": lambda: noiselab.corrupt(Y, E),
    "classes: must be a whole number, 2 or more": lambda: noiselab.transition_matrix(E, 1),
    "classes: at most 30000, as T of 2000000 classes": lambda: noiselab.transition_matrix(
        E, 2_000_000
    ),
    "given: row 1 has -1, which is no class": lambda: noiselab.measured_transitions(Y, [0, -1]),
    "clean: row 1 has 2, which is no class; 2 classes": lambda: noiselab.measured_transitions(
        [0, 2], Y, 2
    ),
    "given: row 1 has 1000000; number the classes": lambda: noiselab.measured_transitions(
        Y, [0, 10**6]
    ),
    "given: 1 of 2 are masked": lambda: noiselab.measured_transitions(Y, MASKED[0]),
    "seed: must be a whole number, 0 or more, found -1": lambda: noiselab.corrupt(Y, TWO, seed=-1),
    "seed: must be a whole number, 0 or more, found 1.5": lambda: noiselab.corrupt(Y, TWO, 1.5),
    "seed: must be": lambda: noiselab.corrupt(Y, TWO, 2**64),
    "probabilities: shape (1, 2), but": lambda: noiselab.excess([[0, 1]], P, Y, E),
    "clean_probabilities: row 0": lambda: noiselab.excess(P, [[2, 2], [0, 1]], Y, E),
}


@pytest.mark.parametrize(("message", "call"), MISTAKES.items(), ids=MISTAKES)
def test_a_wrong_argument_is_one_line(message, call):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        call()
    assert isinstance(error.value, NoiselabError)
    assert "\n" not in str(error.value)


def test_a_tensor_with_gradients_is_refused_in_one_line():
    with pytest.raises(ValueError, match="probabilities: cannot be read as an array") as error:
        noiselab.scores(torch.tensor(P, requires_grad=True), Y)
    assert "\n" not in str(error.value)
