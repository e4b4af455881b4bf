"""Whether the files of a source are all there, told from their names and footers alone."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from noiselab.errors import NoiselabError

# The hub's names of the parts of a split: train-00003-of-00080.parquet.
_SHARD = re.compile(r"(.*-)(\d{5})-of-(\d{5})(\D.*)")


class Source(NamedTuple):
    """What was found of a data set, and what may be wrong with it."""

    found: str
    doubt: str = ""


def footer(file: Path) -> tuple[list[str], int]:
    """Columns and number of rows of a parquet file, whose end alone is read; NoiselabError where
    it is broken."""
    import pyarrow.parquet
    from pyarrow import ArrowException

    try:
        with pyarrow.parquet.ParquetFile(file) as opened:
            return opened.schema_arrow.names, opened.metadata.num_rows
    except (ArrowException, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise NoiselabError(f"{file}: cannot be read ({reason})") from error


def missing_shards(files: Iterable[Path]) -> list[Path]:
    """Files that their siblings' names speak of, but that are not among them."""
    files, wanted = set(files), set()
    for file in files:
        if match := _SHARD.fullmatch(file.name):
            head, _, of, tail = match.groups()
            names = (f"{head}{i:05}-of-{of}{tail}" for i in range(int(of)))
            wanted |= {file.with_name(name) for name in names}
    return sorted(wanted - files)


def check_links(files: Iterable[Path], consequence: str) -> None:
    """NoiselabError where a file is there twice, by a link. consequence: of that, for the
    message."""
    seen: dict[str, Path] = {}
    for file in sorted(files, key=Path.is_symlink):  # a link is named, not what it leads to
        if (other := seen.setdefault(os.path.realpath(file), file)) != file:
            raise NoiselabError(
                f"{file}: the same as {other}, by a link; {consequence}, so remove one of them"
            )


def parts(files: list[Path]) -> Source:
    """What is found where a split is read from `files`; shards that lack are a doubt only, for
    text can be read without them."""
    found = f"{len(files)} file{'s' * (len(files) > 1)}"
    lacking = missing_shards(files)
    return Source(found, f"lacks {named(lacking)}" if lacking else "")


def named(files: list[Path]) -> str:
    """The first of some files and how many more there are."""
    return f"{files[0]}" + (f" and {len(files) - 1} more" if len(files) > 1 else "")
