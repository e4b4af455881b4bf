"""What is shown to who points at a point of a panel."""

import pandas as pd

from noiselab.answers.figures.drawing import TEXT, Axis, Curve, Panel
from noiselab.answers.layouts import true_minus

# Large points that are not seen.
MARK = {"type": "circle", "size": 260, "aria": False, "opacity": 0.001, "color": TEXT}


def pointed(panel: Panel) -> list[dict]:
    """Points that show their cell, or, where no curve has cells, what the axes say of them."""
    points = [line.points[["x", "y", "cell"]].dropna(subset="cell") for line in panel.curves]
    points = [part for part in points if len(part)]
    if not points:
        return _read(panel)
    values = pd.concat(points).to_dict("records")
    values = [value | {"cell": printed(value["cell"])} for value in values]
    tip = {"tooltip": {"field": "cell", "type": "nominal"}}
    return [{"data": {"values": values}, "mark": MARK, "encoding": tip}]


def printed(cell: dict[str, str]) -> dict[str, str]:
    """A cell with true minus signs."""
    return {key: true_minus(text) for key, text in cell.items()}


def _read(panel: Panel) -> list[dict]:
    """Points that show their curve, x, y, and the interval where there are any."""
    values = [value for line in panel.curves for value in _readings(line, panel)]
    if not values:
        return []
    shown = {"series": "title", "at": panel.x.title, "value": panel.y.title}
    if any(line.points["low"].notna().any() for line in panel.curves):
        shown["interval"] = "95 % interval"
    tips = [{"field": f, "type": "nominal", "title": title} for f, title in shown.items()]
    return [{"data": {"values": values}, "mark": MARK, "encoding": {"tooltip": tips}}]


def _readings(line: Curve, panel: Panel) -> list[dict]:
    """A row per point of a curve, in words."""
    name = line.name if line.labelled else f"{line.name} ({line.kind})"
    return [
        {
            "x": row["x"],
            "y": row["y"],
            "series": name,
            "at": _number(row["x"], panel.x),
            "value": _number(row["y"], panel.y),
            "interval": "none"
            if pd.isna(row["low"])
            else f"[{_number(row['low'], panel.y)}, {_number(row['high'], panel.y)}]",
        }
        for row in line.points.to_dict("records")
    ]


def _number(value: float, axis: Axis) -> str:
    """A number with four digits, in per cent where its axis is."""
    if (axis.form or "").endswith("%"):
        return true_minus(f"{100 * value:.4g} %")
    return true_minus(f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}")
