"""Diffusion as in Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative
Models" (EDM): preconditioning, loss, deterministic sampler, and the model used as a classifier.

Noise is drawn by the caller, so everything here is a function of its arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

END = 2.0**-53  # least distance of a uniform number from 0 and 1, whose quantiles are infinite


@dataclass(frozen=True)
class Sampling:
    """Noise levels that a sampler steps through (Eq. 5)."""

    steps: int = 18
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0

    def noise_levels(self) -> Tensor:
        """From sigma_max down to sigma_min, then 0; float64 [steps + 1]."""
        first, last = self.sigma_max ** (1 / self.rho), self.sigma_min ** (1 / self.rho)
        share = torch.linspace(0, 1, self.steps, dtype=torch.float64)
        sigmas = (first + share * (last - first)) ** self.rho
        sigmas[0], sigmas[-1] = self.sigma_max, self.sigma_min  # free of rounding
        return torch.cat([sigmas, sigmas.new_zeros(1)])


class Preconditioning(NamedTuple):
    """Factors around the network, each with the shape of sigma."""

    c_skip: Tensor
    c_out: Tensor
    c_in: Tensor
    c_noise: Tensor


class Parametrisation(Protocol):
    """What a network is asked for, at which noise levels, and how images are drawn with it. Images
    x are seen as x + sigma e, e standard normal."""

    def noise_levels(self, u: Tensor) -> Tensor:
        """The u-quantile of training's noise levels for each uniform u in [0, 1], any shape."""

    def preconditioning(self, sigma: Tensor) -> Preconditioning:
        """Of these noise levels, any shape."""

    def loss_weight(self, sigma: Tensor) -> Tensor:
        """Of the denoiser's squared error, any shape."""

    def sample(self, denoiser: "Denoiser", noise: Tensor, condition: Tensor, steps: int) -> Tensor:
        """One image per row of standard normal noise [n, c, h, w] and condition [n, C], float64."""


@dataclass(frozen=True)
class EDM:
    """Table 1, last column. In training ln sigma is normal with this mean and deviation."""

    sigma_data: float = 0.5  # standard deviation of pixels
    p_mean: float = -1.2
    p_std: float = 1.2

    def noise_levels(self, u: Tensor) -> Tensor:
        """The u-quantile of the noise levels for each uniform u in [0, 1], any shape."""
        z = torch.special.ndtri(u.double().clamp(END, 1 - END))
        return torch.exp(self.p_mean + self.p_std * z).to(u.dtype)

    def preconditioning(self, sigma: Tensor) -> Preconditioning:
        """Unit variance for the network's input and for its target."""
        root = (sigma**2 + self.sigma_data**2).sqrt()
        return Preconditioning(
            c_skip=(self.sigma_data / root) ** 2,
            c_out=sigma * self.sigma_data / root,
            c_in=1 / root,
            c_noise=sigma.log() / 4,
        )

    def loss_weight(self, sigma: Tensor) -> Tensor:
        """lambda(sigma), 1 / c_out^2: at first all noise levels lose alike."""
        return (sigma**2 + self.sigma_data**2) / (sigma * self.sigma_data) ** 2

    def sample(self, denoiser: "Denoiser", noise: Tensor, condition: Tensor, steps: int) -> Tensor:
        """Heun's method in sigma: one image per row of standard normal noise [n, c, h, w] and
        condition [n, C], float64."""
        return sample(denoiser, noise, condition, Sampling(steps).noise_levels())


class Denoiser(nn.Module):
    """D(x; sigma, condition) = c_skip x + c_out F(c_in x; c_noise, condition) (Eq. 7).

    The network F computes in single precision or what autocast makes of it; the sum around it
    in the precision of x. The factors are those of the parametrisation.
    """

    def __init__(self, network: nn.Module, parametrisation: Parametrisation):
        super().__init__()
        self.network, self.parametrisation = network, parametrisation

    def forward(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        """x [n, c, h, w] at noise levels sigma [n], one-hot condition [n, C] -> [n, c, h, w]."""
        factors = self.parametrisation.preconditioning(sigma.to(x.dtype))
        c_skip, c_out, c_in = (factor[:, None, None, None] for factor in factors[:3])
        inside = self.network((c_in * x).float(), factors.c_noise.float(), condition)
        return c_skip * x + c_out * inside


def denoising_loss(
    denoiser: Callable[[Tensor, Tensor, Tensor], Tensor],
    images: Tensor,
    condition: Tensor,
    sigma: Tensor,
    noise: Tensor,
    loss_weight: Callable[[Tensor], Tensor],
) -> Tensor:
    """Weighted squared error of Eq. 8, mean over pixels, [n].

    images and standard normal noise [n, c, h, w], condition [n, C], sigma [n].
    """
    noisy = images + sigma[:, None, None, None] * noise
    error = denoiser(noisy, sigma, condition) - images
    return loss_weight(sigma) * error.square().flatten(1).mean(1)


# ------------------------------------------------------------------------------- sampling


def heun(denoise: Callable[[Tensor, float], Tensor], x: Tensor, sigmas: Tensor) -> Tensor:
    """Solve the probability-flow ODE by Heun's second-order method (Algorithm 1).

    x: state at sigmas[0]; denoise(x, sigma): D at one noise level for the whole batch. The
    state is float64. The last step, to 0, is Euler's: the slope has no value there.
    """
    x = x.double()
    for now, then in pairwise(sigmas.tolist()):
        slope = (x - denoise(x, now)) / now
        if then > 0:
            ahead = x + (then - now) * slope
            slope = (slope + (ahead - denoise(ahead, then)) / then) / 2
        x = x + (then - now) * slope
    return x


@torch.no_grad()
def sample(denoiser: Denoiser, noise: Tensor, condition: Tensor, sigmas: Tensor) -> Tensor:
    """One image per row of standard normal noise [n, c, h, w] and condition [n, C], float64."""
    denoiser.eval()

    def denoise(x: Tensor, sigma: float) -> Tensor:
        return denoiser(x, x.new_full((len(x),), sigma), condition)

    return heun(denoise, sigmas[0].item() * noise.double(), sigmas)


# ------------------------------------------------------------------------- classification


@torch.no_grad()
def class_errors(
    denoiser: Denoiser,
    images: Tensor,
    sigmas: Tensor,
    noise: Tensor,
    classes: int,
    loss_weight: Callable[[Tensor], Tensor],
    batch: int = 1000,
) -> np.ndarray:
    """Mean `denoising_loss` of every image given every class, float64 [n, C].

    The smallest of a row is the model's decision. sigmas [S] and noise [S, c, h, w] are the same
    for all images and classes, which takes their variance out of the comparison; batch: pairs
    of image and class per forward pass.
    """
    denoiser.eval()
    one_hot = torch.eye(classes, device=images.device)
    parts = []
    for pairs in torch.arange(len(images) * classes, device=images.device).split(batch):
        x, condition = images[pairs // classes], one_hot[pairs % classes]
        draws = [
            denoising_loss(denoiser, x, condition, s.expand(len(x)), e, loss_weight).double()
            for s, e in zip(sigmas, noise, strict=True)
        ]
        parts.append(torch.stack(draws).mean(0))
    return torch.cat(parts).unflatten(0, (-1, classes)).cpu().numpy()
