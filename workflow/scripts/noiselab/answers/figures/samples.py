"""Generated images."""

import base64
import io

import numpy as np
import pandas as pd
from PIL import Image

from noiselab.answers.figures.drawing import Drawing
from noiselab.answers.figures.vegalite import Size, narrow, pictures, wide
from noiselab.answers.layouts import NAMES

Sheets = dict[tuple[str, tuple], np.ndarray]


def samples_figure(sheets: Sheets) -> Drawing:
    """Generated images: a row per data set, a column per rate of noise. sheets: (data set, rate)
    -> uint8 [H, W, 3], in which a row is a class; rate: what to sort by, and a text."""
    order = list(dict.fromkeys(dataset for dataset, _ in sheets))
    keys = sorted(sheets, key=lambda key: (order.index(key[0]), key[1]))
    rates = sorted({rate for _, rate in sheets})
    titles = [f"{NAMES.get(dataset, dataset)}, {rate[1]}" for dataset, rate in keys]
    drawn = [(title, sheets[key]) for title, key in zip(titles, keys, strict=True)]
    sizes = wide(max(2, len(rates))), narrow(2)
    specs = (_specification(drawn, size) for size in sizes)
    names = ", ".join(NAMES.get(dataset, dataset) for dataset in order)
    alt = (
        f"Images generated after training on {names}, from {rates[0][1]} to {rates[-1][1]}; a row "
    )
    alt += "is a class that was asked for."
    return Drawing(alt, pd.DataFrame({"panel": titles}), *specs, interactive=False)


def _specification(drawn: list[tuple[str, np.ndarray]], size: Size) -> dict:
    """All sheets, each as wide as its column."""
    return pictures([(title, address(sheet), *sheet.shape[:2]) for title, sheet in drawn], size)


def address(sheet: np.ndarray) -> str:
    """An image as the address that holds it."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(sheet)).save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
