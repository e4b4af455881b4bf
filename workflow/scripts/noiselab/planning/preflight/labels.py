"""Checks of files of labels: readable, and with a label for each example of prepared data."""

from collections.abc import Iterable
from pathlib import Path

from noiselab.errors import NoiselabError
from noiselab.noise import label_file
from noiselab.noise.corruptions.given import given_labels
from noiselab.planning.graph import Graph
from noiselab.planning.preflight.rows import MISSING, OK, Row
from noiselab.run import Run


def label_rows(graph: Graph, names: Iterable[str]) -> list[Row]:
    """A row per file and data set that these jobs train on."""
    ids = dict.fromkeys(graph.jobs[name].run for name in names)
    runs = [graph.plan.runs[run_id] for run_id in ids if run_id]
    return list(dict.fromkeys(label_row(run) for run in runs if run.get("labels")))


def label_row(run: Run) -> Row:
    """Whether a run's labels are there and are labels of its data."""
    labels, check = run.labels, f"labels: {run.dataset}"
    try:
        if Path(run.data, "dataset.json").is_file():
            count = len(given_labels(labels, run.data, run.classes))
            return Row(check, OK, f"{count:,} from {labels['file']}")
        file = label_file.read(labels["file"], labels.get("column"), labels.get("items"))
        return Row(check, OK, f"{len(file.items):,} in {labels['file']}")
    except NoiselabError as error:
        return Row(check, MISSING, str(error), "config/README.md says what such a file is")
