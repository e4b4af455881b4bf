"""Draw one figure from tidy tables."""

import argparse
from pathlib import Path

import pandas as pd

from noiselab.answers import figures
from noiselab.errors import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", choices=figures.FIGURES, required=True)
    parser.add_argument("--tables", nargs="+", required=True, help="csv")
    parser.add_argument("--out", nargs="+", type=Path, required=True, help="svg, png")
    arguments = parser.parse_args()
    figure = figures.FIGURES[arguments.name]([pd.read_csv(path) for path in arguments.tables])
    figures.save(figure, arguments.out)


if __name__ == "__main__":
    run_script(main)
