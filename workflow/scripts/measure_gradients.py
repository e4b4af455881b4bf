"""Coherence of per-example gradients of GPT-2 at initialisation (Table 4, Appendix M)."""

import argparse
from itertools import product
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from noiselab.data import text
from noiselab.errors import run_script
from noiselab.families.language_model import task as language_model
from noiselab.files import whole_file
from noiselab.measures import gradients
from noiselab.run import Run
from noiselab.training import distributed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=Path, nargs="+", required=True, help="run.json of a clean run of each seed"
    )
    parser.add_argument("--error-rates", type=float, nargs="+", required=True)
    parser.add_argument("--batch-sizes", type=int, nargs="+", required=True, help="sequences")
    parser.add_argument("--batches", type=int, required=True)
    parser.add_argument("--protocols", nargs="+", required=True, help="tokens, sequences")
    parser.add_argument("--out", type=Path, required=True, help="csv")
    arguments = parser.parse_args()
    runs = [Run.read(path) for path in arguments.runs]
    cases = list(product(arguments.protocols, arguments.error_rates, arguments.batch_sizes))
    rows = []
    with distributed.process_group() as device:
        bar = tqdm(total=len(runs) * len(cases), unit="case")
        for run in runs:
            _, train, _ = text.read(run.data)
            model = language_model.build(run).to(device).eval()
            for case in cases:
                rows.append(_row(run, train, model, *case, arguments.batches))
                bar.update()
    with whole_file(arguments.out) as path:
        pd.DataFrame(rows).to_csv(path, index=False)


def _row(run, train, model, protocol, error_rate, size, count) -> dict:
    """One column of Table 4 for one seed."""
    batches = gradients.noisy_batches(
        run, train, protocol, error_rate=error_rate, size=size, count=count, device=model.device
    )
    keys = {key: run[key] for key in ("dataset", "stands_in_for", "seed", "tier")}
    keys |= {"protocol": protocol, "error_rate": error_rate, "batch_size": size}
    return keys | gradients.measure(model, batches, protocol)


if __name__ == "__main__":
    run_script(main)
