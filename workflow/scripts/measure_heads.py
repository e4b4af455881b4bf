"""What fitted heads decide around items (Figure 6), and Proposition 2 in numbers."""

import argparse
from pathlib import Path

import pandas as pd

from noiselab import reading
from noiselab.errors import run_script
from noiselab.families.probe import heads
from noiselab.files import whole_file
from noiselab.run import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json files")
    parser.add_argument("--files", type=Path, nargs="+", required=True, help="chosen.csv of each")
    parser.add_argument(
        "--out", type=Path, nargs=3, required=True, help="csv: plane, regions, bound"
    )
    arguments = parser.parse_args()
    found: dict[str, list[pd.DataFrame]] = {"plane": [], "regions": [], "bound": []}
    for place, chosen in zip(arguments.runs, arguments.files, strict=True):
        run = Run.read(place)
        folder = Path(str(place.parent).removesuffix(run.run_id))
        for name, table in heads.measured(run, folder, reading.table(chosen)).items():
            found[name].append(table)
    for path, tables in zip(arguments.out, found.values(), strict=True):
        with whole_file(path) as temporary:
            pd.concat(tables).to_csv(temporary, index=False)


if __name__ == "__main__":
    run_script(main)
