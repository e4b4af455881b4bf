"""Gradients in a plane, and how their sums grow with their number (Figure 4)."""

import argparse
from pathlib import Path

import pandas as pd
from torch import Tensor

from noiselab.data import text
from noiselab.errors import run_script
from noiselab.families.language_model import task as language_model
from noiselab.files import whole_file
from noiselab.measures import gradients
from noiselab.run import Run
from noiselab.training import distributed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="run.json of a clean run")
    parser.add_argument("--error-rates", type=float, nargs="+", required=True, help="the largest")
    parser.add_argument("--batch-sizes", type=int, nargs="+", required=True, help="of Table 4")
    parser.add_argument("--batches", type=int, required=True, help="of Table 4")
    parser.add_argument("--picture-batch-size", type=int, required=True, help="sequences")
    parser.add_argument("--protocols", nargs="+", required=True, help="tokens, sequences")
    parser.add_argument("--out", type=Path, nargs=2, required=True, help="csv: projection, growth")
    arguments = parser.parse_args()
    run, size = Run.read(arguments.runs), arguments.picture_batch_size
    error_rate = max(arguments.error_rates)
    # As many sequences as the largest batches of Table 4 have.
    count = max(2, arguments.batches * max(arguments.batch_sizes) // size)
    _, train, _ = text.read(run.data)
    points, sums = [], []
    with distributed.process_group() as device:
        model = language_model.build(run).to(device).eval()
        for protocol in arguments.protocols:
            batches = gradients.noisy_batches(
                run,
                train,
                protocol,
                error_rate=error_rate,
                size=size,
                count=count,
                device=device,
            )
            measured = list(gradients.grams(model, batches, protocol))
            keys = {key: run[key] for key in ("dataset", "stands_in_for", "seed", "tier")}
            keys |= {"protocol": protocol, "error_rate": error_rate}
            keys |= {"batch_size": size}
            points += [keys | row for row in _points(*measured[0])]
            sums += [keys | row for row in gradients.growth(measured)]
    for out, rows in zip(arguments.out, (points, sums), strict=True):
        with whole_file(out) as path:
            pd.DataFrame(rows).to_csv(path, index=False)


def _points(gram: Tensor, clean: Tensor) -> list[dict]:
    """A row per gradient: kind, coordinates, and the share of all squared length on each axis."""
    coordinates, (share_x, share_y) = gradients.projection(gram, clean)
    shares = {"share_x": share_x, "share_y": share_y}
    kinds = ["clean" if is_clean else "corrupt" for is_clean in clean.tolist()]
    return [
        {"kind": kind, "x": x, "y": y} | shares
        for kind, (x, y) in zip(kinds, coordinates, strict=True)
    ]


if __name__ == "__main__":
    run_script(main)
