"""Say what was run: tier, data, runs, machines, versions and revisions."""

import argparse
from pathlib import Path

import pandas as pd

from noiselab import reading
from noiselab.answers import layouts
from noiselab.errors import run_script
from noiselab.files import read_json, whole_file, write_text

WORDS = ("shape", "origin")  # columns of data sets that are no numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", nargs="+", required=True, help="csv, one per experiment")
    parser.add_argument("--data", nargs="+", required=True, help="dataset.json files")
    parser.add_argument("--out", type=Path, required=True, help="csv; the others lie beside it")
    arguments = parser.parse_args()
    metrics = pd.concat([reading.metrics(path) for path in arguments.metrics])
    runs = metrics.drop_duplicates("run_id")
    title = f"What was run: tier {runs['tier'].iloc[0]}"
    lines, data, trainings = _summary(runs), _data(arguments.data), _runs(runs)
    content = layouts.content(title, lines, [layouts.records(data, text=WORDS)])
    parts = [f"## {title}", *lines, "### Data", _markdown(data), "### Runs", _markdown(trainings)]
    write_text(arguments.out.with_suffix(".json"), content)
    write_text(arguments.out.with_suffix(".md"), "\n\n".join(parts) + "\n")
    with whole_file(arguments.out) as path:
        trainings.to_csv(path, index=False)


def _summary(runs: pd.DataFrame) -> list[str]:
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
    return lines


def _data(paths: list[str]) -> pd.DataFrame:
    """Name, sizes and origin of each data set, of images and of text."""
    rows = [read_json(path) for path in paths]
    return pd.DataFrame(
        {
            "name": row["name"],
            "training": _size(row, "train"),
            "held out": _size(row, "test") or _size(row, "validation"),
            "classes or vocabulary": f"{row.get('classes') or row['vocabulary']:,}",
            "shape": " × ".join(str(n) for n in row.get("shape", [])),
            "origin": row["origin"],
        }
        for row in rows
    )


def _size(row: dict, split: str) -> str:
    """Images, texts or tokens of a split; empty where there are none."""
    items = row.get("unit", "images")
    for key, unit in ((f"{split}_size", items), (f"{split}_tokens", "tokens")):
        if key in row:
            return f"{row[key]:,} {unit}"
    return ""


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


def _markdown(table: pd.DataFrame) -> str:
    text = table.map(lambda value: f"{value:.4g}" if isinstance(value, float) else str(value))
    return text.to_markdown(index=False, disable_numparse=True)


if __name__ == "__main__":
    run_script(main)
