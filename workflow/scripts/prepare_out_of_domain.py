"""Turn text out of a data set's domain into an array of tokens, for scores only."""

import argparse
from pathlib import Path

from noiselab.data import text
from noiselab.errors import run_script
from noiselab.planning.specification import specification


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--spec", type=specification("prepare_text"), required=True, help="from the configuration"
    )
    parser.add_argument(
        "--source", type=Path, required=True, help="folder of the data set; the text lies beside it"
    )
    parser.add_argument("--tokenizer", type=Path, required=True, help="of the data set, json")
    parser.add_argument("--out", type=Path, required=True, help="npy")
    arguments = parser.parse_args()
    text.prepare_out_of_domain(arguments.spec, arguments.source, arguments.tokenizer, arguments.out)


if __name__ == "__main__":
    run_script(main)
