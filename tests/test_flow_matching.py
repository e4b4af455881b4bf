"""Flow matching against Gaussian data, where velocity, denoiser and samples have closed forms."""

import numpy as np
import pytest
import torch
from torch import nn

from noiselab.errors import NoiselabError
from noiselab.families.diffusion import task as diffusion
from noiselab.models import edm
from noiselab.models.flow_matching import END, FlowMatching
from test_diffusion import run_of
from test_edm import COVARIANCES, Gaussian, normal

FLOW, CPU = FlowMatching(), torch.device("cpu")


class Velocity(nn.Module):
    """E[e - x | x_t] of a Gaussian: images [n, 1, 1, d] at the one time of t [n]."""

    def __init__(self, gaussian):
        super().__init__()
        self.mean, self.covariance = gaussian.means[0], gaussian.covariance

    def forward(self, x, t, condition):
        t = t.double()[0]
        spread = (1 - t) ** 2 * self.covariance + t**2 * torch.eye(len(self.mean)).double()
        away = torch.linalg.solve(spread, (x[:, 0, 0].double() - (1 - t) * self.mean).T).T
        image = self.mean + (1 - t) * away @ self.covariance
        return (t * away - image)[:, None, None]


@pytest.fixture(params=list(COVARIANCES))
def gaussian(request):
    return Gaussian(COVARIANCES[request.param])


def drawn(gaussian, steps):
    """Mean and covariance of what is sampled. All is affine, so the images of zero and of the unit
    vectors say what becomes of a standard normal distribution."""
    denoiser = edm.Denoiser(Velocity(gaussian), FLOW)
    starts = torch.cat([torch.zeros(1, gaussian.d), torch.eye(gaussian.d)])[:, None, None]
    ends = FLOW.sample(denoiser, starts, torch.ones(len(starts), 1), steps)[:, 0, 0]
    columns = ends[1:] - ends[0]
    return ends[0], columns.T @ columns


def test_samples_have_mean_and_covariance_of_the_data(gaussian):
    errors = []
    for steps in (50, 200):
        mean, covariance = drawn(gaussian, steps)
        errors.append(
            max(
                (mean - gaussian.means[0]).abs().max(),
                (covariance - gaussian.covariance).abs().max(),
            )
        )
    assert errors[1] < 1e-3
    assert errors[1] < errors[0] / 10  # of second order: a sixteenth


def test_the_denoiser_with_the_best_velocity_is_the_posterior_mean(gaussian):
    """Of x + sigma e, as EDM's denoiser has it."""
    images, denoiser = gaussian.images(5), edm.Denoiser(Velocity(gaussian), FLOW)
    for level in (0.01, 0.3, 2.0, 50.0):
        noisy = images + level * normal(*images.shape)
        found = denoiser(noisy, torch.full((5,), level, dtype=torch.float64), torch.ones(5, 1))
        torch.testing.assert_close(found, gaussian.denoise(noisy, level), rtol=1e-4, atol=1e-4)


def test_the_loss_is_the_squared_error_of_the_velocity():
    images, noise = normal(6, 1, 2, 2), normal(6, 1, 2, 2, seed=1)
    t = torch.tensor([1e-3, 0.1, 0.3, 0.5, 0.9, 0.999], dtype=torch.float64)
    wide = t[:, None, None, None]

    class Network(nn.Module):
        def forward(self, x, time, condition):
            return 0.3 * x.double() + time.double()[:, None, None, None]

    denoiser = edm.Denoiser(Network(), FLOW)
    losses = edm.denoising_loss(
        denoiser, images, torch.ones(6, 1), t / (1 - t), noise, FLOW.loss_weight
    )
    seen = (1 - wide) * images + wide * noise
    error = 0.3 * seen + wide - (noise - images)
    expected = error.square().flatten(1).mean(1)
    torch.testing.assert_close(losses, expected, rtol=1e-3, atol=1e-5)


def test_times_of_training_are_uniform_and_levels_finite():
    u = torch.linspace(0, 1, 11, dtype=torch.float64)
    sigma = FLOW.noise_levels(u)
    assert sigma.isfinite().all()
    assert (sigma > 0).all()
    t = sigma / (1 + sigma)
    torch.testing.assert_close(t, u.clamp(END, 1 - END))
    assert FLOW.noise_levels(torch.tensor([0.0, 1.0])).isfinite().all()


def test_losses_are_finite_at_the_ends_in_single_precision():
    class Network(nn.Module):
        def forward(self, x, time, condition):
            return x

    denoiser = edm.Denoiser(Network(), FLOW)
    images, noise = normal(2, 1, 2, 2).float(), normal(2, 1, 2, 2, seed=1).float()
    sigma = FLOW.noise_levels(torch.tensor([0.0, 1.0]))
    losses = edm.denoising_loss(denoiser, images, torch.ones(2, 1), sigma, noise, FLOW.loss_weight)
    wide = torch.tensor([END, 1 - END])[:, None, None, None]
    error = (1 - wide) * images + wide * noise - (noise - images)
    torch.testing.assert_close(losses, error.square().flatten(1).mean(1), rtol=0.01, atol=1e-3)


def test_a_run_with_flow_matching_samples():
    run, plain = run_of(training={"parametrisation": "flow_matching"}), run_of()
    assert "parametrisation" not in plain.content()  # such runs stay as they were
    model, labels = diffusion.build(run), np.arange(4)
    images = diffusion.sample(model, run, np.arange(4), labels, CPU)
    assert images.shape == (4, 1, 8, 8)
    again = diffusion.sample(model, run, np.arange(2, 4), labels[2:], CPU)
    assert np.abs(again.astype(int) - images[2:]).max() <= 1
    edms = diffusion.build(plain)
    assert isinstance(edms.parametrisation, edm.EDM)
    pairs = zip(model.parameters(), edms.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_an_unknown_parametrisation_is_refused():
    with pytest.raises(NoiselabError, match="parametrisation: no 'score'"):
        run_of(training={"parametrisation": "score"})
