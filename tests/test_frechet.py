"""The Fréchet distance, against pytorch-fid and closed forms."""

import math

import numpy as np
import pytest

from noiselab.errors import NoiselabError
from noiselab.measures import frechet


def features(n, d, seed):
    """Correlated features with a mean that is not zero."""
    rng = np.random.default_rng(seed)
    return 1 + rng.normal(size=(n, d)) @ (rng.normal(size=(d, d)) / math.sqrt(d))


def distance(a, b):
    return frechet.frechet_distance(frechet.moments([a]), frechet.moments([b]))


@pytest.mark.filterwarnings("ignore:.*disp:DeprecationWarning")
@pytest.mark.parametrize(("n", "d"), [(200, 2), (500, 16), (1000, 64)])
def test_distance_is_that_of_pytorch_fid(n, d):
    from pytorch_fid.fid_score import calculate_frechet_distance

    a, b = (frechet.moments([features(n, d, seed)]) for seed in (0, 1))
    expected = calculate_frechet_distance(a.mean, a.covariance, b.mean, b.covariance)
    assert frechet.frechet_distance(a, b) == pytest.approx(expected, abs=1e-6)


def test_distance_with_fewer_images_than_features_is_exact():
    a, b = features(30, 64, 0), features(40, 64, 1)
    # With covariances X'X and Y'Y, the last trace is the nuclear norm of the small matrix X Y'.
    x, y = ((f - f.mean(0)) / math.sqrt(len(f) - 1) for f in (a, b))
    shift = a.mean(0) - b.mean(0)
    expected = shift @ shift + (x**2).sum() + (y**2).sum() - 2 * np.linalg.norm(x @ y.T, "nuc")
    assert distance(a, b) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("n", [10, 500])
def test_identical_sets_are_at_distance_zero_and_shifted_ones_at_the_shift_squared(n):
    a = features(n, 20, 0)
    v = np.linspace(-1, 2, 20)
    assert distance(a, a) == pytest.approx(0, abs=1e-9)
    assert distance(a, a + v) == pytest.approx(v @ v, abs=1e-9)


def test_distance_of_axis_parallel_gaussians_is_that_of_their_deviations():
    first, second = np.array([1.0, 2.0, 0.0]), np.array([3.0, 0.5, 1.0])
    a, b = (frechet.Moments(np.zeros(3), np.diag(s**2), 100) for s in (first, second))
    assert frechet.frechet_distance(a, b) == pytest.approx(((first - second) ** 2).sum())


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_moments_are_numpys_whatever_the_batches(size):
    data = features(300, 8, 0) * [1e-3, 1, 1, 1, 1, 1, 1, 1e3] + 1e4  # far from zero
    found = frechet.moments(data[i : i + size] for i in range(0, 300, size))
    assert found.count == 300
    assert found.mean == pytest.approx(data.mean(0), rel=1e-12)
    # The data themselves are rounded to 1e4 / 2^53 or about 1e-12.
    assert found.covariance == pytest.approx(np.cov(data.T), rel=1e-9, abs=1e-9)


def test_half_precision_features_are_summed_in_double():
    data = features(1000, 4, 0).astype(np.float16)
    found = frechet.moments([data[:400], data[400:]])
    assert found.covariance.dtype == np.float64
    assert found.covariance == pytest.approx(np.cov(data.astype(np.float64).T), abs=1e-12)


@pytest.mark.parametrize("n", [0, 1])
def test_a_covariance_needs_two_vectors(n):
    with pytest.raises(NoiselabError, match=f"not {n}$"):
        frechet.moments([np.ones((1, 3))] * n)


def test_moments_survive_their_file(tmp_path):
    written = frechet.moments([features(50, 5, 0)])
    frechet.save(tmp_path / "new" / "moments.npz", written)
    read = frechet.load(tmp_path / "new" / "moments.npz")
    assert np.array_equal(read.mean, written.mean)
    assert np.array_equal(read.covariance, written.covariance)
    assert read.count == 50
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["moments.npz"]


@pytest.mark.parametrize("content", [None, b"", b"broken", b"PK\x03\x04 broken"])
def test_a_missing_or_broken_file_is_one_line(tmp_path, content):
    path = tmp_path / "moments.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NoiselabError, match=r"moments\.npz") as error:
        frechet.load(path)
    assert "\n" not in str(error.value)
