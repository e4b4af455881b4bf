"""Download a text data set, and the tokenizer it needs; needs the network."""

import argparse
from pathlib import Path

from noiselab.data.text import download
from noiselab.errors import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hub", required=True, help="repository id on the Hugging Face hub")
    parser.add_argument("--tokenizer", choices=["bpe", "gpt2"], required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder")
    arguments = parser.parse_args()
    download(arguments.hub, arguments.tokenizer, arguments.out)


if __name__ == "__main__":
    run_script(main)
