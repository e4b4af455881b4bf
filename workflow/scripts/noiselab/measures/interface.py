"""The public interface: noise floors for predictions that somebody has already.

Arguments may be lists, NumPy arrays, pandas objects or torch tensors on the CPU. A wrong one raises
InputError, which is a ValueError, with one line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from noiselab import arguments, streams
from noiselab.errors import InputError
from noiselab.measures.metrics import decisions, tolerance
from noiselab.measures.statistics import (
    Estimate,
    Interval,
    paired_interval,
    t_interval,
    wilson_interval,
)
from noiselab.noise.base import TIE
from noiselab.noise.corruptions.given import transitions
from noiselab.noise.corruptions.labels import LabelCorruption, Transitions
from noiselab.noise.flips import KNOWN, SIZES
from noiselab.noise.registry import CORRUPTIONS

# Those that need a rate and a number of classes and nothing else, by name without `_label`.
NAMED = {
    name.removesuffix("_label"): kind
    for name, kind in CORRUPTIONS.items()
    if issubclass(kind, LabelCorruption) and kind.rated and not kind.options
}

NONE = Interval(float("nan"), float("nan"), "none")  # numbers, so that a program can print them


@dataclass(frozen=True)
class Noise:
    """Noise with a name: `uniform` (each of the other classes alike), `symmetric` (each class, the
    label's own too), `shift` and `pair_flip` (the next class), `asymmetric` (some classes become
    one certain other class each).

    rate: probability that a label is corrupted, 0 to 1: of `asymmetric` noise a label of a class
    that is touched. flips: of `asymmetric` noise, class -> what it becomes, or the name of a data
    set for which the field knows it: cifar10, cifar100; None: 0 becomes 1, 2 becomes 3, …
    """

    name: str
    rate: float
    flips: Mapping[int, int] | str | None = field(default=None, hash=False)

    def __post_init__(self):
        name = self.name.removesuffix("_label") if isinstance(self.name, str) else self.name
        object.__setattr__(self, "name", arguments.choice(name, list(NAMED), "noise"))
        object.__setattr__(self, "rate", arguments.rate(self.rate))
        if self.flips is not None and self.name != "asymmetric":
            raise InputError(f"flips: for asymmetric noise, not for {self.name}")
        if isinstance(self.flips, str):
            arguments.choice(self.flips, list(KNOWN), "flips")


def uniform(rate: float) -> Noise:
    """A label is wrong with probability `rate`, and then each of the other classes alike."""
    return Noise("uniform", rate)


def shift(rate: float) -> Noise:
    """A label y is wrong with probability `rate`, and then it is y + 1 (the last: 0)."""
    return Noise("shift", rate)


def symmetric(rate: float) -> Noise:
    """A label is drawn anew with probability `rate` from all C classes alike, its own too: it is
    wrong with probability rate (C - 1) / C."""
    return Noise("symmetric", rate)


def pair_flip(rate: float) -> Noise:
    """The same as `shift`, by the name that benchmarks of noisy labels have for it."""
    return Noise("pair_flip", rate)


def asymmetric(rate: float, flips: Mapping[int, int] | str | None = None) -> Noise:
    """A label of some classes is wrong with probability `rate`, and then it is one certain other.

    flips: class -> what it becomes; cifar10 or cifar100: as the field has it for these data, of 10
    and 100 classes; None: 0 becomes 1, 2 becomes 3 and so on, the odd classes stay.
    """
    return Noise("asymmetric", rate, flips)


class Scores(NamedTuple):
    """Scores over items, each a `value` with `ci_low` and `ci_high` at 95 % (not a number where
    there is no interval: of a single item, or of an infinite value)."""

    accuracy: Estimate  # share of right decisions, 0 to 1
    sampled_accuracy: Estimate  # chance that a label drawn from the prediction is right, 0 to 1
    nll: Estimate  # nats


def transition_matrix(noise, classes: int | None = None) -> np.ndarray:
    """T[y, z], probability that label y is observed as z, float64 [C, C]; rows sum to 1.

    noise: a `Noise`, which needs the number of classes, or a matrix, which is checked.
    """
    return _corruption(noise, classes).transitions


def measured_transitions(clean, given, classes: int | None = None) -> np.ndarray:
    """T[y, z] as counted: the share of labels y that were given as z, float64 [C, C].

    clean, given: labels of the same items, int [n]; classes: C, by default the highest label and
    one. A class without items stays what it is. The floor of such a T takes errors to depend on
    the class alone.
    """
    if classes is not None:
        classes = arguments.classes(classes)
    y, z = (
        arguments.labels(values, classes, name=name)
        for name, values in {"clean": clean, "given": given}.items()
    )
    if classes is None:
        for name, found in {"clean": y, "given": z}.items():
            if found[row := found.argmax()] >= arguments.CLASSES:
                raise InputError(f"{name}: row {row} has {found[row]}; number the classes from 0")
        classes = max(2, 1 + int(max(y.max(), z.max())))
    if len(y) != len(z):
        raise InputError(f"given: {len(z)} labels for {len(y)} clean ones")
    return transitions(y, z, classes)


def observed(probabilities, noise) -> np.ndarray:
    """What a calibrated model of the *noisy* labels predicts, float64 [n, C].

    probabilities: [n, C], of a calibrated model of the clean labels; noise: a `Noise` or T [C, C].
    q(z|x) = sum over y of p(y|x) T[y, z].
    """
    p = arguments.probabilities(probabilities)
    return _corruption(noise, p.shape[1]).observed(p)


def scores(probabilities, labels) -> Scores:
    """Scores of predictions, [n, C], on clean labels, int [n].

    Classes of exactly the same probability share a decision.
    """
    p = arguments.probabilities(probabilities)
    y = arguments.labels(labels, p.shape[1], len(p))
    return _summary(_items(p, y))


def noise_floor(probabilities, labels, noise) -> Scores:
    """Scores that no honest training on noisy labels can be expected to beat: those, on clean
    labels, of a model that learned the distribution of the noisy labels exactly.

    probabilities: [n, C], of a calibrated model of the clean labels, on held-out items; labels:
    int [n], their clean labels; noise: of the training labels, a `Noise` or T [C, C]. Classes whose
    noisy probabilities differ by less than 0.001 of the gap between the two most probable classes
    without noise share a decision: noise has taken that gap away, and what is left is no more than
    an error of the probabilities. Intervals are over items; they do not say how well the
    probabilities are calibrated.
    """
    q, y, tie = _calibrated(probabilities, labels, noise)
    return _summary(_items(q, y, tie))


def excess(probabilities, clean_probabilities, labels, noise) -> Scores:
    """How much worse than its floor a model of noisy labels is; below 0: better.

    probabilities: [n, C], of that model; clean_probabilities: [n, C], of a calibrated model of the
    clean labels, on the same items; labels, noise: as for `noise_floor`. Accuracies: floor minus
    model; NLL: model minus floor. Intervals are paired over items (Student's t); that of the
    accuracy counts one more item that gains a decision and one that loses it, so that it has a
    width where no item differs. The NLL is not a number where that of both is
    infinite.
    """
    q, y, tie = _calibrated(clean_probabilities, labels, noise, "clean_probabilities")
    p = arguments.probabilities(probabilities)
    if p.shape != q.shape:
        raise InputError(f"probabilities: shape {p.shape}, but clean_probabilities: {q.shape}")
    own, floor = _items(p, y), _items(q, y, tie)
    with np.errstate(invalid="ignore"):  # both infinite
        worse = own["nll"] - floor["nll"]
    lost = {name: floor[name] - own[name] for name in ("accuracy", "sampled_accuracy")}
    decided = lost["accuracy"]
    interval = paired_interval(decided) if len(decided) > 1 else NONE
    means = {name: _mean(values) for name, values in (lost | {"nll": worse}).items()}
    return Scores(**means | {"accuracy": Estimate(float(decided.mean()), *interval)})


def corrupt(labels, noise, seed: int = 0, classes: int | None = None) -> np.ndarray:
    """Noisy labels, int64 [n]: one draw of the noise.

    labels: int [n]; noise: a `Noise`, which needs the number of classes, or T [C, C]; seed: 0 or
    more. The same seed gives the same labels on every machine, the first n of them whatever
    follows; with a seed, what is wrong at a small rate is wrong at every larger one, too. Drawn as
    the `fixed` noise of the workflow is.
    """
    corruption = _corruption(noise, classes)
    y = arguments.labels(labels, corruption.classes)
    u = streams.uniform(arguments.whole(seed, "seed", 0), "noise", 0, len(y))
    return corruption.draw(y, u)[0]


def _corruption(noise, classes: int | None) -> LabelCorruption:
    if isinstance(noise, str):
        name = arguments.choice(noise.removesuffix("_label"), list(NAMED), "noise")
        raise InputError(f"noise: {noise!r} has no rate, use noiselab.Noise({name!r}, rate)")
    if classes is not None:
        classes = arguments.classes(classes)
    if not isinstance(noise, Noise):
        return Transitions(arguments.transitions(noise, classes))
    if classes is None:
        raise InputError(f"classes: needed, {noise.name} noise does not say how many there are")
    if noise.flips is None:
        return NAMED[noise.name](noise.rate, classes)
    chosen = noise.flips
    if isinstance(chosen, str):
        if classes != SIZES[chosen]:
            raise InputError(f"flips: {chosen} has {SIZES[chosen]} classes, not {classes}")
        chosen = KNOWN[chosen]
    return NAMED[noise.name](noise.rate, classes, arguments.flips(chosen, classes))


def _calibrated(probabilities, labels, noise, name: str = "probabilities"):
    """Predictions of a calibrated model of noisy labels, labels, and what counts as a tie."""
    p = arguments.probabilities(probabilities, name)
    y = arguments.labels(labels, p.shape[1], len(p))
    corruption = _corruption(noise, p.shape[1])
    return corruption.observed(p), y, tolerance(p, TIE if np.any(corruption.rate) else 0.0)


def _items(p: np.ndarray, y: np.ndarray, tie: float | np.ndarray = 0.0) -> dict[str, np.ndarray]:
    """Score -> its value for each item, float64 [n]."""
    rows = np.arange(len(y))
    true = p[rows, y]
    with np.errstate(divide="ignore"):  # what is impossible has an infinite NLL
        nll = -np.log(true)
    return {"accuracy": decisions(p, tie)[rows, y], "sampled_accuracy": true, "nll": nll}


def _summary(items: dict[str, np.ndarray]) -> Scores:
    means = {name: _mean(values) for name, values in items.items()}
    right = items["accuracy"]
    interval = wilson_interval(right.sum(), len(right))
    return Scores(**means | {"accuracy": Estimate(float(right.mean()), *interval)})


def _mean(values: np.ndarray) -> Estimate:
    """Mean with its t-interval over independent items."""
    if len(values) < 2 or not np.isfinite(values).all():
        with np.errstate(invalid="ignore"):  # infinite to both sides
            return Estimate(float(values.mean()), *NONE)
    low, high, _ = t_interval(values)
    return Estimate(float(values.mean()), low, high, "t_items")
