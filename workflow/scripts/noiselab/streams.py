"""Counter-based random streams: random numbers as a pure function of (seed, stream, position).

Philox is a block cipher on a counter, so any stretch of a stream can be computed without the
part before it. Processes, restarts and batch sizes therefore cannot change what is drawn.
Noise, data order, augmentation and weights each have a stream: all noise ratios of one seed
share order and initial weights, and differ by the noise alone.
"""

import hashlib
from functools import lru_cache

import numpy as np

_BLOCK = 4  # 64-bit words that one Philox counter value yields


def uniform(seed: int, stream: str, start: int, stop: int) -> np.ndarray:
    """Uniform numbers in [0, 1) at positions `start` to `stop - 1` of a stream, float64 [n]."""
    skip = start % _BLOCK
    counter = [start // _BLOCK, 0, 0, 0]
    return _generator(seed, stream, counter).random(stop - start + skip)[skip:]


def permutation(seed: int, stream: str, index: int, n: int) -> np.ndarray:
    """The `index`-th random order of 0 … n-1 of a stream, int64 [n]."""
    return _generator(seed, stream, [0, index, 0, 0]).permutation(n)


def integer(seed: int, stream: str, position: int) -> int:
    """One integer below 2^63, to seed another library's generator."""
    return int(_generator(seed, stream, [0, 0, position, 0]).integers(2**63 - 1))


def _generator(seed: int, stream: str, counter: list[int]) -> np.random.Generator:
    key = np.array([seed, _stream_number(stream)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


@lru_cache
def _stream_number(stream: str) -> int:
    return int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "little")
