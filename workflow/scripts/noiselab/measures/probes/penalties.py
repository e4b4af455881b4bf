"""Penalties on the gradients of a head's loss, in closed form.

Each is a function φ(g, ĝ) of two gradients of the mean cross-entropy with respect to the head's
weights: g at the features t, ĝ at features with noise t̂ = t + γ δ. With D = g − ĝ:

    gradient_matching  ‖D‖              local gradient matching, Ru et al. 2025 (arXiv 2502.06604)
    gradient_norm      ‖g‖              their ablation, Table 5
    gradient_cosine    1 − cos(g, ĝ)    their ablation, Table 5

The gradient of φ with respect to the weights is H v + Ĥ v̂ with v = ∂φ/∂g, v̂ = ∂φ/∂ĝ and the
Hessians H, Ĥ of both losses. v lies in the plane of g and D, v̂ in that of ĝ and D, so four numbers
say what they are. D and not ĝ, as noise is small, and a difference of two nearly equal numbers is
not exact.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Products(NamedTuple):
    """Inner products <g, g>, <g, D>, <D, D>, each [...]."""

    clean: Tensor
    mixed: Tensor
    difference: Tensor

    @property
    def noisy(self) -> Tensor:
        """<ĝ, ĝ>."""
        return (self.clean - 2 * self.mixed + self.difference).clamp(min=0)


class Plane(NamedTuple):
    """v = clean g + clean_difference D, v̂ = noisy ĝ + noisy_difference D, each number [...]."""

    clean: Tensor
    clean_difference: Tensor
    noisy: Tensor
    noisy_difference: Tensor


def penalty_value(name: str, products: Products) -> Tensor:
    """φ(g, ĝ), [...]."""
    if name == "gradient_matching":
        return products.difference.clamp(min=0).sqrt()
    if name == "gradient_norm":
        return products.clean.sqrt()
    if name == "gradient_cosine":
        inner = products.clean - products.mixed
        return 1 - inner * _inverse((products.clean * products.noisy).sqrt())
    return torch.zeros_like(products.clean)


def penalty_plane(name: str, products: Products) -> Plane:
    """Where ∂φ/∂g and ∂φ/∂ĝ lie. Where φ has no derivative (a norm at 0) they are 0."""
    zero = torch.zeros_like(products.clean)
    if name == "gradient_matching":
        scale = _inverse(penalty_value(name, products))
        return Plane(zero, scale, zero, -scale)
    if name == "gradient_norm":
        return Plane(_inverse(products.clean.sqrt()), zero, zero, zero)
    if name == "gradient_cosine":  # D without its part along g or ĝ
        scale = _inverse((products.clean * products.noisy).sqrt())
        along_clean = products.mixed * _inverse(products.clean)
        along_noisy = (products.mixed - products.difference) * _inverse(products.noisy)
        return Plane(-scale * along_clean, scale, scale * along_noisy, -scale)
    return Plane(zero, zero, zero, zero)


def _inverse(x: Tensor) -> Tensor:
    """1 / x, and 0 where x is 0."""
    return torch.where(x > 0, 1 / x, 0)
