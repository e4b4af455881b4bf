"""Wrong labels by a matrix in a csv file."""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from noiselab.errors import NoiselabError
from noiselab.noise import matrix
from noiselab.noise.corruptions.given import (
    LABELS,
    given_labels,
    labels_name,
    planned_labels,
    transitions,
)
from noiselab.noise.corruptions.labels import LabelCorruption, Transitions
from noiselab.run import Run

FILE = {"type": "string", "minLength": 1, "description": "the path of a csv file"}


class LabelMatrix(LabelCorruption):
    """Any W, from a csv file: C rows of C numbers, rows of the true class."""

    name = "label_matrix"
    options: ClassVar = {"wrong_labels": FILE}

    def __init__(self, rate: float | np.ndarray, wrong: np.ndarray):
        super().__init__(rate, len(wrong))
        self._wrong = wrong

    @classmethod
    def planned(cls, experiment: dict, spec: dict, where: str = "") -> dict:
        """Path and SHA-256 of the matrix, which must suit the data set."""
        file = matrix.planned(experiment["wrong_labels"], spec, f"{where}wrong_labels", True)
        return {"wrong_labels": {"path": file.path, "sha256": file.sha256}}

    @classmethod
    def variant(cls, planned: dict) -> str:
        return f"-{planned['wrong_labels']['sha256'][:6]}"

    @classmethod
    def from_run(cls, run: Run) -> Self:
        """NoiselabError where the file is not the one that the run was planned with."""
        return cls(run.error_rate, _rows(run.wrong_labels))

    def wrong_labels(self) -> np.ndarray:
        return self._wrong


class TransitionMatrix(Transitions):
    """Any T, from a csv file: C rows of C numbers, rows of the true class. Rates may differ by
    class. Or T as counted in a file of labels: how often it gives each class each label."""

    name = "transition_matrix"
    rated = False
    optional: ClassVar = {"transitions": FILE, "labels": LABELS}

    @classmethod
    def planned(cls, experiment: dict, spec: dict, where: str = "") -> dict:
        """Path and SHA-256 of the file. A matrix must suit the data set; its error rate is the mean
        over classes of 1 - T[y, y]."""
        key = f"{where}transitions"
        if "labels" in experiment:
            if "transitions" in experiment:
                raise NoiselabError(f"{key}: not together with labels")
            return {"labels": planned_labels(experiment["labels"], f"{where}labels")}
        if "transitions" not in experiment:
            raise NoiselabError(f"{key}: missing; a csv file of T, or labels to count it from")
        file = matrix.planned(experiment["transitions"], spec, key, False)
        right = sum(row[label] / sum(row) for label, row in enumerate(file.rows))
        rate = round(1 - right / len(file.rows), 12)
        if rate == 0:
            raise NoiselabError(f"{key}: {file.path} leaves each label as it is")
        return {"transitions": {"path": file.path, "sha256": file.sha256, "error_rate": rate}}

    @classmethod
    def planned_rate(cls, planned: dict) -> float | None:
        return None if "labels" in planned else planned["transitions"]["error_rate"]

    @classmethod
    def variant(cls, planned: dict) -> str:
        if "labels" in planned:
            return f"-{labels_name(planned['labels'])}"
        return f"-{planned['transitions']['sha256'][:6]}"

    @classmethod
    def from_run(cls, run: Run) -> Self:
        """NoiselabError where the file is not the one that the run was planned with."""
        if "labels" not in run:
            return cls(_rows(run.transitions))
        clean = np.load(Path(run.data, "train_y.npy"))
        given = given_labels(run.labels, run.data, run.classes)
        return cls(transitions(clean, given, run.classes))


def _rows(file: dict) -> np.ndarray:
    """The matrix of run.json, float64 [C, C], with rows that sum to 1 to the last digit."""
    rows, found = matrix.read_matrix(file["path"])
    if found != file["sha256"]:
        raise NoiselabError(f"{file['path']} has changed since this run was planned")
    array = np.array(rows)
    return array / array.sum(axis=1, keepdims=True)
