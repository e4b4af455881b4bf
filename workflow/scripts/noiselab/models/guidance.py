"""Sampling with all conditions at once: guidance of a class-conditional denoiser, with no other
training.

What a network says of an image given each class is mixed by a matrix A, whose rows sum to 1: row y
has the weights of the classes for an image of class y. As a denoiser is its network's output times
a factor plus a share of the image, the denoiser is mixed alike.
"""

import numpy as np
import torch
from torch import Tensor, nn

from noiselab.models.edm import Denoiser

CONDITION = 1e6  # condition number of a matrix from which on its inverse means nothing


class Mixed(nn.Module):
    """A network whose output for a condition is a mixture of its outputs for all conditions.

    network: (images [n, c, h, w], level [n], one-hot condition [n, C]) -> [n, c, h, w]; mixture:
    A, float [C, C].
    """

    def __init__(self, network: nn.Module, mixture: np.ndarray):
        super().__init__()
        self.network = network
        self.register_buffer("mixture", torch.from_numpy(mixture).float())

    def forward(self, images: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        classes = len(self.mixture)
        each = torch.eye(classes, device=images.device).repeat(len(images), 1)
        repeated = (tensor.repeat_interleave(classes, 0) for tensor in (images, level))
        outputs = self.network(*repeated, each).unflatten(0, (-1, classes))
        return torch.einsum("nc,nc...->n...", condition @ self.mixture.to(condition), outputs)


def mixed(denoiser: Denoiser, mixture: np.ndarray) -> Denoiser:
    """The denoiser with its outputs mixed; it shares the weights."""
    device = next(denoiser.network.parameters()).device
    return Denoiser(Mixed(denoiser.network, mixture).to(device), denoiser.parametrisation)


def guidance(classes: int, strength: float) -> np.ndarray:
    """Classifier-free guidance (Ho and Salimans 2022) without a model of its own that knows no
    class: the mean over the classes stands in for it. strength: w; 1 changes nothing."""
    return strength * np.eye(classes) + (1 - strength) / classes


def without_noise(origins: np.ndarray) -> np.ndarray | None:
    """The mixture that takes known label noise out; None where it cannot be.

    origins: P(y|z), the probability that what is labelled z is truly y, float [z, y]. Where an
    image says nothing of its class yet, a model of z has learned the mean of the models of y under
    these; so their inverse gives the model of y. As the class shows in the image, all models say
    the same, and any mixture of them is that.
    """
    if not np.isfinite(origins).all() or np.linalg.cond(origins) > CONDITION:
        return None
    return np.linalg.inv(origins)
