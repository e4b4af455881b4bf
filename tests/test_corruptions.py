"""Every registered corruption does what it says: a new one is covered without a new test."""

from pathlib import Path

import numpy as np
import pytest

from helpers import example_run
from noiselab.errors import NoiselabError
from noiselab.measures.metrics import accuracy, classifier_metrics, confusion_matrix, decisions
from noiselab.noise import registry
from noiselab.noise.base import CORRUPTIONS, Corruption
from noiselab.noise.corruptions.clean import Clean
from noiselab.noise.corruptions.labels import LabelCorruption, ShiftLabel, UniformLabel
from noiselab.noise.corruptions.matrices import LabelMatrix
from noiselab.noise.corruptions.tokens import UniformToken
from noiselab.planning import code

RATES = [1 / 11, 3 / 13, 1 / 3, 0.5]
# Those that are drawn from the target alone; others have tests of their own.
KINDS = {name: kind for name, kind in CORRUPTIONS.items() if kind.taught is Corruption.taught}
DRAWN = [name for name, kind in KINDS.items() if kind.target in ("label", "token")]
LABELS = [name for name, kind in KINDS.items() if issubclass(kind, LabelCorruption)]
SCRIPTS = Path(code.SCRIPTS)


def confusions(classes: int) -> np.ndarray:
    """A matrix of wrong labels, float [C, C]."""
    wrong = np.random.default_rng(classes).dirichlet(np.full(classes, 0.5), classes) + 0.01
    np.fill_diagonal(wrong, 0)
    return wrong / wrong.sum(1, keepdims=True)


def matrix_option(folder: Path, classes: int) -> str:
    np.savetxt(folder / "wrong.csv", confusions(classes), delimiter=",")
    return str(folder / "wrong.csv")


def counts(vocabulary: int) -> np.ndarray:
    """How often each token is in a text, int64 [V]; one of them is in none."""
    drawn = np.random.default_rng(vocabulary).integers(1, 1000, vocabulary)
    drawn[vocabulary // 2] = 0
    return drawn


def transitions_option(folder: Path, classes: int) -> str:
    """Rates that differ by class; one class is never wrong."""
    rate = np.linspace(0, 0.9, classes)[:, None]
    matrix = (1 - rate) * np.eye(classes) + rate * confusions(classes)
    np.savetxt(folder / "transitions.csv", matrix, delimiter=",")
    return str(folder / "transitions.csv")


# What a test gives for the option of a corruption. One that has another needs another entry.
OPTIONS = {"wrong_labels": matrix_option, "transitions": transitions_option}


@pytest.fixture
def build(tmp_path):
    """(name, error rate, number of classes) -> corruption, as planned and read from a run."""

    def corruption(name: str, rate: float, classes: int):
        keys = OPTIONS.keys() & (CORRUPTIONS[name].options | CORRUPTIONS[name].optional)
        experiment = {key: OPTIONS[key](tmp_path, classes) for key in keys}
        spec = {"name": "any", "classes": classes, "vocabulary": classes}
        sizes = {"classes": classes, "vocabulary": classes}
        np.save(tmp_path / "unigram.npy", counts(classes))
        run = example_run(corruption=name, error_rate=rate, data=str(tmp_path), **sizes)
        return registry.corruption(run | CORRUPTIONS[name].planned(experiment, spec))

    return corruption


def frequencies(first: np.ndarray, second: np.ndarray, count: int, columns: int) -> np.ndarray:
    """Share of each second value next to each first one, float [count, columns]."""
    counts = np.zeros((count, columns))
    np.add.at(counts, (first, second), 1)
    return counts / counts.sum(1, keepdims=True)


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("classes", [2, 3, 7, 10])
def test_every_corruption_of_labels_says_which_other_label_it_gives(build, name, classes):
    noise = build(name, 0.5, classes)
    wrong, touched = noise.wrong_labels(), np.broadcast_to(noise.rate, classes) > 0
    assert wrong.shape == (classes, classes)
    assert np.all(wrong >= 0)
    assert np.all(np.diagonal(wrong) == 0)
    assert wrong.sum(1) == pytest.approx(touched * 1.0, abs=1e-12)


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("error_rate", [*RATES, 1.0])
def test_transitions_are_what_drawing_gives(build, name, error_rate):
    """What a calibrated model predicts of certain inputs is a row of T."""
    noise = build(name, error_rate, 7)
    matrix = noise.observed(np.eye(7))
    assert np.all(matrix >= 0)
    assert matrix.sum(1) == pytest.approx(np.ones(7), abs=1e-12)
    targets = np.arange(700_000) % 7
    drawn, corrupted = noise.draw(targets, np.random.default_rng(0).random(700_000))
    assert drawn.dtype == targets.dtype
    assert np.array_equal(drawn[~corrupted], targets[~corrupted])
    rate = np.mean(noise.rate)
    assert abs(corrupted.mean() - rate) < 5 * np.sqrt(rate / 700_000)
    standard_error = np.sqrt(matrix * (1 - matrix) / 100_000) + 1e-12
    assert np.all(np.abs(frequencies(targets, drawn, 7, 7) - matrix) < 5 * standard_error)


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("error_rate", RATES)
def test_observed_is_what_an_observer_of_drawn_targets_counts(build, name, error_rate):
    noise, rng = build(name, error_rate, 5), np.random.default_rng(1)
    p = rng.dirichlet(np.full(5, 0.5), 20)
    kind = np.repeat(np.arange(20), 50_000)
    targets = (p[kind].cumsum(1) > rng.random((len(kind), 1))).argmax(1)
    drawn, _ = noise.draw(targets, rng.random(len(kind)))
    q = noise.observed(p)
    standard_error = np.sqrt(q * (1 - q) / 50_000) + 1e-12
    assert np.all(np.abs(frequencies(kind, drawn, 20, 5) - q) < 5.5 * standard_error)


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("error_rate", RATES)
def test_floor_is_the_score_of_a_model_that_learned_the_corrupted_labels(build, name, error_rate):
    """An observer that counts noisy labels per type of input reaches the floor."""
    noise, rng = build(name, error_rate, 4), np.random.default_rng(1)
    types = rng.dirichlet(np.full(4, 0.5), 30)  # p(y | type), known
    kind = np.repeat(np.arange(30), 20_000)
    labels = (types[kind].cumsum(1) > rng.random((len(kind), 1))).argmax(1)
    noisy, _ = noise.draw(labels, rng.random(len(kind)))
    learned = confusion_matrix(decisions(frequencies(kind, noisy, 30, 4)[kind]), labels)
    floor = confusion_matrix(decisions(noise.observed(types)[kind]), labels)
    assert accuracy(learned) == pytest.approx(accuracy(floor), abs=1.0)


@pytest.mark.parametrize("name", DRAWN)
def test_targets_corrupted_at_a_small_rate_stay_so_at_a_larger(build, name):
    targets = np.arange(10_000) % 6
    u = np.random.default_rng(2).random(10_000)
    few, many = (build(name, e, 6).draw(targets, u)[1] for e in (1 / 11, 0.5))
    assert few.any()
    assert few.sum() < many.sum() or not CORRUPTIONS[name].rated
    assert np.all(many[few])


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("error_rate", [1 / 3, 1.0])
def test_the_largest_and_smallest_u_stay_in_range(build, name, error_rate):
    targets, noise = np.arange(6), build(name, error_rate, 6)
    rate = np.broadcast_to(noise.rate, 6)
    for u in (np.zeros(6), np.full(6, 5e-324), np.nextafter(rate, 0)):
        drawn, corrupted = noise.draw(targets, u)
        assert np.array_equal(corrupted, rate > 0)
        assert np.all((drawn >= 0) & (drawn < 6))


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("error_rate", [1 / 3, 1.0])
def test_the_true_error_rate_is_the_share_that_differs(build, name, error_rate):
    noise, targets = build(name, error_rate, 5), np.arange(100_000) % 5
    drawn, corrupted = noise.draw(targets, np.random.default_rng(4).random(len(targets)))
    share = (drawn != targets).mean()
    assert share == pytest.approx(noise.true_error_rate, abs=0.01)
    assert noise.facts()["true_error_rate"] == noise.true_error_rate
    assert np.array_equal(corrupted, drawn != targets)


@pytest.mark.parametrize("name", [name for name in DRAWN if CORRUPTIONS[name].rated])
def test_nothing_is_corrupted_at_rate_0(build, name):
    targets = np.arange(1000) % 5
    with np.errstate(all="raise"):
        drawn, corrupted = build(name, 0.0, 5).draw(targets, np.zeros(1000))
    assert np.array_equal(drawn, targets)
    assert not corrupted.any()


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("error_rate", RATES)
def test_chance_of_a_label_is_that_of_drawing_it(build, name, error_rate):
    noise, rng = build(name, error_rate, 3), np.random.default_rng(3)
    labels, wanted = np.array([0, 1, 2, 0]), np.array([0, 2, 0, 1])
    drawn = noise.draw(np.tile(labels, 100_000), rng.random(400_000))[0].reshape(-1, 4)
    assert noise.chance(labels, wanted) == pytest.approx((drawn == wanted).mean(0), abs=0.01)


def test_observed_is_the_printed_formula():
    p = np.random.default_rng(0).dirichlet(np.ones(6), 50)
    e = 0.3
    uniform = (1 - e) * p + e * (1 - p) / 5
    shift = (1 - e) * p + e * np.roll(p, 1, axis=1)
    assert np.allclose(UniformLabel(e, 6).observed(p), uniform, atol=1e-14)
    assert np.allclose(ShiftLabel(e, 6).observed(p), shift, atol=1e-14)
    assert np.allclose(UniformToken(e, 6).observed(p), (1 - e) * p + e / 6, atol=1e-14)
    assert np.array_equal(Clean().observed(p), p)


def test_transitions_of_a_matrix_of_wrong_labels():
    wrong = np.array([[0, 0.25, 0.75], [1, 0, 0], [0.5, 0.5, 0]])
    expected = [[0.8, 0.05, 0.15], [0.2, 0.8, 0], [0.1, 0.1, 0.8]]
    assert np.allclose(LabelMatrix(0.2, wrong).transitions, expected, atol=1e-15)
    for kind in (UniformLabel, ShiftLabel):
        by_name = kind(0.3, 5)
        by_matrix = LabelMatrix(0.3, by_name.wrong_labels())
        assert np.array_equal(by_name.transitions, by_matrix.transitions)


def test_a_matrix_that_does_not_suit_the_data_set_is_refused(tmp_path):
    path = matrix_option(tmp_path, 3)
    spec = {"name": "digits", "classes": 4}
    with pytest.raises(NoiselabError) as error:
        LabelMatrix.planned({"wrong_labels": path}, spec, "config key a.")
    found = "has 3 rows of 3 columns, but 4 classes need as many of both"
    assert str(error.value) == f"config key a.wrong_labels: {path} {found} (data set digits)"
    planned = LabelMatrix.planned({"wrong_labels": path}, spec | {"classes": 3})
    assert planned["wrong_labels"]["path"] == path
    assert LabelMatrix.variant(planned) == f"-{planned['wrong_labels']['sha256'][:6]}"


class Written(LabelCorruption):
    """A corruption whose `wrong_labels` somebody wrote; without an entry in the register."""

    def __init__(self, rate: float | np.ndarray, wrong: np.ndarray):
        super().__init__(rate, 3)
        self.name, self.written = "mine", wrong

    def wrong_labels(self) -> np.ndarray:
        return self.written


SKEWED = np.array([[0, 0.25, 0.75], [1, 0, 0], [0.5, 0.5, 0]])
NO_W = {
    "sum": (SKEWED * [[1], [1], [1.5]], "has 1.5, not 1, as the sum of the row of class 2"),
    "negative": (np.array([[0, 1.5, -0.5], *SKEWED[1:]]), "has 1.5 in the row of class 0: no prob"),
    "nan": (SKEWED / [[1], [np.nan], [1]], "has nan in the row of class 1: no probability"),
    "diagonal": (np.full((3, 3), 1 / 3), "lets class 0 stay what it is: the diagonal must be 0"),
    "turned": (SKEWED.T, "the row of class 0; its columns do: turn it, a row is a true class"),
    "shape": (SKEWED[:2], "has 2 rows of 3 columns, but 3 classes need as many of both"),
    "vector": (SKEWED[0], "has 1 dimensions, not 3 rows of 3 columns"),
    "kept": (SKEWED * [[1], [0], [1]], "has only 0 in the row of class 1, whose rate is not 0"),
}


@pytest.mark.parametrize("case", NO_W)
def test_a_matrix_of_ones_own_that_is_no_w_gives_neither_labels_nor_floor(case):
    wrong, message = NO_W[case]
    p, targets = np.eye(3), np.arange(3)
    for use in (
        lambda noise: noise.observed(p),
        lambda noise: noise.draw(targets, np.zeros(3)),
    ):
        with pytest.raises(NoiselabError) as error:
            use(Written(0.5, wrong))
        assert str(error.value).startswith("corruption mine: W, from its wrong_labels, ")
        assert message in str(error.value)


def test_a_row_of_0_is_that_of_a_class_that_is_never_corrupted():
    wrong, labels = SKEWED * [[1], [0], [1]], np.arange(300_000) % 3
    noise = Written(np.array([0.5, 0, 0.5]), wrong)
    assert noise.transitions.sum(1) == pytest.approx(np.ones(3), abs=1e-12)
    drawn, _ = noise.draw(labels, np.random.default_rng(0).random(len(labels)))
    assert frequencies(labels, drawn, 3, 3) == pytest.approx(noise.transitions, abs=0.01)
    assert np.array_equal(Written(0.0, wrong).transitions, np.eye(3))  # so is a clean run's


def test_a_rate_may_differ_by_class():
    wrong, rate = confusions(4), np.array([0, 0.1, 0.5, 1])
    noise = LabelMatrix(rate, wrong)
    labels = np.arange(400_000) % 4
    with np.errstate(all="raise"):
        drawn, corrupted = noise.draw(labels, np.random.default_rng(0).random(len(labels)))
    matrix = noise.transitions
    assert np.diagonal(matrix) == pytest.approx(1 - rate)
    assert matrix.sum(1) == pytest.approx(np.ones(4))
    assert frequencies(labels, drawn, 4, 4) == pytest.approx(matrix, abs=0.01)
    assert np.array_equal(drawn != labels, corrupted)


def test_floor_of_a_matrix_is_the_score_of_a_calibrated_classifier():
    """Of one that knows p(y|x) and has learned the observed labels exactly, simulated."""
    rng = np.random.default_rng(2)
    wrong = rng.dirichlet(np.ones(5), 5) * (1 - np.eye(5))
    noise = LabelMatrix(0.5, wrong / wrong.sum(1, keepdims=True))
    p = rng.dirichlet(np.full(5, 0.5), 40)
    kind = np.repeat(np.arange(40), 20_000)
    labels = (p[kind].cumsum(1) > rng.random((len(kind), 1))).argmax(1)
    observed, _ = noise.draw(labels, rng.random(len(kind)))
    learned = frequencies(kind, observed, 40, 5)
    kind, labels = kind[::10], labels[::10]
    scores = classifier_metrics(learned[kind], labels, p[kind], noise)
    for name, tolerance in (("accuracy", 0.5), ("sampled_accuracy", 0.1)):
        assert scores[name]["value"] == pytest.approx(scores[name]["floor"], abs=tolerance)
    clean = accuracy(confusion_matrix(decisions(p[kind]), labels))
    assert scores["accuracy"]["floor"] < clean - 1  # this noise does turn decisions


def test_where_nothing_is_known_of_the_observed_labels_there_is_no_floor():
    class Unknown(UniformLabel):
        name = "unknown_to_all"

        def observed(self, p):
            return None

    try:
        p = np.random.default_rng(0).dirichlet(np.ones(4), 50)
        scores = classifier_metrics(p, np.arange(50) % 4, p, Unknown(0.5, 4))
    finally:
        del CORRUPTIONS["unknown_to_all"]
    assert {score["floor"] for score in scores.values()} == {None}
    assert None not in {score["value"] for score in scores.values()}
