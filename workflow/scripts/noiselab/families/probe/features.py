"""Features of items by a frozen backbone: of a prompt, the last hidden states, that of its last
token and their mean over all tokens; of an image, what the last layer sees.

Whatever else is in its batch, an item's features are the same: prompts of one length share a batch,
so that nothing is padded.
"""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from noiselab.data import labelled_texts, prepared
from noiselab.data.kinds import LABELLED_KINDS, is_numeric
from noiselab.errors import NoiselabError
from noiselab.families.backbones import Network, backbone
from noiselab.families.classifier.task import Pictures, in_batches
from noiselab.files import read_json
from noiselab.run import Run
from noiselab.training.shards import identity, in_shards

SHARD = 4096  # items; what a stopped extraction loses at most
TOKENS = 2**14  # in a batch
IMAGES = 100  # in a batch

Items = dict[str, tuple]  # split -> (items, labels int64 [n])
Features = dict[str, np.ndarray]  # kind -> float32 [n, d]
Extractor = Callable[[object, np.ndarray], Features]  # of items number `index`, int64 [n]


def extract(
    run: Run, weights: Path | None, task: Path, folder: Path, device: torch.device
) -> dict[str, np.ndarray]:
    """`<split>_last` and `<split>_mean`, float32 [n, d], and `<split>_labels`, int64 [n], of each
    split of a task. Of images, `last` is all there is.

    run: of the backbone; weights: None of one that was trained elsewhere; task: folder of prepared
    data; folder: keeps the finished shards if this is stopped.
    """
    description = read_json(task / "dataset.json")
    if is_numeric(description):
        raise NoiselabError(f"{task}: asks for a number, and probes decide between classes")
    texts = description.get("kind") in LABELLED_KINDS
    items, extractor = (_texts if texts else _images)(run, weights, task, device)
    parts = [
        (split, index)
        for split, (_, labels) in items.items()
        for index in np.split(np.arange(len(labels)), range(SHARD, len(labels), SHARD))
    ]

    def make(number: int) -> dict[str, np.ndarray]:
        split, index = parts[number]
        return extractor(items[split][0], index)

    named = folder / identity(run, weights, description, SHARD)
    found: dict[str, list] = {}
    for (split, _), part in zip(parts, in_shards(named, len(parts), make), strict=True):
        for kind, features in part.items():
            found.setdefault(f"{split}_{kind}", []).append(features)
    arrays = {name: np.concatenate(features) for name, features in found.items()}
    if not all(np.isfinite(features).all() for features in arrays.values()):
        raise NoiselabError(f"{run.run_id}: features that are no finite numbers; it has diverged")
    return arrays | {f"{split}_labels": np.asarray(y) for split, (_, y) in items.items()}


# -------------------------------------------------------------------------------- texts


def _texts(run: Run, weights: Path | None, task: Path, device: torch.device) -> tuple:
    """Prompts as tokens, and the features of those."""
    encode, hidden = backbone(run).texts(run, weights, device)
    read = labelled_texts.read(task)[1]
    items = {split: (encode(texts), labels) for split, (texts, labels) in read.items()}
    return items, lambda tokens, index: text_features(hidden, [tokens[i] for i in index], device)


@torch.no_grad()
def text_features(
    hidden: Callable[[Tensor], Tensor],
    tokens: list[list[int]],
    device: torch.device,
    most: int = TOKENS,
) -> Features:
    """Features of texts, at most `most` tokens at once.

    hidden: tokens int64 [n, T] -> last hidden states [n, T, d].
    """
    order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
    last: list = [None] * len(tokens)
    mean: list = [None] * len(tokens)
    for length, group in groupby(order, key=lambda i: len(tokens[i])):
        same, size = list(group), max(1, most // length)
        for start in range(0, len(same), size):
            chosen = same[start : start + size]
            states = hidden(torch.tensor([tokens[i] for i in chosen], device=device)).float()
            ends, means = (part.cpu().numpy() for part in (states[:, -1], states.mean(1)))
            for i, *own in zip(chosen, ends, means, strict=True):
                last[i], mean[i] = own
    return {"last": np.stack(last), "mean": np.stack(mean)}


# -------------------------------------------------------------------------------- images


def _images(run: Run, weights: Path | None, task: Path, device: torch.device) -> tuple:
    """Images, and what the last layer sees of them."""
    network = backbone(run).images(run, weights, device)
    _, train, test = prepared.read_run(run | {"data": str(task)})
    items = {"train": (train.x, train.y), "test": (test.x, test.y)}
    return items, lambda images, index: image_features(network, images, index, device)


@torch.no_grad()
def image_features(
    network: Network, images: Pictures, index: np.ndarray, device: torch.device, most: int = IMAGES
) -> Features:
    """Features [n, d] of images number `index`, at most `most` at once. network: of images uint8
    [n, c, h, w]."""
    parts = []
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # convolutions on a GPU
        for read in in_batches(images, index):
            parts += [network(batch.to(device)).float().cpu() for batch in read.split(most)]
    return {"last": torch.cat(parts).numpy()}
