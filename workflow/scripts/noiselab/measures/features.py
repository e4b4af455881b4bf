"""Features of images for Fréchet distances: of the judge, a classifier, or of Inception.

Only Inception's make an FID; a distance of the judge's features is never called so.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from noiselab.errors import NoiselabError

Features = Callable[[Tensor], Tensor]  # uint8 images [n, c, h, w] -> float [n, d]


def last_inputs(model: nn.Module) -> Features:
    """What the last linear layer of a network sees of images."""
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]

    def seen(images: Tensor) -> Tensor:
        kept: list[Tensor] = []
        hook = last.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
        try:
            model(images)
        finally:
            hook.remove()
        return kept[0]  # of the first view, where a model looks at several

    return seen


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
