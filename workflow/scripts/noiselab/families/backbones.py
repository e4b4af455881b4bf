"""Frozen models whose features probes have, as their families give them.

A family says in its descriptor of which items its models have features (`features`), and its
backbone.py has a function for each of these, of a run, its weights and the device:

- `images`: a network of images uint8 [n, c, h, w] of any size, whose results are features [n, d];
- `texts`: what makes tokens of prompts, and a network of tokens int64 [n, T] whose results are the
  last hidden states [n, T, d].

weights: None of a model that was trained elsewhere. Networks of images are in single precision.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from torch import Tensor
from torch.nn.functional import interpolate

from noiselab.errors import NoiselabError
from noiselab.run import Run

Encoder = Callable[[list[str]], list[list[int]]]
Network = Callable[[Tensor], Tensor]


def backbone(run: Run) -> ModuleType:
    """The module that gives the features of a run's model."""
    return import_module(f"noiselab.families.{run.family}.backbone")


def at_resolution(network: Network, shape: Sequence[int], model: Path | str) -> Network:
    """A network that sees images uint8 [n, c, h, w] in the shape [c, h, w] that it was trained
    with. NoiselabError: as of `resized`."""

    def seen(images: Tensor) -> Tensor:
        if list(images.shape[1:]) != list(shape):
            images = 255 * resized(images.float() / 255, shape, model)
        return network(images)

    return seen


def resized(images: Tensor, shape: Sequence[int], model: Path | str) -> Tensor:
    """Images [n, c, h, w] from 0 to 1 in another shape [c, h, w]: bicubic, and a grey image in each
    channel. NoiselabError: they have other channels than `model` sees."""
    channels, *size = shape
    if images.shape[1] not in (1, channels):
        raise NoiselabError(f"{model}: sees {channels} channels, the images have {images.shape[1]}")
    images = images.expand(-1, channels, -1, -1)
    if list(images.shape[2:]) == size:
        return images
    return interpolate(images, size, mode="bicubic", antialias=True).clamp(0, 1)
