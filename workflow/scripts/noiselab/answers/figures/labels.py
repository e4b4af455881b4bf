"""Words beside lines: how wide they are, where they break, and where they stand."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import ImageFont
from scipy.optimize import isotonic_regression

# The font whose widths are known: matplotlib brings it. A reader's own font is seldom wider.
FONT = "DejaVu Sans"
FILES = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")


@cache
def folder() -> Path:
    """The folder of the font."""
    return Path(find_spec("matplotlib").origin).parent / "mpl-data" / "fonts" / "ttf"


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(folder() / FILES[bold]), size)


def width(text: str, size: int, bold: bool = False) -> float:
    """Width of a line in pixels."""
    return _font(size, bold).getlength(text)


def lines(text: str, most: float, size: int, bold: bool = False) -> list[str]:
    """A text in lines of at most so many pixels, broken at blanks."""
    found = [""]
    for word in text.split():
        longer = f"{found[-1]} {word}".strip()
        if found[-1] and width(longer, size, bold) > most:
            found.append(word)
        else:
            found[-1] = longer
    return found


def spread(wanted: list[float], heights: list[float], low: float, high: float) -> list[float]:
    """Where texts of these heights stand, as near to where they are wanted as they can without
    touching; from `low` to `high`, or beyond it where there is no room. Positions are of middles,
    the order is that of `wanted`."""
    order = np.argsort(wanted, kind="stable")
    tall = np.asarray(heights, dtype=float)[order]
    before = np.cumsum(tall) - tall / 2  # where each would stand in one pile from 0
    starts = isotonic_regression(np.asarray(wanted, dtype=float)[order] - before).x
    starts = np.clip(starts, low, max(low, high - tall.sum()))
    places = np.empty(len(tall))
    places[order] = starts + before
    return places.tolist()
