"""Figures as files: NAME.svg, NAME_narrow.svg, NAME.png, NAME.csv and NAME.json.

The same figure gives the same bytes on any machine: text is measured in a font that comes with a
package. The files name the reader's own font and the page's own colour of text.
"""

import io
import itertools
import json
import re
from functools import cache
from html import escape
from pathlib import Path

import vl_convert
from PIL import Image

from noiselab.answers.figures import labels
from noiselab.answers.figures.drawing import Drawing
from noiselab.answers.figures.vegalite import FONT, VERSION
from noiselab.files import whole_file, write_text

SCALE = 2  # pixels of a PNG per pixel of the figure


@cache
def _register_font() -> None:
    vl_convert.register_font_directory(str(labels.folder()))


def save(figure: Drawing, paths: list[Path]) -> None:
    """Write the files that the paths name."""
    for path in paths:
        _FORMS["_narrow.svg" if path.name.endswith("_narrow.svg") else path.suffix](figure, path)


def svg(spec: dict, alt: str, name: str) -> str:
    """A specification drawn: transparent, in the colour of the text around it. name: what its ids
    begin with, as a page may hold several."""
    drawn = _with_own_ids(vl_convert.vegalite_to_svg(_measured(spec), VERSION), name)
    drawn = drawn.replace(f'font-family="{labels.FONT}"', f'font-family="{FONT}"')
    head = f'<svg role="img" aria-label="{escape(alt)}" '
    return drawn.replace("<svg ", head, 1) + "\n"


def _measured(spec: dict, **changes) -> dict:
    """A specification in the font whose widths are known. One sentence says what it shows, so its
    marks say nothing by themselves."""
    _register_font()
    return spec | changes | {"config": spec["config"] | {"font": labels.FONT, "aria": False}}


def _with_own_ids(drawn: str, name: str) -> str:
    """Ids numbered from 0 in each file, with its name before them."""
    numbers = itertools.count()
    for found in dict.fromkeys(re.findall(r'\bid="([^"]+)"', drawn)):
        new = f"{name}-{next(numbers)}"
        drawn = drawn.replace(f'id="{found}"', f'id="{new}"').replace(f"#{found})", f"#{new})")
    return drawn


def _save_wide(figure: Drawing, path: Path) -> None:
    write_text(path, svg(figure.wide, figure.alt, path.stem))


def _save_narrow(figure: Drawing, path: Path) -> None:
    write_text(path, svg(figure.narrow, figure.alt, path.stem))


def _save_png(figure: Drawing, path: Path) -> None:
    spec = _measured(figure.wide, background="white")
    drawn = vl_convert.vegalite_to_png(spec, VERSION, scale=SCALE)
    with whole_file(path) as file, Image.open(io.BytesIO(drawn)) as picture:
        picture.convert("RGB").save(file, format="PNG", optimize=True)  # a quarter of the size


def _save_csv(figure: Drawing, path: Path) -> None:
    with whole_file(path) as file:
        figure.data.to_csv(file, index=False)


def _save_json(figure: Drawing, path: Path) -> None:
    specs = {"wide": figure.wide, "narrow": figure.narrow} if figure.interactive else {}
    write_text(path, json.dumps({"alt": figure.alt, **specs}, ensure_ascii=False) + "\n")


_FORMS = {
    ".svg": _save_wide,
    "_narrow.svg": _save_narrow,
    ".png": _save_png,
    ".csv": _save_csv,
    ".json": _save_json,
}
