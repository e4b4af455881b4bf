"""Numbers in README and docs, written from docs/results into marked places.

A place begins and ends with comments, which a rendered page does not show:

    `<!-- = quick/table2 dataset=digits row=100:100 metric=accuracy with=interval -->…<!-- / -->`

within a line, and around a table or sentence, on lines of their own:

    `<!-- begin audit quick -->` … `<!-- end -->`

The first says which row of which csv file, and what of it; the second names a block (blocks.py).
"""

import re
import shlex
from functools import lru_cache
from pathlib import Path

import pandas as pd

from noiselab import reading
from noiselab.answers.blocks import BLOCKS
from noiselab.answers.layouts import number_text, on_one_training
from noiselab.answers.verdicts import number
from noiselab.errors import NoiselabError
from noiselab.files import write_text
from noiselab.planning.hints import hint

GENERATED = ("RESULTS.md", "BENCHMARKS.md", "RELIABILITY_SLURM.md")  # as wholes
OPTIONS = ("show", "with", "decimals", "sign")  # of a place; all other keys are columns
EXTRAS = ("unit", "interval")  # of the option `with`
VALUES = ("ours", "value", "trainings")  # columns that are shown where none is named
ENDS = {"ours": "ci", "value": "ci"}  # first word of the columns of an interval's ends

CODE = (
    r"^ *(?P<fence>`{3,}|~{3,}).*?^ *(?P=fence)"
    r"|(?P<tick>`+)(?!`)(?:(?!\n\n).)*?(?<!`)(?P=tick)(?!`)"
)
OLD = r"(?:(?!<!--).)*"
PLACE = rf"<!-- = (?P<query>(?:(?!-->).)*?)\s*-->{OLD}<!-- / -->"
BLOCK = rf"<!-- begin (?P<block>[^\n]*?) -->{OLD}<!-- end -->"
STRAY = r"<!--\s*(?P<stray>=|/|begin\b|end\b)"
PART = re.compile(f"{CODE}|{PLACE}|{BLOCK}|{STRAY}", re.MULTILINE | re.DOTALL)
ITEM = re.compile(r"\s*(?:(?:[-*+>]|\d+[.)])\s*)*")  # before the first word of a line


def pages(root: Path) -> list[Path]:
    """The pages of a repository whose marked places are filled."""
    found = [root / "README.md", *sorted((root / "docs").glob("*.md")), root / "config/README.md"]
    return [page for page in found if page.name not in GENERATED]


def fill(root: Path) -> list[str]:
    """Fill the marked places of a repository's pages from docs/results; the names of the pages
    that changed. NoiselabError: a place cannot be filled; then no page is changed."""
    texts = {str(page.relative_to(root)): page.read_text("utf-8") for page in pages(root)}
    new = {name: filled(text, name, root / "docs/results") for name, text in texts.items()}
    changed = [name for name in texts if new[name] != texts[name]]
    for name in changed:
        write_text(root / name, new[name])
    return changed


def filled(text: str, page: str, results: Path) -> str:
    """A page with its marked places filled. page: its name, for messages; results: folder of the
    csv files. NoiselabError: a place has no end, or asks for what there is not."""

    def part(match: re.Match) -> str:
        before = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        try:
            return _part(match, before, results)
        except NoiselabError as error:
            start = " ".join(match[0].partition("-->")[0].split())
            raise NoiselabError(f"{page}: {start} …: {error}") from error

    return PART.sub(part, text)


def _part(match: re.Match, before: str, results: Path) -> str:
    """What stands in the place of a match. before: what precedes it in its line."""
    if match["stray"]:
        raise NoiselabError("a place that has no beginning or no end (<!-- / -->, <!-- end -->)")
    if match["query"] is not None:
        if ITEM.fullmatch(before):
            raise NoiselabError("begins its line, which Markdown would take for HTML; move a word")
        return f"<!-- = {match['query']} -->{answer(match['query'], results)}<!-- / -->"
    if match["block"] is not None:
        if before:
            raise NoiselabError("must begin its line")
        return (
            f"<!-- begin {match['block']} -->\n\n{_block(match['block'], results)}\n\n<!-- end -->"
        )
    return match[0]  # code


def _block(name: str, results: Path) -> str:
    kind, *words = name.split()
    if kind not in BLOCKS:
        raise NoiselabError(f"no block {kind!r} ({hint(kind, BLOCKS)})")
    if not words:
        raise NoiselabError("names no folder of docs/results")
    return BLOCKS[kind](results, *words).strip()


def answer(query: str, results: Path) -> str:
    """What a query asks of one row of a csv file, as text.

    query: such as `quick/table2 dataset=digits row=100:100 metric=accuracy show=floor`.
    NoiselabError: there is no such file, column, option or number, or not exactly one row.
    """
    file, asked = _words(query)
    options = {key: asked.pop(key) for key in OPTIONS if key in asked}
    return _shown(_row(_table(results, file), asked), options)


def _words(query: str) -> tuple[str, dict[str, str]]:
    """The file of a query, and what it says of columns and options."""
    if "|" in query:
        raise NoiselabError("| would end a cell of a table; choose by another column")
    try:
        file, *words = shlex.split(query)
    except ValueError as error:
        raise NoiselabError(f"not read ({error})") from error
    if wrong := [word for word in words if "=" not in word]:
        raise NoiselabError(f"{wrong[0]} is no column=value")
    return file, dict(word.split("=", 1) for word in words)


def _table(results: Path, file: str) -> pd.DataFrame:
    path = results / f"{file}.csv"
    if not path.resolve().is_relative_to(results.resolve()) or not path.is_file():
        known = [str(p.relative_to(results).with_suffix("")) for p in results.rglob("*.csv")]
        raise NoiselabError(f"docs/results has no {file}.csv ({hint(file, sorted(known))})")
    status = path.stat()
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _read(path: Path, time: int, size: int) -> pd.DataFrame:
    """The rows of a file, read once while it stays as it is: a page asks often."""
    return reading.table(path)


def _row(table: pd.DataFrame, asked: dict[str, str]) -> pd.Series:
    """The one row with these values."""
    chosen = pd.Series(True, table.index)
    for column, value in asked.items():
        if column not in table:
            raise NoiselabError(f"no column {column} ({hint(column, table.columns)})")
        chosen &= _equal(table[column], value)
    rows = table[chosen]
    words = " ".join(f"{column}={value}" for column, value in asked.items())
    if len(rows) == 0:
        raise NoiselabError(f"no row with {words}")
    if len(rows) > 1:
        differ = [c for c in rows if c not in asked and rows[c].nunique(dropna=False) > 1]
        more = f"; say one of {', '.join(differ[:5])}" if differ else ""
        raise NoiselabError(f"{len(rows)} rows with {words}{more}")
    return rows.iloc[0]


def _equal(column: pd.Series, value: str) -> pd.Series:
    """Which rows have a value: numbers as numbers, others as text, nothing as empty text."""
    if value == "":
        return column.isna()
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        try:
            return (column - float(value)).abs() < 1e-9
        except ValueError:
            return pd.Series(False, column.index)
    return column.astype(str) == value


def _shown(row: pd.Series, options: dict[str, str]) -> str:
    """A number of a row, with unit and interval where they are asked for."""
    column = options.get("show") or next((name for name in VALUES if name in row), None)
    if column not in row:
        raise NoiselabError(f"no column {column or 'to show'} ({hint(column, row.index)})")
    if pd.isna(row[column]):
        raise NoiselabError(f"{column} is empty ({_known(row, 'reason') or 'not measured'})")
    if isinstance(row[column], str):
        return row[column]
    extras = options["with"].split(",") if "with" in options else []
    if wrong := [extra for extra in extras if extra not in EXTRAS]:
        raise NoiselabError(f"with={wrong[0]} ({hint(wrong[0], EXTRAS)})")
    text = _number(row[column], row, options)
    text += _unit(row, column) if "unit" in extras else ""
    return text + (_interval(row, column, options) if "interval" in extras else "")


def _number(value: float, row: pd.Series, options: dict[str, str]) -> str:
    """A number as the tables have it, with a true minus sign and no sign of zero."""
    sign, decimals = options.get("sign", ""), options.get("decimals", "")
    if sign not in ("", "+") or not (decimals == "" or decimals.isdecimal()):
        raise NoiselabError("sign can be +, decimals a number")
    metric = _known(row, "metric")
    if not decimals and metric is None:
        return number(value)
    text = number_text(value, metric, sign, int(decimals) if decimals else None)
    return (text if re.search("[1-9]", text) else text.lstrip("-")).replace("-", "−")


def _unit(row: pd.Series, column: str) -> str:
    unit = _known(row, "unit") or ""
    if unit == "%" and column in ("effect", "excess"):
        unit = "points"
    return f" {unit}".rstrip()


def _interval(row: pd.Series, column: str, options: dict[str, str]) -> str:
    """The interval of a number, and over what it is: one training or seeds."""
    kind = ENDS.get(column, column)
    ends = [_known(row, f"{kind}_{end}") for end in ("low", "high")]
    if None in ends or column == "floor":  # whose ends are no interval
        return " (no interval)"
    low, high = (_number(end, row, options) for end in ends)
    return f" [{low}, {high}{_over(row)}]"


def _over(row: pd.Series) -> str:
    count, kind = _known(row, "n_seeds") or _known(row, "seeds"), _known(row, "interval")
    if kind == "range":
        return "; smallest and largest"
    if kind is None or count is None:
        return ""
    if on_one_training(count, kind):
        return "; one training"
    return f"; {count:g} seeds" if count > 1 else "; one seed"


def _known(row: pd.Series, column: str):
    """A value of a row; None where there is none."""
    return row[column] if column in row and pd.notna(row[column]) else None
