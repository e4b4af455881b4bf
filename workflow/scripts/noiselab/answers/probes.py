"""Tables of probes: accuracy by method and noise of the backbone, and what each method gains.

A cell's numbers are of fits that differ in first weights, order and noise; where there are several
backbones of the same noise, each counts once, with the mean of its fits. A gain is paired: a
method's fit minus the plain fit of the same seed and backbone.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import stats

from noiselab.answers.tables import tidy
from noiselab.measures.hypotheses import holm, holm_levels, without_spread
from noiselab.measures.scores import NONE
from noiselab.measures.statistics import t_interval
from noiselab.planning.rates import order

PLAIN = "plain"
AVERAGE = "average"  # over data sets, in place of their names
ACCURACY, GAIN, GAIN_HOLM, P = "accuracy", "gain", "gain_holm", "p_holm"
HEADS = {"linear": "linear head", "mlp": "two layers"}
METHODS = {
    PLAIN: "",
    "gradient_matching": "L_gm",
    "tuned_gradient_matching": "L_gm, γ and λ chosen",
    "gradient_norm": "norm of the gradient",
    "tuned_gradient_norm": "norm of the gradient, λ chosen",
    "gradient_cosine": "cosine of the gradients",
    "tuned_gradient_cosine": "cosine of the gradients, γ and λ chosen",
    "weight_decay": "weight decay",
    "feature_noise": "noise on the features",
    "dropout": "dropout of features",
    "early_stopping": "early stopping",
    "more_rates": "more learning rates",
}
CELL = ["backbone_noise", "method", "dataset", "head"]


def probes_table(metrics: pd.DataFrame, published: dict) -> pd.DataFrame:
    """Accuracy of each method on each kind of backbone, with the average over the data sets."""
    rows = _of_methods(metrics, ACCURACY)
    cells = [_cell(own, ACCURACY, "%") | _published(published, own.iloc[0]) for own in _cells(rows)]
    averages = [
        _averaged(own, ACCURACY, "%", spread=False) | _published_average(published, own)
        for own in _cells(rows, without="dataset")
    ]
    return tidy([*cells, *(averages if rows["dataset"].nunique() > 1 else [])])


def gains_table(metrics: pd.DataFrame) -> pd.DataFrame:
    """What each method gains over the plain fit, in points, by data set and averaged over these,
    whose interval is over data sets; then the same cells with intervals and p-values after Holm's
    correction over all of them."""
    rows = _of_methods(metrics, GAIN)
    cells = [_cell(own, GAIN, "points") for own in _cells(rows)]
    averages = []
    if rows["dataset"].nunique() > 1:
        averages = [_averaged(own, GAIN, "points") for own in _cells(rows, without="dataset")]
    return tidy([*cells, *averages, *_together([_values(own) for own in _cells(rows)], cells)])


def _together(values: list[np.ndarray], cells: list[dict]) -> list[dict]:
    """Cells of one family of tests, with Holm's intervals and p-values. values: of each cell."""
    p = np.array([_p(own) for own in values], dtype=np.float64)
    tested = ~np.isnan(p)
    levels, adjusted = np.full(len(p), np.nan), np.full(len(p), np.nan)
    levels[tested], adjusted[tested] = holm_levels(p[tested]), holm(p[tested])
    wide, of_p = [], []
    for own, cell, level, found in zip(values, cells, levels, adjusted, strict=True):
        interval = NONE
        if not np.isnan(level):
            interval = t_interval(own, level)._replace(interval=f"{cell['interval']}_holm")
        wide.append(cell | {"panel": f"{cell['panel']}, all cells together"} | interval._asdict())
        wide[-1]["metric"] = GAIN_HOLM
        alone = cell | NONE._asdict() | {"panel": f"{cell['panel']}, p", "unit": ""}
        of_p.append(alone | {"metric": P, "ours": found})
    return [*wide, *of_p]


def _of_methods(metrics: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Rows that are a method's accuracy or gain, the least noise first, each run once."""
    own = metrics["metric"].str.match(rf"{kind}(_|$)") & metrics["method"].notna()
    rows = metrics[own].drop_duplicates(["run_id", "metric"])
    errors = rows["backbone_error_rate"]
    places = [order(None if pd.isna(error) else error) for error in errors]
    rows = rows.assign(place=places, known=[_place(method) for method in rows["method"]])
    return rows.sort_values(["place", "backbone_noise", "known"], kind="stable")


def _place(method: str) -> int:
    known = list(METHODS)
    return known.index(method) if method in known else len(known)


def _cells(rows: pd.DataFrame, without: str = "") -> Iterable[pd.DataFrame]:
    by = [key for key in CELL if key != without]
    return [own for _, own in rows.groupby(by, sort=False)]


def by_seed(row: pd.Series) -> np.ndarray:
    """Numbers of a row's fits, float64 [seeds]."""
    return np.array([float(number) for number in str(row["by_seed"]).split()])


def _values(rows: pd.DataFrame) -> np.ndarray:
    """Numbers of a cell that are independent: means of backbones, or the fits of the only one."""
    fits = [by_seed(row) for _, row in rows.iterrows()]
    return np.array([own.mean() for own in fits]) if len(fits) > 1 else fits[0]


def row_label(noise: str, method: str) -> str:
    """What a row is called: the noise of the backbone, and the method unless it is plain."""
    name = METHODS.get(method, method.replace("_", " "))
    return f"{noise} + {name}" if name else noise


def _heads(first: pd.Series, values: np.ndarray, metric: str, unit: str) -> dict:
    return {
        "family": first["family"],
        "dataset": first["dataset"],
        "stands_in_for": first["stands_in_for"],
        "panel": HEADS.get(first["head"], first["head"]),
        "row": row_label(first["backbone_noise"], first["method"]),
        "metric": metric,
        "unit": unit,
        "ours": values.mean(),
        "n_seeds": len(values),
        "items": first["items"],
    }


def _cell(rows: pd.DataFrame, metric: str, unit: str) -> dict:
    values, several = _values(rows), len(rows) > 1
    interval = t_interval(values) if len(values) > 1 else NONE
    if not several and len(values) > 1:
        interval = interval._replace(interval="t_fits")
    return _heads(rows.iloc[0], values, metric, unit) | interval._asdict()


def _averaged(rows: pd.DataFrame, metric: str, unit: str, spread: bool = True) -> dict:
    """The mean over data sets, each with its own mean; the interval takes the data sets for a
    sample of tasks, so that it has the spread of the fits in it."""
    means = np.array([_values(own).mean() for _, own in rows.groupby("dataset", sort=False)])
    interval = t_interval(means)._replace(interval="t_datasets") if spread else NONE
    cell = _heads(rows.iloc[0], means, metric, unit) | interval._asdict()
    return cell | {"dataset": AVERAGE, "stands_in_for": None, "items": None, "n_seeds": None}


def _p(values: np.ndarray) -> float | None:
    """None: of a single number, nothing can be said."""
    if len(values) < 2:
        return None
    if without_spread(values.min(), values.max(), len(values) - 1):
        return 1.0  # they do not show how much others would differ
    return float(stats.ttest_1samp(values, 0).pvalue)


def _published_average(published: dict, rows: pd.DataFrame) -> dict:
    """The paper's average, of rows whose data sets are, or stand in for, all that it is of."""
    first = rows.iloc[0]
    averages = published.get("averages", {}).get(first["head"])
    sets = published.get("metrics", {}).get(first["head"], {})
    key = (first["backbone_noise"], first["method"])
    known = [tuple(own) for own in published.get("rows", ())]
    if not averages or set(sets) != set(rows["stands_in_for"]) or key not in known:
        return {}
    return {"published": averages[known.index(key)]}


def _published(published: dict, row: pd.Series) -> dict:
    """The paper's number for the data set that ours is or stands in for."""
    printed = published.get("metrics", {}).get(row["head"], {}).get(row["stands_in_for"])
    rows = [tuple(own) for own in published.get("rows", ())]
    key = (row["backbone_noise"], row["method"])
    return {"published": printed[rows.index(key)] if printed and key in rows else np.nan}
