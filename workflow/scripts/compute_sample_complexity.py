"""Examples that learning needs by Eq. 2, and what noise leaves of some training sets."""

import argparse
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from noiselab.errors import run_script
from noiselab.files import whole_file
from noiselab.noise import theory
from noiselab.planning.rates import error_rate

DIMENSIONS = np.logspace(0, 9, 91)  # VC dimensions d
NOISE_RATIOS = (0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--constant", type=float, required=True, help="c0, which nobody knows")
    parser.add_argument("--confidence", type=float, required=True, help="delta")
    parser.add_argument("--errors", type=float, nargs="+", required=True, help="each an epsilon")
    parser.add_argument("--examples", type=int, nargs="+", required=True, help="training sets")
    parser.add_argument("--out", type=Path, nargs=2, required=True, help="csv: needed, clean")
    arguments = parser.parse_args()
    chosen = {"constant": arguments.constant, "confidence": arguments.confidence}
    needed = pd.concat(_curve(error, chosen) for error in arguments.errors)
    sets = pd.DataFrame(_sets(arguments.examples))
    for out, table in zip(arguments.out, (needed, sets), strict=True):
        with whole_file(out) as path:
            table.to_csv(path, index=False)


def _curve(error: float, chosen: dict) -> pd.DataFrame:
    """A row per VC dimension."""
    needed = theory.pac_sample_bound(error, chosen["confidence"], DIMENSIONS, chosen["constant"])
    return pd.DataFrame(chosen | {"error": error, "vc_dimension": DIMENSIONS, "needed": needed})


def _sets(examples: list[int]) -> list[dict]:
    """Training sets, whole and with as many wrong examples as right ones in their place."""
    rows = []
    for count, ratio in product(examples, NOISE_RATIOS):
        rate = error_rate(ratio)
        clean = theory.clean_examples(count, rate)
        rows.append({"examples": count, "error_rate": rate, "clean_examples": clean})
    return rows


if __name__ == "__main__":
    run_script(main)
