"""Turn a text out of a data set's domain into an array of tokens, for scores only."""

import argparse
from pathlib import Path

from noiselab.data import text
from noiselab.data.kinds import DOMAINS
from noiselab.errors import run_script
from noiselab.planning.specification import specification


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--spec", type=specification("prepare_text"), required=True, help="from the configuration"
    )
    parser.add_argument(
        "--source", type=Path, help="folder of the data set; text in files lies beside it"
    )
    parser.add_argument("--tokenizer", type=Path, required=True, help="of the data set, json")
    parser.add_argument(
        "--domain", choices=DOMAINS, default=DOMAINS[0], help="which key of --spec says the text"
    )
    parser.add_argument("--out", type=Path, required=True, help="npy")
    a = parser.parse_args()
    text.prepare_out_of_domain(a.spec, a.source, a.tokenizer, a.out, a.domain)


if __name__ == "__main__":
    run_script(main)
