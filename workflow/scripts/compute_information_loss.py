"""Relative information loss against the error rate for several numbers of classes (Figure 3)."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from noiselab.errors import run_script
from noiselab.files import whole_file
from noiselab.noise import theory

STEPS = 200  # between error rates 0 and 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True, help="csv")
    arguments = parser.parse_args()
    table = pd.concat(map(_curve, arguments.classes))
    with whole_file(arguments.out) as path:
        table.to_csv(path, index=False)


def _curve(classes: int) -> pd.DataFrame:
    """A row per error rate, among them the one at which a label tells nothing."""
    error_rate = np.linspace(0, 1, STEPS + 1)
    error_rate = np.union1d(error_rate, theory.uninformative_error_rate(classes))
    loss = theory.relative_information_loss(error_rate, classes)
    columns = {"classes": classes, "error_rate": error_rate, "relative_information_loss": loss}
    return pd.DataFrame(columns)


if __name__ == "__main__":
    run_script(main)
