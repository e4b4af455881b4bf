"""Where noise costs more or less: the share of the source, the size of the data, the batch."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from noiselab.answers.figures.drawing import (
    DATASETS,
    FLOOR,
    ORDERED,
    OURS,
    PAPER,
    logarithmic,
    shared_legend,
    with_spread,
)
from noiselab.answers.layouts import BUDGETS, NAMES
from noiselab.answers.tables import rate_text


def context_figure(tables: list[pd.DataFrame]) -> Figure:
    """What the source is worth: NLL of the clean run, and its rise at the highest noise ratio,
    against the share of the source that is kept."""
    (table,) = tables
    figure, axes = plt.subplots(1, 2, figsize=(8.8, 4.2), squeeze=False)
    figure.set_layout_engine("constrained")
    worst = table["error_rate"].max()
    noise = rate_text(*table.loc[table["error_rate"].idxmax(), ["noise_ratio", "error_rate"]])
    panels = [(0, "sequence_nll", "clean run: NLL (nats/sequence)")]
    panels += [(worst, "sequence_nll_rise", f"rise at {noise} (nats/sequence)")]
    for (error, metric, label), axis in zip(panels, axes.flat, strict=True):
        cells = table[(table["metric"] == metric) & (table["error_rate"] == error)]
        for dataset, colour in zip(dict.fromkeys(table["dataset"]), DATASETS, strict=False):
            _share_curves(axis, cells[cells["dataset"] == dataset], colour)
        axis.set_xlabel("share of the source's length limit (%)")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    shared_legend(figure, axes)
    return figure


def _share_curves(axis: Axes, cells: pd.DataFrame, colour: str) -> None:
    cells = cells.sort_values("source_share")
    cells = cells.assign(share=100 * cells["source_share"])
    name = NAMES.get(cells["dataset"].iloc[0], cells["dataset"].iloc[0])
    with_spread(axis, cells, "share", f"{name}, ours", colour)
    if cells["error_rate"].iloc[0] > 0:
        axis.plot(cells["share"], cells["floor"], "--", color=colour, label=f"{name}, noise floor")


def scale_figure(tables: list[pd.DataFrame]) -> Figure:
    """What noise costs, by numbers of classes and images: a row per budget; against images per
    class and against images in all (a colour per number of classes), and against classes (a colour
    per number of images per class). The curves fall together where the axis is what matters."""
    (table,) = tables
    table = table.assign(per_class=table["train_size"] / table["classes"])
    table = table[table["metric"] == "accuracy_relative_drop"]
    budgets = [budget for budget in BUDGETS if (table["budget"] == budget).any()]
    size = {"figsize": (13, 3.9 * len(budgets)), "layout": "constrained"}
    figure, axes = plt.subplots(len(budgets), 3, **size, squeeze=False, sharey="row", sharex="col")
    columns = [("per_class", "classes", "images per class", "{:g} classes")]
    columns += [("train_size", "classes", "images in all", "{:g} classes")]
    columns += [("classes", "per_class", "classes", "{:g} images per class")]
    for budget, row in zip(budgets, axes, strict=True):
        cells = table[table["budget"] == budget]
        noise = rate_text(*cells.loc[cells["error_rate"].idxmax(), ["noise_ratio", "error_rate"]])
        for axis, (x, constant, label, name) in zip(row, columns, strict=True):
            marker, colours = ("o", ORDERED) if constant == "classes" else ("s", ORDERED[::-1])
            groups = cells.groupby(constant)
            for colour, (value, part) in zip(colours, groups, strict=False):
                with_spread(axis, part.sort_values(x), x, name.format(value), colour, marker)
            axis.axhline(0, color=FLOOR, linestyle="--", label="noise floor (calibrated model)")
            logarithmic(axis, cells[x])
            axis.set_xlabel(label)
            axis.grid(alpha=0.3)
        row[0].set_ylabel(f"{BUDGETS[budget]}\nrelative loss of accuracy at {noise} (%)")
    shared_legend(figure, axes, columns=4)
    return figure


def batch_figure(tables: list[pd.DataFrame]) -> Figure:
    """Final clean score against the batch multiplier, at the same number of clean examples: a
    panel per family and data set, a colour per noise ratio; crosses are runs that diverged."""
    table = pd.concat(tables)
    table = table[table["metric"].isin(["accuracy", "nll"])]
    panels = table.groupby(["dataset", "metric"], sort=False)
    size = {"figsize": (5.2 * panels.ngroups, 4.6), "layout": "constrained"}
    figure, axes = plt.subplots(1, panels.ngroups, **size, squeeze=False)
    for ((dataset, metric), part), axis in zip(panels, axes.flat, strict=True):
        for colour, (_, cells) in zip((OURS, PAPER), part.groupby("error_rate"), strict=False):
            _multiplier_curves(axis, cells.sort_values("batch_multiplier"), colour)
        logarithmic(axis, part["batch_multiplier"])
        axis.xaxis.set_major_formatter("×{x:g}")
        axis.set_title(NAMES.get(dataset, dataset))
        axis.set_xlabel("batch (steps ÷ the same factor)")
        unit = part["unit"].iloc[0]
        axis.set_ylabel(f"clean-test {NAMES[metric].removeprefix('clean-test ')} ({unit})")
        axis.grid(alpha=0.3)
    shared_legend(figure, axes)
    return figure


def _multiplier_curves(axis: Axes, cells: pd.DataFrame, colour: str) -> None:
    ratio, error = cells.iloc[0][["noise_ratio", "error_rate"]]
    name = "clean" if error == 0 else rate_text(ratio, error)
    with_spread(axis, cells, "batch_multiplier", name, colour)
    if error != 0:
        style = {"linestyle": "--", "color": colour}
        axis.plot(cells["batch_multiplier"], cells["floor"], **style, label=f"{name}, noise floor")
    diverged = cells[cells["ours"].isna()]
    if len(diverged):
        where = axis.get_xaxis_transform()  # height as a share of the panel
        style = {"marker": "x", "color": colour, "linestyle": "none", "transform": where}
        height = [0.03] * len(diverged)
        axis.plot(diverged["batch_multiplier"], height, **style, label=f"{name}, diverged")
