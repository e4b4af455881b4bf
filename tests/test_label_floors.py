"""Floors equal brute force where all is known: classes that are Gaussian, with known posteriors."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

import noiselab
from noiselab.measures.generated import consistency_floors, diffusion_metrics
from noiselab.measures.metrics import classifier_metrics, explained
from noiselab.noise.corruptions.asymmetric import Asymmetric
from noiselab.noise.corruptions.clean import Clean
from noiselab.noise.corruptions.labels import PairFlip, ShiftLabel, Symmetric, UniformLabel
from noiselab.noise.corruptions.matrices import LabelMatrix, TransitionMatrix

ITEMS = 30_000
CLOSE = 1e-3


class Mixture(NamedTuple):
    """Classes that are normal distributions: `prior` [C], `means` and `widths` [C]."""

    prior: np.ndarray
    means: np.ndarray
    widths: np.ndarray

    def densities(self, x: np.ndarray) -> np.ndarray:
        """pi_y f_y(x), float [n, C]."""
        return self.prior * stats.norm.pdf(x[:, None], self.means, self.widths)

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """p(y|x), float [n, C]."""
        joint = self.densities(x)
        return joint / joint.sum(1, keepdims=True)

    def items(self) -> tuple[np.ndarray, np.ndarray]:
        """Evenly spread items x and their classes: each as many as its share, at its quantiles."""
        counts = np.rint(ITEMS * self.prior).astype(int)
        parts = [
            stats.norm.ppf((np.arange(n) + 0.5) / n, mean, width)
            for n, mean, width in zip(counts, self.means, self.widths, strict=True)
        ]
        return np.concatenate(parts), np.repeat(np.arange(len(counts)), counts)


MIXTURES = [
    Mixture(np.full(3, 1 / 3), np.array([-1.5, 0, 1.8]), np.array([0.8, 0.6, 1.0])),
    Mixture(np.array([0.1, 0.4, 0.3, 0.2]), np.array([-2, -0.4, 0.9, 2.2]), np.full(4, 0.7)),
    Mixture(np.full(5, 0.2), np.array([0, 1, 2, 3, 4.5]), np.array([0.5, 0.9, 0.4, 0.7, 1.1])),
]


def confusing(classes: int) -> np.ndarray:
    """T with rates between 0 and 70 % that turns some decisions."""
    rate = np.linspace(0, 0.7, classes)[:, None]
    other = np.random.default_rng(classes).dirichlet(np.full(classes, 0.4), classes)
    return (1 - rate) * np.eye(classes) + rate * other


def wrong(classes: int) -> np.ndarray:
    matrix = confusing(classes)[::-1, ::-1] * (1 - np.eye(classes)) + 0.01 * (1 - np.eye(classes))
    return matrix / matrix.sum(1, keepdims=True)


NOISE = {
    "transition_matrix": lambda c: TransitionMatrix(confusing(c)),
    "label_matrix": lambda c: LabelMatrix(0.45, wrong(c)),
    "pair_flip": lambda c: PairFlip(0.45, c),
    "beyond_half": lambda c: ShiftLabel(0.7, c),
    "asymmetric": lambda c: Asymmetric(0.6, c),
    "flips": lambda c: Asymmetric(0.4, c, {0: 1, 1: 0, c - 1: 0}),
    "symmetric": lambda c: Symmetric(0.8, c),
    "uniform": lambda c: UniformLabel(0.5, c),
}
GRID = np.linspace(-12, 14, 100_001)


def noisy_populations(mixture: Mixture, transitions: np.ndarray) -> np.ndarray:
    """Density of each observed label, float [n, C], at the points of the grid: of all pairs of
    true and observed class, those of the observed one together."""
    found = np.zeros((len(GRID), len(transitions)))
    for y, share in enumerate(mixture.densities(GRID).T):
        for z, chance in enumerate(transitions[y]):
            found[:, z] += share * chance
    return found


def brute_force(mixture: Mixture, transitions: np.ndarray) -> dict[str, float]:
    """Scores, integrated over x, of whoever knows the populations with noisy labels."""
    noisy, joint = noisy_populations(mixture, transitions), mixture.densities(GRID)
    q = noisy / noisy.sum(1, keepdims=True)
    decided = noisy.argmax(1)
    integral = np.trapezoid
    right = joint[np.arange(len(GRID)), decided]
    return {
        "accuracy": integral(right, GRID),
        "sampled_accuracy": integral((joint * q).sum(1), GRID),
        "nll": -integral((joint * np.log(q)).sum(1), GRID),
    }


@pytest.mark.parametrize("mixture", MIXTURES, ids=lambda m: f"{len(m.prior)} classes")
@pytest.mark.parametrize("kind", NOISE)
def test_floors_of_classifiers_equal_brute_force(mixture, kind):
    noise, (x, labels) = NOISE[kind](len(mixture.prior)), mixture.items()
    expected = brute_force(mixture, noise.transitions)
    p = mixture.posterior(x)
    floor = noiselab.noise_floor(p, labels, noise.transitions)
    for name, value in expected.items():
        assert getattr(floor, name).value == pytest.approx(value, abs=CLOSE)
    scores = classifier_metrics(p, labels, p, noise)
    for name in ("accuracy", "sampled_accuracy"):
        assert scores[name]["floor"] / 100 == pytest.approx(expected[name], abs=CLOSE)
    clean = brute_force(mixture, np.eye(len(mixture.prior)))
    assert expected["sampled_accuracy"] < clean["sampled_accuracy"] - 10 * CLOSE
    assert expected["nll"] > clean["nll"] + 10 * CLOSE


def test_some_of_these_floors_have_turned_decisions():
    for kind in ("beyond_half", "asymmetric", "transition_matrix"):
        noise = NOISE[kind](5)
        clean, noisy = (
            brute_force(MIXTURES[2], t)["accuracy"] for t in (np.eye(5), noise.transitions)
        )
        assert noisy < clean - 10 * CLOSE
        assert not noise.keeps_decisions


def test_symmetric_noise_is_uniform_noise_at_its_true_rate():
    p = MIXTURES[2].posterior(MIXTURES[2].items()[0])
    e, classes = 0.7, 5
    q = Symmetric(e, classes).observed(p)
    assert q == pytest.approx((1 - e) * p + e / classes, abs=1e-14)
    assert Symmetric(e, classes).true_error_rate == pytest.approx(e * 4 / 5)


# ------------------------------------------------------------------------ diffusion models


def sampled_consistency(mixture: Mixture, transitions: np.ndarray) -> float:
    """How often Bayes' judge sees the class that was asked for, integrated over what a sampler
    draws that knows the populations with noisy labels; mean over classes."""
    noisy = noisy_populations(mixture, transitions)
    judged = mixture.densities(GRID).argmax(1)
    drawn = noisy / np.trapezoid(noisy, GRID, axis=0)  # q(x|z)
    shares = [np.trapezoid(drawn[:, z] * (judged == z), GRID) for z in range(noisy.shape[1])]
    return float(np.mean(shares))


def decisions_on_clean_samples(mixture: Mixture, per_class: int = 20_000) -> np.ndarray:
    """Bayes' judge on a perfect clean sampler's images, for the labels 0, 1, … C - 1, 0, …"""
    quantiles = (np.arange(per_class) + 0.5) / per_class
    x = stats.norm.ppf(quantiles[:, None], mixture.means, mixture.widths)  # [n, C]
    return mixture.densities(x.ravel()).argmax(1)


@pytest.mark.parametrize("mixture", MIXTURES, ids=lambda m: f"{len(m.prior)} classes")
@pytest.mark.parametrize("kind", [k for k in NOISE if k not in ("symmetric", "uniform")])
def test_the_floor_of_consistency_equals_a_perfect_sampler(mixture, kind):
    noise, decided = NOISE[kind](len(mixture.prior)), decisions_on_clean_samples(mixture)
    floor = consistency_floors(decided, mixture.prior, noise).mean() / 100
    assert floor == pytest.approx(sampled_consistency(mixture, noise.transitions), abs=CLOSE)


@pytest.mark.parametrize("kind", [UniformLabel, Symmetric])
@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
def test_the_closed_form_of_uniform_noise_is_the_same_where_classes_are_as_frequent(kind, rate):
    mixture = MIXTURES[2]
    decided, noise = decisions_on_clean_samples(mixture), kind(rate, 5)
    closed = consistency_floors(decided, mixture.prior, noise).mean()
    general = consistency_floors(decided, mixture.prior, TransitionMatrix(noise.transitions)).mean()
    assert closed == pytest.approx(general, abs=1e-9)
    integral = sampled_consistency(mixture, noise.transitions)
    assert closed / 100 == pytest.approx(integral, abs=CLOSE)


def test_origins_are_bayes_rule():
    prior, t = np.array([0.5, 0.3, 0.2]), confusing(3)
    n = 2_000_000
    rng = np.random.default_rng(0)
    y = rng.choice(3, n, p=prior)
    z, _ = TransitionMatrix(t).draw(y, rng.random(n))
    counts = np.bincount(z * 3 + y, minlength=9).reshape(3, 3)
    expected = counts / counts.sum(1, keepdims=True)
    assert TransitionMatrix(t).origins(prior) == pytest.approx(expected, abs=3e-3)


# ------------------------------------------------------------------- where nothing is known


def diffusion_scores(noise, images: int = 60) -> dict[str, dict]:
    rng = np.random.default_rng(0)
    classes, labels = 5, np.arange(30) % 5
    measured = {"decided": rng.integers(0, 5, images), "class_errors": rng.random((30, classes))}
    judge, prior = np.eye(classes)[labels], np.full(classes, 0.2)
    scores = diffusion_metrics(measured, measured, judge, labels, {"fid": 1.0}, prior, noise)
    return explained(scores, noise)


CONSISTENCY = ("consistency", "consistency_drop", "consistency_relative_drop")


@pytest.mark.parametrize("noise", [UniformLabel(0.5, 5), Symmetric(0.9, 5), Clean()])
def test_denoising_decisions_stay_under_uniform_noise(noise):
    scores = diffusion_scores(noise)
    for name in ("denoising_accuracy", *CONSISTENCY):
        assert scores[name]["floor"] is not None
    assert not any(score.get("floor_reason") for score in scores.values())


@pytest.mark.parametrize(
    "noise", [UniformLabel(0.8, 5), UniformLabel(1.0, 5), Symmetric(1.0, 5), PairFlip(0.2, 5)]
)
def test_where_decisions_may_turn_the_floor_of_denoising_is_unknown(noise):
    score = diffusion_scores(noise)["denoising_accuracy"]
    assert score["floor"] is None
    assert score["floor_reason"] == (
        "this noise may turn decisions, and denoising errors are no probabilities"
    )
    assert score["value"] is not None


def test_a_label_that_no_image_has_leaves_no_floor():
    noise = Asymmetric(1.0, 5, {3: 1})
    assert np.isnan(noise.origins(np.full(5, 0.2))[3]).all()
    scores = diffusion_scores(noise)
    for name in CONSISTENCY:
        assert scores[name]["floor"] is None
        assert scores[name]["floor_reason"].startswith("no training image has label 3, so")
    assert "floor_reason" not in scores["fid"]


def test_fewer_images_than_classes_leave_no_floor_where_it_takes_all():
    score = diffusion_scores(PairFlip(0.2, 5), images=4)["consistency"]
    assert score["floor_reason"] == "fewer images were generated than there are classes"
    assert diffusion_scores(UniformLabel(0.2, 5), images=4)["consistency"]["floor"] is not None


def test_rates_by_class_are_said_where_they_differ():
    assert "class_error_rates" not in PairFlip(0.3, 4).facts()
    facts = Asymmetric(0.4, 4).facts()
    assert facts["class_error_rates"] == "0: 40 %, 1: 0 %, 2: 40 %, 3: 0 %"
    assert facts["true_error_rate"] == pytest.approx(0.2)
    named = Asymmetric(0.4, 4).facts(["cat", "dog", "fox", "owl"])
    assert named["class_error_rates"] == "cat: 40 %, dog: 0 %, fox: 40 %, owl: 0 %"
    many = TransitionMatrix(confusing(40)).facts()["class_error_rates"]
    assert many.startswith("0 % (class 0) to ")
