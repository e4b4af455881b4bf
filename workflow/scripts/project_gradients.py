"""Gradients in a plane, and how their sums grow with their number (Figure 4)."""

import argparse
from pathlib import Path

import pandas as pd
from torch import Tensor

from noiselab.data import text
from noiselab.errors import run_script
from noiselab.families.language_model import task as language_model
from noiselab.files import read_json, whole_file
from noiselab.measures import gradients
from noiselab.training import distributed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json of a clean run")
    parser.add_argument("--error-rate", type=float, required=True)
    parser.add_argument("--batch-size", type=int, required=True, help="sequences")
    parser.add_argument("--batches", type=int, required=True, help="the first is projected")
    parser.add_argument("--protocols", nargs="+", required=True, help="tokens, sequences")
    parser.add_argument("--projection", type=Path, required=True, help="csv to write")
    parser.add_argument("--growth", type=Path, required=True, help="csv to write")
    arguments = parser.parse_args()
    run = read_json(arguments.run)
    _, train, _ = text.read(run["data"])
    points, sums = [], []
    with distributed.process_group() as device:
        model = language_model.build(run).to(device).eval()
        for protocol in arguments.protocols:
            batches = gradients.noisy_batches(
                run,
                train,
                protocol,
                error_rate=arguments.error_rate,
                size=arguments.batch_size,
                count=arguments.batches,
                device=device,
            )
            measured = list(gradients.grams(model, batches, protocol))
            keys = {key: run[key] for key in ("dataset", "stands_in_for", "seed", "tier")}
            keys |= {"protocol": protocol, "error_rate": arguments.error_rate}
            keys |= {"batch_size": arguments.batch_size}
            points += [keys | row for row in _points(*measured[0])]
            sums += [keys | row for row in gradients.growth(measured)]
    for out, rows in ((arguments.projection, points), (arguments.growth, sums)):
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
