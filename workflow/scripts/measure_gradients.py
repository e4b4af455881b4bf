"""Coherence of per-example gradients of GPT-2 at initialisation (Table 4, Appendix M)."""

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from noiselab import distributed, gradients, language_model, streams
from noiselab.data import text
from noiselab.data.batches import TokenBatches
from noiselab.errors import run_script
from noiselab.files import read_json, whole_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json of a clean run")
    parser.add_argument("--error-rates", type=float, nargs="+", required=True)
    parser.add_argument("--batch-sizes", type=int, nargs="+", required=True, help="sequences")
    parser.add_argument("--batches", type=int, required=True)
    parser.add_argument("--protocols", nargs="+", required=True, help="tokens, sequences")
    parser.add_argument("--out", type=Path, required=True, help="csv")
    arguments = parser.parse_args()
    run = read_json(arguments.run)
    _, train, _ = text.read(run["data"])
    rows = []
    with distributed.process_group() as device:
        model = language_model.build(run).to(device).eval()
        cases = product(arguments.protocols, arguments.error_rates, arguments.batch_sizes)
        for protocol, error_rate, size in tqdm(list(cases), unit="case"):
            batches = _batches(run, train, protocol, error_rate, size, arguments.batches, device)
            keys = {key: run[key] for key in ("dataset", "stands_in_for", "tier")}
            keys |= {"protocol": protocol, "error_rate": error_rate, "batch_size": size}
            rows.append(keys | gradients.measure(model, batches, protocol))
    with whole_file(arguments.out) as path:
        pd.DataFrame(rows).to_csv(path, index=False)


def _batches(run, tokens, protocol, error_rate, size, count, device) -> Iterator[tuple]:
    """Noisy batches: inputs and targets int64 [size, T], corrupted bool [size, T] or [size]."""
    noisy = run | {"corruption": "uniform_token", "resample": "fresh"}
    if protocol == "tokens":
        stream = TokenBatches(noisy | {"error_rate": error_rate}, tokens, device)
        for i in range(count):
            yield tuple(stream(i * size, (i + 1) * size))
        return
    # Every token of a chosen sequence is drawn anew.
    clean = TokenBatches(run, tokens, device)
    random = TokenBatches(noisy | {"error_rate": 1.0}, tokens, device)
    for i in range(count):
        span = (i * size, (i + 1) * size)
        u = streams.uniform(run["seed"], "noisy-sequences", *span)
        corrupted = torch.from_numpy(u < error_rate).to(device)
        inputs, targets, _ = clean(*span)
        targets = torch.where(corrupted[:, None], random(*span).targets, targets)
        yield inputs, targets, corrupted


if __name__ == "__main__":
    run_script(main)
