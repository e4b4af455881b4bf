"""Learning curves of runs with noise text, beside those of their clean runs."""

import argparse
from pathlib import Path

from noiselab import reading
from noiselab.answers.curves import curves
from noiselab.errors import run_script
from noiselab.files import whole_file
from noiselab.run import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json files")
    parser.add_argument(
        "--files", type=Path, nargs="+", required=True, help="history.jsonl of each"
    )
    parser.add_argument("--out", type=Path, required=True, help="csv")
    arguments = parser.parse_args()
    table = curves(map(Run.read, arguments.runs), map(reading.rows, arguments.files))
    with whole_file(arguments.out) as path:
        table.to_csv(path, index=False)


if __name__ == "__main__":
    run_script(main)
