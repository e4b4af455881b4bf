"""Noise in the inputs of a training: terms of the loss that want outputs to stay as they were.

Any family takes part whose loss calls its network once, on `batch.inputs`, and gets logits.
"""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor, nn

from noiselab import streams
from noiselab.run import Run
from noiselab.training.loop import Batch, Task

STREAM = "input-noise"
SMALLEST = 1e-12  # of the uniform numbers that normal ones are made of

Losses = Callable[[nn.Module, Batch], Tensor]


class Inputs(Protocol):
    """What noise does to inputs of a kind. draw(n): uniform numbers, float64 [inputs, n]."""

    def noisy(self, inputs: Tensor, settings: dict, draw: Callable) -> Tensor:
        """Inputs with noise in all coordinates, as `settings` of run.json say."""

    def changed(self, inputs: Tensor, draw: Callable) -> Tensor:
        """Inputs of which one coordinate is drawn anew."""


class Tokens(NamedTuple):
    """Sequences [n, T, …] of letters 0 … letters - 1, of which noise changes the first `noised`."""

    letters: int
    noised: int

    def noisy(self, inputs: Tensor, settings: dict, draw: Callable) -> Tensor:
        """Each token stays with probability `keep`, else it is drawn anew, all letters alike."""
        u, keep = draw(self.noised), settings["keep"]
        other = self._letters((u - keep) / (1 - keep), inputs)
        kept = torch.from_numpy(u < keep).to(inputs.device)
        return self.with_first(inputs, torch.where(kept, self.first(inputs), other))

    def changed(self, inputs: Tensor, draw: Callable) -> Tensor:
        """One token of each sequence is drawn anew."""
        u = draw(2)
        place = torch.from_numpy((u[:, :1] * self.noised).astype(np.int64)).to(inputs.device)
        first = self.first(inputs).scatter(1, place, self._letters(u[:, 1:], inputs))
        return self.with_first(inputs, first)

    def _letters(self, u: np.ndarray, like: Tensor) -> Tensor:
        drawn = (u * self.letters).clip(0, self.letters - 1).astype(np.int64)
        return torch.from_numpy(drawn).to(like.device, like.dtype)

    def first(self, inputs: Tensor) -> Tensor:
        """The tokens that noise may change, [n, noised]."""
        return inputs.flatten(1)[:, : self.noised]

    def with_first(self, inputs: Tensor, first: Tensor) -> Tensor:
        """Inputs with these in their place."""
        rest = inputs.flatten(1)[:, self.noised :]
        return torch.cat([first, rest], 1).view_as(inputs)


class Images(NamedTuple):
    """Images [n, c, h, w] of a mean and a standard deviation per channel, [c, 1, 1]."""

    mean: Tensor
    std: Tensor

    def noisy(self, inputs: Tensor, settings: dict, draw: Callable) -> Tensor:
        """rho X + sqrt(1 - rho^2) Z of normalised images, in the scale of the images, float32."""
        rho, size = settings["rho"], inputs[0].numel()
        normal = ndtri(draw(size).clip(SMALLEST, 1 - SMALLEST)).astype(np.float32)
        z = torch.from_numpy(normal).to(inputs.device).view_as(inputs)
        mean, std = self.mean.to(inputs.device), self.std.to(inputs.device)
        return mean + rho * (inputs - mean) + (1 - rho**2) ** 0.5 * std * z


def with_input_noise(task: Task, run: Run, inputs: Inputs) -> Task:
    """A task with what run.json asks for: `input_noise` (training on noisy inputs), `stability` or
    `sensitivity` (below), or none of these."""
    if "input_noise" in run:
        return replace(task, batch=_changing(task, run, inputs, pairs=False))
    term = next((name for name in TERMS if name in run), None)
    if term is None:
        return task
    return replace(
        task,
        batch=_changing(task, run, inputs, pairs=True),
        loss=_with_term(task.loss, TERMS[term], run[term]["strength"]),
    )


def _changing(task: Task, run: Run, inputs: Inputs, pairs: bool) -> Callable[[int, int], Batch]:
    """The task's batches with noisy inputs; pairs: with both, [n, 2, …]. A function of seed and
    position."""

    def batch(start: int, stop: int) -> Batch:
        found = task.batch(start, stop)

        def draw(count: int) -> np.ndarray:
            u = streams.uniform(run.seed, STREAM, start * count, stop * count)
            return u.reshape(stop - start, count)

        if "sensitivity" in run:
            noisy = inputs.changed(found.inputs, draw)
        else:
            settings = run.get("stability") or run["input_noise"]
            noisy = inputs.noisy(found.inputs, settings, draw)
        if pairs:
            noisy = torch.stack([found.inputs.to(noisy.dtype), noisy], 1)
        return found._replace(inputs=noisy)

    return batch


def stability(first: Tensor, second: Tensor) -> Tensor:
    """Minus how alike the outputs of inputs and of their noisy copies are: the mean of
    <M(X), M(Y)>, M the probabilities. logits: float [n, …, C]."""
    return -(first.softmax(-1) * second.softmax(-1)).sum(-1).mean()


def sensitivity(first: Tensor, second: Tensor) -> Tensor:
    """How much the outputs change: the mean of |M(X) - M(Y)|^2 / 2."""
    return (first.softmax(-1) - second.softmax(-1)).square().sum(-1).mean() / 2


TERMS = {"stability": stability, "sensitivity": sensitivity}


class _Both:
    """A network on pairs of inputs: gives the output of the first, and keeps both."""

    def __init__(self, model: nn.Module):
        self.model = model

    def __call__(self, pairs: Tensor) -> Any:
        output = self.model(pairs.flatten(0, 1))
        logits = getattr(output, "logits", output)
        self.logits = logits.float().unflatten(0, (-1, 2)).unbind(1)
        return self.logits[0] if output is logits else SimpleNamespace(logits=self.logits[0])


def _with_term(loss: Losses, term: Callable[[Tensor, Tensor], Tensor], strength: float) -> Losses:
    """The task's loss of the first of each pair, and a term of both."""

    def regularised(model: nn.Module, batch: Batch) -> Tensor:
        both = _Both(model)
        value = loss(both, batch)
        return value + strength * term(*both.logits)

    return regularised
