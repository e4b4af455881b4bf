"""Labels that were given: by people, another model, or whoever labelled the data."""

import re
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from noiselab import items
from noiselab.errors import NoiselabError
from noiselab.files import digest, read_json, sha256
from noiselab.noise import label_file
from noiselab.noise.corruptions.labels import Transitions
from noiselab.run import Run

PLAIN = re.compile("[A-Za-z0-9_-]{1,40}")
LABELS = {  # JSON schema of an option
    "oneOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["file"],
            "properties": {
                "file": {"type": "string", "minLength": 1},
                "column": {"type": "string", "minLength": 1},
                "items": {"type": "string", "minLength": 1},
            },
        },
    ],
    "description": "a csv, tsv or parquet file of labels, or {file, column, items}",
}


class GivenLabels(Transitions):
    """The labels of a file, or a data set's own where these are not clean (`clean_labels: false`).

    Beside clean labels, T is how often each class was given each label in the training set, and
    the floor is that of errors which depend on the class alone. Without clean ones neither is
    known.
    """

    name = "given_labels"
    families = ("classifier", "vision_transformer", "diffusion")
    rated = False
    resamples = ("fixed",)
    why_resamples = "labels that were given do not change"
    optional: ClassVar = {"labels": LABELS}

    def __init__(self, given: np.ndarray, clean: np.ndarray | None, classes: int):
        """given, clean: labels of all training examples, int64 [N]."""
        self.given, self.clean = given, clean
        super().__init__(np.eye(classes) if clean is None else transitions(clean, given, classes))

    @classmethod
    def planned(cls, experiment: dict, spec: dict, where: str = "") -> dict:
        """Path and SHA-256 of the file, and its columns."""
        labels, clean = experiment.get("labels"), spec.get("clean_labels", True)
        if labels is None and clean:
            raise NoiselabError(
                f"{where}labels: missing; {spec['name']} has clean labels, so say which file has "
                f"the given ones (or datasets.{spec['name']}.clean_labels: false)"
            )
        if labels is None:
            return {"labels": None, "clean_labels": clean}
        return {"labels": planned_labels(labels, f"{where}labels"), "clean_labels": clean}

    @classmethod
    def variant(cls, planned: dict) -> str:
        return f"-{labels_name(planned['labels'])}" if planned["labels"] else ""

    @classmethod
    def from_run(cls, run: Run) -> Self:
        """NoiselabError where the file is not the one that the run was planned with, or does not
        fit the data set."""
        own = np.load(Path(run.data, "train_y.npy"))
        clean = own if run.clean_labels else None
        if run.labels is None:
            return cls(own, clean, run.classes)
        return cls(given_labels(run.labels, run.data, run.classes), clean, run.classes)

    def taught(self, labels: np.ndarray, index: np.ndarray, u: np.ndarray | None):
        """The given labels of examples number `index`, and which differ from the clean ones."""
        given = self.given[index]
        wrong = np.zeros(len(given), bool) if self.clean is None else given != self.clean[index]
        return given, wrong

    @property
    def knows_clean(self) -> bool:
        return self.clean is not None

    def observed(self, p: np.ndarray) -> np.ndarray | None:
        return None if self.clean is None else super().observed(p)

    def why_no_floor(self, score: str) -> str | None:
        known = self.clean is not None
        return super().why_no_floor(score) if known else "there are no clean labels to compare with"

    @property
    def true_error_rate(self) -> float | None:
        """Share of the training labels that differ from the clean ones."""
        return None if self.clean is None else float(np.mean(self.given != self.clean))


def planned_labels(labels: str | dict, key: str) -> dict:
    """Path, SHA-256 and columns of a file of labels as an experiment's option gives it; without a
    SHA-256 where there is no such file, which does not matter until it is asked for.
    NoiselabError: it cannot be read; key: stands in front."""
    labels = {"file": labels} if isinstance(labels, str) else labels
    path = labels["file"]
    if not Path(path).is_file():  # a pipe would be waited for
        return {**labels, "sha256": ""}
    try:
        found = {**labels, "sha256": sha256(path)}
        if Path(path).suffix.lower() in label_file.SEPARATORS:  # quick to read
            label_file.read(path, labels.get("column"), labels.get("items"))
    except OSError as error:
        raise NoiselabError(f"{key}: cannot read {path} ({error.strerror})") from error
    except NoiselabError as error:
        raise NoiselabError(f"{key}: {str(error).removeprefix(f'{key}: ')}") from error
    return found


def labels_name(labels: dict) -> str:
    """What tells planned labels apart from others, for the ids of runs."""
    chosen = {key: labels[key] for key in ("column", "items") if key in labels}
    if not chosen:
        return labels["sha256"][:6]
    # A column's name can be anything, that of a run is a file's, too.
    plain = "column" in chosen and PLAIN.fullmatch(chosen["column"])
    own = chosen["column"] if plain and len(chosen) == 1 else digest(chosen)[:6]
    return f"{labels['sha256'][:6]}-{own}"


def given_labels(labels: dict, data: str | Path, classes: int) -> np.ndarray:
    """The labels that a file gives the training examples of a prepared data set, int64 [N].

    labels: `file`, `sha256`, and `column` and `items` where they are not the usual ones.
    NoiselabError: it has changed, or does not fit.
    """
    path = labels["file"]
    file = label_file.read(path, labels.get("column"), labels.get("items"))
    if sha256(path) != labels["sha256"]:
        raise NoiselabError(f"{path} has changed since this run was planned")
    described = read_json(Path(data, "dataset.json"))
    names = described.get("class_names") or list(map(str, range(classes)))
    return label_file.class_numbers(file, items.read(data), names)


def transitions(clean: np.ndarray, given: np.ndarray, classes: int) -> np.ndarray:
    """T as counted, float64 [C, C]: the share of each clean class that was given each label. A
    class without examples stays what it is."""
    counts = np.zeros((classes, classes))
    np.add.at(counts, (clean, given), 1)
    empty = counts.sum(axis=1) == 0
    counts[empty, empty] = 1
    return counts / counts.sum(axis=1, keepdims=True)
