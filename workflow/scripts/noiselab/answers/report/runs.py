"""The runs, so that every number can be followed to what it comes from: an entry each."""

import json
import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import numpy as np

from noiselab import reading
from noiselab.answers.layouts import NAMES, Cell, loss_above_floor, number_text, true_minus
from noiselab.answers.report.facts import duration
from noiselab.families import FAMILIES
from noiselab.files import read_json

POINTS = 60  # of a learning curve at the most
LINES = 12  # of the end of a log
WIDTH, HEIGHT, EDGE = 300, 90, 4  # of a curve, and what its line keeps from its box
SERIES = {
    "loss": "training loss",
    "test_accuracy": "test accuracy (%)",
    "validation_nll": "validation NLL",
    "test_loss": "test loss",
}


def anchor(run_id: str) -> str:
    """The id of a run's entry in the page."""
    return "run-" + re.sub(r"[^A-Za-z0-9._-]+", "-", run_id.replace("/", "--"))


def read(structure: dict) -> dict[str, dict]:
    """Id -> {run, training, metrics (None: it has no scores), folder} of the finished runs."""
    found = {}
    for run_id in structure["runs"]:
        folder = Path(structure["results"]) / "runs" / run_id
        if (folder / "training.json").is_file():
            found[run_id] = {
                name: read_json(folder / f"{name}.json") for name in ("run", "training")
            }
            scores = folder / "metrics.json"
            found[run_id] |= {"folder": folder, "metrics": None}
            found[run_id]["metrics"] = read_json(scores) if scores.is_file() else None
    return found


def entries(runs: dict[str, dict], logs: str) -> list[dict]:
    """The runs by family and data set: {title, runs: [entry]}. logs: folder with one for each
    stage."""
    order = list(FAMILIES)
    ids = sorted(runs, key=lambda run: (order.index(runs[run]["run"]["family"]),))
    groups = []
    for key, own in groupby(ids, lambda run: run.split("/")[:2]):
        family = FAMILIES[key[0]].title
        place = Path(logs, FAMILIES[key[0]].training_stage())
        listed = [entry(run, runs, place / f"{run}.log") for run in own]
        groups.append({"title": f"{family}: {NAMES.get(key[1], key[1])}", "runs": listed})
    return groups


def entry(run_id: str, runs: dict[str, dict], log: Path) -> dict:
    """What the page shows of a run."""
    run, training, metrics = (runs[run_id][key] for key in ("run", "training", "metrics"))
    return {
        "id": anchor(run_id),
        "name": run_id,
        "parents": [
            {"role": role, "name": name, "href": f"#{anchor(name)}" if name in runs else None}
            for role, name in run["parents"].items()
            if name != run_id
        ],
        "facts": _facts(training, metrics),
        "seconds": duration(training["seconds"]),
        "scores": [] if metrics is None else scores(metrics["metrics"]),
        "curves": curves(runs[run_id]["folder"] / "history.jsonl"),
        "json": json.dumps(run, indent=1, ensure_ascii=False),
        "log": log_end(log),
    }


def _facts(training: dict, metrics: dict | None) -> list[tuple[str, str]]:
    """Label and text of how a run was trained."""
    seconds = f"{duration(training['seconds'])} on {training['device']}"
    threads = training.get("threads")
    found = [("trained in", seconds + (f", threads: {threads}" if threads else ""))]
    if "steps" in training:
        found.append(("steps, examples", f"{training['steps']:,}, {training['examples']:,}"))
    if training.get("measured_error_rate") is not None:
        found.append(("share of wrong targets", f"{100 * training['measured_error_rate']:.4g} %"))
    found.append(("code revision", training["revision"]))
    if metrics is not None:
        found.append(("scored by revision", metrics["evaluation_revision"]))
    return found


def scores(metrics: dict[str, dict]) -> list[dict]:
    """The scores of a run: name, and cells of what was measured, floor and loss above the floor."""
    found = []
    for name, score in metrics.items():
        cells = [_shown(cell) for cell in _cells(name, score)]
        unit = score.get("unit") or ""
        found.append({"name": NAMES.get(name, name), "unit": unit, "cells": cells})
    return found


def _shown(cell: Cell) -> dict:
    """A cell as templates take it; it is where it comes from, so it has no link."""
    interval = f"[{', '.join(cell.interval)}]" if cell.interval else ""
    texts = {"text": cell.text, "interval": interval, "note": cell.note}
    return {key: true_minus(text) for key, text in texts.items()} | {"mark": "", "href": None}


def _cells(metric: str, score: dict) -> list[Cell]:
    def ends(low, high) -> tuple[str, str] | None:
        if low is None or high is None:
            return None
        return number_text(low, metric), number_text(high, metric)

    value, floor = score.get("value"), score.get("floor")
    if value is None:
        return [Cell("—", note=score.get("reason") or ""), Cell(), Cell()]
    measured = Cell(number_text(value, metric), ends(score.get("ci_low"), score.get("ci_high")))
    if floor is None:
        return [measured, Cell(), Cell()]
    above = [value - floor, score.get("excess_low"), score.get("excess_high")]
    known = [np.nan if number is None else number for number in above]
    lost = [None if np.isnan(n) else n for n in loss_above_floor(metric, *known)]
    excess = Cell(number_text(lost[0], metric), ends(*lost[1:]))
    return [measured, Cell(number_text(floor, metric)), excess]


def log_end(path: Path) -> str:
    """The last lines of a log, of a progress bar its last state; empty where there is none."""
    if not path.is_file():
        return ""
    text = path.read_bytes().decode("utf-8", "replace")
    lines = [line.rpartition("\r")[2].rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    return "\n".join([line for line in lines if line][-LINES:])


# ------------------------------------------------------------------------------------- curves


def curves(history: Path) -> list[dict]:
    """The series of a history as small drawings: title, points (of a polyline), first and last
    value, and a sentence that says the course."""
    if not history.is_file():
        return []
    rows = reading.rows(history)
    found = []
    for key, title in SERIES.items():
        pairs = [(row["step"], row[key]) for row in rows if _is_number(row.get(key))]
        if len(pairs) > 1:
            found.append(_curve(title, np.array(pairs, dtype=float)))
    return found


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and np.isfinite(value)


def _curve(title: str, pairs: np.ndarray) -> dict:
    """One series: steps and values [n, 2], averaged over neighbours where they are many."""
    parts = np.array_split(pairs, min(POINTS, len(pairs)))
    means = np.array([part.mean(axis=0) for part in parts])
    low, size = means.min(axis=0), np.ptp(means, axis=0)
    x, y = ((means - low) / np.where(size > 0, size, 1)).T
    x = EDGE + x * (WIDTH - 2 * EDGE)
    y = HEIGHT - EDGE - y * (HEIGHT - 2 * EDGE)
    first, last = (means[at, 1] for at in (0, -1))
    steps = f"{pairs[0, 0]:,.0f} to {pairs[-1, 0]:,.0f}"
    return {
        "title": title,
        "points": " ".join(f"{a:.0f},{b:.1f}" for a, b in zip(x, y, strict=True)),
        "first": f"{first:.4g}",
        "last": f"{last:.4g}",
        "steps": steps,
        "alt": f"{title.capitalize()} from {first:.4g} to {last:.4g}, between "
        f"{means[:, 1].min():.4g} and {means[:, 1].max():.4g}, over steps {steps}.",
    }


def links(ids: Iterable[str], runs: dict[str, dict]) -> list[dict]:
    """Name and place of each of these runs; those that are not finished have no place."""
    return [{"name": run, "href": f"#{anchor(run)}" if run in runs else None} for run in ids]
