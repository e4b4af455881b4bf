"""Figures, and files to download, inside the page.

A figure NAME is drawn wide and narrow (NAME.svg, NAME_narrow.svg) with currentColor for text and
axes, so both are put into the page as they are; NAME.json has a sentence for who cannot see it and
the specifications of Vega-Lite, from which a browser with scripts draws it again. Pictures of
samples have an svg alone, which the page shows as an image.
"""

import base64
import json
import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from markupsafe import Markup

from noiselab.errors import NoiselabError
from noiselab.files import read_json

MIME = {
    "csv": "text/csv",
    "md": "text/markdown",
    "tex": "application/x-tex",
    "svg": "image/svg+xml",
    "png": "image/png",
}
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
REFERENCE = re.compile(r"url\(#([^)]+)\)")


def figure(item: dict, sources: list[str]) -> dict:
    """How the page shows a figure: drawings or an image, its text, and specifications."""
    files = {Path(path).name.removeprefix(item["name"]): Path(path) for path in item["paths"]}
    alt = f"Figure: {item['title']}." + (f" Its numbers: {'; '.join(sources)}." if sources else "")
    if ".json" not in files:
        return {"alt": alt, "image": data_uri(files[".svg"]), "drawings": [], "spec": None}
    told = read_json(files[".json"])
    drawings = [
        {"size": size, "svg": drawing(files[suffix], f"{item['name']}-{size}")}
        for size, suffix in (("wide", ".svg"), ("narrow", "_narrow.svg"))
    ]
    spec = {size: told[size] for size in ("wide", "narrow")}
    return {"alt": told["alt"], "image": None, "drawings": drawings, "spec": embedded(spec)}


def drawing(path: Path, name: str) -> Markup:
    """An svg file as an element of the page, whose ids begin with `name`. NoiselabError: it is no
    svg file, or loads something."""
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    try:
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    except ElementTree.ParseError as error:
        raise NoiselabError(f"{path}: no svg ({error}); remove it, and it is made again") from error
    for element in root.iter():
        for key, value in element.attrib.items():
            plain = key.rpartition("}")[2]
            if plain == "id":
                element.set(key, f"{name}-{value}")
            elif plain == "href" and value.startswith("#"):
                element.set(key, f"#{name}-{value[1:]}")
            else:
                element.set(key, REFERENCE.sub(rf"url(#{name}-\1)", value))
    root.set("aria-hidden", "true")
    root.set("focusable", "false")
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def embedded(content: dict) -> Markup:
    """JSON inside an element <script>, which it cannot end."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return Markup(text.replace("<", "\\u003c"))


def downloads(paths: Iterable[str | Path]) -> list[dict]:
    """Those of the files that a reader may want, as links that hold them."""
    files = map(Path, paths)
    return [
        {"name": path.name, "format": path.suffix[1:], "uri": data_uri(path)}
        for path in files
        if path.suffix[1:] in MIME and not path.stem.endswith("_narrow")
    ]


def beside(path: str | Path) -> list[dict]:
    """The same content in other formats."""
    return downloads(sorted(Path(path).parent.glob(f"{Path(path).stem}.*")))


def data_uri(path: str | Path) -> str:
    """A file as a data: address."""
    path = Path(path)
    content = base64.b64encode(path.read_bytes()).decode()
    return f"data:{MIME[path.suffix[1:]]};base64,{content}"
