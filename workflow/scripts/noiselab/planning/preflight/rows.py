"""The outcome of checks, and all outcomes as a table."""

import textwrap
from collections.abc import Iterable
from typing import NamedTuple

OK, WARNING, MISSING = "ok", "warning", "missing"
HEADS = ("check", "state", "found", "how to fix")
SETUP = "make setup"


class Row(NamedTuple):
    """The outcome of a check."""

    check: str
    state: str
    found: str
    fix: str = ""


def table(rows: Iterable[Row], width: int) -> str:
    """Rows as text of about `width` columns; words are never broken, for they may be paths."""
    rows = [Row(*HEADS), *rows]
    first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
    third = max(24, (width - first - second - 6) * 2 // 5)
    fourth = max(24, width - first - second - third - 6)
    lines = []
    for row in rows:
        cells = [[row.check], [row.state], _wrapped(row.found, third), _wrapped(row.fix, fourth)]
        for i in range(max(map(len, cells))):
            parts = (cell[i] if i < len(cell) else "" for cell in cells)
            sizes = (first, second, third, 0)
            line = "  ".join(part.ljust(n) for part, n in zip(parts, sizes, strict=True))
            lines.append(line.rstrip())
    lines.insert(1, "-" * min(width, max(map(len, lines))))
    return "\n".join(lines)


def _wrapped(content: str, width: int) -> list[str]:
    options = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.wrap(content, width, **options) or [""]


def text_size(size: float) -> str:
    """Bytes as text."""
    for unit, least in (("TB", 1e12), ("GB", 1e9)):
        if size >= least:
            return f"{size / least:.3g} {unit}"
    return f"{size / 1e6:.3g} MB"
