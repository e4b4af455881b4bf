"""Gradients of clean and of corrupt targets (Figure 4)."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from noiselab.answers.figures.drawing import FLOOR, OURS, PAPER, logarithmic, shared_legend

PROTOCOLS = {
    "tokens": "token noise (text)",
    "sequences": "sequence noise (released code)",
}
KINDS = {"clean": (OURS, "o"), "corrupt": (PAPER, "^")}


def gradient_figure(tables: list[pd.DataFrame]) -> Figure:
    """Measured gradients (Figure 4): a row per protocol; (a) in a plane through the direction of
    the clean sum, (b) the norm of their sums against their number. tables: the projection and the
    growth, as project_gradients writes them."""
    projection, growth = tables
    protocols = list(dict.fromkeys(projection["protocol"]))
    size = {"figsize": (11, 4.4 * len(protocols)), "layout": "constrained"}
    figure, axes = plt.subplots(len(protocols), 2, **size, squeeze=False)
    for protocol, (plane, sums) in zip(protocols, axes, strict=True):
        norms = growth[growth["protocol"] == protocol]
        points = projection[projection["protocol"] == protocol]
        _gradient_plane(plane, points, norms["norm_clean"].iloc[0])
        _gradient_growth(sums, norms)
        plane.set_title(f"(a) {PROTOCOLS[protocol]}")
        sums.set_title(f"(b) {PROTOCOLS[protocol]}")
    shared_legend(figure, axes, columns=3)
    return figure


def _gradient_plane(axis: Axes, points: pd.DataFrame, length: float) -> None:
    """An arrow per gradient from the origin. length: the mean one of a clean gradient, for the
    line where clean gradients would end if they were orthogonal to each other: their sum has a
    part of each, so that even then its direction is theirs."""
    for kind, (colour, marker) in KINDS.items():
        part = points[points["kind"] == kind]
        x, y = part["x"], part["y"]
        axis.plot([0 * x, x], [0 * y, y], color=colour, alpha=0.35, linewidth=0.8)
        style = {"color": colour, "markersize": 4, "linestyle": "none"}
        axis.plot(x, y, marker, **style, label=f"gradients of {kind} targets")
    orthogonal = length / np.sqrt((points["kind"] == "clean").sum())
    name = "clean ones, were they orthogonal"
    axis.axvline(orthogonal, color=FLOOR, linestyle="--", linewidth=1, label=name)
    shares = (100 * points[["share_x", "share_y"]].iloc[0]).map("{:.2g} %".format)
    axis.set_xlabel(f"along the clean sum ({shares['share_x']} of the squared length)")
    axis.set_ylabel(f"across, longest ({shares['share_y']} of the squared length)")
    axis.set_aspect("equal", adjustable="datalim")
    axis.grid(alpha=0.3)


def _gradient_growth(axis: Axes, sums: pd.DataFrame) -> None:
    """Norms of the sums of m gradients, and what their mean length and cosine predict."""
    m, first, last = sums["count"], sums.iloc[0], sums.iloc[-1]
    for kind, (colour, marker) in KINDS.items():
        half = 1.96 * sums[f"norm_{kind}_se"]
        style = {"fmt": marker, "color": colour, "markersize": 5, "capsize": 3}
        axis.errorbar(m, sums[f"norm_{kind}"], yerr=half, **style, label=f"{kind} sum, 95 % CI")
        name = f"{kind}, from mean length and cosine"
        axis.plot(m, sums[f"predicted_{kind}"], "--", color=colour, label=name)
    _guide(axis, m, 1.3 * max(first["norm_clean"], first["norm_corrupt"]), 1, "∝ m")
    _guide(axis, m, min(first["norm_clean"], first["norm_corrupt"]) / 1.3, 0.5, "∝ √m")
    words = f"mean cosine: clean {first['cosine_clean']:.3f}, corrupt {first['cosine_corrupt']:.3f}"
    words += f"\nSNR: {first['snr']:.2f} at m = 1, {last['snr']:.2f} at m = {last['count']:g}"
    axis.text(0.03, 0.96, words, transform=axis.transAxes, va="top")
    logarithmic(axis, m)
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("")
    axis.margins(x=0.12)
    axis.set_xlabel("gradients in the sum, m")
    axis.set_ylabel("norm of the sum")
    axis.grid(alpha=0.3)


def _guide(axis: Axes, m: pd.Series, start: float, slope: float, name: str) -> None:
    """A line of a slope on logarithmic axes, its name behind its end."""
    y = start * m**slope
    axis.plot(m, y, color=FLOOR, linestyle=":", linewidth=1)
    end, offset = (m.iloc[-1], y.iloc[-1]), (4, 0)
    axis.annotate(name, end, offset, textcoords="offset points", va="center")
