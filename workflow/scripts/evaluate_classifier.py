"""Score one classifier's predictions on clean test data, with the floor from the clean run."""

import argparse
import json
from pathlib import Path

import numpy as np

from noiselab.data import prepared
from noiselab.errors import run_script
from noiselab.files import read_json
from noiselab.measures.metrics import best_metrics, classifier_metrics, training_metrics
from noiselab.noise.draws import taught_labels
from noiselab.noise.registry import corruption
from noiselab.planning.provenance import write_metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json")
    parser.add_argument("--summary", type=Path, required=True, help="of the training")
    parser.add_argument("--history", type=Path, required=True, help="of the training, jsonl")
    parser.add_argument("--predictions", type=Path, required=True, help="npz")
    parser.add_argument("--clean", type=Path, required=True, help="those of the clean run")
    parser.add_argument("--metrics", type=Path, required=True)
    arguments = parser.parse_args()
    run = read_json(arguments.run)
    _, train, test = prepared.read(run["data"])
    own, clean = np.load(arguments.predictions), np.load(arguments.clean)
    labels = {"train": np.asarray(train.y), "test": np.asarray(test.y)}
    history = [json.loads(line) for line in arguments.history.read_text().splitlines()]
    metrics = _scores(run, own, clean, labels) | best_metrics(history, len(test.y))
    if "snapshot_test" in own:
        scores = _scores(run, own, clean, labels, "snapshot_")
        metrics |= {f"snapshot_{name}": score for name, score in scores.items()}
    write_metrics(arguments.metrics, run, arguments.summary, metrics)


def _scores(run: dict, own: dict, clean: dict, labels: dict, prefix: str = "") -> dict[str, dict]:
    """Test scores, and training scores where the predictions have them; `prefix`: of the model's
    snapshot on its way."""
    noise = corruption(run)
    scores = classifier_metrics(own[f"{prefix}test"], labels["test"], clean["test"], noise)
    if "train_rows" not in own:
        return scores
    rows, observed = own["train_rows"], None
    if run["resample"] == "fixed":
        observed, _ = taught_labels(noise, run, labels["train"], rows, 0, len(rows))
    decided, clean_decided = own[f"{prefix}train_decided"], clean["train_decided"]
    true = labels["train"][rows]
    return scores | training_metrics(decided, clean_decided, true, observed, noise)


if __name__ == "__main__":
    run_script(main)
