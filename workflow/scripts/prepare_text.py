"""Turn text, or the docstrings of installed packages, into arrays of tokens."""

import argparse
from pathlib import Path

from noiselab.data import sources, text
from noiselab.errors import run_script
from noiselab.planning.specification import specification


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--spec", type=specification("prepare_text"), required=True, help="from the configuration"
    )
    parser.add_argument(
        "--source", type=Path, help="folder of documents, for kind text; parts lie beside it"
    )
    parser.add_argument(
        "--tokenizer", type=Path, help="folder of GPT-2's tokenizer; default: gpt2 beside --source"
    )
    parser.add_argument("--work", type=Path, required=True, help="folder, kept if stopped")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    arguments = parser.parse_args()
    if arguments.spec["kind"] == "text" and arguments.source is None:
        parser.error("kind text needs --source")
    beside = (arguments.source or Path("source")).absolute().parent / "gpt2"
    gpt2 = arguments.tokenizer or beside
    text.prepare(arguments.spec, arguments.source, gpt2, arguments.work, arguments.out)
    sources.keep(arguments.spec, arguments.source, arguments.out)


if __name__ == "__main__":
    run_script(main)
