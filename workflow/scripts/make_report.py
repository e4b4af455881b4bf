"""Make the report: one HTML file that needs no network, no JavaScript and no other file."""

import argparse
from pathlib import Path

from noiselab.answers import report
from noiselab.errors import run_script
from noiselab.files import read_json, write_text
from noiselab.planning import project
from noiselab.planning.config import validate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="config.json of the results")
    parser.add_argument("--results", type=Path, required=True, help="folder of the tier")
    parser.add_argument("--out", type=Path, required=True, help="html")
    arguments = parser.parse_args()
    config = validate(read_json(arguments.config))
    structure = project.plan(config, str(arguments.results)).structure()
    write_text(arguments.out, report.render(structure))


if __name__ == "__main__":
    run_script(main)
