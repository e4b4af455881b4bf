"""Gather the metrics.json of an experiment's runs in one table: a row per run and metric."""

import argparse
from pathlib import Path

import pandas as pd

from noiselab.answers import collected
from noiselab.errors import run_script
from noiselab.files import whole_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", nargs="+", required=True)
    parser.add_argument(
        "--snapshots", action="store_true", help="take longer runs where a fixed total would end"
    )
    parser.add_argument("--out", type=Path, required=True, help="csv")
    arguments = parser.parse_args()
    contents = [collected.content(path) for path in arguments.metrics]
    if arguments.snapshots:
        contents = list(map(collected.snapshot, contents))
    rows = [row for content in contents for row in collected.rows(content)]
    with whole_file(arguments.out) as path:
        pd.DataFrame(rows).to_csv(path, index=False)


if __name__ == "__main__":
    run_script(main)
