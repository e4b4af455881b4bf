"""Archive a tier's scored runs without their weights; another computer can restore them."""

import argparse
from pathlib import Path

from noiselab.answers import kept
from noiselab.errors import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of the tier")
    parser.add_argument("--out", type=Path, required=True, help="folder of the archives")
    arguments = parser.parse_args()
    for archive, runs in kept.keep(arguments.results, arguments.out).items():
        print(f"{archive}: {runs} runs")


if __name__ == "__main__":
    run_script(main)
