"""Corrupting labels: the vectorised function, random numbers included, against Algorithm 3 element
by element, on the label tensor and on a list of Python integers; and by any matrix, against uniform
noise."""

import random
from functools import partial

import numpy as np
import torch

from comparing import Bench, benchmark, peer
from noiselab import streams
from noiselab.noise.corruptions.asymmetric import Asymmetric
from noiselab.noise.corruptions.labels import LabelCorruption, PairFlip, Symmetric, UniformLabel
from noiselab.noise.corruptions.matrices import LabelMatrix, TransitionMatrix

COUNT = 1024
CLASSES, BATCHES = (10, 100, 1000), (128, 1024, 50_000)
LOOKED_UP = ("label_matrix", "transition_matrix")  # others need no table


@benchmark("noise injection", "noise", on_device=False)
def label_noise(bench: Bench) -> None:
    for classes in (10, 100):
        labels = np.arange(COUNT) % classes
        what, reference = f"corrupt {COUNT} labels, {classes} classes", "Algorithm 3, one by one, "
        tensor, integers = torch.from_numpy(labels), labels.tolist()
        for of, theirs, loops in (
            ("on the label tensor", lambda t=tensor, c=classes: on_tensor(t, c), 5),
            ("on Python integers", lambda i=integers, c=classes: on_list(i, c), 50),
        ):
            sides = (lambda y=labels, c=classes: vectorised(y, c)), theirs
            bench.compare(what, reference + of, *sides, loops=(500, loops))


@benchmark("noise injection", "matrices", rounds=101, on_device=False)
def matrix_noise(bench: Bench) -> None:
    """A ratio of 0.5 or more: no kind of matrix takes more than twice as long as uniform noise."""
    for classes in CLASSES:
        for name, noise in matrices(classes).items():
            for count in BATCHES:
                if name in LOOKED_UP or (classes, count) == (CLASSES[-1], COUNT):
                    against_uniform(bench, name, noise, count)


def against_uniform(bench: Bench, name: str, noise: LabelCorruption, count: int) -> None:
    rng, classes = np.random.default_rng(0), noise.classes
    labels, u = rng.integers(0, classes, count), rng.random(count)
    uniform, loops = UniformLabel(0.5, classes), max(1, 20_000 // count)
    bench.compare(
        f"{name}: corrupt {count} labels, {classes} classes",
        "uniform_label",
        lambda: noise.draw(labels, u),
        lambda: uniform.draw(labels, u),
        loops=(loops, loops),
        reason="A matrix is looked up for each label.",
    )


def matrices(classes: int) -> dict[str, LabelCorruption]:
    """A corruption of each kind that a matrix describes, at error rate 0.5 or up to it."""
    wrong = np.random.default_rng(0).dirichlet(np.full(classes, 0.5), classes)
    wrong *= 1 - np.eye(classes)
    wrong /= wrong.sum(axis=1, keepdims=True)
    rate = np.linspace(0.3, 0.7, classes)[:, None]
    return {
        "label_matrix": LabelMatrix(0.5, wrong),
        "transition_matrix": TransitionMatrix((1 - rate) * np.eye(classes) + rate * wrong),
        "symmetric": Symmetric(0.5, classes),
        "pair_flip": PairFlip(0.5, classes),
        "asymmetric": Asymmetric(0.5, classes),
    }


@benchmark("noise injection", "cleanlab", on_device=False)
def cleanlab_noise(bench: Bench) -> None:
    """Labels of a known transition matrix, as cleanlab's benchmarks draw them: with the matrix's
    counts exactly, where ours draws each label by itself. Random numbers are counted in both."""
    if not peer("cleanlab"):
        return
    from cleanlab.benchmarking.noise_generation import generate_noisy_labels

    classes = 10  # with many, most of its counts of pairs are rounded down to 0
    noise = matrices(classes)["transition_matrix"]
    columns = np.ascontiguousarray(noise.transitions.T)  # cleanlab has the given label first
    for count in BATCHES[1:]:
        labels = np.arange(count) % classes
        bench.compare(
            f"transition_matrix: corrupt {count} labels, {classes} classes",
            "cleanlab's generate_noisy_labels",
            lambda y=labels: noise.draw(y, streams.uniform(0, "noise", 0, len(y))),
            lambda y=labels: generate_noisy_labels(y, columns),
            loops=(max(1, 200_000 // count), max(1, 20_000 // count)),
            check=partial(same_rates, labels),
        )


def same_rates(labels: np.ndarray, ours: tuple, theirs: np.ndarray) -> None:
    """As many labels are wrong, but for chance."""
    shares = [np.mean(found != labels) for found in (ours[0], theirs)]
    np.testing.assert_allclose(*shares, atol=5 / len(labels) ** 0.5)


def vectorised(labels: np.ndarray, classes: int):
    u = streams.uniform(0, "noise", 7 * COUNT, 8 * COUNT)
    return UniformLabel(0.5, classes).draw(labels, u)


def on_tensor(labels: torch.Tensor, classes: int) -> torch.Tensor:
    observed = labels.clone()
    for i in range(len(observed)):
        if torch.rand(()) < 0.5:
            others = [c for c in range(classes) if c != int(observed[i])]
            observed[i] = others[int(torch.randint(len(others), ()))]
    return observed


def on_list(labels: list[int], classes: int) -> list[int]:
    observed = []
    for label in labels:
        if random.random() < 0.5:
            others = list(range(classes))
            others.remove(label)
            label = random.choice(others)
        observed.append(label)
    return observed
