"""Gather the metrics.json of an experiment's runs in one table: a row per run and metric."""

import argparse
from pathlib import Path

import pandas as pd

from noiselab.errors import NoiselabError, run_script
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
    "batch_multiplier",
    "classes",
    "train_size",
    "noise_ratio",
    "error_rate",
    "seed",
]
NOISE_KEYS = ["true_error_rate", "class_error_rates"]
TRAINING_KEYS = ["measured_error_rate", "steps", "examples", "seconds", "device", "revision"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", nargs="+", required=True)
    parser.add_argument(
        "--snapshots", action="store_true", help="take longer runs where a fixed total would end"
    )
    parser.add_argument("--out", type=Path, required=True, help="csv")
    arguments = parser.parse_args()
    contents = [_content(path) for path in arguments.metrics]
    if arguments.snapshots:
        contents = [_snapshot(content) for content in contents]
    rows = [row for content in contents for row in _rows(content)]
    with whole_file(arguments.out) as path:
        pd.DataFrame(rows).to_csv(path, index=False)


def _content(path: str) -> dict:
    """metrics.json of a run. NoiselabError: it lacks a part."""
    content = read_json(path)
    parts = [content.get(part) for part in ("run", "training", "metrics")]
    whole = all(isinstance(part, dict) for part in parts)
    if not whole or not set(TRAINING_KEYS) <= set(content["training"]):
        raise NoiselabError(f"{path}: lacks a part; remove it, and it is made again")
    return content


def _rows(content: dict) -> list[dict]:
    run = {key: content["run"].get(key) for key in RUN_KEYS}  # not every family has them all
    training = {key: content["training"][key] for key in TRAINING_KEYS}
    noise = {key: content.get("noise", {}).get(key) for key in NOISE_KEYS}
    return [
        run | {"metric": name} | {"floor_reason": None} | score | training | noise
        for name, score in content["metrics"].items()
    ]


def _snapshot(content: dict) -> dict:
    """What `protocol: released` calls a run of fixed total length: a longer one on its way. The
    clean run has the same length under both."""
    run = content["run"] | {"protocol": "released"}
    prefix = "snapshot_"
    metrics = {k: v for k, v in content["metrics"].items() if k != "best_accuracy"}
    if run["corruption"] != "none":
        run["budget"] = "fixed_total"
        metrics = {k.removeprefix(prefix): v for k, v in metrics.items() if k.startswith(prefix)}
    return content | {"run": run, "metrics": metrics}


if __name__ == "__main__":
    run_script(main)
