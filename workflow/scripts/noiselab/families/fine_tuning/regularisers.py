"""Regularisers of a model that is fine-tuned whole, and local gradient matching of its head.

    L2-SP  α/2 ‖w − w₀‖² + β/2 ‖w_new‖²                      Li et al. 2018 (arXiv 1802.01483)
    SMART  α D(f(x), f(x + δ))                              Jiang et al. 2020 (arXiv 1911.03437)
    LNSR   λ Σ_r ‖f_r(x + ε) − f_r(x)‖², ε ~ N(0, σ² I)      Hua et al. 2021 (arXiv 2107.04835)

x are the embeddings of tokens, f the outputs, f_r the hidden states of layer r. D is the symmetric
divergence KL(p ‖ q) + KL(q ‖ p) of classes, and the squared difference of numbers (targets.py).
SMART's δ is one step of ascent on its own penalty, from a small random place, as long in the ∞-norm
of each text.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from noiselab.measures.probes.heads import with_one

NEW_SHARE = 0.1  # of L2-SP's α, that is β: 0.1 and 0.01 in the paper
STEP = 1e-3  # of SMART's ascent
SMALLEST = 1e-30


class Seen(NamedTuple):
    """What a network makes of texts: hidden states of all layers, [n, T, d] each, features of the
    last tokens, [n, d], and outputs of the head, [n, C]: logits, or one number (C = 1)."""

    states: list[Tensor]
    features: Tensor
    outputs: Tensor


Divergence = Callable[[Tensor, Tensor], Tensor]  # of two outputs, [n, C]: mean over texts
Forward = Callable[[Tensor], Seen]  # of embeddings [n, T, d]


def l2_sp(weights: Iterable[tuple[Tensor, Tensor]], new: Iterable[Tensor], alpha: float) -> Tensor:
    """weights: those that were there before, and what they were; new: those of the head."""
    moved = sum((own - start).square().sum() for own, start in weights)
    return alpha / 2 * moved + NEW_SHARE * alpha / 2 * sum(own.square().sum() for own in new)


def symmetric_kl(logits: Tensor, other: Tensor) -> Tensor:
    """KL(p ‖ q) + KL(q ‖ p), mean over texts; logits of p and q, [n, C]."""
    p, q = logits.log_softmax(-1), other.log_softmax(-1)
    return ((p.exp() - q.exp()) * (p - q)).sum(-1).mean()


def smart(
    forward: Forward, embeddings: Tensor, seen: Seen, noise: Tensor, divergence: Divergence
) -> Tensor:
    """Without α. noise: where the ascent begins, σ times standard normal numbers, [n, T, d]."""
    begin = noise.detach().requires_grad_()
    rise = divergence(seen.outputs.detach(), forward(embeddings.detach() + begin).outputs)
    (slope,) = torch.autograd.grad(rise, begin)
    longest = slope.abs().amax((1, 2), keepdim=True).clamp(min=SMALLEST)
    moved = noise + STEP * slope / longest
    return divergence(seen.outputs, forward(embeddings + moved).outputs)


def lnsr(forward: Forward, embeddings: Tensor, seen: Seen, noise: Tensor, mask: Tensor) -> Tensor:
    """Without λ: the sum over layers of the mean over real tokens. noise: σ times standard normal
    numbers, [n, T, d]; mask: [n, T], 1 at real tokens."""
    noisy = forward(embeddings + noise).states
    pairs = zip(noisy, seen.states, strict=True)
    moved = sum((other - own).square().sum(-1) for other, own in pairs)
    return (moved * mask).sum() / mask.sum()


def gradient_matching(
    head: nn.Linear,
    features: Tensor,
    noise: Tensor,
    slopes: Callable[[Tensor], Tensor],
) -> Tensor:
    """‖mean ∇ℓ(g(t)) − mean ∇ℓ(g(t̂))‖ over the head's weights, t̂ = t + noise, in closed form, so
    that one pass backward has its gradient, for the head and for what made the features.

    The gradient of a text's loss is the outer product of its slopes and [t, 1]. features, noise:
    [n, d]; slopes: outputs [n, C] -> derivatives of each text's loss with respect to them, [n, C].
    """
    clean, noisy = (slopes(head(t)).mT @ with_one(t) / len(t) for t in (features, features + noise))
    return (clean - noisy).square().sum().clamp(min=SMALLEST).sqrt()
