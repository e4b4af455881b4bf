"""What a figure is before it is drawn: panels of curves, with the words beside them.

A builder of figures makes a Drawing from tables; vegalite.py writes it as two specifications, wide
and narrow; saving.py writes these as files.
"""

import math
from dataclasses import dataclass, field, replace

import pandas as pd

# Okabe and Ito's colours, as far as they have a contrast of 3 on white and on a dark page; their
# sky blue is darker here, and their black is the text's colour. Told apart with any colour vision,
# and never by colour alone: each look has its dashes and its shape.
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, TEXT, GREY = "#3A95CE", "currentColor", "#80858C"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, SKY, TEXT)
DASHES = ((), (8, 3), (2, 2), (8, 3, 2, 3), (12, 3), (5, 2, 1, 2, 1, 2))
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
MOST = len(COLOURS)  # lines in a panel
POINTS = ["x", "y", "low", "high", "trainings", "cell"]  # columns of a curve


@dataclass(frozen=True)
class Look:
    """How a curve is drawn."""

    colour: str
    dash: tuple[int, ...] = ()
    shape: str | None = None  # None: no points
    hollow: bool = False
    width: float = 2
    step: bool = False  # a step after each point instead of a line
    line: bool = True
    rays: bool = False  # a line from the origin to each point


FLOOR = Look(GREY, dash=(6, 4), width=1.6)
PUBLISHED = Look(VERMILLION, dash=(2, 3), shape="square", hollow=True, width=1.4)


def look(number: int, **changes) -> Look:
    """The look of the curve of this number, below MOST."""
    return Look(COLOURS[number], DASHES[number], SHAPES[number], **changes)


def solid(number: int, **changes) -> Look:
    """The look of a curve beside whose line stands its floor, dashed in the same colour."""
    return replace(look(number), dash=(), **changes)


@dataclass(frozen=True)
class Curve:
    """A named line. points: a row each with the columns POINTS: x, y, the interval's ends and the
    number of trainings (empty: none), and what is shown of the cell to who points at it."""

    name: str
    points: pd.DataFrame
    look: Look
    kind: str = "ours"  # ours | floor | published | a word of its own, for the data
    labelled: bool = True

    @property
    def last(self) -> tuple[float, float]:
        """Where its line ends."""
        return tuple(self.points[["x", "y"]].iloc[-1])


def curve(name: str, x, y, style: Look, kind: str = "ours", labelled: bool = True) -> Curve:
    """A curve through points that have neither interval nor cell."""
    points = pd.DataFrame({"x": list(x), "y": list(y)}).dropna().reindex(columns=POINTS)
    return Curve(name, points, style, kind, labelled)


def batches(names: list, most: int = MOST) -> list[list]:
    """Names in parts of at most so many, for as many panels: no panel has more than MOST lines."""
    return [names[i : i + most] for i in range(0, len(names), most)]


@dataclass(frozen=True)
class Axis:
    """An axis: what it measures, in words with the unit, and from where to where."""

    title: str
    low: float
    high: float
    ticks: tuple[float, ...] = ()  # none: as Vega likes
    form: str | None = None  # of the numbers beside it, as d3-format writes them
    logarithmic: bool = False


@dataclass(frozen=True)
class Mark:
    """Something behind the curves: a band over the width, or a line over the height."""

    at: float  # y of a band's lower end, x of a line
    to: float | None = None  # y of a band's upper end, on a logarithmic axis; None: a line
    text: str = ""

    @property
    def middle(self) -> float:
        """Where the text of a band stands."""
        return math.sqrt(self.at * self.to)


@dataclass(frozen=True)
class Panel:
    """One pair of axes. The measure of y stands above it, below the title."""

    title: str
    x: Axis
    y: Axis
    curves: list[Curve]
    marks: list[Mark] = field(default_factory=list)
    notes: tuple[str, ...] = ()  # further lines above it
    square: bool = False  # a unit is as long in both directions
    zoom: bool = False  # where it is crowded


@dataclass(frozen=True)
class Drawing:
    """A figure: its finding in a sentence, its data, and its two specifications in Vega-Lite.
    interactive: whether a page may draw it again; pictures have nothing to point at."""

    alt: str
    data: pd.DataFrame
    wide: dict
    narrow: dict
    interactive: bool = True


def panel_data(panels: list[Panel]) -> pd.DataFrame:
    """What panels show, a row per point: the data behind a figure."""
    parts = []
    for panel in panels:
        for line in panel.curves:
            points = line.points.drop(columns="cell")
            named = {"y": "value", "low": "95 % interval, low", "high": "95 % interval, high"}
            points = points.rename(columns=named | {"x": panel.x.title})
            told = {"panel": panel.title, "measure": panel.y.title, "series": line.name}
            parts.append(points.assign(**told, kind=line.kind))
    first = ["panel", "measure", "series", "kind", *dict.fromkeys(p.x.title for p in panels)]
    parts = [part.dropna(axis=1, how="all") for part in parts]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=first)
    last = ["value", "95 % interval, low", "95 % interval, high", "trainings"]
    return table[[column for column in [*first, *last] if column in table]]
