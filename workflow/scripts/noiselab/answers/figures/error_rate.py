"""Scores against the error rate: a figure per family, and one of two families by the same ruler."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from noiselab.answers.figures.drawing import (
    DATASETS,
    DENOISED,
    OURS,
    PAPER,
    coloured_curves,
    curves,
    finish_columns,
    shared_legend,
)
from noiselab.answers.layouts import BUDGETS, NAMES
from noiselab.answers.layouts import FAMILIES as FAMILY_NAMES

CORRUPTIONS = {
    "uniform_label": "uniform noise",
    "shift_label": "structured noise, y → y + 1",
}
RULERS = {
    "accuracy of the decision": ("accuracy", "denoising_accuracy"),
    "accuracy of a sampled label": ("sampled_accuracy", "consistency"),
}
RULED = {"classifier": OURS, "diffusion": PAPER}
RISES = {
    "nll_relative_rise": "relative rise of clean-test NLL (%)",
    "nll_rise": "rise of clean-test NLL (nats/token)",
    "sequence_nll_rise": "rise of clean-test NLL (nats/sequence)",
}


def classifier_figure(tables: list[pd.DataFrame]) -> Figure:
    """Accuracy against error rate: a row per corruption, a column per data set."""
    table = pd.concat(tables)
    table = table[table["metric"] == "accuracy"]
    corruptions = [c for c in CORRUPTIONS if (table["corruption"] == c).any()]
    datasets = list(dict.fromkeys(table["dataset"]))
    figure, axes = plt.subplots(
        len(corruptions),
        len(datasets),
        figsize=(4.4 * len(datasets), 3.3 * len(corruptions)),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for source, row in zip(_corruption_tables(tables, corruptions), axes, strict=True):
        for dataset, axis in zip(datasets, row, strict=True):
            part = source[source["dataset"] == dataset]
            if len(part):
                _accuracy_panel(axis, part)
            else:
                axis.set_axis_off()
    for corruption, axis in zip(corruptions, axes[:, 0], strict=True):
        axis.set_ylabel(f"{CORRUPTIONS[corruption]}\nclean-test accuracy (%)")
    finish_columns(figure, axes, datasets)
    return figure


def _corruption_tables(tables: list[pd.DataFrame], corruptions: list[str]) -> list[pd.DataFrame]:
    """The table of each corruption, with its clean row (whose corruption is `none`)."""
    return [next(t for t in tables if (t["corruption"] == c).any()) for c in corruptions]


def _accuracy_panel(axis: Axes, table: pd.DataFrame) -> None:
    # A decision keeps until the error rate at which another class overtakes: a step.
    curves(axis, table, "accuracy", drawstyle="steps-post")
    axis.set_ylim(0, 103)


def language_model_figure(tables: list[pd.DataFrame]) -> Figure:
    """NLL against error rate (Figure 1): a column per budget, clean test and noisy training
    text above each other."""
    figure, axes = plt.subplots(
        2,
        len(tables),
        figsize=(4.4 * len(tables), 6.6),
        sharex=True,
        squeeze=False,
        sharey="row",
        layout="constrained",
    )
    for table, column in zip(tables, axes.T, strict=True):
        noisy = table[table["corruption"] != "none"].iloc[0]
        column[0].set_title(f"{noisy['dataset']}, {BUDGETS[noisy['budget']]}")
        curves(column[0], table, "nll")
        denoised = table[table["metric"] == "denoised_nll"].sort_values("error_rate")
        column[0].plot(
            denoised["error_rate"], denoised["ours"], "-^", color=DENOISED, label="ours, denoised"
        )
        curves(column[1], table, "train_nll")
        column[1].set_xlabel("error rate e = r / (1 + r)")
    axes[0, 0].set_ylabel("clean-test NLL (nats/token)")
    axes[1, 0].set_ylabel("noisy-train NLL (nats/token)")
    shared_legend(figure, axes)
    return figure


def rulers_figure(tables: list[pd.DataFrame]) -> Figure:
    """Classifiers and diffusion models by the same ruler: a row per ruler (the decision, a
    sampled label or image), a column per data set that both have, a colour per family."""
    (table,) = tables
    both = table.groupby("dataset", sort=False)["family"].nunique() == len(RULED)
    datasets = list(both[both].index)
    size = {"figsize": (max(6.6, 4.4 * len(datasets)), 6.6), "layout": "constrained"}
    options = {"sharex": True, "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(len(RULERS), len(datasets), **size, **options)
    for (label, metrics), row in zip(RULERS.items(), axes, strict=True):
        for dataset, axis in zip(datasets, row, strict=True):
            cells = table[(table["dataset"] == dataset) & table["metric"].isin(metrics)]
            for family, colour in RULED.items():
                coloured_curves(
                    axis, cells[cells["family"] == family], colour, FAMILY_NAMES[family]
                )
            axis.set_ylim(0, 103)
            axis.grid(alpha=0.3)
        row[0].set_ylabel(f"{label} (%)")
    finish_columns(figure, axes, datasets)
    return figure


def seq2seq_figure(tables: list[pd.DataFrame]) -> Figure:
    """Rise of the NLL against the error rate (Figure 2), relative as in the paper, and its
    absolute twins per token and per sequence; a colour per data set."""
    (table,) = tables
    figure, axes = plt.subplots(1, len(RISES), figsize=(13, 4.6), squeeze=False, sharex=True)
    figure.set_layout_engine("constrained")
    datasets = dict(zip(dict.fromkeys(table["dataset"]), DATASETS, strict=False))
    for (metric, label), axis in zip(RISES.items(), axes.flat, strict=True):
        for dataset, colour in datasets.items():
            part = table[(table["metric"] == metric) & (table["dataset"] == dataset)]
            coloured_curves(axis, part, colour, NAMES.get(dataset, dataset))
        axis.set_ylabel(label)
        axis.set_xlabel("error rate e = r / (1 + r)")
        axis.grid(alpha=0.3)
    shared_legend(figure, axes)
    return figure
