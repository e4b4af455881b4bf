"""Fill labelled texts, or docstrings of installed packages, into the prompt of their task."""

import argparse
from pathlib import Path

from noiselab.data import labelled_texts, sources
from noiselab.errors import run_script
from noiselab.planning.specification import specification

RULE = "prepare_labelled_texts"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--spec", type=specification(RULE), required=True, help="from the configuration"
    )
    parser.add_argument("--source", type=Path, help="folder of files, for kind labelled_texts")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    arguments = parser.parse_args()
    if arguments.spec["kind"] == "labelled_texts" and arguments.source is None:
        parser.error("kind labelled_texts needs --source")
    labelled_texts.prepare(arguments.spec, arguments.source, arguments.out)
    sources.keep(arguments.spec, arguments.source, arguments.out)


if __name__ == "__main__":
    run_script(main)
