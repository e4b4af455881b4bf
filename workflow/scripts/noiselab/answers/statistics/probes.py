"""What a way of fitting probes gains: the mean over tasks, paired by fit."""

import numpy as np
import pandas as pd

from noiselab.answers.probes import HEADS, METHODS, PLAIN, by_seed
from noiselab.answers.statistics.evidence import (
    Kind,
    Measured,
    Ruled,
    Tested,
    Tests,
    experiment_rows,
)
from noiselab.measures.scores import NONE
from noiselab.measures.statistics import Estimate, over_seeds, t_interval


def _tests(statistic: dict, measured: Measured) -> Tests:
    """Of all tasks together. The fits of a seed are paired over methods; the other ruler takes the
    tasks for a sample of tasks."""
    rows = experiment_rows(measured, statistic["experiment"], statistic["of"])
    if "head" not in rows:
        return
    rows = rows[(rows["head"] == statistic["head"]) & _of_noise(rows, statistic["noise"])]
    found = {}
    for dataset, own in rows.groupby("dataset", sort=False):
        sides = [_by_seed(own, method) for method in (statistic["method"], _over(statistic))]
        if all(len(side) for side in sides):
            found[dataset] = sides[0] - sides[1]
    if not found:
        return
    gains = np.array(list(found.values()))  # [tasks, seeds]
    fits = over_seeds(list(gains.mean(0)), NONE)
    fits = fits._replace(interval="t_fits") if gains.shape[1] > 1 else fits
    rulers = {"over fits": Ruled(fits, "points")}
    if len(gains) > 1:
        means = gains.mean(1)
        tasks = t_interval(list(means))._replace(interval="t_datasets")
        rulers["over tasks"] = Ruled(Estimate(float(means.mean()), *tasks), "points")
    yield Tested(tuple(found), gains.shape[1], rulers)


def _over(statistic: dict) -> str:
    return statistic.get("over", PLAIN)


def _of_noise(rows: pd.DataFrame, noise: str) -> pd.Series:
    """Rows of the clean backbones, or of all that are not."""
    clean = rows["backbone_noise"] == "clean"
    return clean if noise == "clean" else ~clean


def _by_seed(rows: pd.DataFrame, method: str) -> np.ndarray:
    """Accuracies of the fits by seed, the mean over the backbones, [seeds]; none: empty."""
    own = rows[(rows["method"] == method) & rows["metric"].str.startswith("accuracy")]
    fits = [by_seed(row) for _, row in own.iterrows()]
    return np.mean(fits, axis=0) if fits else np.array([])


def _printed(statistic: dict, published: dict) -> dict[str, float]:
    """The mean of the printed cells' differences, of the clean backbone."""
    if statistic["noise"] != "clean":
        return {}
    entry = published.get(statistic["experiment"], {})
    columns = entry.get("metrics", {}).get(statistic["head"], {})
    cells = np.array([columns[task] for task in statistic["of"] if task in columns])
    rows = [tuple(row) for row in entry.get("rows", ())]
    gains = [
        cells[:, rows.index((noise, statistic["method"]))] - cells[:, i]
        for i, (noise, method) in enumerate(rows)
        if method == _over(statistic) and noise == "clean"
        if len(cells) and (noise, statistic["method"]) in rows
    ]
    return {"over fits": float(np.mean(gains))} if gains else {}


def _sentence(statistic: dict, published: dict) -> str:
    method, over = (METHODS.get(name, name) for name in (statistic["method"], _over(statistic)))
    head, noise = HEADS[statistic["head"]], statistic["noise"]
    gain = f"accuracy of probes with {method} minus that with {over or 'the plain fit'}"
    return f"{gain}, {head}, {noise} language models"


GAIN = Kind(_tests, _printed, _sentence, averages=True)
