"""Scores and intervals against libraries and simulation."""

import numpy as np
import pytest
from scipy import stats as scipy_stats
from sklearn.metrics import accuracy_score

from noiselab.measures import metrics
from noiselab.measures import statistics as stats
from noiselab.noise.corruptions.clean import Clean
from noiselab.noise.corruptions.labels import ShiftLabel, UniformLabel
from noiselab.noise.corruptions.tokens import UniformToken


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 6, 3000)
    p = rng.dirichlet(np.ones(6), 3000).astype(np.float32)
    p[np.arange(3000), labels] += rng.random(3000)
    return p / p.sum(1, keepdims=True), labels


def test_scores_equal_their_definitions(predictions):
    p, labels = predictions
    confusion = metrics.confusion_matrix(metrics.decisions(p), labels)
    predicted = np.bincount(p.argmax(1), minlength=6) / 3000
    true = np.bincount(labels, minlength=6) / 3000
    assert metrics.accuracy(confusion) == pytest.approx(100 * accuracy_score(labels, p.argmax(1)))
    assert metrics.kl_marginal(confusion) == pytest.approx(scipy_stats.entropy(predicted, true))
    assert metrics.tvd_marginal(confusion) == pytest.approx(0.5 * np.abs(predicted - true).sum())


def test_a_clean_run_is_its_own_floor(predictions):
    p, labels = predictions
    scores = metrics.classifier_metrics(p, labels, p, Clean())
    for score in scores.values():
        assert score["value"] == pytest.approx(score["floor"], abs=1e-12)


def test_published_tvd_and_kl_are_consistent_with_nats():
    """A marginal 0.0088 from uniform in total variation has a KL of about 0.0002 nats."""
    marginal = np.full(10, 0.1) + np.repeat([0.0088 / 5, -0.0088 / 5], 5)
    confusion = np.zeros((10, 10))
    confusion[:] = marginal  # true classes uniform, predictions as given
    assert metrics.tvd_marginal(confusion) == pytest.approx(0.0088)
    assert 0.00010 < metrics.kl_marginal(confusion) < 0.0003


def test_a_diverged_model_has_empty_cells_and_a_reason(predictions):
    p, labels = predictions
    broken = np.full_like(p, np.nan)
    scores = metrics.classifier_metrics(broken, labels, p, UniformLabel(0.5, 6))
    assert scores["accuracy"]["value"] is None
    assert scores["accuracy"]["floor"] is not None
    assert scores["accuracy"]["reason"] == "training diverged"
    orphan = metrics.classifier_metrics(p, labels, broken, UniformLabel(0.5, 6))
    assert orphan["accuracy"]["floor"] is None
    assert orphan["accuracy"]["value"] > 0


def test_where_the_clean_run_diverged_only_comparisons_are_lost(predictions):
    p, labels = predictions
    scores = metrics.classifier_metrics(p, labels, np.full_like(p, np.nan), UniformLabel(0.5, 6))
    for name in ("accuracy_drop", "accuracy_relative_drop"):
        assert (scores[name]["value"], scores[name]["reason"]) == (None, "the clean run diverged")
    decided, none = labels.copy(), np.full(len(labels), -1)
    for noise in (UniformLabel(0.5, 6), ShiftLabel(0.5, 6)):
        scores = metrics.training_metrics(decided, none, labels, None, noise)
        assert {score["floor"] for score in scores.values()} == {None}
        assert scores["train_accuracy"]["value"] == 100


@pytest.mark.parametrize("rate", [0.5, 0.97])
def test_wilson_interval_covers(rate):
    rng = np.random.default_rng(0)
    intervals = [stats.wilson_interval(k, 500) for k in rng.binomial(500, rate, 2000)]
    covered = np.mean([i.ci_low <= rate <= i.ci_high for i in intervals])
    assert 0.93 < covered < 0.975


def test_wilson_interval_is_the_printed_formula():
    k, n, z = 37, 50, scipy_stats.norm.ppf(0.975)
    centre = (k + z**2 / 2) / (n + z**2)
    half = z * np.sqrt(k * (n - k) / n + z**2 / 4) / (n + z**2)
    assert stats.wilson_interval(k, n)[:2] == pytest.approx((centre - half, centre + half))


def test_t_interval_covers():
    rng = np.random.default_rng(0)
    intervals = [stats.t_interval(rng.normal(3, 2, 3)) for _ in range(2000)]
    covered = np.mean([i.ci_low <= 3 <= i.ci_high for i in intervals])
    assert 0.93 < covered < 0.97


@pytest.mark.parametrize("items", [20, 50, 100, 500])
@pytest.mark.parametrize("differ", [0.01, 0.1])
def test_intervals_of_lost_decisions_cover_where_few_items_differ(items, differ):
    """Items differ with a known probability, four of five of them to the clean run's side."""
    rng, hits, ratios = np.random.default_rng(0), 0, 0
    truth = 100 * differ * 0.6
    for _ in range(150):
        u = rng.random(items)
        lost, gained, both = u < 0.8 * differ, (u >= 0.8 * differ) & (u < differ), u > 0.3
        scores = metrics.drops("accuracy", gained | both, lost | both, np.full(items, 50.0))
        low, high = (scores["accuracy_drop"][end] for end in ("ci_low", "ci_high"))
        hits += low <= truth <= high
        assert low < scores["accuracy_drop"]["value"] < high
        relative = scores["accuracy_relative_drop"]
        share = 100 * truth / (70 + 80 * differ)
        ratios += relative["ci_low"] <= share <= relative["ci_high"]
    assert hits / 150 > 0.92
    assert ratios / 150 > 0.92


def test_the_two_further_items_matter_to_few_alone():
    rng = np.random.default_rng(1)
    values = rng.choice([-1, -0.5, 0, 0.5, 1], 10_000, p=[0.1, 0.05, 0.6, 0.05, 0.2])
    assert stats.paired_interval(values) == pytest.approx(
        (*stats.t_interval(values)[:2], "t_items"), abs=1e-4
    )
    assert stats.paired_interval([1.0] * 20)[1] == 1  # no difference is larger
    low, high, _ = stats.paired_interval([0.0] * 20)
    half = scipy_stats.t.ppf(0.975, 21) * np.sqrt(2 / 21 / 22)
    assert (low, high) == pytest.approx((-half, half))


def test_the_clean_run_loses_nothing_to_itself(predictions):
    p, labels = predictions
    scores = metrics.classifier_metrics(p, labels, p, Clean())
    decided = p.argmax(1)
    scores |= metrics.training_metrics(decided, decided, labels, labels, Clean(), itself=True)
    for name in ("accuracy", "train_accuracy", "noisy_train_accuracy"):
        assert (scores[name]["excess_low"], scores[name]["excess_high"]) == (0, 0)
    for name in ("accuracy_drop", "accuracy_relative_drop"):
        ends = [scores[name][end] for end in ("ci_low", "ci_high", "excess_low", "excess_high")]
        assert ends == [0] * 4
    near = p.copy()
    near[0] = np.roll(near[0], 1)
    assert metrics.classifier_metrics(near, labels, p, Clean())["accuracy"]["excess_high"] > 0


def test_bootstrap_interval_covers_total_variation():
    rng = np.random.default_rng(0)
    truth = np.full((4, 4), 0.02) + np.diag([0.30, 0.20, 0.12, 0.06])
    truth[0, 3] += 0.10
    truth /= truth.sum()
    target = metrics.tvd_marginal(truth)
    hits = 0
    for _ in range(150):
        sample = rng.multinomial(800, truth.ravel()).reshape(4, 4).astype(float)
        interval = stats.bootstrap_interval(metrics.tvd_marginal, sample, draws=200)
        hits += interval.ci_low <= target <= interval.ci_high
    assert hits / 150 > 0.88


# ------------------------------------------------------------------ training accuracy and losses


def test_accuracy_on_labels_drawn_anew_is_what_drawing_them_gives():
    """Against the noise function itself, for uniform and for shifted labels."""
    rng = np.random.default_rng(1)
    labels, decided = rng.integers(0, 5, 400), rng.integers(0, 5, 400)
    for noise in (UniformLabel(0.4, 5), ShiftLabel(0.4, 5)):
        scores = metrics.training_metrics(decided, labels, labels, None, noise)
        drawn = [noise.draw(labels, rng.random(400))[0] == decided for _ in range(2000)]
        simulated = 100 * np.mean(drawn)
        assert scores["noisy_train_accuracy"]["value"] == pytest.approx(simulated, abs=0.2)
        assert scores["train_accuracy"]["value"] == 100 * np.mean(decided == labels)
        assert scores["train_accuracy"]["floor"] == 100
        assert scores["noisy_train_accuracy"]["floor"] == pytest.approx(60)  # 1 - e


def test_accuracy_on_fixed_labels_counts_those():
    labels, observed, decided = np.array([[0, 1, 2, 3], [0, 1, 3, 3], [0, 2, 3, 3]])
    scores = metrics.training_metrics(decided, labels, labels, observed, UniformLabel(0.2, 4))
    assert scores["train_accuracy"]["value"] == 50
    assert scores["noisy_train_accuracy"]["value"] == 75


def test_a_model_without_decisions_has_no_training_accuracy():
    labels = np.arange(4)
    scores = metrics.training_metrics(-np.ones(4, int), labels, labels, None, Clean())
    assert {s["reason"] for s in scores.values()} == {"training diverged"}


def test_lost_accuracy_is_paired_over_images(predictions):
    p, labels = predictions
    rng = np.random.default_rng(2)
    noisy = np.where(rng.random((3000, 1)) < 0.2, rng.permutation(p), p)
    scores = metrics.classifier_metrics(noisy, labels, p, UniformLabel(0.5, 6))
    own, clean = (100 * np.mean(q.argmax(1) == labels) for q in (noisy, p))
    assert scores["accuracy_drop"]["value"] == pytest.approx(clean - own)
    assert scores["accuracy_relative_drop"]["value"] == pytest.approx(100 * (1 - own / clean))
    differences = (p.argmax(1) == labels) * 100.0 - (noisy.argmax(1) == labels) * 100.0
    half = 1.96 * differences.std() / np.sqrt(3000)
    assert scores["accuracy_drop"]["ci_high"] == pytest.approx(clean - own + half, abs=0.01)
    independent = np.hypot(*(np.sqrt(a * (100 - a) / 3000) for a in (own, clean)))
    assert half < 1.96 * independent  # pairing pays
    assert scores["accuracy_drop"]["floor"] == pytest.approx(clean - scores["accuracy"]["floor"])


def test_the_interval_of_a_relative_loss_covers():
    """Binary outcomes with a known loss of one quarter, many times."""
    rng = np.random.default_rng(3)
    labels, hits = np.zeros(400, int), 0
    for _ in range(300):
        clean = rng.random(400) < 0.8
        own = clean & (rng.random(400) < 0.75)
        p, q = (np.where(right[:, None], [0.9, 0.1], [0.1, 0.9]) for right in (clean, own))
        right, clean = (predicted.argmax(1) == labels for predicted in (q, p))
        score = metrics.drops("accuracy", right, clean, 100.0)["accuracy_relative_drop"]
        hits += score["ci_low"] <= 25 <= score["ci_high"]
    assert 0.92 <= hits / 300 <= 0.98


def test_the_best_epoch_is_the_best_of_the_history():
    history = [{"loss": 1.0}, {"test_accuracy": 40.0}, {"test_accuracy": 60.0}]
    history += [{"test_accuracy": 50.0}]
    assert metrics.best_metrics(history, 10)["best_accuracy"]["value"] == 60
    assert metrics.best_metrics([], 10)["best_accuracy"]["reason"] == "no evaluation in training"


# ------------------------------------------------------------------ ties of floors


def doubtful(items=1000, classes=200, seed=5):
    """Predictions of a model that is hardly better than chance: top gaps around 1e-3."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 50.0), items)
    return p, rng.integers(0, classes, items)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_noise_that_keeps_the_order_makes_no_tie(rate):
    """However little a model prefers one class of 200: the floor is the clean accuracy."""
    p, labels = doubtful()
    gaps = np.diff(np.sort(p, axis=1)[:, -2:]).ravel()
    assert np.mean(gaps < 1e-3) > 0.5
    score = metrics.classifier_metrics(p, labels, p, UniformLabel(rate, 200))["accuracy"]
    assert score["floor"] == score["floor_low"] == score["floor_high"] == score["value"]
    assert (score["excess_low"], score["excess_high"]) == (0, 0)


def test_noise_that_leaves_nothing_makes_all_classes_tie():
    p, labels = doubtful(classes=20)
    score = metrics.classifier_metrics(p, labels, p, UniformLabel(19 / 20, 20))["accuracy"]
    assert score["floor"] == pytest.approx(5)


def test_ties_do_not_depend_on_how_sure_a_model_is():
    """The same ranking twice, once in probabilities a hundred times closer to each other."""
    rng = np.random.default_rng(6)
    sure, labels = rng.dirichlet(np.full(5, 0.5), 2000), rng.integers(0, 5, 2000)
    unsure = 0.2 + 0.01 * (sure - 0.2)
    noise = ShiftLabel(0.5, 5)
    floors = [metrics.classifier_metrics(p, labels, p, noise)["accuracy"] for p in (sure, unsure)]
    assert floors[0]["floor"] == pytest.approx(floors[1]["floor"])


def test_the_sensitivity_to_the_tolerance_is_the_floor_at_none_its_tenth_and_tenfold():
    rng = np.random.default_rng(7)
    rest = 10 ** rng.uniform(-6, -2, (3000, 4))  # what a certain model gives the others
    rest[:, 0] *= 4  # most of it to the next class, which is what labels become
    p = np.concatenate([1 - rest.sum(1, keepdims=True), rest], axis=1)
    labels, noise = np.zeros(3000, int), ShiftLabel(0.5, 5)
    q, gap = noise.observed(p), p[:, 0] - p[:, 1:].max(1)
    by_hand = []
    for tie in (0, 1e-4, 1e-3, 1e-2):
        best = q >= (q.max(1) - tie * gap)[:, None]
        by_hand.append(100 * np.mean(best[:, 0] / best.sum(1)))
    score = metrics.classifier_metrics(p, labels, p, noise)["accuracy"]
    assert score["floor"] == pytest.approx(by_hand[2])
    found = (score["floor_low"], score["floor_high"])
    assert found == pytest.approx((min(by_hand), max(by_hand)))
    assert found[1] - found[0] > 5


# ------------------------------------------------------------------ excess, paired


def test_excess_of_an_accuracy_is_paired_over_items(predictions):
    p, labels = predictions
    rng = np.random.default_rng(8)
    noisy = np.where(rng.random((3000, 1)) < 0.1, rng.permutation(p), p)
    score = metrics.classifier_metrics(noisy, labels, p, UniformLabel(0.3, 6))["accuracy"]
    own, clean = (100.0 * (q.argmax(1) == labels) for q in (noisy, p))
    changes = np.append(own - clean, (100, -100))
    low, high = scipy_stats.t.interval(0.95, 3001, changes.mean(), scipy_stats.sem(changes))
    assert (score["excess_low"], score["excess_high"]) == pytest.approx((low, high))
    assert high - low < 0.6 * (score["ci_high"] - score["ci_low"])  # pairing pays


def test_excess_of_a_language_model_has_the_interval_of_its_tokens():
    rng = np.random.default_rng(9)
    base = rng.gamma(2.0, 1.5, 640)
    own = base + rng.normal(0.2, 0.1, 640)
    clean = {s: {"nll": base, "floor_nll": base + 0.05} for s in ("validation",)}
    clean["train"] = {"floor_nll": base, "floor_mean_nll": base}
    given = {"validation": {"nll": own}, "train": {"nll": own, "mean_nll": own}}
    score = metrics.language_model_metrics(given, clean, UniformToken(0.3, 50), 16)["nll"]
    per_sequence = (own - base - 0.05).reshape(40, 16).mean(1)
    low, high = scipy_stats.t.interval(0.95, 39, per_sequence.mean(), scipy_stats.sem(per_sequence))
    assert (score["excess_low"], score["excess_high"]) == pytest.approx((low, high))
    assert score["ci_high"] - score["ci_low"] > 5 * (high - low)


def test_intervals_of_an_excess_of_total_variation_cover():
    """Two models on the same items, many samples of items."""
    rng = np.random.default_rng(10)
    cells = rng.dirichlet(np.full(27, 0.4))  # (label, decision, decision of the floor)
    joint = cells.reshape(3, 3, 3)
    true, own, floor = (joint.sum(axis=a) for a in ((1, 2), (0, 2), (0, 1)))
    truth, eye, hits = metrics._tvd(true, own) - metrics._tvd(true, floor), np.eye(3), 0
    for _ in range(150):
        drawn = np.unravel_index(rng.choice(27, 600, p=cells), (3, 3, 3))
        parts = [eye[d] for d in drawn]
        t, p, q = stats.resampled_means(parts, draws=200)
        observed = [part.mean(axis=0) for part in parts]
        interval = stats.around(
            metrics._tvd(t, p) - metrics._tvd(t, q),
            metrics._tvd(*observed[:2]) - metrics._tvd(*observed[::2]),
        )
        hits += interval.ci_low <= truth <= interval.ci_high
    assert hits / 150 > 0.88


def test_resampled_means_are_those_of_whole_items():
    """Parts stay together, and their spread is that of a mean."""
    x = np.random.default_rng(12).normal(size=(400, 1))
    first, second = stats.resampled_means([x, 2 * x], draws=2000)
    assert np.allclose(2 * first, second)
    assert first.shape == (2000, 1)
    assert first.std() == pytest.approx(x.std() / 20, rel=0.06)
    assert first.mean() == pytest.approx(x.mean(), abs=0.005)


# ------------------------------------------------------------------ bias of the KL of a marginal


@pytest.mark.parametrize("right", [0.0, 0.7, 0.97])
def test_the_bias_of_kl_is_what_a_true_kl_of_0_shows_on_average(right):
    """Decisions with the marginal of the labels, right on a share of the items."""
    rng = np.random.default_rng(11)
    marginal, items = np.array([0.1, 0.2, 0.3, 0.4]), 900
    joint = right * np.diag(marginal) + (1 - right) * np.outer(marginal, marginal)
    samples = rng.multinomial(items, joint.ravel(), size=4000).reshape(-1, 4, 4).astype(float)
    shown = np.mean([metrics.kl_marginal(s) for s in samples])
    corrected = np.mean([metrics.kl_marginal(s) - metrics.kl_bias(s) for s in samples])
    assert abs(corrected) < 0.05 * shown + 2e-6
    assert metrics.kl_bias(items * joint) == pytest.approx(shown, rel=0.1)


def test_the_bias_of_kl_with_independent_decisions_is_the_known_one():
    """(C - 1) / 2n for a sample against fixed shares; twice that where both are samples."""
    confusion = 1000 * np.full((10, 10), 0.01)
    assert metrics.kl_bias(confusion) == pytest.approx(2 * 9 / 2000)
