"""What heads decide on a plane through an item's features (Figure 6)."""

import numpy as np
import pandas as pd

from noiselab.answers.figures.drawing import Drawing
from noiselab.answers.figures.samples import address
from noiselab.answers.figures.vegalite import narrow, pictures, wide
from noiselab.answers.heads import method_name
from noiselab.answers.layouts import NAMES, number_text
from noiselab.answers.probes import HEADS

RIGHT, ITEM = (27, 120, 55), (0, 0, 0)  # green, as in the paper; the item itself
WRONG = ((166, 86, 160), (224, 170, 90), (90, 110, 180), (150, 150, 150), (200, 110, 110))
PIXELS = 5  # of a point


def regions_figure(tables: list[pd.DataFrame]) -> Drawing:
    """Decisions on a plane by data set, head and method, with the share of right ones on planes
    through many items. tables: plane, regions and bound, of which the last is not drawn."""
    plane, regions, *_ = tables
    keys = ["dataset", "head", "method"]
    shares = regions.groupby(keys)["right"].mean()
    sheets, rows = [], []
    for (dataset, head, method), own in plane.groupby(keys, sort=False):
        share = shares[dataset, head, method]
        text = f"{number_text(share, 'accuracy', decimals=1)} %"
        title = f"{NAMES.get(dataset, dataset)}, {HEADS[head]}, {method_name(method)}: {text}"
        picture = sheet(own)
        sheets.append((title, address(picture), *picture.shape[:2]))
        here = 100 * own["right"].mean()
        rows.append({"panel": title, "here": here, "right_region": share})
    specs = (pictures(sheets, size) for size in (wide(3), narrow(1)))
    alt = "Decisions on a random plane through the features of one item, the right one in green. "
    alt += "Share of right decisions on planes through many items: "
    alt += "; ".join(row["panel"] for row in rows)
    return Drawing(f"{alt}.", pd.DataFrame(rows), *specs, interactive=False)


def sheet(own: pd.DataFrame) -> np.ndarray:
    """A plane as a picture, uint8 [H, W, 3]: a square per point, a cross where the item is."""
    side = int(own["row"].max()) + 1
    classes = own.pivot(index="row", columns="column", values="class").to_numpy()
    right = own.pivot(index="row", columns="column", values="right").to_numpy().astype(bool)
    colours = np.array(WRONG, dtype=np.uint8)[classes % len(WRONG)]
    colours[right] = RIGHT
    picture = colours.repeat(PIXELS, 0).repeat(PIXELS, 1)
    middle = PIXELS * side // 2
    cross = slice(middle - PIXELS, middle + PIXELS + 1)
    picture[middle, cross] = picture[cross, middle] = ITEM
    return picture
