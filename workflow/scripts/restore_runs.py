"""Restore scored runs from archives, where their data are prepared. What is there stays.

An archive whose data are not prepared is left out. That is an error if it holds for all.
"""

import argparse
from pathlib import Path

from noiselab.answers import kept
from noiselab.errors import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of the tier")
    parser.add_argument("archives", type=Path, nargs="+", metavar="ARCHIVE")
    arguments = parser.parse_args()
    missing = []
    for archive in arguments.archives:
        try:
            restored, other = kept.restore(archive, arguments.results)
        except kept.DataMissingError as error:
            missing.append(error)
            continue
        print(f"{archive}: {len(restored)} runs restored")
        for run in other:
            print(f"left out, trained on other data than are there, or anew here: {run}")
    if len(missing) == len(arguments.archives):
        raise missing[0]
    for error in missing:
        print(f"left out: {error}")


if __name__ == "__main__":
    run_script(main)
