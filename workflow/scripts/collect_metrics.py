"""Gather the metrics.json of an experiment's runs in one table: a row per run and metric."""

import argparse
from pathlib import Path

import pandas as pd

from noiselab.errors import run_script
from noiselab.files import read_json, whole_file

RUN_KEYS = [
    "run_id",
    "family",
    "tier",
    "dataset",
    "stands_in_for",
    "corruption",
    "resample",
    "budget",
    "protocol",
    "source_share",
    "noise_ratio",
    "error_rate",
    "seed",
]
TRAINING_KEYS = ["measured_error_rate", "steps", "examples", "seconds", "device", "revision"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True, help="csv")
    arguments = parser.parse_args()
    rows = [row for path in arguments.metrics for row in _rows(read_json(path))]
    with whole_file(arguments.out) as path:
        pd.DataFrame(rows).to_csv(path, index=False)


def _rows(content: dict) -> list[dict]:
    run = {key: content["run"].get(key) for key in RUN_KEYS}  # source_share: seq2seq only
    training = {key: content["training"][key] for key in TRAINING_KEYS}
    return [run | {"metric": name} | score | training for name, score in content["metrics"].items()]


if __name__ == "__main__":
    run_script(main)
