"""Classifiers without convolutions and without attention."""

from itertools import pairwise

from torch import nn


def mlp(channels: int, size: int, classes: int, width: int, layers: int) -> nn.Sequential:
    """Multilayer perceptron: `layers` hidden layers of `width` with batch norm and ReLU on images
    [n, channels, size, size]; the result is logits [n, classes]. It knows nothing of what is
    beside what in an image. Weights start as PyTorch's."""
    widths = [channels * size**2, *[width] * layers]
    network = [nn.Flatten()]
    for inputs, outputs in pairwise(widths):
        network += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*network, nn.Linear(widths[-1], classes))


def mixer(
    channels: int, size: int, classes: int, patch: int, width: int, layers: int
) -> nn.Sequential:
    """MLP-Mixer (Tolstikhin et al. 2021), timm's: perceptrons over patches and over their numbers
    in turns, then the mean of all patches. Images [n, channels, size, size], logits [n, classes].
    """
    from timm.models.mlp_mixer import MlpMixer  # seconds, which other networks need not wait for

    body = MlpMixer(
        num_classes=0,
        img_size=size,
        in_chans=channels,
        patch_size=patch,
        num_blocks=layers,
        embed_dim=width,
    )
    return nn.Sequential(body, nn.Linear(width, classes))
