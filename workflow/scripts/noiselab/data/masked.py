"""Windows with masked tokens: what a masked language model reads, and what it predicts.

As in BERT (Devlin et al. 2019): of each window so many tokens are predicted as the share says, at
least one. Of those four in five are masked, one in ten is another token, drawn at random, and one
in ten is left as it is.
"""

from typing import NamedTuple

import numpy as np
import torch

from noiselab import streams
from noiselab.data.stretches import token_batches
from noiselab.run import Run
from noiselab.training.loop import Batch

MASKED, REPLACED = 0.8, 0.1  # of the tokens that are predicted


class Masked(NamedTuple):
    """Windows as they are read, int64 [n, L]; which places are predicted, and their tokens, int64
    [n, m], in the order of the places."""

    inputs: np.ndarray
    places: np.ndarray
    tokens: np.ndarray


def predicted(length: int, share: float) -> int:
    """How many tokens of a window of this length are predicted."""
    return max(1, round(share * length))


def masked(windows: np.ndarray, u: np.ndarray, share: float, vocabulary: int) -> Masked:
    """Masked windows, whose token `vocabulary` is the mask. windows: int64 [n, L]; u: uniform
    numbers in [0, 1), two for each token, float64 [n, L, 2]."""
    count = predicted(windows.shape[1], share)
    places = np.sort(np.argsort(u[..., 0], axis=1)[:, :count], axis=1)
    tokens, fate = (np.take_along_axis(a, places, axis=1) for a in (windows, u[..., 1]))
    drawn = np.clip((fate - MASKED) / REPLACED * vocabulary, 0, vocabulary - 1).astype(np.int64)
    shown = np.where(fate < MASKED + REPLACED, drawn, tokens)
    inputs = windows.copy()
    np.put_along_axis(inputs, places, np.where(fate < MASKED, vocabulary, shown), axis=1)
    return Masked(inputs, places, tokens)


def evaluation_masks(run: Run, split: str, windows: np.ndarray) -> Masked:
    """The windows of a split, int64 [n, L], masked once, alike for all runs of a seed."""
    u = streams.uniform(run.seed, f"masks-{split}", 0, 2 * windows.size)
    u = u.reshape(*windows.shape, 2)
    return masked(windows, u, run.mask_share, run.vocabulary)


class MaskedBatches:
    """The windows that a language model would predict, token by token, with masks that are drawn
    anew at each visit."""

    def __init__(self, run: Run, tokens: np.ndarray, device: torch.device):
        self.run, self.device = run, device
        self.text = token_batches(run, tokens, torch.device("cpu"))

    def __call__(self, start: int, stop: int) -> Batch:
        """Windows at positions start … stop - 1: inputs (tokens int64 [n, L], places int64 [n, m]),
        targets int64 [n, m]."""
        text = self.text(start, stop)
        windows = text.targets.numpy()
        length = 2 * windows.shape[1]
        u = streams.uniform(self.run.seed, "masks", start * length, stop * length)
        u = u.reshape(*windows.shape, 2)
        found = masked(windows, u, self.run.mask_share, self.run.vocabulary)
        corrupted = np.take_along_axis(text.corrupted.numpy(), found.places, axis=1)
        inputs, places, targets, corrupted = map(self._to_device, (*found, corrupted))
        return Batch((inputs, places), targets, corrupted)

    def _to_device(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device, non_blocking=True)
