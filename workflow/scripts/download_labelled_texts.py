"""Download a data set of labelled texts; needs the network."""

import argparse
from pathlib import Path

from noiselab.data.labelled_texts import download
from noiselab.errors import run_script
from noiselab.planning.specification import specification

RULE = "download_labelled_texts"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--spec", type=specification(RULE), required=True, help="from the configuration"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder")
    arguments = parser.parse_args()
    download(arguments.spec, arguments.out)


if __name__ == "__main__":
    run_script(main)
