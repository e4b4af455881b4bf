"""Which targets a run is taught: its corruption, drawn from its stream of random numbers."""

from functools import lru_cache

import numpy as np

from noiselab import streams
from noiselab.noise.base import Corruption
from noiselab.run import Run


def taught_labels(
    noise: Corruption, run: Run, labels: np.ndarray, index: np.ndarray, start: int, stop: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labels that a run is taught at positions start … stop - 1 of its stream of examples.

    noise: that of the run; labels: int64 [N], of all training examples; index: which of them stand
    there, int64 [n]. With `fixed` noise, drawn once per example, the positions do not matter.
    Returns labels int64 [n] and which are corrupted, bool [n].
    """
    return noise.taught(labels, index, _label_uniforms(run, len(labels), index, start, stop))


def _label_uniforms(run: Run, count: int, index: np.ndarray, start: int, stop: int):
    """Float64 [n]; None where nothing is drawn."""
    if run.resample == "none":
        return None
    if run.resample == "fixed":
        return _once(run.seed, count)[index]
    return streams.uniform(run.seed, "noise", start, stop)  # drawn anew at every visit


@lru_cache(maxsize=1)
def _once(seed: int, count: int) -> np.ndarray:
    """Uniform numbers of all training examples, float64 [count]: asked for with each batch."""
    return streams.uniform(seed, "noise", 0, count)


def taught_tokens(
    noise: Corruption, run: Run, targets: np.ndarray, places: np.ndarray, start: int
) -> tuple[np.ndarray, np.ndarray]:
    """Targets that a run is taught by the sequences at positions start, start + 1, …

    targets: int64 [n, length], the true ones; places: of their first tokens in the text, int64 [n],
    which matter with `fixed` noise. Returns targets and which are corrupted, bool, [n, length].
    """
    return noise.draw(targets, _token_uniforms(run, targets.shape, places, start))


def _token_uniforms(run: Run, shape: tuple[int, int], places: np.ndarray, start: int):
    """Float64 [n, length]; None where nothing is drawn."""
    count, length = shape
    if run.resample == "none":
        return None
    if run.resample == "fixed":  # drawn once per token of the text
        return np.stack([streams.uniform(run.seed, "noise", p, p + length) for p in places])
    u = streams.uniform(run.seed, "noise", start * length, (start + count) * length)
    return u.reshape(shape)


def taught_rows(
    noise: Corruption, run: Run, targets: np.ndarray, index: np.ndarray, start: int
) -> tuple[np.ndarray, np.ndarray]:
    """Targets that a run is taught by the sequences of training pairs at positions start, …

    targets: int64 [n, length], the true ones, padded at the end; index: which pairs these are,
    int64 [n], which matters with `fixed` noise. Each sequence has as many random numbers as the
    longest, so that a target's do not depend on its batch. Returns targets and which are corrupted,
    bool, [n, length].
    """
    width = run.target_length + 1
    rows = index if run.resample == "fixed" else np.arange(start, start + len(index))
    u = [streams.uniform(run.seed, "noise", i * width, i * width + targets.shape[1]) for i in rows]
    return noise.draw(targets, np.stack(u))
