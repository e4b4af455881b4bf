"""Download a text data set, and the tokenizer it needs; needs the network."""

import argparse
from pathlib import Path

from noiselab.data.text import download
from noiselab.errors import run_script
from noiselab.planning.specification import specification


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--spec", type=specification("download_text"), required=True, help="from the configuration"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder")
    arguments = parser.parse_args()
    download(arguments.spec["hub"], arguments.spec["tokenizer"], arguments.out)


if __name__ == "__main__":
    run_script(main)
