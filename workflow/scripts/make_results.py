"""Write docs/RESULTS.md, docs/results/ and docs/images/ from the results of a tier."""

import argparse
import shutil
from pathlib import Path

import pandas as pd

from noiselab.config import ROOT
from noiselab.errors import NoiselabError, run_script
from noiselab.files import write_text

DOCS = ROOT / "docs"
TABLES = [2, 10, 13, 7, 5, 4, 11]
HEAD = """\
# Results

Written by `make results` from the files of one run of tier `{tier}`; the csv files are in
[results/{tier}](results/{tier}).

- Data: {datasets}. These are {kind}.
- {runs} trainings, {minutes:.0f} minutes of training in all, on {devices}.
- Code revision {revisions}.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of a tier")
    arguments = parser.parse_args()
    results, tier = arguments.results, arguments.results.name
    if not (results / "report.html").is_file():
        raise NoiselabError(f"{results}: no finished results (no report.html)")
    files = sorted(results.glob("metrics/*.csv"))
    runs = pd.concat(map(pd.read_csv, files)).drop_duplicates("run_id")
    parts = [_head(tier, runs)]
    parts += [(results / f"tables/table{n}.md").read_text(encoding="utf-8") for n in TABLES]
    write_text(DOCS / "RESULTS.md", "\n".join(parts))
    _copy(results.glob("tables/*.csv"), DOCS / "results" / tier)
    _copy(results.glob("figures/*.png"), DOCS / "images")


def _head(tier: str, runs: pd.DataFrame) -> str:
    own = (runs["dataset"] == runs["stands_in_for"]).all()
    return HEAD.format(
        tier=tier,
        datasets=", ".join(dict.fromkeys(runs["dataset"])),
        kind="the paper's data sets" if own else "not the paper's data sets",
        runs=len(runs),
        minutes=runs["seconds"].sum() / 60,
        devices=", ".join(sorted(set(runs["device"]))),
        revisions=", ".join(sorted(set(runs["revision"]))),
    )


def _copy(files, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, folder / file.name)


if __name__ == "__main__":
    run_script(main)
