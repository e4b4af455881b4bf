"""Scores of an algorithmic task: accuracy on cases that were not trained on, and when it came."""

from pathlib import Path

import numpy as np

from noiselab import reading
from noiselab.data import prepared
from noiselab.families.classifier.score import predictions
from noiselab.measures.metrics import classifier_metrics
from noiselab.measures.scores import first_step
from noiselab.noise.registry import corruption
from noiselab.run import Run

# Score -> accuracy that says so, and from which on, in per cent.
REACHED = {
    "steps_to_memory": ("train_accuracy", 95.0),
    "steps_to_most": ("test_accuracy", 80.0),
    "steps_to_rule": ("test_accuracy", 95.0),
}


def scores(run: Run, files: dict[str, Path]) -> dict[str, dict]:
    """All scores of a run. files: `history` (jsonl) and `predictions` (npz) of its training, and
    `clean`, the predictions of the clean run."""
    _, _, test = prepared.read(run.data)
    own, clean = (
        predictions(files[name], run, len(test.y))["test"] for name in ("predictions", "clean")
    )
    history, limit = reading.rows(files["history"]), run.training["steps"]
    metrics = classifier_metrics(own, np.asarray(test.y), clean, corruption(run))
    for name, (accuracy, least) in REACHED.items():

        def reached(row: dict, accuracy=accuracy, least=least) -> bool:
            return row.get(accuracy, 0.0) >= least

        metrics[name] = first_step(name, history, reached, limit)
    return metrics
