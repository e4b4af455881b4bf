"""Guidance: mixtures of a denoiser over its conditions."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from noiselab.answers.analysis_tables import guided_table
from noiselab.models import edm, guidance
from noiselab.models.unet import unet
from noiselab.noise.corruptions.labels import ShiftLabel, UniformLabel
from test_edm import normal, shuffled

torch.set_num_threads(1)
CLASSES = 4


@pytest.fixture(scope="module")
def denoiser():
    torch.manual_seed(0)
    network = shuffled(unet(1, CLASSES, 8, width=8, multipliers=(1, 2)))
    return edm.Denoiser(network, edm.EDM()).eval()


def outputs(denoiser, images, sigma):
    """D for each image and class, [n, C, ...]."""
    columns = []
    for y in range(CLASSES):
        condition = torch.eye(CLASSES)[[y] * len(images)]
        columns.append(denoiser(images, sigma, condition))
    return torch.stack(columns, 1)


@torch.no_grad()
def test_a_mixed_denoiser_is_the_mixture_of_its_outputs(denoiser):
    images, sigma = normal(3, 1, 8, 8).float(), torch.tensor([0.1, 1.0, 10.0])
    rows = torch.rand(CLASSES, CLASSES, generator=torch.Generator().manual_seed(1))
    mixture = (rows / rows.sum(1, keepdim=True)).double().numpy()
    condition = torch.eye(CLASSES)[[2, 0, 3]]
    found = guidance.mixed(denoiser, mixture)(images, sigma, condition)
    each = outputs(denoiser, images, sigma)
    weights = torch.from_numpy(mixture).float()[[2, 0, 3]]
    expected = (weights[:, :, None, None, None] * each).sum(1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    same = guidance.mixed(denoiser, np.eye(CLASSES))(images, sigma, condition)
    torch.testing.assert_close(same, denoiser(images, sigma, condition))


def test_guidance_goes_away_from_the_mean_over_classes():
    d = np.random.default_rng(0).normal(size=(CLASSES, 5))
    mean = d.mean(0)
    found = guidance.guidance(CLASSES, 3.0) @ d
    assert found == pytest.approx(mean + 3 * (d - mean))
    assert guidance.guidance(CLASSES, 1.0) == pytest.approx(np.eye(CLASSES))


def test_known_noise_is_taken_out_of_what_noisy_labels_have_mixed():
    """Models of z that are means of the models of y, as they are where an image says nothing."""
    d, prior = np.random.default_rng(0).normal(size=(CLASSES, 5)), np.array([0.1, 0.2, 0.3, 0.4])
    for noise in (UniformLabel(0.4, CLASSES), ShiftLabel(0.3, CLASSES)):
        learned = noise.origins(prior) @ d
        assert guidance.without_noise(noise.origins(prior)) @ learned == pytest.approx(d)
    uniform = guidance.without_noise(UniformLabel(0.5, 10).origins(np.full(10, 0.1)))
    assert uniform == pytest.approx(guidance.guidance(10, 1 / (0.5 - 0.5 / 9)))


def test_noise_that_cannot_be_inverted_is_not():
    """Half of the labels shifted: with an even number of classes two mixtures are the same."""
    prior = np.full(CLASSES, 1 / CLASSES)
    assert guidance.without_noise(ShiftLabel(0.5, CLASSES).origins(prior)) is None
    assert guidance.without_noise(np.full((2, 2), np.nan)) is None


def test_a_level_of_no_known_image_is_corrected_exactly(denoiser):
    """Where the network says of each z the mean over y: that of y comes back."""

    class Learned(nn.Module):
        def __init__(self, d, origins):
            super().__init__()
            self.means = nn.Parameter(torch.from_numpy(origins @ d).float())

        def forward(self, images, level, condition):
            return (condition @ self.means)[:, :, None, None].expand_as(images)

    d = np.array([[1.0], [-2.0], [0.5], [3.0]])
    origins = UniformLabel(0.5, CLASSES).origins(np.full(CLASSES, 0.25))
    learned = edm.Denoiser(Learned(d, origins), edm.EDM())
    images, sigma = normal(4, 1, 2, 2).float(), torch.full((4,), 80.0)
    truth = edm.Denoiser(Learned(d, np.eye(CLASSES)), edm.EDM())
    found = guidance.mixed(learned, guidance.without_noise(origins))(images, sigma, torch.eye(4))
    torch.testing.assert_close(found, truth(images, sigma, torch.eye(4)), rtol=1e-4, atol=1e-4)


def test_the_table_pairs_values_with_floors_by_seed():
    keys = {"family": "diffusion", "dataset": "digits", "stands_in_for": "cifar10"}
    keys |= {"protocol": "text", "corruption": "uniform_label", "noise_ratio": 1.0}
    keys |= {"error_rate": 0.5, "way": "as it is"}
    rows = [(0, 45.0, 50.0), (1, 47.0, 51.0), (2, 49.0, 54.0)]
    measured = pd.DataFrame(
        [keys | {"run_id": f"r{s}", "seed": s, "consistency": c, "floor": f} for s, c, f in rows]
    )
    (cell,) = guided_table(measured).to_dict("records")
    assert cell["row"] == "uniform, as it is"
    assert (cell["ours"], cell["floor"]) == (47, pytest.approx(155 / 3))
    assert cell["excess"] == pytest.approx(47 - 155 / 3)
    assert cell["excess_low"] < cell["excess"] < cell["excess_high"] < 0
    assert cell["runs"] == "r0 r1 r2"
