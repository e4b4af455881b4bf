"""Download a backbone of probes from the Hugging Face hub; needs the network."""

import argparse
from pathlib import Path

from noiselab.errors import run_script
from noiselab.families.pretrained.files import download


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hub", required=True, help="repository, such as openai-community/gpt2")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    arguments = parser.parse_args()
    download(arguments.hub, arguments.out)


if __name__ == "__main__":
    run_script(main)
