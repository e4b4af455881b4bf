"""Heads that validation has chosen, fitted once more, and what they do around items."""

from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from noiselab import reading, streams
from noiselab.families.descriptor import BACKBONE
from noiselab.families.probe import task
from noiselab.families.probe.family import task as task_name
from noiselab.measures.probes import planes
from noiselab.measures.probes.bounds import proposition_2
from noiselab.measures.probes.fits import Items, Setting, fit
from noiselab.run import Run

METHODS = ("plain", "weight_decay", "gradient_matching", "tuned_gradient_matching")
SIDE, SHOWN = 41, 1  # points along a side of a plane, and items whose planes are kept
ITEMS, COARSE = 200, 15  # items of which the right share of planes is measured, and their points
RADIUS = 0.01  # γ of Proposition 2, that of Table 1


def measured(run: Run, runs: Path, chosen: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """`plane`, decisions on a plane through an item; `regions`, share of right decisions on planes
    through many; `bound`, both sides of Proposition 2, of linear heads. Of the first seed's fits.

    runs: folder of runs, where the backbone has its features; chosen: the run's chosen.csv.
    """
    features = runs / run.parents[BACKBONE] / f"features-{task_name(run)}.npz"
    items = task.splits(run, reading.arrays(features, "train_labels", "test_labels"))
    about = {"dataset": run.dataset, "stands_in_for": run.stands_in_for, "head": run.head}
    about |= {"backbone_noise": run.backbone["noise"]}
    order = streams.permutation(0, planes.STREAM, 0, len(items["test"].labels))
    parts: dict[str, list] = {"plane": [], "regions": [], "bound": []}
    for method in (m for m in METHODS if m in set(chosen["method"])):
        weights = refitted(run, items["train"], chosen[chosen["method"] == method].iloc[0])
        own = about | {"method": method}
        half = planes.extent(items["train"].features)
        for number in order[:SHOWN]:
            parts["plane"].append(_plane(weights, items["test"], int(number), half).assign(**own))
        parts["regions"].append(_regions(weights, items["test"], order[:ITEMS], half).assign(**own))
        if run.head == "linear":
            parts["bound"].append(_bound(weights[0], items["train"]).assign(**own))
    columns = [*about, "method"]
    return {
        name: pd.concat(tables) if tables else pd.DataFrame(columns=columns)
        for name, tables in parts.items()
    }


def refitted(run: Run, train: Items, row: pd.Series) -> list[Tensor]:
    """Weights of each layer, [out, in + 1], of a fit that chosen.csv has a row of."""
    setting = Setting(
        float(row["learning_rate"]),
        int(row["batch_size"]),
        weight_decay=float(row["weight_decay"]),
        penalty=row["penalty"],
        strength=float(row["strength"]),
        radius=float(row["radius"]),
        dropout=float(row["dropout"]),
    )
    hidden = task.hidden_units(run, train)
    schedule = run.training["schedule"]
    found = fit(
        train,
        {},
        [setting],
        [int(row["seed"])],
        epochs=run.epochs,
        hidden=hidden,
        schedule=schedule,
    )
    return [weight[0] for weight in found.weights[0]]


def _plane(weights: list[Tensor], test: Items, number: int, half: float) -> pd.DataFrame:
    """A row per point of the plane through an item."""
    found = _decisions(weights, test, number, half, SIDE)
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    content = {"item": number, "row": rows.flatten(), "column": columns.flatten()}
    content |= {"class": found.flatten(), "right": (found == test.labels[number]).flatten()}
    return pd.DataFrame(content)


def _regions(weights: list[Tensor], test: Items, numbers, half: float) -> pd.DataFrame:
    """The mean share of right decisions, in per cent, on planes through items, and its items."""
    shares = []
    for number in map(int, numbers):
        right = _decisions(weights, test, number, half, COARSE) == test.labels[number]
        shares.append(100 * float(right.double().mean()))
    return pd.DataFrame({"item": list(map(int, numbers)), "right": shares})


def _decisions(weights, test: Items, number: int, half: float, side: int) -> Tensor:
    point = test.features[number]
    return planes.decisions(weights, point, planes.directions(len(point), number), half, side)


def _bound(weight: Tensor, train: Items) -> pd.DataFrame:
    """Both sides of Proposition 2 on the training items."""
    generator = torch.Generator().manual_seed(streams.integer(0, "probe-bound", 0))
    noise = RADIUS * torch.randn(train.features.shape, generator=generator)
    exact = Items(train.features.double(), train.labels)
    found = proposition_2(weight.double(), exact, noise.double())
    content = {
        "gradient_matching": found.gradient_matching,
        "smoothness": found.smoothness,
        "loss": found.loss,
        "flatness": found.flatness,
        "right": found.right,
    }
    return pd.DataFrame([content])
