"""Draw one figure."""

import argparse
import json
from pathlib import Path

from noiselab.answers import figures
from noiselab.answers.builders import FIGURES, Sources, builder
from noiselab.errors import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--artefact", type=json.loads, required=True, help="its entry")
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="what it is drawn from")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="run.json files")
    parser.add_argument("--tier", required=True)
    parser.add_argument("--out", nargs="+", type=Path, required=True, help="svg, png, csv, json")
    arguments = parser.parse_args()
    sources = Sources(arguments.name, arguments.artefact, arguments.files, arguments.runs)
    figure = builder(FIGURES, sources)(sources)
    figures.save(figure, arguments.out)


if __name__ == "__main__":
    run_script(main)
