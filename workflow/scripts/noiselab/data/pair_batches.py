"""Training batches of source and target sequences: padded rows of similar length."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from noiselab import streams
from noiselab.data.pairs import BEGIN, END, PAD, Pairs, Sequences, read_sequences
from noiselab.errors import NoiselabError
from noiselab.noise.draws import taught_rows
from noiselab.noise.registry import CORRUPTIONS, corruption
from noiselab.run import Run
from noiselab.training.loop import Batch


class PairInputs(NamedTuple):
    """What an encoder-decoder takes, and the weight of the batch in the mean over tokens."""

    source: torch.Tensor  # int64 [n, S], PAD at the end
    decoder_input: torch.Tensor  # int64 [n, T], the targets one position later
    weight: float


class Rows:
    """Sequences as padded rows of a model: clipped, with or without begin and end symbols.

    limit: most positions of a row, symbols included.
    """

    def __init__(self, sequences: Sequences, limit: int, before: list[int], after: list[int]):
        self.tokens, self.starts = sequences.tokens, sequences.offsets[:-1]
        self.before, self.after = before, after
        clipped = np.minimum(np.diff(sequences.offsets), limit - len(before) - len(after))
        self.body = np.maximum(clipped, 0)  # lengths without symbols, int64 [N]
        self.lengths = self.body + len(before) + len(after)

    def __call__(self, index: np.ndarray) -> np.ndarray:
        """Rows of these sequences, int64 [n, longest], PAD at the end. Two positions at least:
        where all are empty, as a teacher's targets can be, a decoder still needs one to read."""
        first, body = len(self.before), self.body[index]
        rows = np.full((len(index), max(2, self.lengths[index].max())), PAD)
        rows[:, :first] = self.before
        for row, start, length in zip(rows, self.starts[index], body, strict=True):
            row[first : first + length] = self.tokens[start : start + length]
            row[first + length : first + length + len(self.after)] = self.after
        return rows


def source_rows(run: Run, source: Sequences) -> Rows:
    """Sources as the encoder reads them: the run's share of the limit, then the end symbol
    (none under protocol released)."""
    limit = max(1 + run.symbols, round(run.source_share * run.source_length))
    return Rows(source, limit, [], [END] if run.symbols else [])


def target_rows(run: Run, target: Sequences) -> Rows:
    """Targets from begin to end symbol; decoder inputs are all but the last token, labels all but
    the first. Without symbols (protocol released) nothing teaches a model to begin or to stop."""
    symbols = ([BEGIN], [END]) if run.symbols else ([], [])
    return Rows(target, run.target_length + run.symbols, *symbols)


def of_tokens(run: Run) -> bool:
    """Whether a run's noise is in single tokens of the targets, not in whole ones."""
    return CORRUPTIONS[run.corruption].target == "token"


def noisy_targets(run: Run, clean: Sequences) -> tuple[Sequences, np.ndarray]:
    """Targets as trained on, but for wrong tokens, and which are the teacher's, bool [N]."""
    if of_tokens(run):
        return clean, np.zeros(clean.count, dtype=bool)
    corrupted = corruption(run).chosen(clean.count)
    if not corrupted.any():
        return clean, corrupted
    teacher = read_sequences(run.teacher_targets)
    if teacher.count != clean.count:
        raise NoiselabError(
            f"{run.teacher_targets}: {teacher.count} targets of the teacher for "
            f"{clean.count} training pairs"
        )
    return _merged(clean, teacher, corrupted), corrupted


def _merged(first: Sequences, second: Sequences, choose_second: np.ndarray) -> Sequences:
    """The second's sequences where chosen, the first's elsewhere."""
    parts = [(second if c else first).get(i) for i, c in enumerate(choose_second)]
    offsets = np.cumsum([0, *map(len, parts)])
    return Sequences(np.concatenate(parts), offsets)


def by_length(lengths: np.ndarray, costs: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Cut sequences, shortest first, into batches: index arrays int64 [at most `most`].

    lengths: [N], what is sorted by; costs: float [N], share of the memory that one row of this
    sequence's width takes. A batch's rows are as wide as its widest, and fit (or are a single one).
    """
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        greatest = np.maximum.accumulate(costs[order[start : start + most]])
        fits = greatest * np.arange(1, len(greatest) + 1) <= 1
        size = max(1, int(fits.sum()))  # `fits` is true up to a point, then false
        yield order[start : start + size]
        start += size


POOL = 100  # batches that are sorted by length together


class PairBatches:
    """The endless stream of an encoder-decoder's training pairs, in batches of similar length.

    Epoch by epoch, the pairs of a new order are sorted by length within each pool of 100 batches,
    cut into batches, and these are shuffled. Position p lies in batch p div batch size; the few
    pairs that fill no batch are left out of that epoch.
    """

    def __init__(self, run: Run, pairs: Pairs, device: torch.device):
        self.run, self.device = run, device
        self.size = run.training["batch_size"]
        self.noise = corruption(run) if of_tokens(run) else None
        targets, self.corrupted = noisy_targets(run, pairs.target)
        self.source, self.target = source_rows(run, pairs.source), target_rows(run, targets)
        self.lengths = self.source.lengths + self.target.lengths
        self.batches_per_epoch = len(self.lengths) // self.size
        if self.batches_per_epoch == 0:
            raise NoiselabError(
                f"{run.data}: {len(self.lengths)} training pairs fill no batch of {self.size}"
            )
        self._epoch_batches = lru_cache(maxsize=2)(self._batches)

    def __call__(self, start: int, stop: int) -> Batch:
        """Pairs at positions start … stop - 1, all of one batch.

        Inputs: PairInputs; targets int64 [n, T], PAD where there is nothing to predict; corrupted
        bool [n], pairs with the teacher's target, or, of wrong tokens, those of text. What the
        decoder reads stays clean but for a teacher's targets. The weights of a batch's parts are
        such that the mean of their losses is the mean over the tokens of the whole batch.
        """
        whole = self.indices(start // self.size)
        first = start % self.size
        index = whole[first : first + stop - start]
        rows = self.target(index)
        parts = self.size / (stop - start)
        count = np.maximum(self.target.lengths[whole] - 1, 0).sum()
        source = self._to_device(self.source(index))
        inputs = PairInputs(source, self._to_device(rows[:, :-1]), parts / max(1, int(count)))
        labels, corrupted = rows[:, 1:], self.corrupted[index]
        if self.noise is not None:
            labels, corrupted = self._with_wrong_tokens(labels, index, start)
        return Batch(inputs, self._to_device(labels), self._to_device(corrupted))

    def _with_wrong_tokens(self, labels: np.ndarray, index: np.ndarray, start: int):
        """Labels as taught, and which of those that are text are corrupted, bool, flat."""
        taught, corrupted = taught_rows(self.noise, self.run, labels, index, start)
        return taught, corrupted[labels >= self.noise.symbols]

    def indices(self, batch: int) -> np.ndarray:
        """Which pairs are in a batch, int64 [batch size]."""
        epoch, number = divmod(batch, self.batches_per_epoch)
        return self._epoch_batches(epoch)[number]

    def _batches(self, epoch: int) -> np.ndarray:
        seed, count = self.run.seed, self.batches_per_epoch
        order = streams.permutation(seed, "order", epoch, len(self.lengths))[: count * self.size]
        for pool in range(0, len(order), POOL * self.size):
            part = order[pool : pool + POOL * self.size]
            part[:] = part[np.argsort(self.lengths[part], kind="stable")]
        batches = order.reshape(count, self.size)
        return batches[streams.permutation(seed, "batches", epoch, count)]

    def _to_device(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device, non_blocking=True)
