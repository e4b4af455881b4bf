"""Decide the paper's claims from the metrics of runs."""

import argparse
from pathlib import Path

import pandas as pd

from noiselab import reading
from noiselab.answers import claims, verdicts
from noiselab.errors import run_script
from noiselab.files import whole_file, write_json, write_text
from noiselab.planning import config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, nargs="*", default=[], help="csv per experiment")
    parser.add_argument("--gradients", type=Path, help="csv of measure_gradients")
    parser.add_argument("--loss-stability", type=Path, help="csv of measure_loss_stability")
    parser.add_argument("--curves", type=Path, help="csv of collect_curves")
    parser.add_argument("--tier", required=True)
    parser.add_argument("--studies", nargs="+", help="default: all")
    parser.add_argument("--out", type=Path, required=True, help="json; the others lie beside it")
    arguments = parser.parse_args()
    measured = claims.Measured(
        arguments.tier,
        {path.stem: reading.metrics(path) for path in arguments.metrics},
        _read(arguments.gradients),
        _read(arguments.loss_stability),
        _read(arguments.curves),
    )
    content = claims.decide(config.published(arguments.studies), measured)
    write_json(arguments.out, content, allow_nan=False)
    for suffix, render in verdicts.FORMATS.items():
        write_text(arguments.out.with_suffix(f".{suffix}"), render(content))
    with whole_file(arguments.out.with_suffix(".csv")) as path:
        verdicts.tidy(content).to_csv(path, index=False)


def _read(path: Path | None) -> pd.DataFrame | None:
    return reading.table(path) if path else None


if __name__ == "__main__":
    run_script(main)
