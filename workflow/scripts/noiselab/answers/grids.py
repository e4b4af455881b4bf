"""Grids of experiments: what noise costs generators by classes, images and steps; and models by
the batch, each with the learning rate that is best without noise."""

import pandas as pd

from noiselab.answers.layouts import MORE_IS_BETTER
from noiselab.answers.tables import panel, rate_text, run_cell, tidy

MAIN = ("accuracy", "consistency", "nll")  # the score of a family that a learning rate is chosen by
PACE = "learning_rate_multiplier"
WANTED = ("consistency", "consistency_drop")  # a block each and number of steps


def generated_grid_table(metrics: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """A row per number of classes and of images and per noise, a block per metric and number of
    steps of the clean run, which is in the column `steps`.

    metrics: experiment -> rows of runs of one length each, with `classes`, `train_size` and `steps`
    of each run.
    """
    cells = []
    for rows in metrics.values():
        rows = rows[rows["metric"].isin(WANTED)]
        for _, of_size in rows.groupby(["classes", "train_size"]):
            steps = int(of_size.loc[of_size["corruption"] == "none", "steps"].iloc[0])
            cells += [_cell(part, steps) for _, part in of_size.groupby(["metric", "error_rate"])]
    places = ["metric", "steps", "classes", "train_size", "error_rate"]
    cells = sorted(cells, key=lambda c: (WANTED.index(c["metric"]), *(c[k] for k in places[1:])))
    return tidy(cells).assign(steps=[cell["steps"] for cell in cells])


def _cell(rows: pd.DataFrame, steps: int) -> dict:
    cell = run_cell(rows)
    noise = "clean" if cell["error_rate"] == 0 else f"r = {cell['noise_ratio']:g}"
    per_class = cell["train_size"] / cell["classes"]
    row = f"{cell['classes']:g} classes × {per_class:g} images, {noise}"
    title = f"{panel(cell['metric'], cell['unit'])}, {steps:,} steps"
    return cell | {"steps": steps, "row": row, "panel": title}


def tuned(metrics: pd.DataFrame) -> pd.DataFrame:
    """The rows of the runs whose learning rate is that of the best clean runs with their batch, on
    their data set: by the mean of the main score over seeds, where none diverged.

    metrics: rows of runs of one family, with `learning_rate_multiplier` (not a number: 1).
    """
    metrics = metrics.assign(**{PACE: metrics[PACE].astype(float).fillna(1.0)})
    (score,) = [name for name in MAIN if (metrics["metric"] == name).any()]
    clean = metrics[(metrics["metric"] == score) & (metrics["corruption"] == "none")]
    by = ["dataset", "batch_multiplier"]
    means = clean.groupby([*by, PACE])["value"].agg(lambda values: values.mean(skipna=False))
    means = means.dropna() if score in MORE_IS_BETTER else -means.dropna()
    best = means.groupby(by).idxmax().map(lambda place: place[-1])
    chosen = best.reindex(pd.MultiIndex.from_frame(metrics[by])).to_numpy()
    return metrics[metrics[PACE] == chosen]


def tuned_batches_table(metrics: pd.DataFrame) -> pd.DataFrame:
    """A row per batch multiplier, a block per noise ratio, and one for the learning rate that was
    chosen (`tuned`). metrics: rows of runs of one family, chosen ones."""
    (score,) = [name for name in MAIN if (metrics["metric"] == name).any()]
    rows = metrics[metrics["metric"] == score]
    cells = []
    for (error, batch, *_), part in rows.groupby(["error_rate", "batch_multiplier", "dataset"]):
        cell = run_cell(part) | {"row": f"batch × {batch:g}"}
        noise = "clean" if error == 0 else rate_text(cell["noise_ratio"], error)
        cells.append(cell | {"panel": f"{cell['panel']}, {noise}"})
        if error == 0:
            pace = float(part[PACE].iloc[0])
            own = {"metric": PACE, "panel": panel(PACE), "unit": "", "ours": pace}
            empty = dict.fromkeys(["ci_low", "ci_high", "interval", "excess_low", "excess_high"])
            cells.append(cell | own | empty | {"floor": None, "reason": None})
    return tidy(sorted(cells, key=lambda cell: (cell["metric"] == PACE, cell["error_rate"])))
