"""Figures, and files to download, inside the page.

A figure NAME is drawn wide and narrow (NAME.svg, NAME_narrow.svg), with the page's own colour for
text and axes and with ids of its own, so both are put into the page as they are. NAME.json has the
sentence for who cannot see it and, where it has points to ask about, the specifications of
Vega-Lite, from which a browser with scripts draws it again.
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
from noiselab.reading import AGAIN

# A figure's png, of the same drawing, lies beside the page: in it, it would be a fifth of its size.
MIME = {
    "csv": "text/csv",
    "md": "text/markdown",
    "tex": "application/x-tex",
    "svg": "image/svg+xml",
}
# Elements of our drawings, and how addresses begin that fetch nothing.
DRAWN = {"svg", "g", "path", "rect", "circle", "line", "text", "tspan", "image", "use", "symbol"}
DRAWN |= {"title", "desc", "defs", "clipPath", "linearGradient", "stop", "style"}
WITHIN = ("#", "data:image/png", "data:image/jpeg")
FETCHES = re.compile(r"@import|url\s*\((?!\s*[\"']?#)|\\", re.IGNORECASE)  # or hides it behind \
SIZES = {"wide": ".svg", "narrow": "_narrow.svg"}


def figure(item: dict) -> dict:
    """How the page shows a figure: its drawings, what they say, and their specifications, if a
    browser can draw it again. NoiselabError: a drawing is no svg."""
    files = {Path(path).name.removeprefix(item["name"]): Path(path) for path in item["paths"]}
    told = read_json(files[".json"])
    drawings = [{"size": size, "svg": drawing(files[end])} for size, end in SIZES.items()]
    spec = {size: told[size] for size in SIZES if size in told}
    return {"alt": told["alt"], "drawings": drawings, "spec": embedded(spec) if spec else None}


def drawing(path: Path) -> Markup:
    """An svg file as an element of the page. NoiselabError: it is none, or would do something or
    fetch something there, as no drawing of ours does."""
    text = path.read_text(encoding="utf-8").strip()
    try:
        elements = list(ElementTree.fromstring(text).iter()) if text.startswith("<svg ") else []
    except ElementTree.ParseError:
        elements = []
    if not elements:
        raise NoiselabError(f"{path}: no svg; {AGAIN}")
    if not all(map(_only_draws, elements)):
        raise NoiselabError(f"{path}: an svg that does more than draw; {AGAIN}")
    return Markup(text)


def _only_draws(element: ElementTree.Element) -> bool:
    """Whether an element of an svg has neither code nor addresses outside of the page."""
    names = {_local(name): value.strip() for name, value in element.attrib.items()}
    address = names.get("href", "#")
    acts = any(name.lower().startswith("on") for name in names)
    styles = [element.text or ""] if _local(element.tag) == "style" else []
    fetches = any(map(FETCHES.search, [*styles, *names.values()]))
    return _local(element.tag) in DRAWN and not (acts or fetches) and address.startswith(WITHIN)


def _local(name: str) -> str:
    """A name of XML without its namespace."""
    return name.rpartition("}")[2]


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
