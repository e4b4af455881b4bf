"""Scores of a classifier's predictions on clean test data, with the floor from the clean run."""

from pathlib import Path

import numpy as np

from noiselab import reading
from noiselab.data import prepared
from noiselab.measures.metrics import best_metrics, classifier_metrics, training_metrics, unscored
from noiselab.noise.draws import taught_labels
from noiselab.noise.registry import corruption
from noiselab.run import Run

NO_CLEAN = "there are no clean labels to train a clean run on"


def scores(run: Run, files: dict[str, Path]) -> dict[str, dict]:
    """All scores of a run. files: `history` (jsonl) and `predictions` (npz) of its training, and
    `clean`, the predictions of the clean run."""
    _, train, test = prepared.read(run.data)
    own, clean = (predictions(files[name], run, len(test.y)) for name in ("predictions", "clean"))
    labels = {"train": np.asarray(train.y), "test": np.asarray(test.y)}
    history = reading.rows(files["history"])
    metrics = _scores(run, own, clean, labels) | best_metrics(history, len(test.y))
    if "snapshot_test" in own:
        snapshot = _scores(run, own, clean, labels, "snapshot_")
        metrics |= {f"snapshot_{name}": score for name, score in snapshot.items()}
    return metrics if run.get("clean_labels", True) else _without_clean_labels(metrics)


def predictions(path: Path, run: Run, count: int) -> dict[str, np.ndarray]:
    """What a classifier of the run's data said of `count` test images. NoiselabError: the file is
    broken, or of another run or data set."""
    found = reading.arrays(path, "test")
    for name in ("test", "snapshot_test"):
        if name in found:
            reading.expect(found[name], path, name, "f", (count, run.classes))
    for name in ("train_decided", "snapshot_train_decided") if "train_rows" in found else ():
        if name in found:
            reading.expect(found[name], path, name, "i", (len(found["train_rows"]),))
    return found


def _without_clean_labels(metrics: dict[str, dict]) -> dict[str, dict]:
    """Scores of a run that has no clean run: those that compare with it or with true training
    labels are none."""
    lost = {n for n in metrics if n.endswith(("_drop", "train_accuracy"))}
    return metrics | {name: unscored(name, 0, NO_CLEAN) for name in lost}


def _scores(run: Run, own: dict, clean: dict, labels: dict, prefix: str = "") -> dict[str, dict]:
    """Test scores, and training scores where the predictions have them; `prefix`: of the model's
    snapshot on its way."""
    noise = corruption(run)
    scores = classifier_metrics(own[f"{prefix}test"], labels["test"], clean["test"], noise)
    if "train_rows" not in own:
        return scores
    rows, observed = own["train_rows"], None
    if run.resample == "fixed":
        observed, _ = taught_labels(noise, run, labels["train"], rows, 0, len(rows))
    decided, clean_decided = own[f"{prefix}train_decided"], clean["train_decided"]
    true = labels["train"][rows]
    itself = np.array_equal(own[f"{prefix}test"], clean["test"])
    return scores | training_metrics(decided, clean_decided, true, observed, noise, rows, itself)
