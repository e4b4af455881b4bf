"""What the printed tables of probes say by themselves: averages, and gains beside their ±.

Both come from published.yaml alone: the entries that have `rows`, `metrics`, `spreads` and
`averages`.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from noiselab.answers.probes import AVERAGE, HEADS, PLAIN, row_label
from noiselab.answers.tables import tidy

TABLES = {"noise_probes": "Table 1", "llm_probes": "Table 2", "vision_probes": "Table 14"}
THIRD = "vision_probe_averages"  # the averages of Table 14 once more


class Printed(NamedTuple):
    """One head of one printed table: cells and their ±, [rows, data sets]; averages, [rows]."""

    table: str
    head: str
    rows: list[tuple[str, str]]  # backbone and method
    cells: np.ndarray
    spreads: np.ndarray
    averages: np.ndarray


def printed(published: dict) -> Iterator[Printed]:
    """The printed tables, head by head."""
    for name, table in TABLES.items():
        entry = published.get(name, {})
        for head, columns in entry.get("metrics", {}).items():
            numbers = (columns.values(), entry["spreads"][head].values())
            cells, spreads = (np.array(list(part)).T for part in numbers)
            averages = np.array(entry["averages"][head])
            yield Printed(table, head, list(map(tuple, entry["rows"])), cells, spreads, averages)


def averages_table(published: dict) -> pd.DataFrame:
    """Each printed average, and the mean of the cells beside it. Of Table 14 there are two: Table 3
    prints them, too."""
    cells = []
    for own in printed(published):
        for row, mean, average in zip(own.rows, own.cells.mean(1), own.averages, strict=True):
            label = row_label(*row)
            cell = _cell(HEADS[own.head], f"{own.table}: {label}", "accuracy", mean)
            cells.append(cell | {"published": average, "unit": "%"})
            third = _third(published, own, row)
            if third is not None:
                cells.append(cells[-1] | {"row": f"Table 3: {label}", "published": third})
    return tidy(sorted(cells, key=lambda cell: cell["row"].partition(":")[0]))


def _cell(panel: str, row: str, metric: str, value: float) -> dict:
    """A number that follows from the printed ones."""
    of = {"family": "probe", "dataset": AVERAGE, "stands_in_for": AVERAGE}
    named = {"panel": panel, "row": row, "metric": metric}
    return of | named | {"ours": float(value), "interval": "closed_form"}


def _third(published: dict, own: Printed, row: tuple[str, str]) -> float | None:
    """The average that Table 3 prints of a row of Table 14; its backbones lack a part of their
    names there."""
    entry, (backbone, method) = published.get(THIRD), row
    if entry is None or own.table != TABLES["vision_probes"]:
        return None
    return entry[method][own.head][entry["columns"].index(backbone)]


def gains_table(published: dict) -> pd.DataFrame:
    """Of each printed table and head: how many gains of L_gm are above 0, above their own ±, above
    that of the plain row, too; and the mean gain in points."""
    rows = []
    for own in printed(published):
        plain = [i for i, row in enumerate(own.rows) if row[1] == PLAIN]
        with_it = [own.rows.index((own.rows[i][0], "gradient_matching")) for i in plain]
        gains = own.cells[with_it] - own.cells[plain]
        spreads = own.spreads[with_it]
        both = np.maximum(spreads, own.spreads[plain])
        counts = {
            "gains_above_0": (gains > 0).sum(),
            "gains_above_own": (gains > spreads).sum(),
            "gains_above_both": (gains > both).sum(),
            "gain": gains.mean(),
        }
        row = f"{own.table}, {HEADS[own.head]}: {gains.size} gains"
        rows += [_cell(COUNTS[metric], row, metric, value) for metric, value in counts.items()]
    return tidy(rows)


COUNTS = {
    "gains_above_0": "above 0",
    "gains_above_own": "above their own ±",
    "gains_above_both": "above both rows' ±",
    "gain": "mean gain, points",
}
