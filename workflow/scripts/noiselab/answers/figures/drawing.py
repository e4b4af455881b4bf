"""What all figures share: colours, curves with intervals and floors, axes, legends, files."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from noiselab.answers.layouts import NAMES
from noiselab.files import whole_file

# Okabe and Ito's colours, distinguishable with any kind of colour vision.
OURS, PAPER, FLOOR, DENOISED = "#0072B2", "#D55E00", "#555555", "#009E73"
DATASETS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7")  # where a colour is a data set
# Seven that differ in lightness as well, for quantities in their order.
ORDERED = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")


def curves(axis: Axes, table: pd.DataFrame, metric: str, drawstyle: str = "default") -> None:
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
    with_spread(axis, cells, "error_rate", "ours", OURS)
    axis.grid(alpha=0.3)


def coloured_curves(axis: Axes, cells: pd.DataFrame, colour: str, name: str) -> None:
    """Own, published and floor curves in one colour, told apart by their lines."""
    cells = cells.sort_values("error_rate")
    e = cells["error_rate"]
    with_spread(axis, cells, "error_rate", f"{name}, ours", colour)
    axis.plot(e, cells["floor"], "--", color=colour, label=f"{name}, noise floor")
    if cells["published"].notna().any():
        published = NAMES.get(cells["stands_in_for"].iloc[0])
        style = {"color": colour, "markersize": 5, "alpha": 0.6}
        axis.plot(e, cells["published"], ":s", **style, label=f"paper, {published}")


def with_spread(
    axis: Axes, cells: pd.DataFrame, x: str, name: str, colour: str, marker: str = "o"
) -> None:
    """Own numbers with their intervals against a column of the table."""
    spread = [cells["ours"] - cells["ci_low"], cells["ci_high"] - cells["ours"]]
    style = {"fmt": f"-{marker}", "capsize": 3, "color": colour, **weak_style(cells)}
    name = f"{name}, 95 % CI{weak_label(cells)}"
    axis.errorbar(cells[x], cells["ours"], yerr=spread, **style, label=name)


def weak_label(cells: pd.DataFrame) -> str:
    """What is added to the name of numbers that nothing can be concluded from (competence.py)."""
    return " (model too weak)" if cells["competence"].notna().any() else ""


def weak_style(cells: pd.DataFrame) -> dict:
    """Such numbers have hollow markers."""
    return {"markerfacecolor": "white"} if weak_label(cells) else {}


def logarithmic(axis: Axes, values: pd.Series) -> None:
    """A logarithmic axis with ticks at the values that there are."""
    axis.set_xscale("log")
    axis.set_xticks(sorted(set(values)), minor=False)
    axis.set_xticks([], minor=True)
    axis.xaxis.set_major_formatter("{x:,g}")


def finish_columns(figure: Figure, axes, datasets: list[str]) -> None:
    """Titles on top, the error rate below, and a legend, where each column is a data set."""
    for dataset, axis in zip(datasets, axes[0], strict=True):
        axis.set_title(NAMES.get(dataset, dataset))
    for column in axes.T:
        lowest = [axis for axis in column if axis.axison][-1]
        lowest.set_xlabel("error rate e = r / (1 + r)")
        lowest.tick_params(labelbottom=True)
    shared_legend(figure, axes)


def shared_legend(figure: Figure, axes, columns: int = 2) -> None:
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
        ncols=columns,
        frameon=False,
    )


def save(figure: Figure, paths: Iterable[Path]) -> None:
    """Write svg or png files, as their names end; the same figure gives the same files."""
    for path in paths:
        kind = path.suffix[1:]
        metadata = {"Date": None} if kind == "svg" else None
        with whole_file(path) as file, plt.rc_context({"svg.hashsalt": "noiselab"}):
            figure.savefig(file, dpi=160, format=kind, metadata=metadata)
