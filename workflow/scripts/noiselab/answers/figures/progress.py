"""A score along training, of experiments side by side."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from noiselab.answers.figures.drawing import (
    DASHES,
    POINTS,
    Axis,
    Curve,
    Drawing,
    Panel,
    batches,
    look,
)
from noiselab.answers.figures.vegalite import drawing, narrow, wide
from noiselab.answers.layouts import NAMES

EACH = 0.6  # width of a line where each training has its own


class Training(NamedTuple):
    """A training on its way."""

    label: str  # of its experiment
    dataset: str
    seed: int
    history: list[dict]  # rows of history.jsonl


def progress_figure(trainings: list[Training], score: str, title: str, unit: str) -> Drawing:
    """A panel per data set, a colour per experiment and a line per seed: a score against the step,
    which has a logarithmic axis. A line ends where its training does. Of each experiment the middle
    training has a thick line and the name."""
    panels, ends = [], []
    for dataset in dict.fromkeys(t.dataset for t in trainings):
        own = [t for t in trainings if t.dataset == dataset]
        for labels in batches(list(dict.fromkeys(t.label for t in own))):
            shown = [t for t in own if t.label in labels]
            named = {label: _middle(shown, label, score) for label in labels}
            lines = [
                line
                for t in shown
                if (line := _line(t, score, labels.index(t.label), named[t.label] == t.seed))
            ]
            if lines:
                panels.append(_panel(f"{NAMES.get(dataset, dataset)}: {title}", lines, unit))
                ends += [f"{label} on {dataset} {_ends(shown, label, score)}" for label in labels]
    alt = f"{title.capitalize()} at the end, least and most of the seeds: {'; '.join(ends)}."
    return drawing(alt, panels, wide(1, 340), narrow(height=230))


def _middle(shown: list[Training], label: str, score: str) -> int | None:
    """Seed of the training in the middle: the sooner one ends the better, and the higher."""
    ends = [
        (rows[-1]["step"], -rows[-1][score], t.seed)
        for t in shown
        if t.label == label and (rows := [row for row in t.history if score in row])
    ]
    return sorted(ends)[(len(ends) - 1) // 2][-1] if ends else None


def _line(training: Training, score: str, number: int, labelled: bool) -> Curve | None:
    rows = [(row["step"], row[score]) for row in training.history if score in row]
    if not rows:
        return None
    x, y = np.array(rows, dtype=np.float64).T
    points = pd.DataFrame({"x": x, "y": y}).reindex(columns=POINTS)
    style = replace(look(number), dash=DASHES[number], shape=None, width=2 if labelled else EACH)
    return Curve(training.label, points, style, f"seed {training.seed}", labelled)


def _panel(title: str, lines: list[Curve], unit: str) -> Panel:
    steps = pd.concat([line.points["x"] for line in lines])
    scores = pd.concat([line.points["y"] for line in lines])
    ticks = tuple(10.0**i for i in range(7) if steps.min() <= 10.0**i <= steps.max())
    x = Axis("step", float(steps.min()), float(steps.max()), ticks, "~s", logarithmic=True)
    low, high = (0.0, 100.0) if unit == "%" else (float(scores.min()), float(scores.max()))
    return Panel(title, x, Axis(unit, low, high), lines, zoom=True)


def _ends(shown: list[Training], label: str, score: str) -> str:
    last = [
        [row[score] for row in t.history if score in row][-1]
        for t in shown
        if t.label == label and any(score in row for row in t.history)
    ]
    return f"{min(last):.4g} to {max(last):.4g}" if last else "nothing"
