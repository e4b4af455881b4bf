"""Panels as specifications in Vega-Lite: plain dicts with their data, no code of Vega's in them.

A click on a name hides its curve in all panels; pointing at a point shows its cell. Where a panel
says so, it zooms: shift and wheel, drag, and double click to go back.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from noiselab.answers.figures import labels
from noiselab.answers.figures.drawing import (
    GREY,
    TEXT,
    Axis,
    Curve,
    Drawing,
    Mark,
    Panel,
    panel_data,
)
from noiselab.answers.figures.hover import pointed
from noiselab.answers.layouts import true_minus

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
VERSION = "6.4"
FONT = "system-ui, sans-serif"
GAP = 14  # between panels
NOTHING = "Nothing of this figure was run here, nor is it printed in the paper."
SAMPLE, INDENT = 18, 30  # of a line beside its name; where the name begins


@dataclass(frozen=True)
class Size:
    """How large a figure is drawn, in pixels."""

    width: int
    columns: int
    height: int  # of a panel's inside
    font: int
    axis: int  # room for the numbers at the left
    names: int  # at most so much for the names at the right
    zoom: bool

    @property
    def line(self) -> int:
        """Height of a line of text."""
        return self.font + 3


def wide(columns: int, height: int = 220, names: int = 140) -> Size:
    """900 pixels, for a page; one column needs less."""
    return Size(900 if columns > 1 else 660, columns, height, 11, 42, names, True)


def narrow(columns: int = 1, height: int = 170, names: int = 92) -> Size:
    """350 pixels, for a phone: panels are stacked, and nothing catches a finger that scrolls."""
    return Size(350, columns, height, 10, 36, names, False)


def drawing(
    alt: str,
    panels: list[Panel],
    large: Size,
    small: Size,
    empty: tuple[str, str] = (NOTHING, NOTHING),
) -> Drawing:
    """A figure of panels in rows, of those in which there is something. empty: title and
    description where there is nothing."""
    panels = [panel for panel in panels if panel.curves]
    if not panels:
        title, alt = empty
        panels = [Panel(title, *[Axis("", 0, 1)] * 2, [])]
    specs = (
        specification([panel_spec(p, i, panels, size) for i, p in enumerate(panels)], size)
        for size in (large, small)
    )
    return Drawing(true_minus(alt), panel_data(panels), *specs)


def specification(views: list[dict], size: Size) -> dict:
    """Views side by side, in rows of so many columns."""
    named = [layer["name"] for view in views for layer in view["layer"] if "name" in layer]
    return {
        "$schema": SCHEMA,
        "config": config(size),
        **({"params": [hiding(named)]} if named else {}),
        "concat": views,
        "columns": size.columns,
        "spacing": {"row": 22, "column": GAP},
    }


def config(size: Size) -> dict:
    """Text and axes in the colour of the page's text, on no background."""
    text = {"fontSize": size.font, "color": TEXT}
    axis = {"labelColor": TEXT, "titleColor": TEXT, "labelFontSize": size.font}
    axis |= {"titleFontSize": size.font, "titleFontWeight": "normal", "labelOpacity": 0.85}
    axis |= {"domainColor": TEXT, "domainOpacity": 0.5, "tickColor": TEXT, "tickOpacity": 0.5}
    axis |= {"gridColor": TEXT, "gridOpacity": 0.13, "tickSize": 4, "labelFlush": False}
    return {
        "font": FONT,
        "background": None,
        "padding": 4,
        "view": {"stroke": None},
        "axis": axis,
        "axisX": {"grid": False},
        "text": text,
    }


def hiding(views: list[str]) -> dict:
    """A click on a name hides its curve, another shows it again."""
    select = {"type": "point", "fields": ["series"], "on": "click", "toggle": "true"}
    return {"name": "hidden", "select": select | {"clear": False}, "views": views}


def shown(value: float = 1, hidden: float = 0) -> dict:
    """An opacity that a click on the name changes."""
    return {"condition": {"param": "hidden", "empty": False, "value": hidden}, "value": value}


# ----------------------------------------------------------------------------- a panel


def panel_spec(panel: Panel, number: int, panels: list[Panel], size: Size) -> dict:
    """A panel among panels, which all have the same room for names."""
    inside = _inside(panels, size)
    zoom = panel.zoom and size.zoom
    curves = _drawn(panel, zoom)
    if zoom:
        curves[-1] |= {"params": [_zooming(number)]}
    layers = [*_marks(panel, size, inside), *curves, *_names(panel, number, size, inside)]
    layers += _title(panel, size, inside + size.axis + _room(panels, size))
    return {
        "width": inside,
        "height": size.height,
        "encoding": _axes(panel, size, inside),
        "layer": [*layers, *pointed(panel)],
    }


def _title(panel: Panel, size: Size, whole: float) -> list[dict]:
    """Title, measure and notes above a panel, as marks: a title of Vega's stands at another height
    where something sticks out of the panel."""
    texts = (panel.y.title, *panel.notes)
    measure = [line for text in texts for line in labels.lines(text, whole, size.font)]
    title = labels.lines(panel.title, whole, size.font + 1, bold=True)
    layers, at = [], -12
    for texts, style in ((measure, {}), (title, {"fontSize": size.font + 1, "fontWeight": 600})):
        rows = [{"text": text} for text in texts]
        for row in reversed(rows):
            row["at"] = at
            at -= size.line + 1
        layers.append(text_layer(rows, 2 - size.axis, **style))
        at -= 1
    return layers


def text_layer(rows: list[dict], x: float, **style) -> dict:
    """Texts at x and at heights, in pixels."""
    rows = [row | {"text": true_minus(row["text"])} for row in rows]
    at = {"field": "at", "type": "quantitative", "scale": None, "axis": None}
    mark = {"type": "text", "align": "left", "baseline": "middle", "aria": False, "clip": False}
    mark |= style
    encoding = {"x": {"value": x}, "y": at, "text": {"field": "text"}}
    return {"data": {"values": rows}, "mark": mark, "encoding": encoding}


def _room(panels: list[Panel], size: Size) -> float:
    """What the names at the right need."""
    texts = [
        labels.width(line, size.font)
        for panel in panels
        for curve in panel.curves
        if curve.labelled
        for line in labels.lines(curve.name, size.names, size.font)
    ]
    return INDENT + math.ceil(max(texts)) if texts else 8


def _inside(panels: list[Panel], size: Size) -> int:
    """Width of a panel's inside."""
    whole = (size.width - 10 - GAP * (size.columns - 1)) / size.columns
    return int(whole - size.axis - _room(panels, size))


def _axes(panel: Panel, size: Size, inside: int) -> dict:
    """Encodings of x and y with their scales."""
    encodings = {}
    for name, axis, pixels in (("x", panel.x, inside), ("y", panel.y, size.height)):
        low, high = axis.low, axis.high
        if panel.square:  # as many units per pixel as along the longer one
            unit = max(
                (panel.x.high - panel.x.low) / inside, (panel.y.high - panel.y.low) / size.height
            )
            middle, half = (low + high) / 2, unit * pixels / 2
            low, high = middle - half, middle + half
        scale = {"domain": [low, high], "nice": False}
        scale |= {"type": "log"} if axis.logarithmic else {"zero": False}
        drawn = {"title": axis.title if name == "x" else None}
        drawn |= {"values": _ticks(axis, pixels, size)} if axis.ticks else {"tickCount": 5}
        drawn |= {"format": axis.form} if axis.form else {}
        encodings[name] = {"field": name, "type": "quantitative", "scale": scale, "axis": drawn}
    return encodings


def _ticks(axis: Axis, pixels: float, size: Size) -> list[float]:
    """All of an axis's ticks, or every second where their numbers would touch."""
    crowded = not axis.logarithmic and len(axis.ticks) * 2.9 * size.font > pixels
    return list(axis.ticks[:: 2 if crowded else 1])


def _drawn(panel: Panel, clip: bool) -> list[dict]:
    """Layers of the curves, intervals behind."""
    layers = []
    for line in panel.curves:
        layers += _intervals(line, clip)
    for line in panel.curves:
        layers += _line(line, clip)
    return layers


def _layer(mark: dict, values: list[dict], **encodings) -> dict:
    return {
        "data": {"values": values},
        "mark": {"aria": False} | mark,
        "encoding": {"opacity": shown()} | encodings,
    }


def _line(line: Curve, clip: bool) -> list[dict]:
    values = _values(line.points[["x", "y"]].assign(series=line.name))
    style, layers = line.look, []
    stroke = {"stroke": style.colour, "strokeWidth": style.width, "clip": clip}
    if style.line:
        stroke |= {"strokeDash": list(style.dash)} if style.dash else {}
        stroke |= {"interpolate": "step-after"} if style.step else {}
        layers.append(_layer({"type": "line", **stroke}, values))
    if style.rays:
        origin = {"x2": {"datum": 0}, "y2": {"datum": 0}}
        thin = {"type": "rule", "strokeOpacity": 0.5, **stroke, "strokeWidth": 0.8}
        layers.append(_layer(thin, values, **origin))
    if style.shape:
        layers.append(_layer(_point(style, clip), values))
    return layers


def _point(style, clip: bool = False) -> dict:
    """A point; a hollow one has the page's background in it."""
    point = {"type": "point", "shape": style.shape, "size": 42, "clip": clip, "strokeWidth": 1.4}
    return point | {"stroke": style.colour, "fill": "none" if style.hollow else style.colour}


def _intervals(line: Curve, clip: bool) -> list[dict]:
    """A band through neighbours that have an interval, a thick bar at one that stands alone."""
    points = line.points.assign(series=line.name)
    has = points["low"].notna() & points["high"].notna()
    if not has.any():
        return []
    points["part"] = (has != has.shift()).cumsum()
    points = points[has]
    alone = points.groupby("part")["x"].transform("size") == 1
    ends = {"y": {"field": "low"}, "y2": {"field": "high"}}
    layers = []
    columns = ["x", "low", "high", "series"]
    if alone.any():
        bar = {"type": "rule", "stroke": line.look.colour, "strokeWidth": 7, "strokeOpacity": 0.35}
        layers.append(_layer(bar | {"clip": clip}, _values(points.loc[alone, columns]), **ends))
    if (~alone).any():
        band = {"type": "area", "fill": line.look.colour, "fillOpacity": 0.2, "clip": clip}
        values = _values(points.loc[~alone, [*columns, "part"]])
        layers.append(_layer(band, values, **ends, detail={"field": "part"}))
    return layers


def _values(points: pd.DataFrame) -> list[dict]:
    """Rows as JSON has them."""
    return points.to_dict("records")


def _zooming(number: int) -> dict:
    select = {"type": "interval", "zoom": "wheel![event.shiftKey]"}
    return {"name": f"zoom_{number}", "select": select, "bind": "scales"}


# ----------------------------------------------------------------------------- words and marks


def _height(panel: Panel, size: Size, y: float) -> float:
    """Pixels from a panel's top."""
    low, high = panel.y.low, panel.y.high
    if panel.y.logarithmic:
        low, high, y = np.log([low, high, y])
    return float(size.height * (high - y) / (high - low))


def _names(panel: Panel, number: int, size: Size, inside: int) -> list[dict]:
    """The names of curves beside their ends, each behind a piece of its line."""
    named = [line for line in panel.curves if line.labelled]
    if not named:
        return []
    texts = [labels.lines(line.name, size.names, size.font) for line in named]
    heights = [len(text) * size.line + 2 for text in texts]
    wanted = [_height(panel, size, line.last[1]) for line in named]
    places = labels.spread(wanted, heights, -6, size.height + 10)
    layers, rows = [], []
    for line, text, place in zip(named, texts, places, strict=True):
        layers += _sample(line, place, inside)
        first = place - (len(text) - 1) * size.line / 2
        rows += [
            {"series": line.name, "text": part, "at": first + i * size.line}
            for i, part in enumerate(text)
        ]
    text = text_layer(rows, inside + INDENT, cursor="pointer")
    text["encoding"]["opacity"] = shown(1, 0.4)
    return [*layers, text | {"name": f"names_{number}"}]


def _sample(line: Curve, place: float, inside: int) -> list[dict]:
    """A piece of a curve in front of its name."""
    style, values = line.look, [{"series": line.name}]
    start, end = inside + INDENT - 4 - SAMPLE, inside + INDENT - 4
    at, layers = {"y": {"value": place}}, []
    if style.line:
        rule = {"type": "rule", "stroke": style.colour, "strokeWidth": style.width, "clip": False}
        rule |= {"strokeDash": list(style.dash)} if style.dash else {}
        layers.append(_layer(rule, values, x={"value": start}, x2={"value": end}, **at))
    if style.shape:
        layers.append(_layer(_point(style), values, x={"value": (start + end) / 2}, **at))
    return layers


def _marks(panel: Panel, size: Size, inside: int) -> list[dict]:
    """Bands and lines behind the curves, with their texts as far as these do not touch."""
    bands = [mark for mark in panel.marks if mark.to is not None]
    long = any(labels.width(mark.text, size.font) > 0.4 * inside for mark in bands)
    layers = [
        layer
        for mark in bands
        for layer in _band(mark, mark.text.split()[0] if long else mark.text, inside)
    ]
    end = -math.inf
    for mark in panel.marks:
        if mark.to is None:
            half = labels.width(mark.text, size.font) / 2
            middle = inside * (mark.at - panel.x.low) / (panel.x.high - panel.x.low)
            free = middle - half > end + 4
            end = middle + half if free else end
            layers += _upright(mark, mark.text if free else "", size)
    return layers


def _upright(mark: Mark, text: str, size: Size) -> list[dict]:
    """A line over the height, and its text in the panel's head."""
    style = {"type": "rule", "stroke": GREY, "strokeDash": [2, 3], "aria": False, "clip": True}
    words = {"type": "text", "align": "center", "baseline": "bottom", "aria": False, "clip": True}
    values = {"values": [{"x": mark.at, "text": text}]}
    over = {"y": {"value": 16}, "y2": {"value": size.height}}
    shown_text = {"y": {"value": 14}, "text": {"field": "text"}}
    return [
        {"data": values, "mark": style, "encoding": over},
        {"data": values, "mark": words, "encoding": shown_text},
    ]


def _band(mark: Mark, text: str, inside: int) -> list[dict]:
    """A band over the width, and its text at the right end."""
    style = {"type": "rect", "fill": GREY, "fillOpacity": 0.28, "aria": False, "clip": True}
    words = {"type": "text", "align": "right", "baseline": "middle", "aria": False, "dx": -5}
    values = {"values": [{"y": mark.at, "y2": mark.to, "middle": mark.middle, "text": text}]}
    across = {"x": {"value": 0}, "x2": {"value": inside}, "y2": {"field": "y2"}}
    place = {"x": {"value": inside}, "y": {"field": "middle"}, "text": {"field": "text"}}
    return [
        {"data": values, "mark": style, "encoding": across},
        {"data": values, "mark": words | {"clip": True}, "encoding": place},
    ]


# ------------------------------------------------------------------------------- pictures


def pictures(sheets: list[tuple[str, str, int, int]], size: Size) -> dict:
    """Pictures with a title each: (title, address, height, width)."""
    width = int((size.width - 10 - GAP * (size.columns - 1)) / size.columns)
    views = [_picture(*sheet, width, size) for sheet in sheets]
    return specification(views, size)


def _picture(title: str, address: str, tall: int, across: int, width: int, size: Size) -> dict:
    height = round(width * tall / across)
    # The setting for all marks does not reach images.
    mark = {"type": "image", "aria": False, "width": width, "height": height, "smooth": False}
    place = {"x": {"value": width / 2}, "y": {"value": height / 2}, "url": {"value": address}}
    texts = labels.lines(title, width, size.font)
    rows = [{"text": t, "at": -10 - i * size.line} for i, t in enumerate(reversed(texts))]
    return {
        "width": width,
        "height": height,
        "layer": [
            {"data": {"values": [{}]}, "mark": mark, "encoding": place},
            text_layer(rows, 0),
        ],
    }
