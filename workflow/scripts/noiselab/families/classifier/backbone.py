"""A classifier as a backbone: what its last layer sees of images."""

from pathlib import Path

import torch

from noiselab.data import prepared
from noiselab.families.backbones import Network, at_resolution
from noiselab.families.classifier.task import build
from noiselab.measures.features import last_inputs
from noiselab.run import Run
from noiselab.training.weights import load_weights


def images(run: Run, weights: Path, device: torch.device) -> Network:
    """Images uint8 [n, c, h, w] of any size to features [n, d]. NoiselabError: the weights are of
    another run or do not fit, or the images have other channels."""
    description = prepared.read(run.data)[0]
    model = build(run | {"average_mirrored": False}, description)
    model = load_weights(weights, model, device, run.run_id).eval()
    return at_resolution(last_inputs(model), description["shape"], run.run_id)
