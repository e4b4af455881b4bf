"""Restore scored runs from archives, where their data are prepared. What is there stays."""

import argparse
from pathlib import Path

from noiselab.answers import kept
from noiselab.errors import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of the tier")
    parser.add_argument("archives", type=Path, nargs="+", metavar="ARCHIVE")
    arguments = parser.parse_args()
    for archive in arguments.archives:
        restored, other = kept.restore(archive, arguments.results)
        print(f"{archive}: {len(restored)} runs restored")
        for run in other:
            print(f"left out, trained on other data than are there: {run}")


if __name__ == "__main__":
    run_script(main)
