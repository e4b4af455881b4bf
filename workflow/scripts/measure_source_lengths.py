"""How long the sources of sequence-to-sequence models are: the measured richness of a condition."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from noiselab.data import pairs
from noiselab.errors import run_script
from noiselab.files import whole_file
from noiselab.run import Run

QUANTILES = (50, 95, 99, 99.9)  # in per cent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json files")
    parser.add_argument("--out", type=Path, required=True, help="csv, a row per data set")
    arguments = parser.parse_args()
    of_data = {run.data: run for run in map(Run.read, arguments.runs)}
    with whole_file(arguments.out) as path:
        pd.DataFrame(map(_row, of_data.values())).to_csv(path, index=False)


def _row(run: Run) -> dict:
    """Tokens of the training sources of a run's data, before any is clipped."""
    lengths = pairs.source_lengths(run.data)
    quantiles = np.percentile(lengths, QUANTILES)
    return {
        "dataset": run.dataset,
        "stands_in_for": run.stands_in_for,
        "sources": len(lengths),
        **{f"source_q{q:g}": v for q, v in zip(QUANTILES, quantiles, strict=True)},
        "source_limit": run.source_length,
        "source_clipped": 100 * float(np.mean(lengths > run.source_length)),
    }


if __name__ == "__main__":
    run_script(main)
