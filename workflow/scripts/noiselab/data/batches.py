"""Training batches: order, noise and augmentation as pure functions of position."""

from functools import lru_cache

import numpy as np
import torch

from noiselab import noise, streams
from noiselab.data.prepared import Split
from noiselab.training import Batch


class ImageBatches:
    """The endless stream of a classifier's training examples.

    Position p is example `order[p mod N]` of epoch `p div N`, each epoch in a new order. All
    images lie on the device; per call, only indices, labels and offsets travel there.
    """

    def __init__(self, run: dict, train: Split, device: torch.device):
        self.run, self.device = run, device
        self.labels = np.asarray(train.y)
        self.crop, self.flip = run["augment"]["crop"], run["augment"]["flip"]
        size = train.x.shape[-1]
        margin = [(0, 0), (0, 0), (self.crop, self.crop), (self.crop, self.crop)]
        padded = torch.from_numpy(np.pad(train.x, margin)).to(device)  # uint8
        # A view of every crop: [N, c, 2 crop + 1, 2 crop + 1, size, size]
        self.windows = padded.unfold(2, size, 1).unfold(3, size, 1)
        self._epoch_order = lru_cache(maxsize=2)(self._permutation)

    def __call__(self, start: int, stop: int) -> Batch:
        """Examples at positions start … stop - 1: uint8 images [n, c, h, w], labels int64 [n]."""
        index = self.indices(start, stop)
        labels, corrupted = self.corrupted_labels(index, start, stop)
        images = self._augmented(self._to_device(index), start, stop)
        return Batch(images, self._to_device(labels), self._to_device(corrupted))

    def indices(self, start: int, stop: int) -> np.ndarray:
        """Which training example stands at each position, int64 [n]."""
        epochs = range(start // len(self.labels), (stop - 1) // len(self.labels) + 1)
        orders = np.concatenate([self._epoch_order(epoch) for epoch in epochs])
        first = epochs[0] * len(self.labels)
        return orders[start - first : stop - first]

    def corrupted_labels(self, index: np.ndarray, start: int, stop: int):
        """Labels as trained on, int64 [n], and which are corrupted, bool [n]."""
        run = self.run
        if run["corruption"] == "none":
            return self.labels[index], np.zeros(len(index), dtype=bool)
        if run["resample"] == "fixed":  # drawn once per example
            u = streams.uniform(run["seed"], "noise", 0, len(self.labels))[index]
        else:  # drawn anew at every visit
            u = streams.uniform(run["seed"], "noise", start, stop)
        return noise.corrupt(
            self.labels[index], u, run["corruption"], run["error_rate"], run["classes"]
        )

    def _augmented(self, index: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Random crop out of the padded image and random mirror image, uint8 [n, c, h, w]."""
        u = streams.uniform(self.run["seed"], "augment", 3 * start, 3 * stop).reshape(-1, 3)
        shift = self._to_device((u[:, :2] * (2 * self.crop + 1)).astype(np.int64))
        images = self.windows[index, :, shift[:, 0], shift[:, 1]]
        if self.flip:
            mirrored = self._to_device(u[:, 2] < 0.5)
            images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        return images

    def _permutation(self, epoch: int) -> np.ndarray:
        return streams.permutation(self.run["seed"], "order", epoch, len(self.labels))

    def _to_device(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device, non_blocking=True)


class TokenBatches:
    """The endless stream of a language model's training sequences (Algorithm 2).

    Position p is a stretch of `context` tokens at a random place of the training text, and the
    same stretch one token later as targets. Inputs stay clean.
    """

    def __init__(self, run: dict, tokens: np.ndarray, device: torch.device):
        self.run, self.tokens, self.device = run, tokens, device
        self.context = run["model"]["context"]

    def __call__(self, start: int, stop: int) -> Batch:
        """Sequences at positions start … stop - 1: inputs and targets int64 [n, context]."""
        places = self.places(start, stop)
        text = self.tokens[places[:, None] + np.arange(self.context + 1)].astype(np.int64)
        inputs, targets = text[:, :-1], text[:, 1:]
        targets, corrupted = self._corrupted(targets, places, start, stop)
        return Batch(*map(self._to_device, (inputs, targets, corrupted)))

    def places(self, start: int, stop: int) -> np.ndarray:
        """Index of the first token of each sequence, int64 [n]."""
        u = streams.uniform(self.run["seed"], "order", start, stop)
        return (u * (len(self.tokens) - self.context)).astype(np.int64)

    def _corrupted(self, targets: np.ndarray, places: np.ndarray, start: int, stop: int):
        run, length = self.run, self.context
        if run["corruption"] == "none":
            return targets, np.zeros(targets.shape, dtype=bool)
        if run["resample"] == "fixed":  # drawn once per token of the text
            rows = [streams.uniform(run["seed"], "noise", p, p + length) for p in places]
            u = np.stack(rows)
        else:  # drawn anew at every visit
            u = streams.uniform(run["seed"], "noise", start * length, stop * length)
            u = u.reshape(targets.shape)
        return noise.corrupt(targets, u, run["corruption"], run["error_rate"], run["vocabulary"])

    def _to_device(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device, non_blocking=True)
