"""What a reader must know to read the numbers of a table: the lines below it."""

import numpy as np
import pandas as pd

from noiselab.answers.layouts import ABOVE, INTERVALS, MORE_IS_BETTER, NAMES, on_one_training
from noiselab.answers.multiplicity import effects
from noiselab.measures.hypotheses import ALPHA
from noiselab.noise.registry import CORRUPTIONS


def notes(table: pd.DataFrame, tier: str, floor: str) -> list[str]:
    """The notes of a tidy table. floor: what its floor is."""
    kinds = [INTERVALS[k] for k in dict.fromkeys(table["interval"]) if k in INTERVALS]
    seeds = ", ".join(f"{n:g}" for n in sorted(set(table["n_seeds"].dropna())) if n)
    of_runs = table[table["interval"] != "closed_form"]
    was_run = of_runs[["ours", "reason"]].notna().any(axis=None)  # what diverged was run, too
    lines = [f"Tier {tier}."] if was_run else ["Nothing of this was run here."]
    if tier != "paper" and was_run:
        lines[0] = f"Tier {tier}: networks, data or training are smaller than the paper's."
    if seeds:
        lines[0] += f" Seeds per cell: {seeds}."
    if kinds:
        lines[0] += f" 95 % CI: {', '.join(kinds)}."
    ran = table[table["ours"].notna()]
    if any(on_one_training(row.n_seeds, row.interval) for row in ran.itertuples()):
        lines[0] += " Of one training, it leaves out how trainings differ."
    if table["floor"].notna().any():
        of = "ours" if table["ours"].notna().any() else "the paper's"
        lines[0] += f" Floor: {floor} {_above_text(table, of)}"
    lines += [*_true_rates(table), *_class_rates(table), *_ties(table)]
    lines += [*_no_floors(table), *_weak(table), *_differences(table)]
    standing = table.loc[
        (table["dataset"] != table["stands_in_for"]) & table["published"].notna(),
        ["dataset", "stands_in_for"],
    ].drop_duplicates()
    if len(standing):
        pairs = [
            f"{row.dataset} ({NAMES.get(row.stands_in_for, row.stands_in_for)})"
            for row in standing.itertuples()
        ]
        lines.append(
            f"Other data sets than the paper's, with smaller networks: {', '.join(pairs)}. The "
            "paper's columns are for comparing the course of the numbers, not their level."
        )
    return lines


def _above_text(table: pd.DataFrame, of: str) -> str:
    """How the loss above the floor follows from a number and its floor."""
    metrics = set(table.loc[table["floor"].notna(), "metric"])
    if metrics == {"std"}:
        return f"Spread above the floor = {of} − floor."
    ways = {metric in MORE_IS_BETTER for metric in metrics}
    what = {True: f"floor − {of}", False: f"{of} − floor"}
    each = " or ".join(what[way] for way in sorted(ways, reverse=True))
    return f"{ABOVE.capitalize()} = {each}, so that more is worse."


def left_out(table: pd.DataFrame, printed: list[float]) -> list[str]:
    """A line about those of the paper's noise ratios that were not run, where others were."""
    ran = table.loc[table[["ours", "reason"]].notna().any(axis=1), "noise_ratio"].dropna()
    missing = [f"100:{100 * r:g}" for r in printed if not np.isclose(ran, r).any()]
    if len(ran) == 0 or not missing:
        return []
    return [
        f"Of the paper's noise ratios not run here: {', '.join(missing)}. Larger tiers have them."
    ]


def _true_rates(table: pd.DataFrame) -> list[str]:
    """A line per corruption of labels whose nominal rates are not the shares that are wrong."""
    labels = {name for name, kind in CORRUPTIONS.items() if kind.target == "label"}
    lines, rates = [], ["error_rate", "true_error_rate"]
    rows = table[table["corruption"].isin(labels)].dropna(subset=rates)
    rows = rows[(rows["error_rate"] - rows["true_error_rate"]).abs() > 1e-9]
    for name, own in rows.groupby("corruption", sort=False):
        groups = own.groupby(rates)["measured_error_rate"].mean()
        texts = [
            f"{_percent(nominal)} → {_percent(true)} ({_percent(measured)} measured)"
            for (nominal, true), measured in groups.items()
        ]
        lines.append(f"Error rates of {name}, nominal → true: {'; '.join(texts)}.")
    return lines


def _class_rates(table: pd.DataFrame) -> list[str]:
    """A line per set of error rates that differ by class."""
    rows = table.dropna(subset="class_error_rates").drop_duplicates("class_error_rates")
    return [
        f"Error rates by class{_at(row)}: {row.class_error_rates}." for row in rows.itertuples()
    ]


def _at(row) -> str:
    if pd.isna(row.error_rate):
        return f", as measured ({row.row})"
    return f" at {_percent(row.error_rate)}"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _ties(table: pd.DataFrame) -> list[str]:
    """How the floors of accuracies depend on what counts as a tie."""
    moved = table[table["floor_high"] - table["floor_low"] > 0.005]
    moved = moved[moved["metric"] == "accuracy"].drop_duplicates(["dataset", "row", "floor"])
    if len(moved) == 0:
        return []
    cells = [
        f"{NAMES.get(row.dataset, row.dataset)} {row.row}: {row.floor_low:.2f} to "
        f"{row.floor_high:.2f}"
        for row in moved.itertuples()
    ]
    return [f"Floors without ties, or with ties a tenth or ten times as wide: {'; '.join(cells)}."]


def _differences(table: pd.DataFrame) -> list[str]:
    """Which differences between experiments stay after a correction for their number."""
    own = table[table["metric"].str.endswith("_difference") & table["ours"].notna()]
    p = effects(own, "ours", "ci_low", "ci_high") if len(own) else pd.Series()
    if (count := p.notna().sum()) < 2:
        return []
    kept = [f"{row.row} ({row.panel})" for row in own[p <= ALPHA].itertuples()]
    told = "; ".join(kept) or "none"
    return [f"Not 0 after Holm's correction for these {count} differences: {told}."]


def _weak(table: pd.DataFrame) -> list[str]:
    """Which models are too weak to conclude from, and why."""
    reasons = table["competence"].dropna().unique()
    return [f"† Model too weak: {'; '.join(reasons)}."] if len(reasons) else []


def _no_floors(table: pd.DataFrame) -> list[str]:
    """A line per reason for which no floor is known of some metrics."""
    reasons = table.dropna(subset="floor_reason").groupby("floor_reason", sort=False)["metric"]
    return [
        f"No floor is known of {', '.join(NAMES.get(m, m) for m in dict.fromkeys(metrics))}: {why}."
        for why, metrics in reasons
    ]
