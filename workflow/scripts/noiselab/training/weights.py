"""Final weights as safetensors: plain arrays that cannot carry code."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from noiselab.errors import NoiselabError
from noiselab.files import whole_file


def save_weights(path: Path, model: nn.Module, run_id: str) -> None:
    """Write parameters and buffers of `model`."""
    with whole_file(path) as temporary:
        save_model(model, str(temporary), metadata={"run_id": run_id})  # knows tied weights


def load_weights(path: Path, model: nn.Module, device: torch.device) -> nn.Module:
    """Put weights into `model` and move it to `device`; NoiselabError where they do not fit."""
    try:
        load_model(model, path)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise NoiselabError(f"{path}: {str(error).splitlines()[0]}") from error
    return model.to(device)
