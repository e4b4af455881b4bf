"""The spectrum of robustness: all families in one figure."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from noiselab.answers.figures.drawing import FLOOR, ORDERED, weak_label, weak_style
from noiselab.answers.layouts import FAMILIES as FAMILY_NAMES
from noiselab.answers.layouts import NAMES

FAMILY_COLOURS = dict(zip(FAMILY_NAMES, ORDERED, strict=False))
MARKERS = ("o", "s", "^", "D", "v")


def spectrum_figure(tables: list[pd.DataFrame]) -> Figure:
    """The spectrum of robustness: relative loss as the paper measures it (left) and what of it is
    above the noise floor (right); our runs (top) and the paper's printed numbers (bottom). A colour
    per family, a marker per data set."""
    size = {"figsize": (13, 8.6), "layout": "constrained"}
    figure, axes = plt.subplots(2, 2, **size, sharex=True, sharey="row")
    for column, table, row in zip(("ours", "published"), tables, axes, strict=True):
        _spectrum_row(row, table, column)
    for axis, title in zip(axes[0], ("what is lost", "what of it is above the floor"), strict=True):
        axis.set_title(title)
    for axis in axes[-1]:
        axis.set_xlabel("error rate e = r / (1 + r)")
    return figure


def _spectrum_row(row, table: pd.DataFrame, column: str) -> None:
    """Both panels of our numbers or of the printed ones, and their legend."""
    curves = list(table.groupby(["family", "dataset", "panel"], sort=False))
    for (family, *_), cells in curves:
        before = [key for key, _ in curves if key[0] == family]
        marker = MARKERS[before.index((family, *_)) % len(MARKERS)]
        above = cells.assign(**{column: cells[column] - cells["floor"]})
        if column == "ours":  # whose intervals are paired with the floor
            above = above.assign(ci_low=cells["excess_low"], ci_high=cells["excess_high"])
        for axis, drawn in zip(row, (cells, above), strict=True):
            _spectrum_curve(axis, drawn, column, family, marker)
    for axis in row:
        axis.axhline(0, color=FLOOR, linewidth=0.8)
        axis.grid(alpha=0.3)
    who = "ours, 95 % CI" if column == "ours" else "the paper's printed numbers"
    row[0].set_ylabel(f"{who}\nrelative loss of the score (%)")
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0)}
    row[1].legend(*_legend(row[0]), **place, frameon=False, fontsize="small")


def _legend(axis: Axes) -> tuple[list, list]:
    """Handles and labels of an axis, markers without their intervals' bars."""
    handles, labels = axis.get_legend_handles_labels()
    return [getattr(handle, "lines", [handle])[0] for handle in handles], labels


def _spectrum_curve(axis: Axes, cells: pd.DataFrame, column: str, family: str, marker: str) -> None:
    """One family on one data set; nothing where there is no number, such as no floor."""
    cells = cells.dropna(subset=column).sort_values("error_rate")
    if len(cells) == 0:
        return
    dataset = cells["dataset"].iloc[0]
    fixed = ", fixed length" if "fixed" in cells["panel"].iloc[0] else ""
    name = f"{FAMILY_NAMES[family]}, {NAMES.get(dataset, dataset)}{fixed}"
    style = {"color": FAMILY_COLOURS[family], "marker": marker, "markersize": 5, "label": name}
    style |= {"linestyle": ":" if fixed else "-"}
    if column == "ours":
        style |= {"label": name + weak_label(cells), **weak_style(cells)}
    spread = None
    if cells["ci_low"].notna().any():
        spread = [cells[column] - cells["ci_low"], cells["ci_high"] - cells[column]]
    axis.errorbar(cells["error_rate"], cells[column], yerr=spread, capsize=2, **style)
