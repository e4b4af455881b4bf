"""The record that a job leaves of what its outputs were made from: a digest in a file of its own.

The rules write it in the shell, but for scripts that take the shell's place.
"""

import argparse
from pathlib import Path

from noiselab.files import write_text


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options --record and --digest, which go together."""
    parser.add_argument("--record", type=Path, help="file to keep --digest in, at the end")
    parser.add_argument("--digest", default="", help="of what the outputs are made from")


def keep(arguments: argparse.Namespace) -> None:
    """Write the record where there is to be one."""
    if arguments.record:
        write_text(arguments.record, f"{arguments.digest}\n")
