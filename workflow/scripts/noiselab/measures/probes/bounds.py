"""Proposition 2 of Ru et al. 2025 (arXiv 2502.06604) in numbers, for linear heads with softmax:

    L_gm ≤ 2 β + 2 L_ce + R_ρ.

β is the smoothness of the loss in the weights. With x = [t, 1] its Hessian is
(diag p − p pᵀ) ⊗ x xᵀ, whose largest eigenvalue is ‖x‖² / 2 at most, and is that where two classes
are equally probable. So β = max ‖x‖² / 2 over the features t and those with noise. R_ρ is how much
the loss can grow, on average, where features move by less than ρ.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from noiselab.measures.probes.fits import Items
from noiselab.measures.probes.heads import with_one


@dataclass(frozen=True)
class Bound:
    """Both sides: `gradient_matching` ≤ `right`. flatness: what R_ρ is at the least, so that the
    right side is no larger than the proposition's."""

    gradient_matching: float
    smoothness: float
    loss: float
    flatness: float

    @property
    def right(self) -> float:
        """2 β + 2 L_ce + R_ρ."""
        return 2 * self.smoothness + 2 * self.loss + self.flatness


def proposition_2(weight: Tensor, items: Items, noise: Tensor) -> Bound:
    """Of a linear head, [C, d + 1] with biases in the last column, on items whose features get
    `noise`, [n, d]; ρ is the length of the longest noise."""
    clean, noisy = with_one(items.features), with_one(items.features + noise)
    difference = gradient(weight, clean, items.labels) - gradient(weight, noisy, items.labels)
    longest = max(float((x**2).sum(1).max()) for x in (clean, noisy))
    losses = cross_entropy(clean @ weight.mT, items.labels, reduction="none")
    rise = worst_losses(weight, items, float(noise.norm(dim=1).max())) - losses
    return Bound(float(difference.norm()), longest / 2, float(losses.mean()), float(rise.mean()))


def gradient(weight: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    """Of the mean cross-entropy with respect to a linear head, [C, d + 1]; features: [n, d + 1]."""
    errors = (features @ weight.mT).softmax(-1)
    errors[torch.arange(len(labels)), labels] -= 1
    return errors.mT @ features / len(labels)


def worst_losses(weight: Tensor, items: Items, radius: float) -> Tensor:
    """The largest loss of each item, [n], among moves of this length away from its class towards
    another one. Of two classes nothing is larger in the ball; of more it is a lower bound."""
    own = weight[items.labels, :-1]  # [n, d]
    found = []
    for other in weight[:, :-1]:
        away = other - own
        move = radius * away / away.norm(dim=1, keepdim=True).clamp(min=1e-30)
        logits = with_one(items.features + move) @ weight.mT
        found.append(cross_entropy(logits, items.labels, reduction="none"))
    return torch.stack(found).amax(0)
