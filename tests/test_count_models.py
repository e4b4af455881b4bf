"""Unigram and bigram count models, against loops, known chains and other smoothing."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from noiselab.measures import count_models
from noiselab.measures.count_models import count_nll, counts, windows_pairs


def chain(length, vocabulary=12, seed=0):
    """A text from a Markov chain, and its transitions [V, V]."""
    rng = np.random.default_rng(seed)
    transitions = rng.dirichlet(np.full(vocabulary, 0.3), vocabulary)
    text, edges = [0], transitions.cumsum(1)
    for u in rng.random(length - 1):
        text.append(min(int(np.searchsorted(edges[text[-1]], u)), vocabulary - 1))
    return np.array(text, dtype=np.uint16), transitions


@pytest.mark.parametrize("chunk", [2, 3, 7, 1000])
def test_counts_are_those_of_a_loop(monkeypatch, chunk):
    monkeypatch.setattr(count_models, "CHUNK", chunk)
    text = np.random.default_rng(1).integers(0, 5, 60).astype(np.uint16)
    pairs = np.array([[a, b] for a in range(5) for b in range(5)] * 2)
    pair, single = Counter(pairwise(text.tolist())), Counter(text.tolist())
    first = Counter(text[:-1].tolist())
    found = counts(text, pairs, 5)
    assert list(found.pair) == [pair[tuple(p)] for p in pairs.tolist()]
    assert list(found.first) == [first[a] for a, _ in pairs.tolist()]
    assert list(found.second) == [single[b] for _, b in pairs.tolist()]


def test_both_models_are_distributions():
    text, _ = chain(500)
    every = np.array([[v, w] for v in range(15) for w in range(15)])  # three tokens never seen
    nll = count_nll(text, every, 15)
    for values in nll:
        assert np.exp(-values).reshape(15, 15).sum(1) == pytest.approx(np.ones(15))


def test_the_bigram_model_of_a_long_chain_is_the_chain():
    text, transitions = chain(100_000)
    pairs = windows_pairs([text[90_000:]])
    nll = count_nll(text[:90_000], pairs, 12)
    truth = -np.log(transitions[pairs[:, 0], pairs[:, 1]])
    assert nll.bigram.mean() == pytest.approx(truth.mean(), abs=0.005)
    share = np.bincount(text[:90_000], minlength=12) / 90_000
    assert nll.unigram.mean() == pytest.approx(-np.log(share[pairs[:, 1]]).mean(), abs=0.005)
    assert nll.unigram.mean() > nll.bigram.mean() + 0.3


def test_smoothing_is_near_the_best_that_the_test_text_allows():
    """Chosen without a look at it."""
    text, _ = chain(4_000, vocabulary=60, seed=3)
    pairs = windows_pairs([text[3_000:]])
    chosen = count_nll(text[:3_000], pairs, 60).bigram.mean()
    found = counts(text[:3_000], pairs, 60)
    tried = [count_models._nll(found, 1.0, a).bigram.mean() for a in np.geomspace(0.01, 1e4, 60)]
    assert chosen < min(tried) + 0.02
    assert max(tried) > chosen + 0.3


def test_a_text_without_order_leaves_the_bigram_model_no_better_than_the_unigram():
    text = np.random.default_rng(2).integers(0, 40, 20_000).astype(np.uint16)
    nll = count_nll(text[:15_000], windows_pairs([text[15_000:]]), 40)
    assert nll.bigram.mean() == pytest.approx(nll.unigram.mean(), abs=0.01)
    assert nll.unigram.mean() == pytest.approx(np.log(40), abs=0.01)


def test_gpt2s_vocabulary_takes_no_table_of_pairs():
    """V^2 counts would be 20 GB."""
    rng = np.random.default_rng(4)
    text = (50257 * rng.random(200_000) ** 3).astype(np.uint16)
    nll = count_nll(text[:150_000], windows_pairs([text[150_000:]]), 50257)
    assert np.isfinite(nll.bigram).all()
    assert nll.bigram.mean() < np.log(50257)


def test_a_token_at_the_largest_number_of_16_bits_is_no_overflow():
    text = np.array([65534, 65533, 65534, 65533], dtype=np.uint16)
    found = counts(text, np.array([[65534, 65533]]), 65535)
    assert found.pair == [2]
