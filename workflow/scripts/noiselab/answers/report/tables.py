"""Tables as the report shows them: from their data, in panels that fit a phone.

A panel is a block of the table with the rows' labels: what noise did to learning comes first, then
the floor, what was measured, and what the paper printed. Each number of ours leads to its runs.
"""

import re
from itertools import groupby

from noiselab.answers.layouts import true_minus
from noiselab.answers.report.runs import links

ORDER = ("above", "loss", "floor", "dilution", "ours", "number", "paper")  # of columns, by kind
MEASURED = ("ours", "number")
HINT = re.compile(r"\s*\[(.*)\]$")  # what the interval of a column is


def view(table: dict, name: str, behind: list[str], runs: dict[str, dict]) -> dict:
    """The data of a table (layouts) as the template shows it. behind: ids of all its runs; runs:
    those that are finished."""
    sources = Sources(name, runs)
    panels = [panel for grid in table["grids"] for panel in _panels(grid, sources)]
    listed = sources.listed or ([{"id": f"{name}-runs", "label": "", "runs": links(behind, runs)}])
    return {
        "title": table["title"],
        "notes": [true_minus(note) for note in table["notes"]],
        "panels": panels,
        "sources": [source for source in listed if source["runs"]],
    }


def has_numbers(table: dict) -> bool:
    """Whether anything of ours was measured for a table's data."""
    columns = [column for grid in table["grids"] for b in grid["blocks"] for column in b["columns"]]
    return any(is_measured(cell | column) for column in columns for cell in column["cells"])


def is_measured(cell: dict) -> bool:
    """Whether a cell with its kind is a number measured here: the paper's and floors are not."""
    return cell["kind"] in MEASURED and cell["text"] not in ("", "—")


class Sources:
    """The sets of runs behind the cells of a table, each with a place that the cells link to."""

    def __init__(self, name: str, runs: dict[str, dict]):
        self.name, self.runs = name, runs
        self.places: dict[tuple[str, ...], str] = {}
        self.listed: list[dict] = []

    def place(self, ids: list[str], label: str) -> str | None:
        """Where a cell links to: its only run, or a list of its runs; None: they are not known."""
        shown = links(ids, self.runs)
        if not any(link["href"] for link in shown):
            return None
        key = tuple(ids)
        if key not in self.places:
            place = f"{self.name}-runs-{len(self.places) + 1}"
            self.places[key] = place
            self.listed.append({"id": place, "label": label, "runs": shown})
        return shown[0]["href"] if len(shown) == 1 else f"#{self.places[key]}"


def _panels(grid: dict, sources: Sources) -> list[dict]:
    """The blocks of a grid as panels; blocks of one column each share one panel."""
    blocks = grid["blocks"]
    if len(blocks) > 1 and all(len(block["columns"]) == 1 for block in blocks):
        one = [block["columns"][0] | {"title": block["title"]} for block in blocks]
        hints = {block["columns"][0]["title"] for block in blocks}
        blocks = [{"title": ", ".join(sorted(hints)), "columns": one}]
    return [_panel(grid, block, sources) for block in blocks]


def _panel(grid: dict, block: dict, sources: Sources) -> dict:
    """One block: columns in their order, and the rows that have something in it."""
    words = any(column["kind"] == "text" for column in block["columns"])
    columns = block["columns"]
    if not words:
        columns = sorted(columns, key=lambda column: ORDER.index(column["kind"]))
    rows = []
    for at, label in enumerate(grid["rows"]):
        cells = [column["cells"][at] for column in columns]
        if any(cell["text"] for cell in cells):
            named = ": ".join(filter(None, (block["title"], label)))
            rows.append({"label": true_minus(label), "cells": _row(cells, columns, named, sources)})
    return {
        "title": true_minus(block["title"]),
        "head": grid["head"],
        "columns": [_head(column) | _widths(column) for column in columns],
        "rows": rows,
        "words": words,
    }


def _row(cells: list[dict], columns: list[dict], label: str, sources: Sources) -> list[dict]:
    """The cells of a row. One of those that lead to the same runs is enough for the keyboard."""
    shown = []
    for cell, column in zip(cells, columns, strict=True):
        href = sources.place(cell["runs"], label) if cell["runs"] and cell["text"] else None
        shown.append(
            {
                "kind": column["kind"],
                "column": _head(column)["title"],
                "text": true_minus(cell["text"]),
                "interval": true_minus(f"[{', '.join(cell['interval'])}]")
                if cell["interval"]
                else "",
                "note": true_minus(cell["note"]),
                "mark": cell["mark"],
                "href": href,
            }
        )
    for _, same in groupby(sorted(shown, key=lambda c: c["href"] or ""), lambda c: c["href"]):
        for cell in list(same)[1:]:
            cell["again"] = True
    return shown


def _widths(column: dict) -> dict:
    """Characters that intervals and notes of a column take, so that its numbers stand in line."""
    ends = [", ".join(cell["interval"]) for cell in column["cells"] if cell["interval"]]
    notes = [cell["note"] for cell in column["cells"] if cell["text"] != "—"]
    widest = {
        "interval": max(map(len, ends), default=-2) + 2,
        "note": max(map(len, notes), default=0),
    }
    return {name: 0 if column["kind"] == "text" else size for name, size in widest.items()}


def _head(column: dict) -> dict:
    """The head of a column, and what its intervals are."""
    found = HINT.search(column["title"])
    title = HINT.sub("", column["title"])
    return {"title": title, "hint": found[1] if found else "", "kind": column["kind"]}
