"""How likely each token is in the clean training text and in the noise text of runs."""

import argparse
from pathlib import Path

import pandas as pd

from noiselab.errors import run_script
from noiselab.files import whole_file
from noiselab.noise.corruptions.stretches import NoiseText
from noiselab.noise.corruptions.tokens import UNIGRAM, read_counts
from noiselab.noise.registry import corruption
from noiselab.run import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json files")
    parser.add_argument("--out", type=Path, required=True, help="csv")
    arguments = parser.parse_args()
    tables: dict[str, pd.DataFrame] = {}
    for run in map(Run.read, arguments.runs):
        if run.dataset not in tables:
            tables[run.dataset] = _clean(run)
        if isinstance(noise := corruption(run), NoiseText):
            tables[run.dataset][run.corruption] = noise.probabilities
    with whole_file(arguments.out) as path:
        pd.concat(tables.values()).to_csv(path, index=False)


def _clean(run: Run) -> pd.DataFrame:
    """A row per token, with its frequency in the clean training text."""
    counts = read_counts(Path(run.data) / UNIGRAM, run.vocabulary)
    keys = {"dataset": run.dataset, "token": range(run.vocabulary)}
    return pd.DataFrame(keys | {"clean": counts / counts.sum()})


if __name__ == "__main__":
    run_script(main)
