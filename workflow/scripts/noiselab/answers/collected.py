"""Rows of metrics out of the metrics.json of runs."""

from pathlib import Path

from noiselab.errors import NoiselabError
from noiselab.files import read_json

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
    "learning_rate_multiplier",
    "classes",
    "train_size",
    "noise_ratio",
    "error_rate",
    "seed",
]
NOISE_KEYS = ["true_error_rate", "class_error_rates"]
TRAINING_KEYS = ["measured_error_rate", "steps", "examples", "seconds", "device", "revision"]
TRAINING_FACTS = ["threads", "precision"]  # not in results of older revisions


def content(path: str | Path) -> dict:
    """metrics.json of a run. NoiselabError: it lacks a part."""
    found = read_json(path)
    parts = [found.get(part) for part in ("run", "training", "metrics")]
    whole = all(isinstance(part, dict) for part in parts)
    if not whole or not set(TRAINING_KEYS) <= set(found["training"]):
        raise NoiselabError(f"{path}: lacks a part; remove it, and it is made again")
    return found


def rows(content: dict) -> list[dict]:
    """A row per metric of a run."""
    run = {key: content["run"].get(key) for key in RUN_KEYS}  # not every family has them all
    training = {key: content["training"][key] for key in TRAINING_KEYS}
    training |= {key: content["training"].get(key) for key in TRAINING_FACTS}
    noise = {key: content.get("noise", {}).get(key) for key in NOISE_KEYS}
    return [
        run | {"metric": name} | {"floor_reason": None} | score | training | noise
        for name, score in content["metrics"].items()
    ]


def snapshot(content: dict) -> dict:
    """What `protocol: released` calls a run of fixed total length: a longer one on its way. The
    clean run has the same length under both."""
    run = content["run"] | {"protocol": "released"}
    prefix = "snapshot_"
    metrics = {k: v for k, v in content["metrics"].items() if k != "best_accuracy"}
    if run["corruption"] != "none":
        run["budget"] = "fixed_total"
        metrics = {k.removeprefix(prefix): v for k, v in metrics.items() if k.startswith(prefix)}
    return content | {"run": run, "metrics": metrics}
