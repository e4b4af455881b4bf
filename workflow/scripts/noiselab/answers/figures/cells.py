"""From the rows of a tidy table to curves."""

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from noiselab.answers.competence import WEAK
from noiselab.answers.figures.drawing import (
    FLOOR,
    POINTS,
    PUBLISHED,
    Axis,
    Curve,
    Look,
    curve,
)
from noiselab.answers.layouts import INTERVALS, NAMES, number_text, on_one_training

E = "error_rate"
MARGIN = 0.04  # of an axis, beyond what is drawn


def ours(
    cells: pd.DataFrame, name: str, style: Look, x: str = E, title: str | None = None
) -> list[Curve]:
    """Own numbers against a column of the table; none: there are none. An interval is drawn where
    it is over trainings: of one training there is none. title: what a cell is called, if not by the
    curve's name."""
    cells = cells.dropna(subset=["ours", x]).sort_values(x)
    if len(cells) == 0:
        return []
    one = cells.apply(lambda row: on_one_training(row["n_seeds"], row["interval"]), axis=1)
    ends = cells[["ci_low", "ci_high"]].mask(one)
    weak = is_weak(cells)
    points = pd.DataFrame(
        {
            "x": cells[x],
            "y": cells["ours"],
            "low": ends["ci_low"],
            "high": ends["ci_high"],
            "trainings": cells["n_seeds"],
            "cell": [cell(row, title or name) for row in cells.to_dict("records")],
        }
    ).reindex(columns=POINTS)
    if weak:
        style = replace(style, hollow=True, width=1.2)
    return [Curve(named(name, cells), points, style, f"ours, {WEAK}" if weak else "ours")]


def is_weak(cells: pd.DataFrame) -> bool:
    """Whether nothing can be concluded from numbers (competence.py)."""
    return bool(cells["competence"].notna().any())


def named(name: str, cells: pd.DataFrame) -> str:
    """A name that says where the model is too weak."""
    return f"{name} ({WEAK})" if is_weak(cells) else name


def floor(cells: pd.DataFrame, name: str = "floor", x: str = E, style: Look = FLOOR) -> list[Curve]:
    """The noise floor of the same cells; none: it is not known."""
    return _printed(cells, "floor", name, style, x, "floor")


def published(cells: pd.DataFrame, name: str, x: str = E, style: Look = PUBLISHED) -> list[Curve]:
    """The paper's numbers of the same cells; none: it has none."""
    return _printed(cells, "published", name, style, x, "published")


def _printed(cells: pd.DataFrame, column: str, name: str, style: Look, x: str, kind: str):
    cells = cells.dropna(subset=[column, x]).sort_values(x)
    return [curve(name, cells[x], cells[column], style, kind)] if len(cells) else []


def paper(cells: pd.DataFrame) -> str:
    """The name of the paper's curve: the data set that ours stands in for."""
    stands = cells["stands_in_for"].iloc[0]
    return f"paper: {NAMES.get(stands, stands)}"


# ---------------------------------------------------------------------------------- cells


def cell(row: dict, title: str) -> dict[str, str]:
    """What is shown of a cell to who points at it."""
    metric, unit = row["metric"], _unit(row["unit"])
    shown = {"title": title}
    if pd.notna(row["error_rate"]):
        shown["error rate"] = f"{100 * row['error_rate']:.4g} %"
    number = _text(row["ours"], metric)
    shown[NAMES.get(metric, metric)] = number + unit + _ends(row, "ci_low", "ci_high")
    if row["interval"] in INTERVALS and pd.notna(row["ci_low"]):
        shown["95 % interval"] = INTERVALS[row["interval"]]
    if pd.notna(row["floor"]):
        shown["noise floor"] = _text(row["floor"], metric) + unit
        shown["loss above the floor"] = _above(row) + points(unit)
    if pd.notna(row["published"]):
        shown[paper(pd.DataFrame([row]))] = _text(row["published"], metric) + unit
    shown["trainings"] = f"{row['n_seeds']:g}"
    if pd.notna(row["competence"]):
        shown[WEAK] = row["competence"]
    return shown


def _unit(unit) -> str:
    return "" if pd.isna(unit) or unit == "" else f" {unit}"


def points(unit: str) -> str:
    """The unit of a difference of numbers with this unit: of those in per cent it is points."""
    return " points" if unit == " %" else unit


def _ends(row: dict, low: str, high: str, sign: str = "", turned: int = 1) -> str:
    if pd.isna(row.get(low)):
        return ""
    ends = sorted(turned * row[end] for end in (low, high))
    return " [{}, {}]".format(*(_text(end, row["metric"], sign) for end in ends))


def _text(value: float, metric: str, sign: str = "") -> str:
    """A number with the decimals of its metric; what rounds to zero is no minus zero."""
    text = number_text(value, metric, sign)
    return number_text(0.0, metric, sign) if not float(text.replace(",", "")) else text


def _above(row: dict) -> str:
    """What is lost beyond the floor; positive is worse, so that of a score it is floor - ours."""
    turned = -1 if more_is_better(row["metric"]) else 1
    above = _text(turned * row["excess"], row["metric"], "+")
    return above + _ends(row, "excess_low", "excess_high", "+", turned)


def more_is_better(metric: str) -> bool:
    """Whether a metric is a score rather than a loss, a distance or what was lost of a score."""
    return metric.endswith(("accuracy", "consistency"))


def findings(what: str, found: list[tuple[str, pd.DataFrame]]) -> str:
    """A figure's sentence: what it shows, and of each named part the cell with the most errors."""
    parts = [f"{name}: {text}" for name, part in found if (text := _finding(part))]
    return f"{what}: {'; '.join(parts) or 'nothing was run'}."


def _finding(part: pd.DataFrame) -> str:
    """The cell with the highest error rate in words; empty: none was run."""
    part = part.dropna(subset=["ours", "error_rate"])
    if len(part) == 0:
        return ""
    row = part.loc[part["error_rate"].idxmax()].to_dict()
    text = f"{_text(row['ours'], row['metric'])}{_unit(row['unit'])} with "
    text += f"{100 * row['error_rate']:.3g} % errors"
    if pd.isna(row["floor"]):
        return text
    turned = -1 if more_is_better(row["metric"]) else 1
    above = _text(turned * row["excess"], row["metric"], "+")
    return f"{text}, noise floor {_text(row['floor'], row['metric'])}, loss above the floor {above}"


# ----------------------------------------------------------------------------------- axes


def error_axis(curves: Iterable[Curve]) -> Axis:
    """The error rate from 0 to the highest that is drawn."""
    high = max((float(line.points["x"].max()) for line in curves), default=0.0) or 1.0
    step = 0.25 if high > 0.6 else 0.1
    ticks = tuple(round(step * i, 9) for i in range(int(high / step + 1e-9) + 1))
    return Axis("error rate", -0.02 * high, 1.02 * high, ticks, ".0%")


def value_axis(title: str, curves: Iterable[Curve], zero: bool = False) -> Axis:
    """An axis that shows all that is drawn."""
    parts = (line.points[c].dropna() for line in curves for c in ("y", "low", "high"))
    values = [float(value) for part in parts for value in part] or [0.0]
    low, high = min(values), max(values)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = MARGIN * ((high - low) or abs(high) or 1.0)
    return Axis(title, low - room, high + room)


def logarithmic_axis(title: str, values: Iterable[float], form: str = ",") -> Axis:
    """A logarithmic axis with ticks at the values that there are."""
    ticks = tuple(sorted({float(value) for value in values}))
    room = (ticks[-1] / ticks[0]) ** MARGIN if ticks[-1] > ticks[0] else 1.2
    return Axis(title, ticks[0] / room, ticks[-1] * room, ticks, form, logarithmic=True)
