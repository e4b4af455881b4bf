"""Random streams are pure functions of seed, name and position."""

import numpy as np
import pytest

from noiselab import streams


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (1, 9), (5, 6), (3, 1000), (997, 1000)])
def test_any_stretch_is_part_of_the_whole_stream(start, stop):
    whole = streams.uniform(7, "noise", 0, 1000)
    assert np.array_equal(streams.uniform(7, "noise", start, stop), whole[start:stop])


def test_matches_numpys_philox():
    key = np.array([7, streams._stream_number("noise")], dtype=np.uint64)
    reference = np.random.Generator(np.random.Philox(key=key)).random(100)
    assert np.array_equal(streams.uniform(7, "noise", 0, 100), reference)


def test_seeds_and_streams_are_unrelated():
    draws = [streams.uniform(s, name, 0, 20000) for s in (0, 1) for name in ("noise", "order")]
    correlation = np.corrcoef(draws)[np.triu_indices(4, 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(20000)


def test_permutations_are_complete_and_differ_by_epoch():
    first, second = (streams.permutation(0, "order", epoch, 500) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(500))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, streams.permutation(0, "order", 0, 500))
