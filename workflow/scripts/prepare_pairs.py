"""Turn pairs of texts, or functions of installed packages, into arrays of tokens."""

import argparse
from pathlib import Path

from noiselab.data import pairs, sources
from noiselab.errors import run_script
from noiselab.planning.specification import specification


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--spec", type=specification("prepare_pairs"), required=True, help="from the configuration"
    )
    parser.add_argument("--source", type=Path, help="folder of files, for kind pairs")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    arguments = parser.parse_args()
    if arguments.spec["kind"] == "pairs" and arguments.source is None:
        parser.error("kind pairs needs --source")
    pairs.prepare(arguments.spec, arguments.source, arguments.out)
    sources.keep(arguments.spec, arguments.source, arguments.out)


if __name__ == "__main__":
    run_script(main)
