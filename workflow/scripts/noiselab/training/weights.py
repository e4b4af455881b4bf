"""Final weights as safetensors: plain arrays that cannot carry code."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, load_model, save_model
from torch import nn

from noiselab.errors import NoiselabError
from noiselab.files import sha256, whole_file


def save_weights(path: Path, model: nn.Module, run_id: str) -> None:
    """Write parameters and buffers of `model`."""
    with whole_file(path) as temporary:
        save_model(model, str(temporary), metadata={"run_id": run_id})  # knows tied weights


def load_weights(
    path: Path, model: nn.Module, device: torch.device, run_id: str | None = None
) -> nn.Module:
    """Put weights into `model` and move it to `device`; NoiselabError where they do not fit, or
    are of another run than `run_id`."""
    try:
        with safe_open(path, "pt") as file:
            owner = (file.metadata() or {}).get("run_id")  # older files say nothing
        if run_id and owner and owner != run_id:
            raise NoiselabError(
                f"{path}: weights of {owner}, not of {run_id}; remove them to have them made again"
            )
        load_model(model, path)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise NoiselabError(f"{path}: {str(error).splitlines()[0]}") from error
    return model.to(device)


def load_initial(init: dict, model: nn.Module) -> dict:
    """Start from other weights: those whose names and shapes fit take the place of the drawn ones,
    such as all but the last layer where there are other classes.

    init: `weights`, a safetensors file, and its `sha256` where that is known. Returns what was
    done: how many arrays were taken, and the names of those that stay as they were drawn.
    NoiselabError: the file is missing, broken or another one, or nothing of it fits.
    """
    path = Path(init["weights"])
    try:
        found = sha256(path)
        stored = load_file(path)
    except (OSError, SafetensorError) as error:
        raise NoiselabError(f"{path}: {str(error).splitlines()[0]}") from error
    if init.get("sha256", found) != found:
        raise NoiselabError(f"{path} has changed since this run was planned")
    own = model.state_dict()
    fitting = {k: v for k, v in stored.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise NoiselabError(f"{path}: none of its weights fits this network")
    model.load_state_dict(fitting, strict=False)
    drawn = [name for name in own if name not in fitting]
    return {"weights": str(path), "sha256": found, "taken": len(fitting), "drawn": drawn}
