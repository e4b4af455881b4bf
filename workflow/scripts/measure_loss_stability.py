"""Mean and spread of the loss over macro-batches of several sizes (Table 11, Appendix N)."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from noiselab.data import text
from noiselab.errors import run_script
from noiselab.families.language_model import task as language_model
from noiselab.files import whole_file
from noiselab.measures.statistics import macro_batch_losses, std_interval
from noiselab.run import Run
from noiselab.training import distributed
from noiselab.training.weights import load_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json files")
    parser.add_argument("--weights", type=Path, nargs="+", required=True, help="one per run")
    parser.add_argument("--batch-sizes", type=int, nargs="+", required=True, help="sequences")
    parser.add_argument("--macro-batches", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True, help="csv")
    arguments = parser.parse_args()
    rows = []
    with distributed.process_group() as device:
        for run_file, weights in zip(arguments.runs, arguments.weights, strict=True):
            run = Run.read(run_file)
            _, train, _ = text.read(run.data)
            model = load_weights(weights, language_model.build(run), device, run.run_id).eval()
            count = max(arguments.batch_sizes) * arguments.macro_batches
            losses = language_model.sequence_losses(model, run, train, count, device)
            rows += _rows(run, losses, arguments.batch_sizes, arguments.macro_batches)
    with whole_file(arguments.out) as path:
        pd.DataFrame(rows).to_csv(path, index=False)


def _rows(run: Run, losses: np.ndarray, sizes: list[int], macro_batches: int) -> list[dict]:
    """A row per batch size: mean, standard deviation and its interval, in nats."""
    keys = ["run_id", "dataset", "stands_in_for", "noise_ratio", "error_rate", "seed", "tier"]
    rows = []
    for size in sizes:
        means = macro_batch_losses(losses, size, macro_batches)
        std = float(means.std(ddof=1))
        row = {"batch_size": size, "macro_batches": len(means), "mean": means.mean(), "std": std}
        rows.append({k: run[k] for k in keys} | row | std_interval(std, len(means))._asdict())
    return rows


if __name__ == "__main__":
    run_script(main)
