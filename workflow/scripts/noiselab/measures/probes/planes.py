"""What a head decides around an item: on a random plane through its features (Figure 6 of Ru et al.
2025, arXiv 2502.06604)."""

import numpy as np
import torch
from torch import Tensor

from noiselab import streams
from noiselab.measures.probes.heads import logits, with_one

STREAM = "probe-plane"


def directions(features: int, item: int, seed: int = 0) -> Tensor:
    """Two random unit vectors at right angles, [2, features], different for each item."""
    generator = torch.Generator().manual_seed(streams.integer(seed, STREAM, item))
    drawn = torch.randn(features, 2, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(drawn).Q.mT.contiguous()


def extent(features: Tensor) -> float:
    """How far items are from their mean, as a root mean square: what half a side of a plane is, so
    that its edges are as far away as other items are. features: [n, d]."""
    return float((features - features.mean(0)).double().square().sum(1).mean().sqrt())


def decisions(weights: list[Tensor], point: Tensor, axes: Tensor, half: float, side: int) -> Tensor:
    """Classes on a square grid [side, side], rows along the first axis, of which the middle is the
    point; side: odd. weights: of a head's layers, [out, in + 1]; point: [d]; axes: [2, d]."""
    steps = torch.from_numpy(np.linspace(-half, half, side)).to(point)
    moves = steps[:, None, None] * axes[0].to(point) + steps[None, :, None] * axes[1].to(point)
    places = with_one((point + moves).flatten(0, 1))[None]
    found = logits([weight[None, None] for weight in weights], places)
    return found[0, 0].argmax(-1).reshape(side, side)
