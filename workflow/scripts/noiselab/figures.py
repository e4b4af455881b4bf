"""Figures, drawn from the tidy tables so that they show exactly what the tables say."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from noiselab.layouts import NAMES

# Okabe and Ito's colours, distinguishable with any kind of colour vision.
OURS, PAPER, FLOOR, DENOISED = "#0072B2", "#D55E00", "#555555", "#009E73"
CORRUPTIONS = {
    "uniform_label": "uniform noise",
    "shift_label": "structured noise, y → y + 1",
}


BUDGETS = {"fixed_clean": "training × (1 + r)", "fixed_total": "fixed training length"}


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
    for source, row in zip(_by_corruption(tables, corruptions), axes, strict=True):
        for dataset, axis in zip(datasets, row, strict=True):
            _accuracy_panel(axis, source[source["dataset"] == dataset])
    for corruption, axis in zip(corruptions, axes[:, 0], strict=True):
        axis.set_ylabel(f"{CORRUPTIONS[corruption]}\nclean-test accuracy (%)")
    for dataset, axis in zip(datasets, axes[0], strict=True):
        axis.set_title(NAMES.get(dataset, dataset))
    for axis in axes[-1]:
        axis.set_xlabel("error rate e = r / (1 + r)")
    _shared_legend(figure, axes)
    return figure


def _by_corruption(tables: list[pd.DataFrame], corruptions: list[str]) -> list[pd.DataFrame]:
    """The table of each corruption, with its clean row (whose corruption is `none`)."""
    return [next(t for t in tables if (t["corruption"] == c).any()) for c in corruptions]


def _accuracy_panel(axis: Axes, table: pd.DataFrame) -> None:
    # A decision keeps until the error rate at which another class overtakes: a step.
    _curves(axis, table, "accuracy", drawstyle="steps-post")
    axis.set_ylim(0, 103)


def _curves(axis: Axes, table: pd.DataFrame, metric: str, drawstyle: str = "default") -> None:
    """Floor, published and own numbers of one metric against the error rate."""
    cells = table[table["metric"] == metric].sort_values("error_rate")
    e = cells["error_rate"]
    floor = {"linestyle": "--", "color": FLOOR, "drawstyle": drawstyle}
    axis.plot(e, cells["floor"], **floor, label="noise floor (calibrated model)")
    printed = cells.dropna(subset="published")
    if len(printed):
        name = f"paper, {NAMES.get(printed['stands_in_for'].iloc[0])}"
        style = {"color": PAPER, "markersize": 5}
        axis.plot(printed["error_rate"], printed["published"], ":s", **style, label=name)
    spread = [cells["ours"] - cells["ci_low"], cells["ci_high"] - cells["ours"]]
    style = {"fmt": "-o", "color": OURS, "capsize": 3}
    axis.errorbar(e, cells["ours"], yerr=spread, **style, label="ours, 95 % CI")
    axis.grid(alpha=0.3)


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
        _curves(column[0], table, "nll")
        denoised = table[table["metric"] == "denoised_nll"].sort_values("error_rate")
        column[0].plot(
            denoised["error_rate"], denoised["ours"], "-^", color=DENOISED, label="ours, denoised"
        )
        _curves(column[1], table, "train_nll")
        column[1].set_xlabel("error rate e = r / (1 + r)")
    axes[0, 0].set_ylabel("clean-test NLL (nats/token)")
    axes[1, 0].set_ylabel("noisy-train NLL (nats/token)")
    _shared_legend(figure, axes)
    return figure


def _shared_legend(figure: Figure, axes) -> None:
    """One legend below all panels, the paper's curves last."""
    handles = {}
    for axis in axes.flat:
        lines, texts = axis.get_legend_handles_labels()
        handles |= dict(zip(texts, lines, strict=True))
    texts = sorted(handles, key=lambda text: text.startswith("paper"))
    figure.legend(
        [handles[text] for text in texts],
        texts,
        loc="outside lower center",
        ncols=2,
        frameon=False,
    )


def save(figure: Figure, path: Path, kind: str) -> None:
    """Write `svg` or `png`; the same figure gives the same file."""
    metadata = {"Date": None} if kind == "svg" else None
    with plt.rc_context({"svg.hashsalt": "noiselab"}):
        figure.savefig(path, dpi=160, format=kind, metadata=metadata)
