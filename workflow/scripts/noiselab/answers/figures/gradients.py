"""Gradients of clean and of corrupt targets (Figure 4)."""

import numpy as np
import pandas as pd

from noiselab.answers.figures.cells import logarithmic_axis
from noiselab.answers.figures.drawing import (
    BLUE,
    GREY,
    POINTS,
    VERMILLION,
    Axis,
    Curve,
    Drawing,
    Look,
    Panel,
    curve,
)
from noiselab.answers.figures.vegalite import drawing, narrow, wide

PROTOCOLS = {
    "tokens": "token noise (text)",
    "sequences": "sequence noise (released code)",
}
KINDS = {"clean": (BLUE, "circle"), "corrupt": (VERMILLION, "triangle-up")}
GUIDE = Look(GREY, dash=(1, 3), width=1.2)
NORMAL = 1.96  # standard errors at either side of a 95 % interval


def gradient_figure(tables: list[pd.DataFrame]) -> Drawing:
    """Measured gradients (Figure 4): a row per protocol; (a) in a plane through the direction of
    the clean sum, (b) the norm of their sums against their number. tables: the projection and the
    growth, as project_gradients writes them."""
    projection, growth = tables
    panels, found = [], []
    for protocol in dict.fromkeys(projection["protocol"]):
        norms = growth[growth["protocol"] == protocol]
        points = projection[projection["protocol"] == protocol]
        name = PROTOCOLS[protocol]
        panels += [_plane(points, norms["norm_clean"].iloc[0], f"(a) {name}")]
        panels += [_growth(norms, f"(b) {name}")]
        found.append((name, norms.iloc[0], norms.iloc[-1]))
    alt = "; ".join(
        f"{name}: mean cosine {first['cosine_clean']:.3f} of clean and "
        f"{first['cosine_corrupt']:.3f} of corrupt gradients, signal-to-noise ratio from "
        f"{first['snr']:.2f} for one to {last['snr']:.2f} for sums of {last['count']:g}"
        for name, first, last in found
    )
    alt = f"How coherent gradients of clean and of corrupt targets are. {alt}."
    return drawing(alt, panels, wide(2, 280, names=120), narrow(height=210))


def _plane(points: pd.DataFrame, length: float, title: str) -> Panel:
    """A point per gradient, seen from the origin. length: the mean one of a clean gradient, for the
    line where clean gradients would end if they were orthogonal to each other: their sum has a
    part of each, so that even then its direction is theirs."""
    orthogonal = length / np.sqrt((points["kind"] == "clean").sum())
    shares = (100 * points[["share_x", "share_y"]].iloc[0]).map("{:.2g} %".format)
    x = _plain(f"along the clean sum ({shares['share_x']} of the squared length)", points["x"])
    y = _plain(f"across it, longest ({shares['share_y']} of the squared length)", points["y"])
    lines = []
    for kind, (colour, shape) in KINDS.items():
        part = points[points["kind"] == kind]
        dots = Look(colour, shape=shape, line=False, rays=True)
        lines.append(curve(f"{kind} targets", part["x"], part["y"], dots, f"{kind} gradient"))
    ends = [orthogonal] * 2, [y.low, y.high]
    name = "clean ones, were they orthogonal"
    lines.append(curve(name, *ends, Look(GREY, dash=(6, 4), width=1.4), "predicted"))
    return Panel(title, x, y, lines, square=True, zoom=True)


def _plain(title: str, values: pd.Series) -> Axis:
    """An axis around the origin and all values."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    room = 0.06 * (high - low)
    return Axis(title, low - room, high + room)


def _growth(sums: pd.DataFrame, title: str) -> Panel:
    """Norms of the sums of m gradients, and what their mean length and cosine predict."""
    m, first, last = sums["count"], sums.iloc[0], sums.iloc[-1]
    lines = []
    for kind, (colour, shape) in KINDS.items():
        norm, half = sums[f"norm_{kind}"], NORMAL * sums[f"norm_{kind}_se"]
        points = pd.DataFrame({"x": m, "y": norm, "low": norm - half, "high": norm + half})
        points["cell"] = [_cell(kind, row) for row in sums.to_dict("records")]
        dots = Look(colour, shape=shape, line=False)
        lines.append(Curve(f"{kind} sum", points.reindex(columns=POINTS), dots, "measured"))
        dashed = Look(colour, dash=(6, 4), width=1.2)
        name = f"{kind}, predicted"
        lines.append(curve(name, m, sums[f"predicted_{kind}"], dashed, "predicted"))
    top, foot = (f(first["norm_clean"], first["norm_corrupt"]) for f in (max, min))
    lines.append(curve("∝ m", m, 1.3 * top * m, GUIDE, "guide"))
    lines.append(curve("∝ √m", m, foot / 1.3 * np.sqrt(m), GUIDE, "guide"))
    values = pd.concat([line.points["y"] for line in lines])
    ticks = tuple(
        t for t in (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0) if t < values.max()
    )
    y = Axis(
        "norm of the sum", float(values.min()) / 1.1, float(values.max()) * 1.1, ticks, "~g", True
    )
    notes = (
        f"mean cosine: clean {first['cosine_clean']:.3f}, corrupt {first['cosine_corrupt']:.3f}",
        f"SNR: {first['snr']:.2f} at m = 1, {last['snr']:.2f} at m = {last['count']:g}",
    )
    return Panel(title, logarithmic_axis("gradients in the sum, m", m, "~g"), y, lines, notes=notes)


def _cell(kind: str, row: dict) -> dict[str, str]:
    half = NORMAL * row[f"norm_{kind}_se"]
    norm = row[f"norm_{kind}"]
    return {
        "title": f"sum of {row['count']:g} {kind} gradients",
        "norm": f"{norm:.3f} [{norm - half:.3f}, {norm + half:.3f}]",
        "from mean length and cosine": f"{row[f'predicted_{kind}']:.3f}",
        "signal-to-noise ratio": f"{row['snr']:.3f}",
    }
