"""Tables of what fitted heads do: at other γ and λ (Table 6), around items (Figure 6), and both
sides of Proposition 2."""

import numpy as np
import pandas as pd

from noiselab.answers.layouts import NAMES
from noiselab.answers.probes import HEADS, METHODS, PLAIN, by_seed, row_label
from noiselab.answers.tables import tidy
from noiselab.families.probe.choice import chosen
from noiselab.measures.scores import NONE
from noiselab.measures.statistics import t_interval

MATTHEWS = ("cola",)  # sets that are scored by this correlation
SIDES = {
    "gradient_matching": "L_gm",
    "smoothness": "β",
    "loss": "L_ce",
    "flatness": "R_ρ, at least",
    "right": "2 β + 2 L_ce + R_ρ",
}


def sensitivity_table(runs: list[dict], tried: list[pd.DataFrame], published: dict) -> pd.DataFrame:
    """Accuracy at each γ and λ, where validation chooses the rest, and that of the plain fit.

    tried: tried.csv of each run; published: rows (γ, λ), metrics head -> data set -> numbers."""
    cells = []
    for run, table in zip(runs, tried, strict=True):
        for method in (PLAIN, "gradient_matching"):
            own = table[table["method"] == method]
            for (radius, strength), rows in own.groupby(["radius", "strength"]):
                plain = method == PLAIN
                label = "plain" if plain else f"γ = {radius:g}, λ = {strength:g}"
                values = chosen(rows)["test_accuracy"].to_numpy()
                printed = None if plain else _printed(published, run, (radius, strength))
                cell = _cell(run, label, "accuracy", "%", values) | {"published": printed}
                cells.append(cell)
    return tidy(cells)


def _printed(published: dict, run: dict, key: tuple[float, float]) -> float | None:
    """The paper's number at (γ, λ)."""
    numbers = published.get("metrics", {}).get(run["head"], {}).get(run["stands_in_for"])
    rows = [tuple(row) for row in published.get("rows", ())]
    return numbers[rows.index(key)] if numbers and key in rows else None


def _cell(
    run, label: str, metric: str, unit: str, values: np.ndarray, kind: str = "t_fits"
) -> dict:
    """A number per fit or item, as a cell; run: with data set and head."""
    interval = t_interval(values)._replace(interval=kind) if len(values) > 1 else NONE
    return {
        "family": "probe",
        "dataset": run["dataset"],
        "stands_in_for": run["stands_in_for"],
        "panel": HEADS[run["head"]],
        "row": label,
        "metric": metric,
        "unit": unit,
        "ours": float(np.mean(values)),
        "n_seeds": len(values) if kind == "t_fits" else None,
        **interval._asdict(),
    }


TUNED = {
    "plain": "plain",
    "l2_sp": "L2-SP",
    "l2_sp_gm": "L2-SP + L_gm",
    "smart": "SMART",
    "smart_gm": "SMART + L_gm",
    "lnsr": "LNSR",
    "lnsr_gm": "LNSR + L_gm",
}


def fine_tuning_table(metrics: pd.DataFrame, published: dict) -> pd.DataFrame:
    """Scores of fine-tuned models: accuracy, of CoLA the correlation of Matthews; where the target
    is a number, the mean of the correlations of Pearson and Spearman. published: rows, methods;
    scores: data set -> a number per row."""
    cells = []
    kinds = r"(accuracy|matthews|correlation)(_|$)"
    named = metrics["metric"].str.match(kinds) & metrics["method"].notna()
    for _, own in metrics[named].groupby(["backbone", "dataset", "method"], sort=False):
        kind = _tuned_score(own)
        row = own[own["metric"].str.startswith(kind)].iloc[0]
        values = by_seed(row)
        label = TUNED.get(row["method"], row["method"].replace("_", " "))
        if row["backbone_noise"] != "clean":
            label = f"{row['backbone_noise']}: {label}"
        numbers = published.get("scores", {}).get(row["stands_in_for"], [])
        printed = dict(zip(published.get("rows", ()), numbers, strict=False))
        cell = _cell(row, label, kind, "%", values) | {"published": printed.get(row["method"])}
        cell |= {"family": row["family"], "panel": NAMES[kind], "items": row["items"]}
        cells.append(cell)
    return tidy(cells)


def _tuned_score(rows: pd.DataFrame) -> str:
    """By which score a task is shown. rows: its metrics, of one method."""
    if rows["metric"].str.startswith("correlation").any():
        return "correlation"
    return "matthews" if rows["stands_in_for"].iloc[0] in MATTHEWS else "accuracy"


def regions_table(regions: pd.DataFrame) -> pd.DataFrame:
    """Share of right decisions on planes through items, by method: the mean over items."""
    return tidy(
        [
            _cell(rows.iloc[0], _label(rows.iloc[0]), "right_region", "%", rows["right"], "t_items")
            for _, rows in _groups(regions)
        ]
    )


def bound_table(bound: pd.DataFrame) -> pd.DataFrame:
    """Both sides of Proposition 2 by method, and their parts; unknown where no head is linear."""
    if bound.empty:
        names = {"panel": SIDES["right"], "row": "no head is linear", "metric": "right"}
        return tidy([{"family": "probe", "dataset": "none", "ours": np.nan} | names])
    cells = []
    for _, rows in _groups(bound):
        for column, name in SIDES.items():
            cell = _cell(rows.iloc[0], _label(rows.iloc[0]), column, "", rows[column])
            cells.append(cell | {"panel": name, "interval": "closed_form", "n_seeds": None})
    return tidy(cells)


def _groups(table: pd.DataFrame):
    return table.groupby(["backbone_noise", "dataset", "head", "method"], sort=False)


def _label(row: pd.Series) -> str:
    return row_label(row["backbone_noise"], row["method"])


def method_name(method: str) -> str:
    """What a method is called where there is no backbone beside it."""
    return METHODS.get(method) or "plain"
