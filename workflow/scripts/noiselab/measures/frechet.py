"""Fréchet distance between two sets of features (FID, Heusel et al. 2017, Eq. 6).

pytorch-fid's function of the same purpose is the tests' reference, no more: importing it costs
torchvision's seconds, it needs SciPy < 1.18, and its root of a product loses digits where there
are fewer images than features.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from noiselab import reading
from noiselab.errors import NoiselabError
from noiselab.files import save_arrays


class Moments(NamedTuple):
    """Of `count` feature vectors: mean float64 [d], unbiased covariance float64 [d, d]."""

    mean: np.ndarray
    covariance: np.ndarray
    count: int


def moments(batches: Iterable[np.ndarray]) -> Moments:
    """Moments of features that come in batches [n, d], in one pass.

    Each batch is centred on its own mean and then merged (Chan et al. 1979), which keeps the
    digits of features far from zero.
    """
    mean, scatter, count = 0.0, 0.0, 0
    for batch in batches:
        batch = np.asarray(batch, dtype=np.float64)
        share = len(batch) / (count + len(batch))
        centre = batch.mean(0)
        centred, shift = batch - centre, centre - mean
        scatter = scatter + centred.T @ centred + count * share * np.outer(shift, shift)
        mean = mean + share * shift
        count += len(batch)
    if count < 2:
        raise NoiselabError(f"a covariance needs two feature vectors or more, not {count}")
    return Moments(mean, scatter / (count - 1), count)


def frechet_distance(a: Moments, b: Moments) -> float:
    """|mean_a - mean_b|^2 + Tr(A + B - 2 (A B)^(1/2)) for covariances A and B.

    The last trace is the sum of the singular values of A^(1/2) B^(1/2): symmetric roots only,
    which exist for singular covariances, too. Not a number where a moment is none.
    """
    if not all(np.isfinite(part).all() for part in (*a[:2], *b[:2])):
        return float("nan")
    shift = a.mean - b.mean
    overlap = np.linalg.svd(_root(a.covariance) @ _root(b.covariance), compute_uv=False).sum()
    return float(shift @ shift + np.trace(a.covariance) + np.trace(b.covariance) - 2 * overlap)


def save(path: str | Path, features: Moments) -> None:
    """Write moments as npz, whole or not at all."""
    save_arrays(path, features._asdict())


def load(path: str | Path) -> Moments:
    """Read moments; NoiselabError where the file is missing or broken."""
    found = reading.arrays(path, *Moments._fields)
    mean = reading.expect(found["mean"], path, "mean", "f", (None,))
    square = (len(mean), len(mean))
    covariance = reading.expect(found["covariance"], path, "covariance", "f", square)
    count = reading.expect(found["count"], path, "count", "iu", ())
    return Moments(mean, covariance, int(count))


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(values.clip(min=0)) @ vectors.T
