"""The record that a job leaves of its outputs, in a file of its own: the digest of what they were
made from, and then a line `BYTES FILE` for each.

The rules write it in the shell, but for scripts that take the shell's place.
"""

import argparse
from pathlib import Path

from noiselab.files import write_text


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options --record and --digest, which go together."""
    parser.add_argument("--record", type=Path, help="file to keep --digest in, at the end")
    parser.add_argument("--digest", default="", help="of what the outputs are made from")


def keep(arguments: argparse.Namespace, *outputs: Path | None) -> None:
    """Write the record where there is to be one. outputs: all but the record, None being none."""
    if arguments.record:
        sizes = [f"{file.stat().st_size} {file}\n" for file in outputs if file]
        write_text(arguments.record, "".join([f"{arguments.digest}\n", *sizes]))


def made(arguments: argparse.Namespace) -> bool:
    """Whether the outputs are there, as made from the same: another process may have done it."""
    digest, sizes = read(arguments.record) if arguments.record else (None, {})
    whole = all(
        Path(name).is_file() and Path(name).stat().st_size == n for name, n in sizes.items()
    )
    return bool(sizes) and whole and digest == arguments.digest


def read(path: Path) -> tuple[str | None, dict[str, int]]:
    """(digest, file -> bytes) of a record; (None, {}) where there is none that can be read.

    Of files without a size nothing is told: earlier records have none.
    """
    try:
        digest, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
    except (OSError, UnicodeDecodeError):
        return None, {}
    sizes = (line.split(maxsplit=1) for line in lines)
    found = {words[1]: int(words[0]) for words in sizes if len(words) > 1 and words[0].isdecimal()}
    return digest.strip(), found
