"""Flow matching on straight paths: a network of the velocity that carries noise to images.

Lipman et al. 2023, "Flow Matching for Generative Modeling", with sigma_min = 0; also the rectified
flow of Liu et al. 2023. The path is x_t = (1 - t) x + t e from an image x to noise e. Over (1 - t)
that is x + sigma e with sigma = t / (1 - t), so that the model is a denoiser like EDM's with other
factors: training, and the model used as a classifier, are shared with it.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from noiselab.models.edm import Denoiser, Preconditioning

END = 1e-4  # least distance of t from 0 and 1, where images in single precision have no velocity


@dataclass(frozen=True)
class FlowMatching:
    """The network F has x_t and t, and gives the velocity e - x."""

    def noise_levels(self, u: Tensor) -> Tensor:
        """sigma of t = u, uniform as in the paper; any shape."""
        t = u.double().clamp(END, 1 - END)
        return (t / (1 - t)).to(u.dtype)

    def preconditioning(self, sigma: Tensor) -> Preconditioning:
        """x = x_t - t F, with x_t = (x + sigma e) / (1 + sigma)."""
        kept = 1 / (1 + sigma)  # 1 - t
        t = sigma * kept
        return Preconditioning(c_skip=kept, c_out=-t, c_in=kept, c_noise=t)

    def loss_weight(self, sigma: Tensor) -> Tensor:
        """1 / t^2, so that the loss is the velocity's squared error."""
        return ((1 + sigma) / sigma) ** 2

    @torch.no_grad()
    def sample(self, denoiser: Denoiser, noise: Tensor, condition: Tensor, steps: int) -> Tensor:
        """Solve dx/dt = F from t = 1, noise, to t = 0 in even steps by Heun's method, the last one
        by Euler's, as EDM's sampler does: as many passes. One image per row of standard normal
        noise [n, c, h, w] and condition [n, C], float64."""
        denoiser.eval()

        def velocity(x: Tensor, t: float) -> Tensor:
            return denoiser.network(x.float(), x.new_full((len(x),), t).float(), condition).double()

        x = noise.double()
        for now, then in pairwise(torch.linspace(1, 0, steps + 1, dtype=torch.float64).tolist()):
            slope = velocity(x, now)
            if then > 0:
                slope = (slope + velocity(x + (then - now) * slope, then)) / 2
            x = x + (then - now) * slope
        return x
