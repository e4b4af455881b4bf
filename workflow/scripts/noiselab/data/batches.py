"""Training batches: order, noise and augmentation as pure functions of position."""

from functools import lru_cache, partial

import numpy as np
import torch

from noiselab import streams
from noiselab.data.prepared import Split
from noiselab.noise.draws import taught_labels, taught_tokens
from noiselab.noise.registry import corruption
from noiselab.run import Run
from noiselab.training.loop import Batch

ALTERNATING = "alternating"


class Order:
    """Which of `count` examples stands where in an endless stream.

    Position p is example `order[p mod count]` of epoch `p div count`, each epoch in a new order.
    """

    def __init__(self, seed: int, count: int):
        self.count = count
        self._epoch = lru_cache(maxsize=2)(partial(streams.permutation, seed, "order", n=count))

    def __call__(self, start: int, stop: int) -> np.ndarray:
        """The example at each of the positions start … stop - 1, int64 [n]."""
        epochs = range(start // self.count, (stop - 1) // self.count + 1)
        orders = np.concatenate([self._epoch(epoch) for epoch in epochs])
        first = epochs[0] * self.count
        return orders[start - first : stop - first]


class LabelledBatches:
    """Order and noise of a classifier's endless stream of training examples."""

    def __init__(self, run: Run, labels: np.ndarray, device: torch.device):
        self.run, self.device = run, device
        self.noise = corruption(run)
        self.labels = np.asarray(labels)
        self.order = Order(run.seed, len(self.labels))

    def indices(self, start: int, stop: int) -> np.ndarray:
        """Which training example stands at each position, int64 [n]."""
        return self.order(start, stop)

    def corrupted_labels(self, index: np.ndarray, start: int, stop: int):
        """Labels as trained on, int64 [n], and which are corrupted, bool [n]."""
        return taught_labels(self.noise, self.run, self.labels, index, start, stop)

    def _to_device(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device, non_blocking=True)


class Shifts:
    """Random crops out of padded images and random mirror images, a function of seed and position.

    crop: pixels of padding on each side; flip: true: each view is mirrored or not, at random;
    alternating: an image is mirrored in every other epoch, the first of which is random, so that
    two epochs show all views (Jordan 2024, arXiv 2404.00498). count: images of the training set.
    """

    def __init__(self, run: Run, device: torch.device, count: int):
        self.run, self.device, self.count = run, device, count
        self.crop, self.flip = run.augment["crop"], run.augment["flip"]
        if self.flip == ALTERNATING:
            self.first = streams.uniform(run.seed, "mirror", 0, count) < 0.5

    def windows(self, images: torch.Tensor | np.ndarray) -> torch.Tensor:
        """A view of every crop of uint8 images [N, c, size, size]:
        [N, c, 2 crop + 1, 2 crop + 1, size, size], on the device."""
        size, margin = images.shape[-1], (self.crop, self.crop)
        if isinstance(images, torch.Tensor):
            padded = torch.nn.functional.pad(images, (*margin, *margin))
        else:
            padded = torch.from_numpy(np.pad(images, [(0, 0), (0, 0), margin, margin]))
        return padded.to(self.device).unfold(2, size, 1).unfold(3, size, 1)

    def __call__(
        self,
        windows: torch.Tensor,
        places: torch.Tensor,
        index: np.ndarray,
        start: int,
        stop: int,
    ) -> torch.Tensor:
        """The views at positions start … stop - 1, uint8 [n, c, size, size]. places: of their
        images in `windows`, index: in the training set, int64 [n]."""
        u = streams.uniform(self.run.seed, "augment", 3 * start, 3 * stop).reshape(-1, 3)
        shift = self._to_device((u[:, :2] * (2 * self.crop + 1)).astype(np.int64))
        images = windows[places, :, shift[:, 0], shift[:, 1]]
        if self.flip:
            mirrored = self._to_device(self._mirrored(u[:, 2], index, start, stop))
            images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        return images

    def _mirrored(self, u: np.ndarray, index: np.ndarray, start: int, stop: int) -> np.ndarray:
        if self.flip != ALTERNATING:
            return u < 0.5
        epochs = np.arange(start, stop) // self.count
        return self.first[index] ^ (epochs % 2 == 1)

    def _to_device(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device, non_blocking=True)


class ImageBatches(LabelledBatches):
    """Training examples whose images all lie on the device.

    Per call, only indices, labels and offsets travel there.
    """

    def __init__(self, run: Run, train: Split, device: torch.device):
        super().__init__(run, train.y, device)
        self.shifted = Shifts(run, device, len(train.y))
        self.windows = self.shifted.windows(np.asarray(train.x))

    def __call__(self, start: int, stop: int) -> Batch:
        """Examples at positions start … stop - 1: uint8 images [n, c, h, w], labels int64 [n]."""
        index = self.indices(start, stop)
        labels, corrupted = self.corrupted_labels(index, start, stop)
        images = self.shifted(self.windows, self._to_device(index), index, start, stop)
        return Batch(images, self._to_device(labels), self._to_device(corrupted))


class TokenBatches:
    """The endless stream of a language model's training sequences (Algorithm 2).

    Position p is a stretch of `context` tokens at a random place of the training text, and the
    same stretch one token later as targets. Inputs stay clean.
    """

    def __init__(self, run: Run, tokens: np.ndarray, device: torch.device):
        self.run, self.tokens, self.device = run, tokens, device
        self.noise, self.context = corruption(run), run.model["context"]

    def __call__(self, start: int, stop: int) -> Batch:
        """Sequences at positions start … stop - 1: inputs and targets int64 [n, context]."""
        places = self.places(start, stop)
        text = self.tokens[places[:, None] + np.arange(self.context + 1)].astype(np.int64)
        inputs, targets = text[:, :-1], text[:, 1:]
        targets, corrupted = taught_tokens(self.noise, self.run, targets, places, start)
        return Batch(*map(self._to_device, (inputs, targets, corrupted)))

    def places(self, start: int, stop: int) -> np.ndarray:
        """Index of the first token of each sequence, int64 [n]."""
        u = streams.uniform(self.run.seed, "order", start, stop)
        return (u * (len(self.tokens) - self.context)).astype(np.int64)

    def _to_device(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device, non_blocking=True)
