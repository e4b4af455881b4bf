"""Noise stability, sensitivity and influences of any function, estimated with intervals.

A function takes inputs [n, ...] and gives outputs [n, ...]; several outputs of an input are
multiplied as vectors.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from noiselab.measures.statistics import Estimate, ratio_interval, t_interval

Function = Callable[[Tensor], Tensor]
GROUP = 4  # pairs of inputs that share their numbers but for signs


class Stability(NamedTuple):
    """E[<f(X), f(Y)>], and the same over E[|f|^2]: the share of f that survives."""

    raw: Estimate
    share: Estimate


@torch.no_grad()
def gaussian_stability(
    function: Function,
    shape: tuple[int, ...],
    rho: float,
    groups: int,
    generator: torch.Generator,
    batch: int = 4096,
) -> Stability:
    """Of normal inputs X and Y = rho X + sqrt(1 - rho^2) Z of this shape each.

    Antithetic: each X and Z are taken with both signs, and an item is the mean over the four pairs,
    of which there are `groups`, two at least. batch: inputs at a time.
    """
    products, squares = [], []
    for count in _shares(groups, max(1, batch // GROUP)):
        x, z = torch.randn(2, count, *shape, generator=generator, dtype=torch.float64)
        first, noise = torch.cat([x, x, -x, -x]), torch.cat([z, -z, z, -z])
        second = rho * first + (1 - rho**2) ** 0.5 * noise
        product, square = _products(function(first), function(second))
        products.append(product.unflatten(0, (GROUP, count)).mean(0))
        squares.append(square.unflatten(0, (GROUP, count)).mean(0))
    return _stability(torch.cat(products), torch.cat(squares))


@torch.no_grad()
def discrete_stability(
    function: Function, inputs: Tensor, keep: float, letters: int, generator: torch.Generator
) -> Stability:
    """Of inputs from an alphabet, int64 [n, d] of 0 … letters - 1, each of them an item. A
    coordinate of Y is that of X with probability `keep`, else drawn anew from the alphabet.

    Where X is uniform too, this is the correlation: keep = rho. Bits that are *turned* with
    probability (1 - rho) / 2 are kept so with probability rho, as a new one may be the same.
    """
    other = torch.randint(letters, inputs.shape, generator=generator)
    kept = torch.rand(inputs.shape, generator=generator) < keep
    return _stability(*_products(function(inputs), function(torch.where(kept, inputs, other))))


def surviving_share(first: Tensor, second: Tensor) -> Estimate:
    """The share of a function's variance over inputs that survives noise, from its outputs [n, …]
    on inputs and on their noisy copies: 1 where noise changes nothing, 0 where it takes all. Unlike
    Stab it leaves out the mean output: of either side its own, as a noisy photo is no photo, and
    what a model says of all noisy ones alike is no answer to any of them."""
    centred = [side - side.mean(0) for side in (first.double(), second.double())]
    return _stability(*_products(*centred)).share


@torch.no_grad()
def influences(
    function: Function, inputs: Tensor, letters: int, generator: torch.Generator
) -> np.ndarray:
    """Influence of each coordinate, float64 [n, d], an item per row: half of |f(X) - f(X')|^2,
    where X' has this coordinate drawn anew.

    inputs: int64 [n, d] of 0 … letters - 1. The mean over uniform inputs is the variance of f over
    the coordinate, and the sum over coordinates the average sensitivity: for outputs of -1 and 1 on
    bits, how many bits alone would change the output; always the slope of Stab_rho at rho = 1.
    """
    usual, columns = function(inputs).reshape(len(inputs), -1), []
    for place in range(inputs.shape[1]):
        changed = inputs.clone()
        changed[:, place] = torch.randint(letters, (len(inputs),), generator=generator)
        difference = function(changed).reshape(len(inputs), -1) - usual
        columns.append(difference.double().square().sum(1) / 2)
    return torch.stack(columns, 1).cpu().numpy()


def average_sensitivity(found: np.ndarray) -> Estimate:
    """Sum of the influences, float [n, d], with its interval over inputs."""
    totals = found.sum(1)
    return Estimate(float(totals.mean()), *t_interval(totals))


def junta_share(found: np.ndarray, size: int) -> float:
    """Share of all influence that so many coordinates have, at most; 1: f is a junta of them.
    found: influences, float [n, d]."""
    each = np.sort(found.mean(0))[::-1]
    return float(each[:size].sum() / each.sum()) if each.sum() else 1.0


def _shares(total: int, largest: int) -> Iterator[int]:
    """A number cut into parts."""
    while total > 0:
        yield min(total, largest)
        total -= largest


def _products(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """<f(X), f(Y)>, and the mean of both squares, float64 [n]."""
    first, second = (side.reshape(len(side), -1).double() for side in (first, second))
    return (first * second).sum(1), (first.square().sum(1) + second.square().sum(1)) / 2


def _stability(products: Tensor, squares: Tensor) -> Stability:
    numerators, denominators = products.cpu().numpy(), squares.cpu().numpy()
    raw = Estimate(float(numerators.mean()), *t_interval(numerators))
    share = ratio_interval(numerators, denominators)
    value = float(numerators.sum() / denominators.sum())
    return Stability(raw, Estimate(value, share.ci_low, share.ci_high, "t_items"))
