"""Tables of models that were trained on text with stretches of noise.

Beside the floor they have a second ruler, the dilution: what the clean run loses when it is stopped
at as many clean tokens. What is left above both is the cost of learning noise.
"""

import numpy as np
import pandas as pd

from noiselab.answers.curves import TEXTS
from noiselab.answers.tables import panel, run_cell, tidy
from noiselab.measures.statistics import NONE, over_seeds

# What tells cells apart, in the order of the rows.
CELL = ["corruption", "resample", "budget", "given_tokens", "error_rate"]
KINDS = {"none": "", "uniform_text": " uniform", "gaussian_text": " Gaussian"}
KINDS |= {"uniform_token": " of the targets"}
RULERS = ["dilution", "above_both", "above_low", "above_high"]  # further columns
# Metric -> column of the curves that has its dilution.
DILUTIONS = {f"{prefix}nll_rise": f"{prefix}dilution" for prefix in TEXTS.values()}


def stretches_table(
    metrics: dict[str, pd.DataFrame], curves: pd.DataFrame, published: dict
) -> pd.DataFrame:
    """A row per kind and share of noise text, a block per metric of `published`.

    metrics: experiment -> rows of runs; curves: rows of answers.curves; published: with
    `noise_shares`, to which its numbers belong, of uniform noise text at fixed length of training.
    """
    wanted = list(published["metrics"])
    rows = pd.concat(metrics.values()).drop_duplicates(["run_id", "metric"])
    rows = rows[rows["metric"].isin(wanted)].merge(_ends(curves), on="run_id", how="left")
    order = rows["metric"].map(wanted.index)
    rows = rows.assign(order=order).sort_values(["order", *CELL], key=_ranked, kind="stable")
    by = ["dataset", "metric", *CELL]
    cells = [_cell(group, published) for _, group in rows.groupby(by, sort=False, dropna=False)]
    cells = cells or _unmeasured(metrics, wanted)
    return tidy(cells).join(pd.DataFrame(cells).reindex(columns=RULERS))


def milestones_table(
    metrics: dict[str, pd.DataFrame], curves: pd.DataFrame, published: dict
) -> pd.DataFrame:
    """A block with the NLL of clean text on the way of training, a row per share of noise and step,
    and those of `stretches_table` for what it rises by at the end.

    published: with `steps`, at the same parts of our training, and the NLL at each, share by share;
    without any, the end counts.
    """
    steps = published.get("steps", [1])
    rises = {m: v for m, v in published["metrics"].items() if m != "nll"}
    ends = stretches_table(metrics, curves, published | {"metrics": rises})
    rows = pd.concat(metrics.values())
    rows = rows[rows["metric"] == "nll"].drop_duplicates("run_id")
    rows = rows.merge(_ends(curves), on="run_id").sort_values(CELL, key=_ranked, kind="stable")
    cells = [
        _on_the_way(group, curves, step / steps[-1])
        | {"published": _printed_on_the_way(group.iloc[0], published, number)}
        for _, group in rows.groupby(["dataset", *CELL], sort=False, dropna=False)
        for number, step in enumerate(steps)
    ]
    return pd.concat([tidy(cells), ends], ignore_index=True)


def _on_the_way(group: pd.DataFrame, curves: pd.DataFrame, part: float) -> dict:
    """A cell of the NLL where about this part of the training was done, from rows of seeds."""
    points = curves.assign(away=(curves["progress"] - part).abs())
    points = points.sort_values("away", kind="stable")
    at = points.drop_duplicates("run_id").set_index("run_id").loc[group["run_id"]]
    nothing = dict.fromkeys(("ci_low", "ci_high", "floor", "excess_low", "excess_high", "items"))
    whole = group["reason"].isna().to_numpy()
    found = group.assign(value=at["validation_nll"].where(whole).to_numpy(), **nothing)
    found = found.assign(interval="none", excess_interval="none")
    first, step = found.iloc[0], at["step"].iloc[0]
    return run_cell(found) | {
        "panel": panel("nll", first["unit"]) + ", on the way",
        "row": f"{label(first)}, step {step:,} of {step / at['progress'].iloc[0]:,.0f}",
    }


def _printed_on_the_way(row: pd.Series, published: dict, number: int) -> float:
    """The paper's NLL at its step of this number, for the data set that ours is or stands in for;
    not a number where it has none."""
    values = (published["metrics"].get("nll") or {}).get(row["stands_in_for"], [])
    printed = dict(zip(published.get("noise_shares", []), values, strict=False))
    return printed.get(row["error_rate"], {number: np.nan})[number]


def _unmeasured(metrics: dict[str, pd.DataFrame], wanted: list[str]) -> list[dict]:
    """A cell per metric where no run was scored by any, as on data with no text out of the
    domain."""
    first = next(iter(metrics.values())).iloc[0]
    keys = {key: first[key] for key in ("family", "dataset", "stands_in_for", "protocol")}
    keys |= {"row": "all runs", "reason": "not measured on these data"}
    return [keys | {"metric": metric, "panel": panel(metric)} for metric in wanted]


def _ends(curves: pd.DataFrame) -> pd.DataFrame:
    """The end of each curve; what it does not have, as those of older revisions, is empty."""
    kept = ["run_id", "given_tokens", "repeats", "same_steps", *DILUTIONS.values()]
    ends = curves.sort_values("step").groupby("run_id", sort=False).tail(1)
    return ends.reindex(columns=kept)


RANKS = {
    "corruption": list(KINDS),
    "resample": ["none", "fixed", "fresh"],
    "budget": ["none", "fixed_total", "fixed_clean"],
}


def _ranked(column: pd.Series) -> pd.Series:
    """The rank of each value of a column, for sorting."""
    ranks = RANKS.get(column.name)
    return column.map(ranks.index) if ranks else column.fillna(np.inf)


def _cell(group: pd.DataFrame, published: dict) -> dict:
    first = group.iloc[0]
    cell = run_cell(group) | {"row": label(first), "published": _published(first, published)}
    dilution = _dilution(group)
    if dilution.isna().any() or group[["value", "floor"]].isna().any(axis=None):
        return cell
    above = over_seeds(list(group["value"] - group["floor"] - dilution), NONE)
    return cell | dict(zip(RULERS, (dilution.mean(), *above[:3]), strict=True))


def _dilution(group: pd.DataFrame) -> pd.Series:
    """What fewer clean tokens alone cost, by the metric's ruler; not a number where it has none."""
    metric = group["metric"].iloc[0]
    if metric == "nll_relative_rise":
        return 100 * group["dilution"] / group["same_steps"]
    return group[DILUTIONS[metric]] if metric in DILUTIONS else pd.Series(np.nan, group.index)


def label(row: pd.Series) -> str:
    """What a row of a table is called."""
    if row["corruption"] == "none":
        return "clean"
    text = f"{100 * row['error_rate']:.4g} %{KINDS[row['corruption']]}"
    if row["resample"] == "fresh" and row["corruption"] != "uniform_token":
        text += ", drawn fresh"
    if row["budget"] == "fixed_clean":
        text += ", as many clean tokens"
    if pd.notna(row["given_tokens"]):
        text += f", {row['given_tokens']:,.0f} tokens, each {row['repeats']:,.0f} times"
    return text


def _published(row: pd.Series, published: dict) -> float:
    """The paper's number for the data set that ours is or stands in for; not a number where it has
    none: it is of uniform noise text at fixed length of training."""
    values = (published["metrics"].get(row["metric"]) or {}).get(row["stands_in_for"])
    shares = published.get("noise_shares", [])
    usual = (row["corruption"], row["resample"], row["budget"]) == (
        "uniform_text",
        "fixed",
        "fixed_total",
    )
    if not values or pd.notna(row["given_tokens"]) or not (usual or row["corruption"] == "none"):
        return np.nan
    found = dict(zip(shares, values, strict=True)).get(row["error_rate"])
    return np.nan if found is None else found
