"""Unigram and bigram count models: what a language model must beat before it has learned anything.

    u(w)   = (c(w) + b) / (N + b V)
    p(w|v) = (c(v, w) + a u(w)) / (c(v) + a)

c: counts of the training text, N its tokens, V the vocabulary. The second is the mean of a
Dirichlet distribution around u (MacKay and Peto, 1995). a and b are chosen on the end of the
training text, with the counts of what stands before it. Then all of the training text is counted.
Only pairs that are asked for are counted, chunk by chunk, so that memory does not grow with V^2.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

CHUNK = 2**22  # tokens that are counted at once
LONGEST = 2**30  # tokens of a text that are counted at most: its first
HELD_OUT = 0.1  # share of the training text that smoothing is chosen on, and at most
HELD_OUT_TOKENS = 2**20  # as many tokens


class Counts(NamedTuple):
    """Counts of a text for some pairs of tokens (v, w)."""

    pair: np.ndarray  # c(v, w), float64 [n]
    first: np.ndarray  # c(v) as the first of a pair, float64 [n]
    second: np.ndarray  # c(w), float64 [n]
    total: int  # N
    vocabulary: int  # V


class CountNLL(NamedTuple):
    """NLL of tokens in nats under both models, each float64 [n]."""

    unigram: np.ndarray
    bigram: np.ndarray


def count_nll(train: np.ndarray, pairs: np.ndarray, vocabulary: int) -> CountNLL:
    """NLL of the second token of each pair. train: int [N], a text of two tokens or more; pairs:
    int [n, 2], of another text; vocabulary: V, above all tokens."""
    train = train[:LONGEST]
    held = max(1, min(round(HELD_OUT * len(train)), HELD_OUT_TOKENS))
    tuned = _smoothing(train[:-held], windows_pairs([train[-held - 1 :]]), vocabulary)
    return _nll(counts(train, pairs, vocabulary), *tuned)


def windows_pairs(windows: list[np.ndarray]) -> np.ndarray:
    """All pairs of neighbours in windows of tokens, int64 [n, 2], in their order."""
    pairs = [np.stack([window[:-1], window[1:]], axis=1) for window in windows]
    return np.concatenate(pairs).astype(np.int64)


def counts(text: np.ndarray, pairs: np.ndarray, vocabulary: int) -> Counts:
    """How often these pairs and their tokens are in a text. text: int [N]; pairs: int [n, 2]."""
    asked, place = np.unique(pairs[:, 0] * vocabulary + pairs[:, 1], return_inverse=True)
    found = np.zeros(len(asked))
    singles = np.zeros(vocabulary)
    for start in range(0, len(text), CHUNK):
        part = np.asarray(text[start : start + CHUNK + 1], dtype=np.int64)  # one more, to pair
        singles += np.bincount(part[:CHUNK], minlength=vocabulary)
        codes = part[:-1] * vocabulary + part[1:]
        at = np.minimum(np.searchsorted(asked, codes), len(asked) - 1)
        found += np.bincount(at[asked[at] == codes], minlength=len(asked))
    firsts = singles.copy()
    if len(text):
        firsts[text[-1]] -= 1  # the last token begins no pair
    first, second = pairs.T
    return Counts(found[place.ravel()], firsts[first], singles[second], len(text), vocabulary)


def _smoothing(text: np.ndarray, held_out: np.ndarray, vocabulary: int) -> tuple[float, float]:
    """b and a of least NLL on pairs that are held out, the one after the other."""
    seen = counts(text, held_out, vocabulary)
    b = _least(lambda b: _nll(seen, b, 1.0).unigram.mean(), 1e-6, 1e2)
    a = _least(lambda a: _nll(seen, b, a).bigram.mean(), 1e-3, 1e7)
    return b, a


def _least(nll: Callable[[float], float], low: float, high: float) -> float:
    """Where a function of a positive number is least; searched on the scale of its logarithm."""
    found = minimize_scalar(
        lambda x: nll(np.exp(x)), bounds=(np.log(low), np.log(high)), method="bounded"
    )
    return float(np.exp(found.x))


def _nll(c: Counts, b: float, a: float) -> CountNLL:
    unigram = (c.second + b) / (c.total + b * c.vocabulary)
    bigram = (c.pair + a * unigram) / (c.first + a)
    return CountNLL(-np.log(unigram), -np.log(bigram))
