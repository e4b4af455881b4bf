"""Data sets that a rule makes: examples are a few tokens and a class.

They are stored as images of one pixel are, with tokens in the place of channels: uint8
[n, T, 1, 1].
"""

from itertools import product

import numpy as np

from noiselab import streams
from noiselab.data.prepared import Split


def splits(spec: dict) -> tuple[Split, Split, str]:
    """Training and test examples, and where they come from. spec: with its sizes."""
    makers = {"modular_addition": _modular_addition, "sparse_parity": _sparse_parity}
    tokens, labels, origin = makers[spec["kind"]](spec)
    images, train = tokens.astype(np.uint8)[:, :, None, None], spec["train_size"]
    parts = slice(0, train), slice(train, train + spec["test_size"])
    return *(Split(images[part], labels[part]) for part in parts), origin


def _modular_addition(spec: dict) -> tuple[np.ndarray, np.ndarray, str]:
    """All pairs a, b and a last token that asks for (a + b) mod p, in a fixed random order."""
    modulus = spec["modulus"]
    pairs = np.array(list(product(range(modulus), repeat=2)), dtype=np.int64)
    pairs = pairs[streams.permutation(0, "modular-addition", modulus, len(pairs))]
    asked = np.full((len(pairs), 1), modulus)
    return np.hstack([pairs, asked]), pairs.sum(1) % modulus, f"all pairs of numbers mod {modulus}"


def _sparse_parity(spec: dict) -> tuple[np.ndarray, np.ndarray, str]:
    """Random bits, no two cases alike, and the parity of some of them, whose places are fixed and
    random."""
    count, bits = spec["train_size"] + spec["test_size"], spec["bits"]
    values = _distinct_bits(count, bits)
    places = np.sort(streams.permutation(0, "parity-places", bits, bits)[: spec["relevant"]])
    told = ", ".join(map(str, places))
    return values, values[:, places].sum(1) % 2, f"random bits; the parity of those at {told}"


def _distinct_bits(count: int, bits: int) -> np.ndarray:
    """The first `count` rows of a stream of random bits without those that were there before,
    int64 [count, bits]. count: at most 2^bits."""
    rows, place = np.empty((0, bits), dtype=np.int64), 0
    while len(rows) < count:
        u = streams.uniform(0, "parity-bits", place, place + count * bits)
        place += count * bits
        rows = np.concatenate([rows, (u < 0.5).astype(np.int64).reshape(count, bits)])
        packed = np.packbits(rows.astype(np.uint8), axis=1)
        rows = rows[np.sort(np.unique(packed, axis=0, return_index=True)[1])]
    return rows[:count]
