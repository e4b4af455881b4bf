"""Features of images for Fréchet distances: of the judge classifier, or of Inception.

Only Inception's make an FID; a distance of the judge's features is never called so.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from noiselab.errors import NoiselabError

Features = Callable[[Tensor], Tensor]  # uint8 images [n, c, h, w] -> float [n, d]


class Judge(Protocol):
    """A classifier of images, by what is used of it."""

    network: nn.Sequential  # its last layer makes the logits

    def normalised(self, images: Tensor) -> Tensor:
        """uint8 images [n, c, h, w] as the network sees them."""


def judge_features(judge: Judge) -> Features:
    """The classifier's penultimate layer."""
    return lambda images: judge.network[:-1](judge.normalised(images))


def inception_features(weights: Path, device: torch.device) -> Features:
    """pytorch-fid's Inception (2,048 features), with its weights in a local file; grey images
    count as three equal channels. NoiselabError where the file is missing or broken."""
    from pytorch_fid import inception

    def from_file(*_arguments, **_options) -> dict:
        return torch.load(weights, map_location="cpu", weights_only=True)

    try:
        # The package would download; only the source of the weights is replaced.
        with mock.patch.object(inception, "load_state_dict_from_url", from_file):
            network = inception.InceptionV3([inception.InceptionV3.DEFAULT_BLOCK_INDEX])
    except Exception as error:  # of the file, of unpickling, of weights that do not fit
        reason = str(error).splitlines()[0]
        raise NoiselabError(
            f"{weights}: no weights of pytorch-fid's Inception ({reason})"
        ) from None
    network = network.to(device).eval()
    return lambda images: network(images.expand(-1, 3, -1, -1) / 255)[0].flatten(1)


@torch.no_grad()
def in_batches(
    function: nn.Module | Features, images: np.ndarray, device: torch.device, size: int = 250
) -> Iterator[np.ndarray]:
    """`function` of uint8 images [N, c, h, w], batch by batch, as arrays."""
    for start in range(0, len(images), size):
        batch = torch.from_numpy(np.array(images[start : start + size])).to(device)
        yield function(batch).float().cpu().numpy()
