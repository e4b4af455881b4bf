"""Pages of published results: one beside the csv files of each folder, and the list of them."""

import re
from collections import Counter
from pathlib import Path

from noiselab import reading

PAGE = "README.md"  # of a folder; sites that show repositories show it below the files
PAGE_HEAD = """\
# Results: {name}

Written by `make results`, as the csv files beside this page. [All results](../../RESULTS.md).

"""
INDEX_HEAD = """\
# Results

Written by `make results`. Each of these folders of [results/](results) has a page with its tables
and verdicts, and the same as csv; the other folders are parts and earlier runs that a page cites.
Trainings that no table shows yet are counted, too. Before you conclude anything from tier `quick`,
read what it [can say, and what not](FINDINGS.md), and whether its networks
[have learned enough](FINDINGS.md#have-the-small-networks-learned-enough).

| folder | data | trainings | minutes | on |
|---|---|---:|---:|---|
"""


def page(name: str, parts: list[str]) -> str:
    """The page of the folder `name`: its parts, in Markdown, below a head."""
    return PAGE_HEAD.format(name=name) + "\n".join(parts)


def index(results: Path) -> str:
    """The list of a folder's folders that have a page: what was trained, and each table there."""
    pages = sorted(results.glob(f"*/{PAGE}"))
    rows = "".join(_row(path.parent) for path in pages)
    return INDEX_HEAD + rows + "".join(_contents(path) for path in pages)


def _row(folder: Path) -> str:
    found = reading.table(folder / "provenance.csv")
    names = {name for text in found["datasets"] for name in str(text).split(", ")}
    devices = ", ".join(sorted({name for text in found["devices"] for name in text.split(", ")}))
    cells = [f"[{folder.name}](results/{folder.name}/{PAGE})", ", ".join(sorted(names))]
    cells += [f"{found['trainings'].sum()}", f"{found['minutes'].sum():.0f}", devices]
    return f"| {' | '.join(cells)} |\n"


def _contents(path: Path) -> str:
    """Links to the headings of a page."""
    name, seen, lines = path.parent.name, Counter(), []
    for level, title in re.findall(r"^(##+) (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        suffix = f"-{seen[anchor]}" if seen[anchor] else ""
        seen[anchor] += 1
        if level == "##":
            lines.append(f"- [{title}](results/{name}/{PAGE}#{anchor}{suffix})\n")
    return f"\n## {name}\n\n{''.join(lines)}"
