"""Fine-tuning: all settings of all methods with all seeds, and what validation chooses of them."""

import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from noiselab import streams
from noiselab.data.kinds import is_numeric
from noiselab.families.fine_tuning import regularisers, targets
from noiselab.families.fine_tuning.network import Tuned, padded
from noiselab.families.fine_tuning.targets import Target
from noiselab.families.probe.choice import chosen
from noiselab.families.probe.task import held_out, width
from noiselab.families.work import Data
from noiselab.run import Run

TOKENS = 2**13  # of texts that are scored at once
TYPICAL = 40  # tokens of a prompt, for the cost alone
USUAL = {None: 0.0, "l2_sp": 0.1, "smart": 1.0, "lnsr": 1.0}  # weight
SIGMA = {None: 0.0, "l2_sp": 0.0, "smart": 1e-5, "lnsr": 1e-2}  # noise; LNSR's is not printed


@dataclass(frozen=True)
class Setting:
    """How a model is tuned; the keys are those of a method."""

    learning_rate: float
    batch_size: int
    regulariser: str | None = None
    weight: float = 0.0
    noise: float = 0.0
    strength: float = 0.0
    radius: float = 0.0


@dataclass(frozen=True)
class Texts:
    """Tokens of each text of a split, and targets: labels int64 [n], or numbers float64 [n]."""

    tokens: list[list[int]]
    targets: np.ndarray


def example(run: Run, data: Data) -> tuple[nn.Module, tuple, dict]:
    """What costs as much as a prompt's pass through the network, without content."""
    model = run.backbone["model"]
    features, layers = width(model), model.get("layers", 12)
    return nn.Linear(features, 12 * layers * features), (torch.empty(1, TYPICAL, features),), {}


def method_settings(run: Run, method: dict) -> list[Setting]:
    """Every combination of the grid's learning rates and batch sizes with a method's values."""
    kind = method.get("regulariser")
    lists = {
        "weight": method.get("weight", [USUAL[kind]]),
        "noise": method.get("noise", [SIGMA[kind]]),
        "strength": method.get("strength", [0.0]),
        "radius": method.get("radius", [0.0]),
    }
    return [
        Setting(rate, size, kind, **dict(zip(lists, values, strict=True)))
        for rate, size in product(run.grid["learning_rate"], run.grid["batch_size"])
        for values in product(*lists.values())
    ]


def attempts(run: Run) -> list[tuple[str, Setting, int]]:
    """Method, setting and seed of each fit."""
    return [
        (method, setting, seed)
        for method, content in run.methods.items()
        for setting in method_settings(run, content)
        for seed in run.seeds
    ]


def splits(run: Run, found: dict[str, Texts]) -> dict[str, Texts]:
    """train, validation and test; where there is no validation set, a seeded share of training, the
    same as of probes."""
    if "validation" in found:
        return found
    train = found["train"]
    held, rest = held_out(len(train.targets), run.validation_share)
    parts = {"validation": held, "train": rest}
    return found | {
        split: Texts([train.tokens[i] for i in rows], train.targets[rows])
        for split, rows in parts.items()
    }


def tuned(
    backbone: nn.Module, items: dict[str, Texts], run: Run, setting: Setting, seed: int
) -> dict[str, float]:
    """Scores of a copy of the backbone after the last epoch, of validation and test."""
    target = targets.kind(run)
    model = Tuned(copy.deepcopy(backbone), targets.outputs(run), seed)
    started = [parameter.detach().clone() for parameter in model.backbone.parameters()]
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=setting.learning_rate,
        weight_decay=run.training["optimizer"]["weight_decay"],
    )
    train, step = items["train"], 0
    for epoch in range(run.epochs):
        order = streams.permutation(seed, "probe-order", epoch, len(train.targets))
        for start in range(0, len(order), setting.batch_size):
            rows = order[start : start + setting.batch_size]
            batch = Texts([train.tokens[i] for i in rows], train.targets[rows])
            loss = objective(model, target, started, batch, setting, seed, step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    return {
        f"{split}_{name}": value
        for split in ("validation", "test")
        for name, value in scores(model, target, items[split]).items()
    }


def objective(
    model: Tuned,
    target: Target,
    started: list[Tensor],
    batch: Texts,
    setting: Setting,
    seed: int,
    step: int,
) -> Tensor:
    """The loss of a batch. started: weights of the backbone as they were; noise depends on the seed
    and the number of the step."""
    device = started[0].device
    tokens, mask = padded(batch.tokens, device)
    wanted, embeddings = torch.from_numpy(batch.targets).to(device), model.embeddings(tokens)
    seen = model(embeddings, mask)
    loss = target.loss(seen.outputs, wanted)

    def noise(like: Tensor, size: float, stream: str) -> Tensor:
        generator = torch.Generator().manual_seed(streams.integer(seed, stream, step))
        return size * torch.randn(like.shape, generator=generator).to(like)

    def forward(moved: Tensor):
        return model(moved, mask)

    def slopes(found: Tensor) -> Tensor:
        return target.slopes(found, wanted)

    if setting.regulariser == "l2_sp":
        pairs = zip(model.backbone.parameters(), started, strict=True)
        loss = loss + regularisers.l2_sp(pairs, model.head.parameters(), setting.weight)
    elif setting.regulariser is not None:
        drawn = noise(embeddings, setting.noise, "tuning-noise")
        found = (
            regularisers.smart(forward, embeddings, seen, drawn, target.divergence)
            if setting.regulariser == "smart"
            else regularisers.lnsr(forward, embeddings, seen, drawn, mask)
        )
        loss = loss + setting.weight * found
    if setting.strength:
        drawn = noise(seen.features, setting.radius, "probe-noise")
        matching = regularisers.gradient_matching(model.head, seen.features, drawn, slopes)
        loss = loss + setting.strength * matching
    return loss


@torch.no_grad()
def scores(model: Tuned, target: Target, texts: Texts) -> dict[str, float]:
    """The scores of a set of texts that its kind of task has."""
    outputs = torch.empty(len(texts.targets), model.head.out_features)
    for rows in _alike(texts.tokens):
        tokens, mask = padded([texts.tokens[i] for i in rows], model.head.weight.device)
        outputs[rows] = model(model.embeddings(tokens), mask).outputs.float().cpu()
    return target.scores(outputs, torch.from_numpy(texts.targets))


def _alike(tokens: list[list[int]]) -> Iterator[list[int]]:
    """Numbers of texts in batches of about the same length."""
    batch: list[int] = []
    for number in sorted(range(len(tokens)), key=lambda i: len(tokens[i])):
        if batch and (len(batch) + 1) * len(tokens[number]) > TOKENS:
            yield batch
            batch = []
        batch.append(number)
    yield batch


def tables(
    run: Run, found: list[dict], items: dict[str, Texts]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All that was tried, a row per method, setting and seed, and what validation chooses. found:
    scores of each of `attempts`."""
    rows = [
        {"method": method, "seed": seed, **asdict(setting), "epoch": run.epochs, **scored}
        for (method, setting, seed), scored in zip(attempts(run), found, strict=True)
    ]
    tried = pd.DataFrame(rows).fillna({"regulariser": "none"})
    settings, target = list(asdict(Setting(0.0, 1))), targets.kind(run)
    best = chosen(tried, settings, target.main, target.tie)
    return tried, best.assign(items=len(items["test"].targets), **majority(run, items))


def majority(run: Run, items: dict[str, Texts]) -> dict[str, float]:
    """Share of test texts, in per cent, that are of the most frequent class of training; none where
    there are no classes."""
    if is_numeric(run):
        return {}
    most = np.bincount(items["train"].targets).argmax()
    return {"majority": 100 * float((items["test"].targets == most).mean())}
