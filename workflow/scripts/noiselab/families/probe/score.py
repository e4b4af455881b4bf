"""Scores of a probe on test items: a row per method, and each method against the plain fit.

Differences are paired: a seed's fits share first weights, order and noise. `by_seed` has the
numbers of the seeds, in their order.
"""

from pathlib import Path

import pandas as pd

from noiselab import reading
from noiselab.families.probe.family import PLAIN
from noiselab.measures.scores import NONE, excess
from noiselab.measures.statistics import t_interval
from noiselab.run import Run


def scores(run: Run, files: dict[str, Path]) -> dict[str, dict]:
    """All scores of a run. files: `chosen`, csv."""
    chosen = reading.table(files["chosen"])
    constant = pd.Series([float(chosen["majority"].iloc[0])])
    majority = score(constant, "%", int(chosen["items"].iloc[0])) | about(run)
    return of_methods(run, chosen, "accuracy") | {"majority_accuracy": majority}


def of_methods(run: Run, chosen: pd.DataFrame, main: str) -> dict[str, dict]:
    """The main score of each method, `<main>` of the plain fit and `<main>_<method>` of others, and
    gains over the plain fit. chosen: rows of chosen.csv, with the score in `test_<main>`."""
    methods = {name: rows.set_index("seed") for name, rows in chosen.groupby("method", sort=False)}
    plain = methods.get(PLAIN)
    found = {}
    for method, rows in methods.items():
        own = about(run) | {"method": method, "tried": int(rows["tried"].iloc[0])}
        items = int(rows["items"].iloc[0])
        values = rows[f"test_{main}"]
        name = main if method == PLAIN else f"{main}_{method}"
        found[name] = score(values, "%", items) | own
        if method != PLAIN and plain is not None:
            gain = values - plain[f"test_{main}"]
            found[f"gain_{method}"] = score(gain, "points", items) | own
    return found


def about(run: Run) -> dict:
    """Keys that all scores of a run have."""
    return {
        "head": run.head,
        "backbone": run.backbone["run_id"],
        "backbone_noise": run.backbone["noise"],
        "backbone_error_rate": run.backbone["error_rate"],
    }


def score(values: pd.Series, unit: str, items: int) -> dict:
    """Mean over the fits of one backbone, with its t-interval."""
    spread = len(values) > 1
    interval = t_interval(list(values))._replace(interval="t_fits") if spread else NONE
    return {
        "value": float(values.mean()),
        **interval._asdict(),
        "floor": None,
        **excess(NONE),
        "unit": unit,
        "items": items,
        "reason": None,
        "by_seed": " ".join(f"{value:.10g}" for value in values),
    }
