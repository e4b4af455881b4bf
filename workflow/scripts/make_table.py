"""Make one table, tidy (csv) and laid out (md, tex) and as data (json)."""

import argparse
import json
from pathlib import Path

from noiselab.answers import layouts, notes
from noiselab.answers.builders import TABLES, Sources, builder
from noiselab.errors import run_script
from noiselab.files import whole_file, write_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--artefact", type=json.loads, required=True, help="its entry")
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="what it is made from")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="run.json files")
    parser.add_argument("--tier", required=True)
    parser.add_argument("--out", type=Path, required=True, help="csv; the others lie beside it")
    arguments = parser.parse_args()
    sources = Sources(arguments.name, arguments.artefact, arguments.files, arguments.runs)
    chosen = builder(TABLES, sources)
    table = chosen.build(sources)
    place, title = (sources.entry.get(key) for key in ("place", "title"))
    title = f"{place or sources.name}: {title or 'test scores'}"
    lines = notes.notes(table, arguments.tier, chosen.floor)
    lines += notes.left_out(table, sources.published().get("noise_ratios", []))
    for suffix, render in layouts.FORMATS.items():
        write_text(arguments.out.with_suffix(f".{suffix}"), render(table, title, lines))
    with whole_file(arguments.out) as path:
        table.to_csv(path, index=False)


if __name__ == "__main__":
    run_script(main)
