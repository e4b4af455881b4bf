"""Corrupting labels: the vectorised function, random numbers included, against Algorithm 3 element
by element, on the label tensor and on a list of Python integers."""

import random

import numpy as np
import torch

from comparing import Bench, benchmark
from noiselab import streams
from noiselab.noise.corruptions.labels import UniformLabel

COUNT = 1024


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
