"""Make the report: one HTML file that needs no network, no JavaScript and no other file."""

import argparse
import json
from pathlib import Path

from noiselab.answers import report
from noiselab.errors import run_script
from noiselab.files import write_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--structure", type=json.loads, required=True, help="see answers/report.py")
    parser.add_argument("--out", type=Path, required=True, help="html")
    arguments = parser.parse_args()
    write_text(arguments.out, report.render(arguments.structure))


if __name__ == "__main__":
    run_script(main)
