"""Make one table, tidy (csv) and laid out (md, tex, html), from the metrics of its runs."""

import argparse
from pathlib import Path

import pandas as pd

from noiselab import config, tables
from noiselab.errors import run_script
from noiselab.files import whole_file, write_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="experiment, as in published.yaml")
    parser.add_argument("--metrics", required=True, help="csv")
    parser.add_argument("--out", type=Path, required=True, help="csv; the others lie beside it")
    arguments = parser.parse_args()
    published = config.published().get(arguments.name, {})
    metrics = pd.read_csv(arguments.metrics)
    table = tables.tidy_table(metrics, published)
    title = f"{published.get('place', arguments.name)}: {published.get('title', 'accuracy')}"
    notes = tables.notes(table, metrics["tier"].iloc[0])
    for suffix, render in tables.FORMATS.items():
        write_text(arguments.out.with_suffix(f".{suffix}"), render(table, title, notes))
    with whole_file(arguments.out) as path:
        table.to_csv(path, index=False)


if __name__ == "__main__":
    run_script(main)
