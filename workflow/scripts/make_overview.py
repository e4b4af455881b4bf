"""Say what was run: tier, data, runs, machines, versions and revisions."""

import argparse
import html
from pathlib import Path

import pandas as pd

from noiselab import reading
from noiselab.answers.layouts import page
from noiselab.errors import run_script
from noiselab.files import read_json, write_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", nargs="+", required=True, help="csv, one per experiment")
    parser.add_argument("--data", nargs="+", required=True, help="dataset.json files")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    metrics = pd.concat([reading.metrics(path) for path in arguments.metrics])
    runs = metrics.drop_duplicates("run_id")
    body = _summary(runs) + _grid("Data", _data(arguments.data)) + _grid("Runs", _runs(runs))
    write_text(arguments.out, page(f"What was run: tier {runs['tier'].iloc[0]}", body))


def _summary(runs: pd.DataFrame) -> str:
    revisions = sorted(set(runs["revision"]))
    lines = [
        f"{len(runs)} trainings with scores, {runs['seconds'].sum() / 60:.1f} minutes in all, on "
        f"{', '.join(sorted(set(runs['device'])))}.",
        f"Code revision {', '.join(revisions)}.",
    ]
    if len(revisions) > 1:
        lines.append("Attention: these results come from more than one revision of the code.")
    if any(r.endswith("+changed") or r == "unknown" for r in revisions):
        lines.append("Attention: some code was not committed when these results were made.")
    return "".join(f"<p>{html.escape(line)}</p>" for line in lines)


def _data(paths: list[str]) -> pd.DataFrame:
    """Name, sizes and origin of each data set, of images and of text."""
    rows = [read_json(path) for path in paths]
    return pd.DataFrame(
        {
            "name": row["name"],
            "training": _size(row, "train"),
            "held out": _size(row, "test") or _size(row, "validation"),
            "classes or vocabulary": row.get("classes") or row["vocabulary"],
            "shape": " × ".join(str(n) for n in row.get("shape", [])),
            "origin": row["origin"],
        }
        for row in rows
    )


def _size(row: dict, split: str) -> str | None:
    """Images or tokens of a split."""
    for key, unit in ((f"{split}_size", "images"), (f"{split}_tokens", "tokens")):
        if key in row:
            return f"{row[key]:,} {unit}"
    return None


def _runs(runs: pd.DataFrame) -> pd.DataFrame:
    columns = {
        "run_id": "run",
        "error_rate": "error rate",
        "measured_error_rate": "measured",
        "steps": "steps",
        "examples": "examples",
        "seconds": "seconds",
        "revision": "revision",
    }
    return runs[list(columns)].rename(columns=columns)


def _grid(title: str, table: pd.DataFrame) -> str:
    first = table.columns[0]
    table = table.set_index(first).rename_axis(index=None, columns=first)
    grid = table.to_html(border=0, escape=True, float_format="{:.4g}".format)
    return f'<h2>{html.escape(title)}</h2><div class="scroll">{grid}</div>'


if __name__ == "__main__":
    run_script(main)
