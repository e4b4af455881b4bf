"""A vision transformer as a backbone: its pooled tokens, which its last layer sees.

They are what timm gives of one: `forward_features`, then `forward_head` without the last layer.
"""

from pathlib import Path

import torch
from torch import Tensor

from noiselab.data import prepared
from noiselab.families.backbones import Network, at_resolution
from noiselab.families.classifier.task import Classifier
from noiselab.families.vision_transformer.task import build
from noiselab.run import Run
from noiselab.training.weights import load_weights


def images(run: Run, weights: Path, device: torch.device) -> Network:
    """Images uint8 [n, c, h, w] of any size to features [n, width]: the class token or the mean of
    all patches, as the run was trained. NoiselabError: the weights are of another run or do not
    fit, or the images have other channels."""
    model = build(run, prepared.read(run.data)[0])
    model = load_weights(weights, model, device, run.run_id).eval()
    return at_resolution(pooled(model), (run.channels, run.size, run.size), run.run_id)


def pooled(model: Classifier) -> Network:
    """Images uint8 [n, c, size, size] to pooled tokens after the last norm, [n, width]."""

    def features(images: Tensor) -> Tensor:
        tokens = model.network.forward_features(model.normalised(images))
        return model.network.forward_head(tokens, pre_logits=True)

    return features
