"""Scores of an algorithmic task: accuracy on cases that were not trained on, and when it came."""

from pathlib import Path

import numpy as np

from noiselab import reading
from noiselab.data import prepared
from noiselab.families.classifier.score import predictions
from noiselab.measures.metrics import classifier_metrics
from noiselab.measures.scores import NONE, UNITS, excess, unscored
from noiselab.noise.registry import corruption
from noiselab.run import Run

LEARNED = 95.0  # accuracy, %, from which on a rule counts as learned


def scores(run: Run, files: dict[str, Path]) -> dict[str, dict]:
    """All scores of a run. files: `history` (jsonl) and `predictions` (npz) of its training, and
    `clean`, the predictions of the clean run."""
    _, _, test = prepared.read(run.data)
    own, clean = (
        predictions(files[name], run, len(test.y))["test"] for name in ("predictions", "clean")
    )
    history = reading.rows(files["history"])
    steps = {
        "steps_to_memory": reached(history, "train_accuracy"),
        "steps_to_rule": reached(history, "test_accuracy"),
    }
    metrics = classifier_metrics(own, np.asarray(test.y), clean, corruption(run))
    return metrics | {name: _score(name, value, run) for name, value in steps.items()}


def reached(history: list[dict], score: str) -> int | None:
    """Steps at the first evaluation with an accuracy of 95 % or more; None: there is none."""
    found = (row["step"] for row in history if row.get(score, 0.0) >= LEARNED)
    return next(found, None)


def _score(name: str, steps: int | None, run: Run) -> dict:
    if steps is None:
        return unscored(name, 1, f"not within {run.training['steps']:,} steps")
    none = {**NONE._asdict(), "floor": None, **excess(NONE), "items": 1}
    return {"value": float(steps), "unit": UNITS[name], "reason": None} | none
