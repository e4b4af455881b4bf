"""Fits of a probe: all settings of all methods at once, and what validation chooses of them.

Of each method the setting is chosen whose mean validation accuracy over the seeds is highest (at a
tie, whose validation NLL is lower), so all seeds of a method have the same. The test set is scored,
but chooses nothing. Early stopping chooses the epoch in the same way; the others end with the last.
"""

from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from noiselab import streams
from noiselab.errors import NoiselabError
from noiselab.families.probe.choice import chosen
from noiselab.families.probe.grid import method_settings
from noiselab.families.work import Data
from noiselab.measures.probes.fits import Curves, Items, Setting, fit
from noiselab.run import Run

SCORED = ("validation", "test")
ASSUMED = 768  # features, for the cost alone, of a backbone of which nothing is known


class Tried(NamedTuple):
    """One setting of a method, with what its curves are called by."""

    method: str
    setting: Setting
    stops_early: bool


def example(run: Run, data: Data) -> tuple[nn.Module, tuple, dict]:
    """A head and its arguments for one item, without content, as wide as its backbone."""
    features = width(run.backbone["model"])
    layers = [nn.Linear(features, run.classes)]
    if run.head == "mlp":
        hidden = run.model.get("hidden") or features
        layers = [nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, run.classes)]
    return nn.Sequential(*layers), (torch.empty(1, features),), {}


def width(model: dict) -> int:
    """Features of a backbone, from its `model`."""
    if "widths" in model:
        return model["widths"][-1]
    if "width" not in model:  # one that is not downloaded yet
        return ASSUMED
    stages = len(model.get("blocks", [1]))
    return model["width"] * 2 ** (stages - 1)


def splits(run: Run, arrays: dict[str, np.ndarray]) -> dict[str, Items]:
    """Items of train, validation and test, from a backbone's features. Where the task has no
    validation set it is a seeded share of the training items, the same for all heads, methods,
    seeds and backbones. NoiselabError: there are no such features."""
    kind = run.features["kind"]
    if f"train_{kind}" not in arrays:
        raise NoiselabError(
            f"config key probe.features.kind: no {kind} of {run.dataset}, whose items are images"
        )
    found = {
        split: (arrays[f"{split}_{kind}"], arrays[f"{split}_labels"])
        for split in ("train", *SCORED)
        if f"{split}_labels" in arrays
    }
    if "validation" not in found:
        held, rest = held_out(len(found["train"][1]), run.validation_share)
        found |= {
            split: tuple(part[rows] for part in found["train"])
            for split, rows in (("validation", held), ("train", rest))
        }
    if run.features["standardised"]:
        mean, spread = found["train"][0].mean(0), found["train"][0].std(0)
        spread = np.where(spread > 0, spread, 1)  # a feature that is always the same says nothing
        found = {split: ((x - mean) / spread, y) for split, (x, y) in found.items()}
    return {split: Items(*map(torch.from_numpy, own)) for split, own in found.items()}


def held_out(count: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the items, of so many, that a seeded share for validation has, and of the rest."""
    order = streams.permutation(0, "probe-validation", 0, count)
    held = np.sort(order[: max(1, round(share * count))])
    return held, np.setdiff1d(np.arange(count), held)


def fitted(run: Run, items: dict[str, Items]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All that was tried, a row per method, setting and seed, and what was chosen, a row per method
    and seed."""
    tried = [
        Tried(method, setting, content.get("early_stopping", False))
        for method, content in run.methods.items()
        for setting in method_settings(run, content)
    ]
    different = list(dict.fromkeys(one.setting for one in tried))  # methods may share some
    found = fit(
        items["train"],
        {split: items[split] for split in SCORED},
        different,
        run.seeds,
        epochs=run.epochs,
        hidden=hidden_units(run, items["train"]),
        schedule=run.training["schedule"],
    )
    places = [different.index(one.setting) for one in tried]
    epochs = [
        _epoch(found.curves["validation"], p, one) for p, one in zip(places, tried, strict=True)
    ]
    rows = [
        row
        for one, place, epoch in zip(tried, places, epochs, strict=True)
        for row in _rows(run, one, place, epoch, found.curves)
    ]
    table = pd.DataFrame(rows)
    return table, chosen(table).assign(majority=majority(items), items=len(items["test"].labels))


def hidden_units(run: Run, train: Items) -> int | None:
    """Units between features and logits, by default as many as features; None of a linear head."""
    return run.model.get("hidden", train.features.shape[1]) if run.head == "mlp" else None


def majority(items: dict[str, Items]) -> float:
    """Share of test items, in per cent, that are of the most frequent class of training."""
    most = items["train"].labels.bincount().argmax()
    return 100 * float((items["test"].labels == most).float().mean())


def _epoch(curves: Curves, place: int, one: Tried) -> int:
    """The epoch, from 0, whose weights a setting ends with."""
    accuracy, nll = (_means(scores, place) for scores in (curves.accuracy, curves.nll))
    if not one.stops_early:
        return len(accuracy) - 1
    return int(np.lexsort((nll, -accuracy))[0])


def _means(scores: Tensor, place: int) -> np.ndarray:
    """After each epoch, over the seeds, [E]. scores: [S, F, E]."""
    return scores[:, place].double().mean(0).numpy()


def _rows(run: Run, one: Tried, place: int, epoch: int, curves: dict[str, Curves]):
    settings = {key: value for key, value in asdict(one.setting).items() if key != "noisy_loss"}
    for i, seed in enumerate(run.seeds):
        row = {"method": one.method, "seed": seed, **settings, "epoch": epoch + 1}
        for split, curve in curves.items():
            row[f"{split}_accuracy"] = 100 * float(curve.accuracy[i, place, epoch])
            row[f"{split}_nll"] = float(curve.nll[i, place, epoch])
        yield row
