"""Models that were trained elsewhere as backbones, of texts and of images."""

from pathlib import Path

import torch

from noiselab.families.backbones import Encoder, Network
from noiselab.families.pretrained.task import language_model, vision_model
from noiselab.run import Run


def texts(run: Run, weights: None, device: torch.device) -> tuple[Encoder, Network]:
    """What makes tokens of prompts, and what makes last hidden states [n, T, d] of tokens int64
    [n, T]. NoiselabError: as of `language_model`."""
    return language_model(Path(run.folder), device)


def images(run: Run, weights: None, device: torch.device) -> Network:
    """Images uint8 [n, c, h, w] of any size to features [n, d]. NoiselabError: as of
    `vision_model`."""
    return vision_model(Path(run.folder), device)
