"""Views of encoded images, decoded by processes of their own ahead of the training loop."""

import atexit
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from math import ceil
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data._utils import signal_handling

from noiselab import streams
from noiselab.data.batches import ImageBatches, LabelledBatches, Order, Shifts
from noiselab.data.encoded import EncodedImages, square_view, train_transforms, train_view
from noiselab.data.prepared import Split
from noiselab.errors import NoiselabError, first_line
from noiselab.processes import follow_parent
from noiselab.run import Run
from noiselab.training.loop import Batch, Settings, micro_batches

PIECE = 64  # images that a loader process makes at once: what a batch is divided into

_STOP = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)

# Keeps torch from handling SIGCHLD: it would raise an error wherever the trainer is just then when
# a loader process ends. Whoever waits for that process's next piece is told within 5 seconds.
signal_handling._SIGCHLD_handler_set = True


class EncodedBatches(LabelledBatches):
    """Training examples whose images are decoded and augmented when they are due.

    The view at position p depends on seed and p alone: a random part of the picture, or, where
    `crop` is in the run's augmentation, what ImageBatches would give of an array of it. Loader
    processes prepare what the training loop will ask for next; whoever asks for something else gets
    it, but waits.
    `workers`: how many; 0: this process does it all; by default `free_threads`.
    """

    def __init__(self, run: Run, train: Split, device: torch.device, workers: int | None = None):
        super().__init__(run, train.y, device)
        self.shifted = Shifts(run, device, len(train.y)) if "crop" in run.augment else None
        self.views = _Views(train.x, _training_view(run, train.x))
        self.shape = train.x.shape[1:]
        self.workers = free_threads() if workers is None else workers
        self.settings = Settings(**run.training)
        self._expected: Iterator[tuple[int, int]] = iter(())  # requests that are under way
        self._loaded: Iterator[Tensor] = iter(())  # their pieces

    def __call__(self, start: int, stop: int) -> Batch:
        """Examples at positions start … stop - 1: uint8 images [n, c, h, w], labels int64 [n].

        NoiselabError names an image that cannot be read.
        """
        index = self.indices(start, stop)
        labels, corrupted = self.corrupted_labels(index, start, stop)
        images = self._images(start, stop)
        if self.shifted:
            every = torch.arange(len(images), device=images.device)
            images = self.shifted(self.shifted.windows(images), every, index, start, stop)
        return Batch(images, self._to_device(labels), self._to_device(corrupted))

    def _images(self, start: int, stop: int) -> Tensor:
        if next(self._expected, None) != (start, stop):
            self._look_ahead(start, stop)
        channels, height, width = self.shape
        shape = (stop - start, height, width, channels)
        images = torch.empty(shape, dtype=torch.uint8, device=self.device)
        parts = images.split(PIECE)
        for part, piece in zip(parts, islice(self._loaded, len(parts)), strict=True):
            part.copy_(piece, non_blocking=True)
        return images.permute(0, 3, 1, 2)

    def _look_ahead(self, start: int, stop: int) -> None:
        """From this request on, load what the training loop asks for."""
        self._loaded = iter(())  # ends the processes of before
        self._expected = _requests(self.settings, start, stop)
        next(self._expected)
        pieces = _pieces(self.order, _requests(self.settings, start, stop))
        pinned = torch.device(self.device).type == "cuda"
        ahead = 2 * ceil((stop - start) / PIECE)  # two requests: while one is used, another is made
        self._loaded = _loaded(self.views, pieces, self.workers, ahead, pinned)


def training_batches(run: Run, train: Split, device: torch.device) -> LabelledBatches:
    """A run's training examples, decoded on the way or from an array."""
    batches = EncodedBatches if isinstance(train.x, EncodedImages) else ImageBatches
    return batches(run, train, device)


# Functions, not methods: with the batches in a circle of references, loader processes would be
# left to the garbage collector, which takes their queues apart before it can end them.
def _requests(settings: Settings, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """This request, and those that follow it in training.train."""
    yield start, stop
    size, shares = settings.batch_size, micro_batches(settings)
    step, first = divmod(start, size)
    if (first, first + stop - start) in shares:
        offsets = range(step * size, settings.steps * size, size)
        requests = ((offset + first, offset + last) for offset in offsets for first, last in shares)
        yield from (request for request in requests if request[0] > start)


def _pieces(order: Order, requests: Iterable[tuple[int, int]]) -> Iterator[np.ndarray]:
    """Image numbers and positions, int64 [n, 2], of each piece of the requests."""
    for start, stop in requests:
        keys = np.stack([order(start, stop), np.arange(start, stop)], axis=1)
        yield from (keys[i : i + PIECE] for i in range(0, len(keys), PIECE))


def free_threads() -> int:
    """Loader processes that this process may have: all threads of its job but its own one. Without
    a job, those of torch."""
    return max(0, int(os.environ.get("THREADS", torch.get_num_threads())) - 1)


def views(images: EncodedImages, rows: Sequence[int], batch: int, workers: int) -> Iterator[Tensor]:
    """Evaluation's views of these images in their order, uint8 [b, c, size, size] with b up to
    `batch`.

    NoiselabError names an image that cannot be read.
    """
    keys = np.asarray(rows, dtype=np.int64)[:, None]
    pieces = (keys[i : i + batch] for i in range(0, len(keys), batch))
    made = _loaded(_Views(images, images.view), pieces, workers, 2, False)
    return (piece.permute(0, 3, 1, 2) for piece in made)


def _training_view(run: Run, images: EncodedImages) -> Callable:
    """(picture, position) -> its view in training."""
    if "crop" in run.augment:
        return partial(_square_at, images.size)
    settings = run.augment | {"size": images.size}
    train_transforms(settings)  # imports timm here, not in each process; tells mistakes
    return partial(_view_at, settings, run.seed)


def _square_at(size: int, image, position: int) -> np.ndarray:
    return square_view(image, size)


def _view_at(settings: dict, seed: int, image, position: int) -> np.ndarray:
    return train_view(image, settings, streams.integer(seed, "augment", position))


class _Views(Dataset):
    """Pieces of views. Heights and widths come before channels, as they were decoded."""

    def __init__(self, images: EncodedImages, view):
        self.images, self.view = images, view

    def __getitem__(self, keys: np.ndarray) -> Tensor | NoiselabError:
        """view(image, *rest) of each key (image number, *rest), uint8 [n, size, size, c].

        An error is returned: torch would make a page of it on its way from another process.
        """
        try:
            made = [self.view(self.images[i], *rest) for i, *rest in keys.tolist()]
        except NoiselabError as error:
            return error
        return torch.from_numpy(np.stack([view.transpose(1, 2, 0) for view in made]))


# ----------------------------------------------------------------------------------- processes


def _loaded(
    views: _Views, pieces: Iterable[np.ndarray], workers: int, ahead: int, pinned: bool
) -> Iterator[Tensor]:
    """views[piece] of each piece, in their order, by processes if `workers` is not 0.

    They are at least `ahead` pieces ahead. Closing ends them.
    """
    made = map(views.__getitem__, pieces)
    if workers:
        made = _started(views, pieces, workers, 1 + ceil(ahead / workers), pinned)
    try:
        for piece in made:
            if isinstance(piece, NoiselabError):
                raise piece
            yield piece
    except (RuntimeError, ConnectionError, EOFError) as error:
        if isinstance(error, RuntimeError) and "DataLoader worker (pid" not in str(error):
            raise
        reason = f"a loader process has ended ({first_line(error)})"
        raise NoiselabError(f"data set {views.images.name}: {reason}") from error
    finally:
        if workers:
            made._shutdown_workers()


def _started(views: _Views, pieces: Iterable[np.ndarray], workers: int, ahead: int, pinned: bool):
    """Start loader processes, each of which is `ahead` pieces ahead."""
    loader = DataLoader(
        views,
        batch_size=None,  # a piece is what the data set gives
        sampler=pieces,
        num_workers=workers,
        prefetch_factor=ahead,
        pin_memory=pinned,
        worker_init_fn=_begin,
        generator=torch.Generator(),  # torch's own is the trainer's: dropout must not shift
    )
    with _held_back(_STOP):
        made = iter(loader)
    _running.add(made)
    return made


_running: WeakSet = WeakSet()  # loaders


@atexit.register
def _end_all() -> None:
    """Before torch ends them by the signal that they ignore, and waits for ever."""
    for made in list(_running):
        made._shutdown_workers()


def _begin(worker: int) -> None:
    """End with the trainer. torch's workers look for it themselves, but take whoever is their
    parent by then for it: one that is killed in the first moments leaves them for ever.

    A signal to the whole process group is for the trainer: it has a step to finish.
    """
    follow_parent()
    for number in _STOP:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _held_back(numbers: Sequence[int]) -> Iterator[None]:
    """Signals wait meanwhile, in processes that are started, too, until they ignore them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
