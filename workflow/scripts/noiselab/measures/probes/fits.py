"""Fits of probes: every setting of a grid with every seed, side by side.

A fit is what a plain loop does: AdamW on the cross-entropy of batches plus a penalty. All settings
of a seed start from the same head and see the same batches and the same noise, so that they differ
in nothing but the setting. Settings with the same learning rate, size of batch and dropout are
computed at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from noiselab import arguments, streams
from noiselab.measures.probes import heads
from noiselab.measures.probes.effects import PENALTIES
from noiselab.measures.probes.inputs import (
    Items,
    Setting,
    checked_items,
    checked_seeds,
    checked_settings,
)
from noiselab.measures.probes.penalties import Plane, Products, penalty_plane

WEIGHTS = 2**21  # numbers of all heads that are computed at once: more do not stay in the cache

SCORED = 1024  # items that are scored at once


@dataclass(frozen=True)
class Curves:
    """Scores after each epoch, [S, F, E]: share of right items, and mean NLL in nats."""

    accuracy: Tensor
    nll: Tensor


@dataclass(frozen=True)
class Fits:
    """curves: of each set of items that was scored, by name. weights: of each layer after the last
    epoch, a tensor [S, out, in] per setting, biases in the last column."""

    curves: dict[str, Curves]
    weights: list[list[Tensor]]


def fit(
    train: Items,
    scored: dict[str, Items],
    settings: list[Setting],
    seeds: list[int],
    *,
    epochs: int,
    hidden: int | None = None,
    schedule: str = "constant",
) -> Fits:
    """Fit a head per setting and seed to `train`, on its device and in its precision.

    scored: sets whose scores are kept after each epoch. hidden: units of a layer between features
    and logits; None: a linear head. schedule: of the learning rate, constant or cosine (to 0).
    InputError: an argument that cannot be, or would change nothing.
    """
    train, scored = checked_items(train, scored)
    settings, seeds = checked_settings(settings), checked_seeds(seeds)
    epochs = arguments.whole(epochs, "epochs", 1)
    hidden = None if hidden is None else arguments.whole(hidden, "hidden", 1)
    arguments.choice(schedule, ["constant", "cosine"], "schedule")
    classes = int(train.labels.max()) + 1
    shapes = heads.head_shapes(train.features.shape[1], classes, hidden)
    first = [_initial(train.features, shapes, seed) for seed in seeds]
    shape = (len(seeds), len(settings), epochs)
    curves = {name: _empty(shape, train.features.dtype) for name in scored}
    weights: list[list[Tensor]] = [[] for _ in settings]
    for group in _groups(settings, shapes, len(seeds)):
        fits = _Group([settings[i] for i in group], first, seeds, train)
        for epoch in range(epochs):
            fits.epoch(epoch, epochs, schedule)
            for name, items in scored.items():
                accuracy, nll = fits.scores(items)
                curves[name].accuracy[:, group, epoch] = accuracy.cpu()
                curves[name].nll[:, group, epoch] = nll.cpu()
        for place, i in enumerate(group):
            weights[i] = [weight[:, place].clone() for weight in fits.weights]
    return Fits(curves, weights)


def _empty(shape: tuple[int, int, int], precision: torch.dtype) -> Curves:
    return Curves(*(torch.full(shape, torch.nan, dtype=precision) for _ in range(2)))


def _initial(features: Tensor, shapes: list[tuple[int, int]], seed: int) -> list[Tensor]:
    """First weights as of torch.nn.Linear: uniform within 1 / sqrt(inputs), biases too."""
    made, start = [], 0
    for out, width in shapes:
        u = streams.uniform(seed, "probe-weights", start, start + out * width)
        values = torch.from_numpy((2 * u - 1) / np.sqrt(width - 1)).reshape(out, width)
        made.append(values.to(features))
        start += out * width
    return made


def _groups(settings: list[Setting], shapes: list, seeds: int) -> Iterable[list[int]]:
    """Places of settings that are computed at once."""
    alike: dict[tuple, list[int]] = {}
    for i, setting in enumerate(settings):
        key = (setting.learning_rate, setting.weight_decay > 0, setting.batch_size)
        key += (setting.dropout, setting.has_noise)
        alike.setdefault(key, []).append(i)
    numbers = seeds * sum(out * width for out, width in shapes)
    size = max(1, WEIGHTS // numbers)
    for group in alike.values():
        for start in range(0, len(group), size):
            yield group[start : start + size]


class _Group:
    """Settings that differ in penalty, strength, radius and weight decay alone."""

    def __init__(self, settings: list[Setting], first: list, seeds: list[int], train: Items):
        def column(values) -> Tensor:
            return torch.tensor(list(values), dtype=torch.float64).to(train.features)

        self.seeds, self.labels = seeds, train.labels
        self.features = heads.with_one(train.features)
        self.size, self.dropout = settings[0].batch_size, settings[0].dropout
        self.has_noise = settings[0].has_noise
        self.radius = column(s.radius for s in settings)
        self.share = column(float(s.noisy_loss) for s in settings)
        self.strengths = {
            name: column(s.strength * (s.penalty == name) for s in settings)
            for name in PENALTIES[1:]
            if any(s.penalty == name and s.strength for s in settings)
        }
        copies = (1, len(settings), 1, 1)
        layers = map(torch.stack, zip(*first, strict=True))
        self.weights = [layer[:, None].repeat(copies) for layer in layers]
        self.rate = settings[0].learning_rate
        self.optimizer = torch.optim.AdamW(self.weights, lr=self.rate, weight_decay=0, fused=True)
        decay = column(s.weight_decay for s in settings)
        self.decay = decay[:, None, None] if decay.any() else None
        self.steps = 0

    def epoch(self, epoch: int, epochs: int, schedule: str) -> None:
        items = len(self.labels)
        orders = [streams.permutation(seed, "probe-order", epoch, items) for seed in self.seeds]
        orders = torch.from_numpy(np.stack(orders)).to(self.labels.device)
        per_epoch = -(-items // self.size)
        for start in range(0, items, self.size):
            done = self.steps / (per_epoch * epochs)
            factor = (1 + np.cos(np.pi * done)) / 2 if schedule == "cosine" else 1.0
            batch = self._batch(orders[:, start : start + self.size])
            self._step(batch, self.rate * factor)

    def _batch(self, chosen: Tensor) -> heads.Batch:
        features, noise = self.features[chosen], None
        if self.dropout:
            kept = self._drawn(torch.rand, "probe-dropout", features[..., :-1]) >= self.dropout
            features = pad(kept.to(features) / (1 - self.dropout), (0, 1), value=1.0) * features
        if self.has_noise:
            noise = pad(self._drawn(torch.randn, "probe-noise", features[..., :-1]), (0, 1))
        return heads.Batch(features, self.labels[chosen], noise, self.radius)

    def _drawn(self, kind, stream: str, like: Tensor) -> Tensor:
        """Random numbers of this step, the same on every device and for every setting."""
        drawn = []
        for seed in self.seeds:
            generator = torch.Generator().manual_seed(streams.integer(seed, stream, self.steps))
            drawn.append(kind(like.shape[1:], generator=generator, dtype=torch.float32))
        return torch.stack(drawn).to(like)

    def _step(self, batch: heads.Batch, rate: float) -> None:
        for weight, gradient in zip(self.weights, self._gradients(batch), strict=True):
            weight.grad = gradient
            if self.decay is not None:  # each fit has its own, which AdamW knows nothing of
                weight *= 1 - rate * self.decay
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        self.steps += 1

    def _gradients(self, batch: heads.Batch) -> list[Tensor]:
        found = heads.passes(self.weights, batch)
        changes = [heads.loss_changes(found, self.share)]
        if self.strengths:
            made = heads.layers(batch, found)
            plane = self._plane(heads.gradient_products(made))
            changes.append(heads.penalty_changes(self.weights, found, made, plane))
        return heads.gradients(batch, found, changes)

    def _plane(self, products: Products) -> Plane:
        """Of the sum of all penalties, each with its strength."""
        planes = []
        for name, strength in self.strengths.items():
            planes.append([strength * number for number in penalty_plane(name, products)])
        return Plane(*map(sum, zip(*planes, strict=True)))

    def scores(self, items: Items) -> tuple[Tensor, Tensor]:
        """Share of right items, and mean NLL, [S, F]."""
        right, nll = 0, 0
        parts = zip(items.features.split(SCORED), items.labels.split(SCORED), strict=True)
        for features, labels in parts:
            found = heads.logits(self.weights, heads.with_one(features)[None])
            right = right + (found.argmax(-1) == labels).sum(-1)
            wanted = labels.expand(found.shape[:-1])
            losses = cross_entropy(found.flatten(0, 2), wanted.flatten(), reduction="none")
            nll = nll + losses.unflatten(0, wanted.shape).sum(-1)
        return right.to(nll.dtype) / len(items.labels), nll / len(items.labels)
