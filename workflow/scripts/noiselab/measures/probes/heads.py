"""Heads of probes, many at once, and gradients of their losses without automatic differentiation.

A head is linear, W [x, 1], or has two layers, W₂ [relu(W₁ [x, 1]), 1]: a list of one or two
weights. Shapes: S seeds, F fits of each, B examples, d features, C classes, h hidden units, `out`
C or h. All fits of a seed see the same examples and the same noise δ; each has noise of its own
size, x̂ = x + γ δ.

A layer's gradient is a sum of outer products of its errors [B, out] and its inputs [B, in]. So
inner products of gradients need Gram matrices [B, B] of the inputs alone, and so does the product
of a Hessian with a vector in the plane of two gradients (Pearlmutter 1994): nothing but the weights
and their gradient has the size of the weights.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from noiselab.measures.probes.penalties import Plane, Products


@dataclass(frozen=True)
class Batch:
    """What the fits of each seed see in a step.

    features: [S, B, d + 1], the last of them 1, for the bias; labels: int64 [S, B].
    noise: δ, [S, B, d + 1], the last of them 0; None where no fit has any. radius: γ, [F].
    """

    features: Tensor
    labels: Tensor
    noise: Tensor | None
    radius: Tensor


class Pass(NamedTuple):
    """What a pass over the clean or the noisy features leaves."""

    hidden: Tensor | None  # [relu(…), 1], [S, F, B, h + 1]; None of a linear head
    probabilities: Tensor  # [S, F, B, C]
    errors: list[Tensor]  # ∂ loss / ∂ outputs of each layer, [S, F, B, out]
    loss: Tensor  # mean cross-entropy, [S, F]


def head_shapes(features: int, classes: int, hidden: int | None) -> list[tuple[int, int]]:
    """Shapes of a head's weights, biases included. hidden: None for a linear head."""
    if hidden is None:
        return [(classes, features + 1)]
    return [(hidden, features + 1), (classes, hidden + 1)]


def with_one(inputs: Tensor) -> Tensor:
    """With a last feature of 1, which the bias multiplies."""
    return pad(inputs, (0, 1), value=1.0)


def logits(weights: list[Tensor], features: Tensor) -> Tensor:
    """[S, F, n, C] of features [S or 1, n, d + 1]."""
    outputs = _first_outputs(weights[0], features)
    return outputs if len(weights) == 1 else with_one(outputs.relu()) @ weights[1].mT


def passes(weights: list[Tensor], batch: Batch) -> list[Pass]:
    """Over the clean and, where there is noise, over the noisy features."""
    if batch.noise is None:
        outputs = [_first_outputs(weights[0], batch.features)]
    else:  # one product: weights are read once
        both = _first_outputs(weights[0], torch.cat([batch.features, batch.noise], 1))
        clean, change = both.chunk(2, dim=2)
        outputs = [clean, clean + _each(batch.radius) * change]
    return [_pass(weights, first, batch.labels) for first in outputs]


def _first_outputs(weight: Tensor, features: Tensor) -> Tensor:
    """[S, F, B, out]: one product for all fits of a seed."""
    found = features @ weight.flatten(1, 2).mT
    return found.unflatten(-1, weight.shape[1:3]).transpose(1, 2)


def _pass(weights: list[Tensor], outputs: Tensor, labels: Tensor) -> Pass:
    hidden = with_one(outputs.relu()) if len(weights) == 2 else None
    scores = outputs if hidden is None else hidden @ weights[1].mT
    logarithms = scores.log_softmax(-1)
    wanted = one_hot(labels, scores.shape[-1]).to(scores.dtype)[:, None]
    loss = -(logarithms * wanted).sum(-1).mean(-1)
    probabilities = logarithms.exp()
    errors = [(probabilities - wanted) / labels.shape[-1]]
    if hidden is not None:
        errors.insert(0, (errors[0] @ weights[1][..., :-1]) * (outputs > 0))
    return Pass(hidden, probabilities, errors, loss)


class Layer(NamedTuple):
    """A layer's errors at clean and noisy inputs, and inner products of its inputs.

    The gradients g and ĝ are sums of outer products; D = g − ĝ. Each method gives what such a
    matrix makes of the layer's inputs, [S, F, B, out].
    """

    errors: Tensor  # at clean inputs, [S, F, B, out]
    noisy_errors: Tensor
    inputs: Tensor  # <clean, clean>, [S, F or 1, B, B]
    mixed: Tensor  # <clean, change by noise>
    changes: Tensor  # <change, change>

    def gradient_at_clean(self) -> Tensor:
        return self.inputs @ self.errors

    def gradient_at_noisy(self) -> Tensor:
        return (self.inputs + self.mixed + self.mixed.mT + self.changes) @ self.noisy_errors

    def difference_at_clean(self) -> Tensor:
        return self.inputs @ (self.errors - self.noisy_errors) - self.mixed @ self.noisy_errors

    def difference_at_change(self) -> Tensor:
        fallen = self.mixed.mT @ (self.errors - self.noisy_errors)
        return fallen - self.changes @ self.noisy_errors

    def products(self) -> Products:
        at_clean = self.difference_at_clean()
        square = (self.errors - self.noisy_errors) * at_clean
        square = square - self.noisy_errors * self.difference_at_change()
        parts = (self.errors * self.gradient_at_clean(), self.errors * at_clean, square)
        return Products(*(part.sum((-1, -2)) for part in parts))


def layers(batch: Batch, found: list[Pass]) -> list[Layer]:
    """Of passes over clean and noisy features; batch.noise is not None."""
    clean, noisy = found
    x, change, radius = batch.features, batch.noise, _each(batch.radius)
    inputs, mixed, changes = (
        (a @ b.mT)[:, None] for a, b in ((x, x), (x, change), (change, change))
    )
    made = [Layer(clean.errors[0], noisy.errors[0], inputs, radius * mixed, radius**2 * changes)]
    if clean.hidden is not None:
        x, change = clean.hidden, noisy.hidden - clean.hidden
        grams = (x @ x.mT, x @ change.mT, change @ change.mT)
        made.append(Layer(clean.errors[1], noisy.errors[1], *grams))
    return made


def gradient_products(made: list[Layer]) -> Products:
    """<g, g>, <g, D>, <D, D> over all layers, each [S, F]."""
    return Products(*map(sum, zip(*(layer.products() for layer in made), strict=True)))


class Change(NamedTuple):
    """What a pass adds to a gradient: a change of the errors of each layer, and of the hidden
    units. hidden: None of a linear head, and of the gradient of the loss."""

    errors: list[Tensor]
    hidden: Tensor | None = None


def loss_changes(found: list[Pass], share: Tensor) -> list[Change]:
    """Of (1 − share) loss + share noisy loss, of each pass; share: [F]."""
    weights = [1 - share, share][: len(found)]
    pairs = zip(weights, found, strict=True)
    return [Change([_each(weight) * e for e in side.errors]) for weight, side in pairs]


def penalty_changes(
    weights: list[Tensor], found: list[Pass], made: list[Layer], plane: Plane
) -> list[Change]:
    """Of H v + Ĥ v̂, of each pass; plane: numbers [S, F] of v and v̂."""
    numbers = [_each(number) for number in plane]
    clean = _curvature(weights, found, made, numbers[:2], noisy=False)
    return [clean, _curvature(weights, found, made, numbers[2:], noisy=True)]


def gradients(batch: Batch, found: list[Pass], changes: list[list[Change]]) -> list[Tensor]:
    """The sum of gradients, of each layer [S, F, out, in]; changes: lists, an entry per pass."""
    by_pass = list(zip(*changes, strict=True))
    first = [sum(change.errors[0] for change in of_pass) for of_pass in by_pass]
    errors, inputs = sum(first), batch.features
    if batch.noise is not None:
        errors = torch.cat([errors, _each(batch.radius) * first[1]], 2)
        inputs = torch.cat([inputs, batch.noise], 1)
    total = [_outer(errors, inputs)]
    if found[0].hidden is not None:
        total.append(sum(map(_second, found, by_pass)))
    return total


def _second(side: Pass, changes: tuple[Change, ...]) -> Tensor:
    """A pass's part of the gradient of the second layer."""
    gradient = sum(c.errors[1] for c in changes).mT @ side.hidden
    for change in changes:
        if change.hidden is not None:
            gradient[..., :-1] += side.errors[1].mT @ change.hidden
    return gradient


def _curvature(weights, found, made, numbers, noisy: bool) -> Change:
    """The Hessian at the clean or the noisy features times a vector, numbers[0] · their own
    gradient + numbers[1] · D."""
    own, (along, across) = found[noisy], numbers
    at_inputs = [along * _own(layer, noisy) + across * _difference(layer, noisy) for layer in made]
    if len(weights) == 1:
        return Change([_slope(own.probabilities, at_inputs[0])])
    second, active = weights[1][..., :-1], own.hidden[..., :-1] > 0
    hidden = at_inputs[0] * active
    last = _slope(own.probabilities, at_inputs[1] + hidden @ second.mT)
    back = along * _back(own.errors[1], own.errors[1], own.hidden)
    back = back + across * _difference_back(own.errors[1], found)
    return Change([(back + last @ second) * active, last], hidden)


def _own(layer: Layer, noisy: bool) -> Tensor:
    return layer.gradient_at_noisy() if noisy else layer.gradient_at_clean()


def _difference(layer: Layer, noisy: bool) -> Tensor:
    at_clean = layer.difference_at_clean()
    return at_clean + layer.difference_at_change() if noisy else at_clean


def _difference_back(errors: Tensor, found: list[Pass]) -> Tensor:
    """D of the second layer, transposed, times errors, [S, F, B, h]."""
    clean, noisy = found
    fallen = _back(errors, clean.errors[1] - noisy.errors[1], clean.hidden)
    return fallen - _back(errors, noisy.errors[1], noisy.hidden - clean.hidden)


def _back(errors: Tensor, of_matrix: Tensor, inputs: Tensor) -> Tensor:
    """The sum of outer products of `of_matrix` and `inputs`, transposed, times errors."""
    return ((errors @ of_matrix.mT) @ inputs)[..., :-1]


def _slope(p: Tensor, change: Tensor) -> Tensor:
    """Change of the last layer's errors where the logits change; p: probabilities."""
    return p * (change - (p * change).sum(-1, keepdim=True)) / p.shape[-2]


def _outer(errors: Tensor, inputs: Tensor) -> Tensor:
    """One product for all fits of a seed, [S, F, out, in]."""
    found = errors.transpose(2, 3).flatten(1, 2) @ inputs
    return found.unflatten(1, (errors.shape[1], errors.shape[3]))


def _each(numbers: Tensor) -> Tensor:
    """Numbers of fits, [F] or [S, F], as factors of [S, F, B, out]."""
    return numbers[..., None, None]
