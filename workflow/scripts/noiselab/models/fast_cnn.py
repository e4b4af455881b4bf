"""A small convolutional network that learns CIFAR-10 in minutes.

Its ideas are those of the speed records on CIFAR-10: whitened patches first (Coates and Ng 2012;
Page 2019, "How to train your ResNet"), batch norms without scale, convolutions that begin as
identities, and logits that begin small (Jordan 2024, "94 % on CIFAR-10 in 3.29 seconds on a single
GPU").
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

PATCH = 2  # pixels along one side of a whitened patch
TOGETHER = 100  # images whose patches are held at once: of large photos they take gigabytes
LOGITS = 1 / 9  # times the last layer's outputs


def fast_cnn(channels: int, classes: int, widths: Sequence[int] = (64, 256, 256)) -> "FastCNN":
    """Images [n, channels, h, w] of at least 16 pixels along a side -> logits [n, classes]. A block
    of two convolutions per width; each halves the image."""
    return FastCNN(channels, classes, list(widths))


class FastCNN(nn.Module):
    """Whitened patches, blocks, the largest value of each channel, a linear layer."""

    def __init__(self, channels: int, classes: int, widths: list[int]):
        super().__init__()
        filters = 2 * channels * PATCH**2  # both signs of each direction
        self.whitening = nn.Conv2d(channels, filters, PATCH)
        self.whitening.weight.requires_grad_(False)
        blocks = [_block(a, b) for a, b in zip([filters, *widths], widths, strict=False)]
        self.blocks = nn.Sequential(nn.GELU(), *blocks, nn.AdaptiveMaxPool2d(1), nn.Flatten())
        self.head = nn.Linear(widths[-1], classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.blocks(self.whitening(images))) * LOGITS

    @torch.no_grad()
    def whiten(self, images: Tensor, least: float = 5e-4) -> None:
        """Set the first layer, which is not trained, to the directions in which patches of these
        images [n, channels, h, w] differ, each divided by how much. least: variance added to all.
        """
        moments, count = 0, 0
        for part in images.split(TOGETHER):
            patches = part.unfold(2, PATCH, 1).unfold(3, PATCH, 1)  # [n, c, h', w', PATCH, PATCH]
            patches = patches.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2).double().cpu()
            moments, count = moments + patches.T @ patches, count + len(patches)
        values, vectors = np.linalg.eigh((moments / count).numpy())
        directions = torch.from_numpy(vectors.T / np.sqrt(values + least)[:, None])
        weight = torch.cat([directions, -directions]).reshape(self.whitening.weight.shape)
        self.whitening.weight.copy_(weight)
        self.whitening.bias.zero_()


def _block(inputs: int, outputs: int) -> nn.Sequential:
    first, second = _convolution(inputs, outputs), _convolution(outputs, outputs)
    parts = [first, nn.MaxPool2d(2), _norm(outputs), nn.GELU()]
    return nn.Sequential(*parts, second, _norm(outputs), nn.GELU())


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """It begins as an identity of as many channels as it takes, random beyond."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(layer.weight[:inputs])
    return layer


def _norm(width: int) -> nn.BatchNorm2d:
    """Without a scale, and with statistics of the last few batches, as training is short."""
    layer = nn.BatchNorm2d(width, momentum=0.4, eps=1e-12)
    layer.weight.requires_grad_(False)
    return layer
