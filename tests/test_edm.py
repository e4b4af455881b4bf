"""EDM against Gaussian data, where denoiser, loss and ODE have closed forms."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from noiselab.models import edm
from noiselab.models.unet import unet

FULL = torch.tensor([[0.5, 0.2, 0.1], [0.2, 0.3, -0.1], [0.1, -0.1, 0.2]], dtype=torch.float64)
COVARIANCES = {"diagonal": torch.diag(torch.tensor([0.05, 0.3, 1.0, 0.25]).double()), "full": FULL}
SIGMA_DATA = 0.5
WEIGHT = edm.EDM(SIGMA_DATA).loss_weight


class Gaussian:
    """Data N(mean of the class, covariance) as images [n, 1, 1, d], and what is known of them."""

    def __init__(self, covariance, means=None):
        self.covariance, self.d = covariance, len(covariance)
        self.values, self.vectors = torch.linalg.eigh(covariance)
        generator = torch.Generator().manual_seed(1)
        random = torch.randn(1, self.d, generator=generator, dtype=torch.float64)
        self.means = random if means is None else means

    def images(self, n, seed=2):
        generator = torch.Generator().manual_seed(seed)
        z = torch.randn(n, self.d, generator=generator, dtype=torch.float64)
        return (self.means[0] + z @ torch.linalg.cholesky(self.covariance).T)[:, None, None]

    def denoise(self, x, sigma, condition=None):
        """E[image | noisy image] = mean + C (C + sigma^2)^-1 (x - mean)."""
        mean = self.means[:1] if condition is None else condition.to(x.dtype) @ self.means
        variance = torch.as_tensor(sigma, dtype=x.dtype).expand(len(x))[:, None] ** 2
        shrink = self.values / (self.values + variance)
        inside = (x[:, 0, 0] - mean) @ self.vectors * shrink
        return (mean + inside @ self.vectors.T)[:, None, None]

    def expected_loss(self, sigma):
        """Trace of the posterior's covariance, weighted; [n]."""
        variance = sigma[:, None] ** 2
        left = (self.values * variance / (self.values + variance)).mean(1)
        return WEIGHT(sigma) * left

    def solution(self, x, first, last):
        """The ODE's state at noise level `last` that was x at `first`."""
        factor = ((self.values + last**2) / (self.values + first**2)).sqrt()
        inside = (x[:, 0, 0] - self.means[0]) @ self.vectors * factor
        return (self.means[0] + inside @ self.vectors.T)[:, None, None]

    def eval(self):
        return self

    __call__ = denoise


@pytest.fixture(params=list(COVARIANCES))
def gaussian(request):
    return Gaussian(COVARIANCES[request.param])


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def shuffled(network: nn.Module) -> nn.Module:
    """The network with small random weights: as built, its last layers are zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in network.parameters():
            p += 0.05 * torch.randn(p.shape, generator=generator)
    return network


# ------------------------------------------------------------------------ preconditioning


def test_preconditioning_is_table_1():
    sigma = torch.logspace(-3, 2, 50, dtype=torch.float64)
    s, d = sigma.numpy(), SIGMA_DATA
    c = edm.EDM(d).preconditioning(sigma)
    assert c.c_skip.numpy() == pytest.approx(d**2 / (s**2 + d**2), rel=1e-14)
    assert c.c_out.numpy() == pytest.approx(s * d / np.sqrt(d**2 + s**2), rel=1e-14)
    assert c.c_in.numpy() == pytest.approx(1 / np.sqrt(s**2 + d**2), rel=1e-14)
    assert c.c_noise.numpy() == pytest.approx(np.log(s) / 4, rel=1e-14)
    weight = edm.EDM(d).loss_weight(sigma).numpy()
    assert weight == pytest.approx((s**2 + d**2) / (s * d) ** 2, rel=1e-14)


@pytest.mark.parametrize("sigma_data", [0.5, 0.8])
def test_network_sees_and_predicts_unit_variance_and_all_levels_weigh_alike(sigma_data):
    sigma = torch.logspace(-3, 2, 50, dtype=torch.float64)
    c = edm.EDM(sigma_data).preconditioning(sigma)
    one = torch.ones_like(sigma)
    torch.testing.assert_close(c.c_in**2 * (sigma**2 + sigma_data**2), one)
    # The target (y - c_skip (y + n)) / c_out of Eq. 8
    target = ((1 - c.c_skip) * sigma_data) ** 2 + (c.c_skip * sigma) ** 2
    torch.testing.assert_close(target / c.c_out**2, one, rtol=1e-9, atol=0)
    torch.testing.assert_close(edm.EDM(sigma_data).loss_weight(sigma) * c.c_out**2, one)


class Recorder(nn.Module):
    """A network that keeps its inputs and returns half of x."""

    def forward(self, x, c_noise, condition):
        self.seen = x, c_noise, condition
        return x / 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_denoiser_is_equation_7_in_the_precision_of_x(dtype):
    network = Recorder()
    x, sigma = normal(3, 2, 4, 4).to(dtype), torch.tensor([0.002, 0.5, 80.0])
    condition = torch.eye(3)
    result = edm.Denoiser(network, edm.EDM())(x, sigma, condition)
    seen, c_noise, label = network.seen
    assert (result.dtype, seen.dtype) == (dtype, torch.float32)
    assert torch.equal(label, condition)
    torch.testing.assert_close(c_noise, sigma.log() / 4)
    wide, square = sigma.double()[:, None, None, None], SIGMA_DATA**2
    root = (wide**2 + square).sqrt()
    expected = square / root**2 * x + wide * SIGMA_DATA / root * (x / root).float() / 2
    torch.testing.assert_close(result, expected.to(dtype))


def test_autocast_reaches_the_network_but_not_the_skip():
    network = nn.Conv2d(1, 1, 1)
    nn.init.zeros_(network.weight)
    nn.init.zeros_(network.bias)

    def inside(x, c_noise, condition):
        result = network(x)
        dtypes.append(result.dtype)
        return result

    dtypes = []
    denoiser = edm.Denoiser(nn.Identity(), edm.EDM())
    denoiser.network.forward = inside
    x, sigma = normal(5, 1, 4, 4).float(), torch.full((5,), 0.5)
    with torch.autocast("cpu", torch.bfloat16):
        result = denoiser(x, sigma, torch.eye(5))
    assert dtypes == [torch.bfloat16]
    torch.testing.assert_close(result, x / 2, rtol=1e-6, atol=0)


# ----------------------------------------------------------------------------------- loss


def test_noise_levels_of_training_are_log_normal():
    u = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    levels = edm.EDM().noise_levels(u)
    assert levels.log().mean().item() == pytest.approx(-1.2, abs=1e-6)
    assert levels.log().std().item() == pytest.approx(1.2, abs=1e-3)
    for dtype in (torch.float32, torch.float64):
        ends = edm.EDM().noise_levels(torch.tensor([0.0, 0.5, 1.0], dtype=dtype))
        assert ends[1].item() == pytest.approx(math.exp(-1.2))
        assert 0 < ends[0] < ends[2] < math.inf


def test_loss_is_a_loop_over_images():
    data = Gaussian(FULL)
    images, noise = data.images(5), normal(5, 1, 1, 3)
    sigma = torch.tensor([0.01, 0.1, 0.3, 1.0, 10.0]).double()
    losses = edm.denoising_loss(data, images, torch.ones(5, 1), sigma, noise, WEIGHT)
    for i, s in enumerate(sigma.tolist()):
        found = data.denoise(images[i : i + 1] + s * noise[i], s)
        squared = np.mean((found - images[i]).numpy() ** 2)
        expected = (s**2 + 0.25) / (0.5 * s) ** 2 * squared
        assert losses[i].item() == pytest.approx(expected, rel=1e-12)


def test_the_ideal_denoiser_has_the_loss_of_theory_and_others_have_more(gaussian):
    n = 100_000
    u = torch.rand(n, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    sigma = edm.EDM().noise_levels(u)
    batch = gaussian.images(n), torch.ones(n, 1), sigma, normal(n, 1, 1, gaussian.d)

    def losses(denoiser):
        return edm.denoising_loss(denoiser, *batch, WEIGHT)

    ideal = losses(gaussian)
    difference = ideal - gaussian.expected_loss(sigma)
    assert abs(difference.mean()) < 4 * difference.std() / math.sqrt(n)
    for other in (
        lambda x, s, c: gaussian.denoise(x, s) + 0.02 * s[:, None, None, None],
        lambda x, s, c: gaussian.denoise(x, 1.1 * s),
        lambda x, s, c: 0.95 * gaussian.denoise(x, s),
    ):
        rise = losses(other) - ideal
        assert rise.mean() > 4 * rise.std() / math.sqrt(n)


# ------------------------------------------------------------------------------- sampling


def test_noise_levels_of_sampling_are_equation_5():
    sigmas = edm.Sampling().noise_levels()
    assert (sigmas.dtype, len(sigmas)) == (torch.float64, 19)
    assert sigmas[0].item() == 80
    assert sigmas[17].item() == 0.002
    assert sigmas[18].item() == 0
    assert (sigmas.diff() < 0).all()
    for i in range(18):
        root = 80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))
        assert sigmas[i].item() == pytest.approx(root**7, rel=1e-12)
    short = edm.Sampling(steps=3, sigma_min=1.0, sigma_max=9.0, rho=2.0).noise_levels()
    assert short.tolist() == pytest.approx([9, 4, 1, 0])


# The method's own error on these data, relative to their deviation: 4 to 9 % at 18 steps, always
# too large, and by its second order a sixteenth of that (a little less) at 72.
@pytest.mark.parametrize(("steps", "allowed"), [(18, 0.09), (72, 0.09 / 16)])
def test_samples_have_mean_and_covariance_of_the_data(gaussian, steps, allowed):
    n, sigmas = 40_000, edm.Sampling(steps=steps).noise_levels()
    start = 80 * normal(n, 1, 1, gaussian.d)
    found = edm.heun(gaussian.denoise, start, sigmas)
    exact, mean = gaussian.solution(start, 80.0, 0.0), gaussian.means[0]
    assert (found - exact).square().mean() < allowed**2 * (exact - mean).square().mean()
    # The start does not know the mean, which therefore lacks a share of deviation / sigma_max.
    variances = gaussian.covariance.diagonal()
    error = (found[:, 0, 0].mean(0) - mean).abs()
    forgotten = mean.norm() * gaussian.values.max().sqrt() / 80
    assert (error < 4 * (variances / n).sqrt() + (1 + allowed) * forgotten).all()
    # Four deviations of a sampled covariance, and the square of what the method adds.
    scale = (variances[:, None] * variances).sqrt()
    error = (found[:, 0, 0].T.cov() - gaussian.covariance).abs()
    assert (error < (4 * math.sqrt(2 / n) + (1 + allowed) ** 2 - 1) * scale).all()


def euler(denoise, x, sigmas):
    for now, then in pairwise(sigmas.tolist()):
        x = x + (then - now) * (x - denoise(x, now)) / now
    return x


@pytest.mark.parametrize(("solver", "order"), [(edm.heun, 2), (euler, 1)])
def test_error_falls_with_the_order_of_the_solver(gaussian, solver, order):
    start = 80 * normal(100, 1, 1, gaussian.d)
    exact = gaussian.solution(start, 80.0, 0.002)
    errors = []
    for steps in (64, 128, 256):
        sigmas = edm.Sampling(steps=steps).noise_levels()[:-1]
        found = solver(gaussian.denoise, start, sigmas)
        errors.append((found - exact).square().mean().sqrt().item())
    for coarse, fine in pairwise(errors):
        assert 0.75 * 2**order < coarse / fine < 1.25 * 2**order


def test_an_image_does_not_depend_on_the_others_in_its_batch():
    denoiser = edm.Denoiser(shuffled(unet(1, 3, 8, width=16, multipliers=(1, 2))), edm.EDM())
    noise, condition = normal(6, 1, 8, 8), torch.eye(3)[torch.arange(6) % 3]
    sigmas = edm.Sampling(steps=6).noise_levels()
    whole = edm.sample(denoiser, noise, condition, sigmas)
    assert (whole.shape, whole.dtype) == (noise.shape, torch.float64)
    with torch.no_grad():
        solved = edm.heun(
            lambda x, s: denoiser(x, x.new_full((6,), s), condition), 80 * noise, sigmas
        )
    assert torch.equal(whole, solved)
    for size in (1, 2, 4):
        parts = [
            edm.sample(denoiser, *part, sigmas)
            for part in zip(noise.split(size), condition.split(size), strict=True)
        ]
        torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-5)


# ------------------------------------------------------------------------- classification


@pytest.fixture
def classes():
    """Three Gaussian classes, about four deviations apart."""
    means = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
    return Gaussian(torch.eye(3, dtype=torch.float64) * 0.1, means)


def labelled(classes, n):
    labels = torch.arange(n) % 3
    centred = Gaussian(classes.covariance, torch.zeros(1, 3).double()).images(n)
    return centred + classes.means[labels][:, None, None], labels


def draws(count):
    u = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return edm.EDM().noise_levels(u), normal(count, 1, 1, 3)


def test_the_smallest_error_is_the_bayes_decision(classes):
    images, labels = labelled(classes, 300)
    errors = edm.class_errors(classes, images, *draws(400), 3, WEIGHT)
    distances = ((images[:, 0] - classes.means) ** 2).sum(-1)
    # Equal covariances and classes: Bayes takes the nearest mean. Near its border, draws decide.
    two = distances.sort(1).values
    clear = (two[:, 1] - two[:, 0] > 0.2).numpy()
    assert clear.mean() > 0.9
    assert np.array_equal(errors.argmin(1)[clear], distances.argmin(1).numpy()[clear])
    assert (errors.argmin(1) == labels.numpy()).mean() > 0.95


def test_class_errors_are_a_loop_whatever_the_batch(classes):
    images, _ = labelled(classes, 4)
    sigmas, noise = draws(5)
    errors = edm.class_errors(classes, images, sigmas, noise, 3, WEIGHT)
    assert (errors.shape, errors.dtype) == ((4, 3), np.float64)
    for i, image in enumerate(images):
        for c in range(3):
            condition = torch.eye(3)[c : c + 1]
            losses = [
                edm.denoising_loss(classes, image[None], condition, s[None], e[None], WEIGHT)
                for s, e in zip(sigmas, noise, strict=True)
            ]
            assert errors[i, c] == pytest.approx(torch.cat(losses).mean().item(), rel=1e-12)
    for batch in (1, 5, 12):
        again = edm.class_errors(classes, images, sigmas, noise, 3, WEIGHT, batch=batch)
        assert again == pytest.approx(errors, rel=1e-12)


# --------------------------------------------------------------------------- all together


def test_a_small_network_learns_to_draw_and_to_tell_two_classes():
    torch.manual_seed(0)
    network = unet(1, 2, 4, width=16, multipliers=(1,), blocks=1, attention=(), dropout=0.0)
    denoiser = edm.Denoiser(network, edm.EDM())
    optimizer = torch.optim.Adam(denoiser.parameters(), lr=5e-3)
    condition = torch.eye(2)[torch.arange(32) % 2]
    sign = (2 * condition[:, 0] - 1)[:, None, None, None]
    for _ in range(80):
        images = 0.5 * sign + 0.1 * torch.randn(32, 1, 4, 4)
        sigma, noise = edm.EDM().noise_levels(torch.rand(32)), torch.randn(32, 1, 4, 4)
        batch = images, condition, sigma, noise
        edm.denoising_loss(denoiser, *batch, WEIGHT).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    sigmas = edm.Sampling().noise_levels()
    found = edm.sample(denoiser, torch.randn(32, 1, 4, 4), condition, sigmas)
    assert ((found * sign).mean((1, 2, 3)) > 0.25).all()
    shared = edm.EDM().noise_levels(torch.rand(8)), torch.randn(8, 1, 4, 4)
    errors = edm.class_errors(denoiser, images, *shared, 2, WEIGHT)
    assert np.array_equal(errors.argmin(1), condition.argmax(1).numpy())
