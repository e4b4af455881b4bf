"""Figures, drawn from the tidy tables so that they show exactly what the tables say."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from noiselab.tables import NAMES

# Okabe and Ito's colours, distinguishable with any kind of colour vision.
OURS, PAPER, FLOOR = "#0072B2", "#D55E00", "#555555"
CORRUPTIONS = {
    "uniform_label": "uniform noise",
    "shift_label": "structured noise, y → y + 1",
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
    for source, row in zip(_by_corruption(tables, corruptions), axes, strict=True):
        for dataset, axis in zip(datasets, row, strict=True):
            _accuracy_panel(axis, source[source["dataset"] == dataset])
    for corruption, axis in zip(corruptions, axes[:, 0], strict=True):
        axis.set_ylabel(f"{CORRUPTIONS[corruption]}\nclean-test accuracy (%)")
    for dataset, axis in zip(datasets, axes[0], strict=True):
        axis.set_title(NAMES.get(dataset, dataset))
    for axis in axes[-1]:
        axis.set_xlabel("error rate e = r / (1 + r)")
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
    return figure


def _by_corruption(tables: list[pd.DataFrame], corruptions: list[str]) -> list[pd.DataFrame]:
    """The table of each corruption, with its clean row (whose corruption is `none`)."""
    return [next(t for t in tables if (t["corruption"] == c).any()) for c in corruptions]


def _accuracy_panel(axis: Axes, cells: pd.DataFrame) -> None:
    cells = cells[cells["metric"] == "accuracy"].sort_values("error_rate")
    e = cells["error_rate"]
    # A decision keeps until the error rate at which another class overtakes: a step.
    floor = {"linestyle": "--", "color": FLOOR, "drawstyle": "steps-post"}
    axis.plot(e, cells["floor"], **floor, label="noise floor (calibrated model)")
    if cells["published"].notna().any():
        name = NAMES.get(cells["stands_in_for"].iloc[0])
        axis.plot(e, cells["published"], ":s", color=PAPER, markersize=5, label=f"paper, {name}")
    spread = [cells["ours"] - cells["ci_low"], cells["ci_high"] - cells["ours"]]
    axis.errorbar(
        e, cells["ours"], yerr=spread, fmt="-o", color=OURS, capsize=3, label="ours, 95 % CI"
    )
    axis.set_ylim(0, 103)
    axis.grid(alpha=0.3)


def save(figure: Figure, path: Path, kind: str) -> None:
    """Write `svg` or `png`; the same figure gives the same file."""
    metadata = {"Date": None} if kind == "svg" else None
    with plt.rc_context({"svg.hashsalt": "noiselab"}):
        figure.savefig(path, dpi=160, format=kind, metadata=metadata)
