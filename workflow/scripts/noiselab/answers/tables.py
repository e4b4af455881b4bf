"""Tidy tables: a row is one cell, with the paper's number, ours, interval, floor and reason.

Columns: family, dataset, stands_in_for, corruption, resample, budget, protocol, source_share (of
seq2seq), batch_multiplier, classes and train_size (of vision transformers), panel and row (labels
of the printed block and row), noise_ratio, error_rate, metric, unit, published, ours, ci_low,
ci_high, interval, n_seeds, items, floor, excess, measured_error_rate, true_error_rate,
class_error_rates (text), floor_reason (why there is no floor), reason, excess_low, excess_high,
excess_interval, floor_low and floor_high (the floor at other tolerances of ties), competence (why
the model is too weak to conclude from), runs (ids of the runs behind ours, with blanks between).
`ours` and `floor` are means over seeds; excess = ours - floor, its interval is paired: over seeds,
or over the items of one. People read it as a loss, of which more is worse (layouts.Cell). What a
table does not have is empty.
"""

import numpy as np
import pandas as pd

from noiselab.answers.layouts import BUDGETS, NAMES
from noiselab.answers.rulers import LOSSES, published_loss
from noiselab.measures.scores import DIVERGED, UNITS
from noiselab.measures.statistics import (
    Estimate,
    Interval,
    geometric_over_seeds,
    median_interval,
    over_seeds,
)
from noiselab.planning.rates import order

KEYS = ["family", "dataset", "stands_in_for", "corruption", "resample", "budget", "protocol"]
KEYS += [
    "source_share",
    "batch_multiplier",
    "classes",
    "train_size",
    "panel",
    "row",
    "noise_ratio",
    "error_rate",
    "metric",
    "unit",
]
# What a run's corruption is known to do, where that is not what the experiment says.
NOISE = ["true_error_rate", "class_error_rates"]
NUMBERS = ["published", "ours", "ci_low", "ci_high", "interval", "n_seeds", "items"]
NUMBERS += ["floor", "excess", "measured_error_rate", *NOISE, "floor_reason", "reason"]
EXCESS = ["excess_low", "excess_high", "excess_interval"]
NUMBERS += [*EXCESS, "floor_low", "floor_high", "competence", "runs"]
COLUMNS = KEYS + NUMBERS


def tidy(rows: list[dict]) -> pd.DataFrame:
    """Cells in the order given, all columns present."""
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    table["excess"] = table["ours"] - table["floor"]
    return table


def panel(metric: str, unit: str | float = "") -> str:
    """Label of a block that shows one metric."""
    return NAMES.get(metric, metric) + (f" ({unit})" if isinstance(unit, str) and unit else "")


def ratio_label(
    noise_ratio: float | None, error_rate: float | None = None, measured: float | None = None
) -> str:
    """Row label as in the paper: correct to incorrect examples. measured: share that is wrong where
    nobody set it; `given`: nobody knows it."""
    if pd.notna(noise_ratio):
        return f"100:{100 * noise_ratio:g}"
    if pd.notna(error_rate):
        return "0:100"
    return "given" if pd.isna(measured) else f"given, {100 * measured:.3g} % wrong"


def _error_label(cell: dict) -> str:
    """Row label where noise ratios are no short numbers, as those of round error rates."""
    return cell["row"] if pd.isna(cell["error_rate"]) else f"{100 * cell['error_rate']:.4g} %"


def _is_short(cell: dict) -> bool:
    """Whether a cell's noise ratio can be printed; where the error rate is unknown, too, nothing
    can."""
    ratio = 100 * cell["noise_ratio"] if pd.notna(cell["noise_ratio"]) else np.nan
    return pd.isna(cell["error_rate"]) or abs(round(ratio, 2) - ratio) < 1e-9


def rate_text(noise_ratio: float | None, error_rate: float | None) -> str:
    """The noise of a block or a curve."""
    if pd.notna(noise_ratio):
        return f"r = {noise_ratio:g}"
    return "given noise" if pd.isna(error_rate) else f"e = {error_rate:g}"


# What an experiment that the paper does not have is about, of what its family has.
MAIN = ["accuracy", "consistency", "nll", "sequence_nll", "fid", "judge_frechet"]
CLEAN_ROW = "clean labels"
# What is one cell of a table of runs.
CELL = ["family", "dataset", "protocol", "source_share", "batch_multiplier", "noise_ratio"]
CELL += ["error_rate", "metric"]
# What `cells` has of each.
SUMMARY = ["dataset", "corruption", "noise_ratio", "error_rate", "metric", "unit", "ours", "ci_low"]
SUMMARY += ["ci_high", "interval", "n_seeds", "floor", "excess", *EXCESS, "reason"]
# Where a table sets the text beside the code; one protocol alone needs no name.
PROTOCOLS = {"text": "", "released": ", snapshot"}


def runs_table(metrics: pd.DataFrame, published: dict) -> pd.DataFrame:
    """Metrics against noise ratio. metrics: rows of runs as collect_metrics writes them, with a
    column `experiment` where there are several; published: one entry of published.yaml, or {} for
    an experiment the paper does not have."""
    wanted = list(published.get("metrics", MAIN))
    metrics = metrics[metrics["metric"].isin(wanted)]
    metrics = _told_apart(metrics)
    cells = []
    for (*_, label), group in metrics.groupby([*CELL, "label"], sort=False, dropna=False):
        cell = run_cell(group) | _published(published, group.iloc[0])
        cells.append(cell | {"panel": cell["panel"] + label})
    if metrics["protocol"].nunique() > 1:
        cells = [c | {"panel": c["panel"] + PROTOCOLS[c["protocol"]]} for c in cells]
    if _is_batch_ablation(metrics):
        cells = [c | _by_batch(c) for c in cells]
    elif not all(map(_is_short, cells)):
        cells = [c | {"row": _error_label(c)} for c in cells]
    return tidy(sorted(cells, key=lambda c: (wanted.index(c["metric"]), *_order(c))))


def cells(metrics: pd.DataFrame) -> pd.DataFrame:
    """All metrics over the seeds of each setting, with `run`: the id of its runs without the seed.
    metrics: rows of runs, each once, of any experiments."""
    needed = ["value", "floor", "reason", "items", "ci_low", "ci_high", "interval"]
    metrics = metrics.reindex(columns=metrics.columns.union(needed, sort=False))
    metrics["run_id"] = metrics["run_id"].astype(str)
    run = metrics["run_id"].str.replace(r"-s\d+(?=$|-)", "", regex=True)
    parts = []
    for name, rows in metrics.groupby(run, sort=False):
        names = {"metrics": list(rows["metric"].unique())}
        parts.append(runs_table(rows, names).assign(run=name))
    return pd.concat(parts)[["run", *SUMMARY]]


def _order(cell: dict) -> tuple:
    """The least noise first, what is not known last."""
    error = cell["error_rate"]
    return *order(None if pd.isna(error) else error), cell["batch_multiplier"]


def _told_apart(metrics: pd.DataFrame) -> pd.DataFrame:
    """The rows of each run once, though several experiments share it, with a `label` where cells of
    several experiments would be one: these differ in what no cell says, such as the network."""
    metrics = metrics.reset_index(drop=True)
    if "experiment" not in metrics:
        return metrics.assign(label=_paces(metrics))
    metrics = metrics.drop_duplicates(["run_id", "metric", "protocol"])
    several = metrics.groupby(CELL, dropna=False)["experiment"].transform("nunique") > 1
    return metrics.assign(label=(", " + metrics["experiment"]).where(several, "") + _paces(metrics))


def _paces(metrics: pd.DataFrame) -> pd.Series:
    """What stands in a block's label where learning rates are others than the recipe's."""
    if "learning_rate_multiplier" not in metrics:
        return pd.Series("", metrics.index)
    factors = metrics["learning_rate_multiplier"]
    return factors.map(lambda factor: "" if pd.isna(factor) else f", learning rate × {factor:g}")


def _is_batch_ablation(metrics: pd.DataFrame) -> bool:
    """Whether several batch multipliers were tried at one noise ratio."""
    tried = metrics.groupby(["dataset", "error_rate"], dropna=False)["batch_multiplier"].nunique()
    return (tried > 1).any()


def _by_batch(cell: dict) -> dict:
    """Labels of a cell where a row is a batch multiplier and a block a noise ratio; the paper's
    numbers are at one multiplier each."""
    noise = rate_text(cell["noise_ratio"], cell["error_rate"])
    row = f"batch × {cell['batch_multiplier']}"
    return {"row": row, "panel": f"{cell['panel']}, {noise}", "published": np.nan}


def scale_table(metrics: pd.DataFrame) -> pd.DataFrame:
    """What noise costs at each number of classes and of images: a row per data set, a block per
    budget. metrics: as for `runs_table`, of experiments that differ in budget and share clean
    runs, one noise ratio each."""
    wanted = ["accuracy", "accuracy_drop", "accuracy_relative_drop"]
    metrics = metrics[metrics["metric"].isin(wanted)].drop_duplicates(["run_id", "metric"])
    by = ["classes", "train_size", "dataset", "budget", "error_rate", "metric"]
    cells = []
    for (classes, size, _, budget, error, metric), group in metrics.groupby(by, dropna=False):
        if error != 0 or metric == "accuracy":
            cell = run_cell(group)
            which = BUDGETS[budget] if error != 0 else "clean"
            cell |= {"row": f"{classes:g} classes × {size / classes:g} images"}
            cells.append(cell | {"panel": f"{cell['panel']}, {which}"})
    budgets = ["none", "fixed_clean", "fixed_total"]
    return tidy(
        sorted(cells, key=lambda c: (wanted.index(c["metric"]), budgets.index(c["budget"])))
    )


def experiments_table(
    metrics: dict[str, pd.DataFrame], labels: dict[str, str], wanted: list[str]
) -> pd.DataFrame:
    """A row per experiment whose noise has no rate to stand in a row of its own, such as labels
    that were given; the clean runs first. metrics: experiment -> rows of runs; labels: experiment
    -> what its row is called; wanted: metrics."""
    parts = [rows.assign(experiment=name) for name, rows in metrics.items()]
    rows = pd.concat(parts)
    rows = rows[rows["metric"].isin(wanted)]
    clean = rows["corruption"] == "none"
    first = rows[clean].drop_duplicates(["run_id", "metric"]).assign(experiment=CLEAN_ROW)
    rows = pd.concat([first, rows[~clean]])
    cells = []
    for (name, *_), group in rows.groupby(["experiment", "dataset", "metric"], sort=False):
        share = group["measured_error_rate"].mean()
        wrong = f", {100 * share:.3g} % wrong" if share else ""
        cells.append(run_cell(group) | {"row": labels.get(name, name) + wrong})
    return tidy(sorted(cells, key=lambda cell: wanted.index(cell["metric"])))


def run_cell(group: pd.DataFrame) -> dict:
    """One cell from the rows of its seeds."""
    first = group.iloc[0]
    values = group["value"].dropna()
    missing = group["reason"].dropna()
    cell = {key: first.get(key) for key in KEYS if key not in ("panel", "row")} | {
        "panel": panel(first["metric"], first["unit"]) + _share(first["source_share"]),
        "row": ratio_label(first["noise_ratio"], first["error_rate"], first.get("true_error_rate")),
        "ours": np.nan,
        "n_seeds": len(values),
        "items": first["items"],
        "floor": group["floor"].mean(),
        **{k: group[k].mean() for k in ("floor_low", "floor_high") if k in group},
        "measured_error_rate": group["measured_error_rate"].mean(),
        **{key: first.get(key) for key in (*NOISE, "floor_reason")},
        "reason": "; ".join(sorted(set(missing))) or None,
        "runs": " ".join(dict.fromkeys(group["run_id"])) if "run_id" in group else None,
    }
    if len(missing) and (steps := _median_steps(group)):
        return cell | {"ours": steps.value, "n_seeds": len(group), "reason": None} | steps.ends()
    if len(missing):
        return cell | {key: first[key] for key in ("ci_low", "ci_high", "interval")}
    estimate = seeds_estimate(group)
    cell["ours"] = estimate.value
    cell |= estimate.ends()
    if group["floor"].isna().any():
        return cell
    return cell | dict(zip(EXCESS, seeds_estimate(group, above_floor=True)[1:], strict=True))


def seeds_estimate(rows: pd.DataFrame, above_floor: bool = False) -> Estimate:
    """Mean of `value`, or of value - floor, over the rows of the seeds with its t-interval; of one
    seed, its number with its interval over test items. The floor's own is paired with it, item by
    item; where metrics.json does not have it, the floor counts as certain. Of steps until something
    happens, which differ by factors, the geometric mean."""
    first, values = rows.iloc[0], rows["value"]
    ends = [_given(first, k) for k in ("ci_low", "ci_high", "interval")]
    if above_floor:
        values = values - rows["floor"]
        paired = [_given(first, k) for k in EXCESS]
        shift = first["floor"]
        shifted = [None if end is None else end - shift for end in ends[:2]]
        ends = [*shifted, ends[2]] if paired[0] is None else paired
    mean = geometric_over_seeds if first.get("unit") == UNITS["steps_to_goal"] else over_seeds
    return mean(list(values), Interval(*ends))


def _median_steps(rows: pd.DataFrame) -> Estimate | None:
    """Of steps until something happens, which it did not in some trainings: the median over seeds,
    where these are enough for it and its interval to be known."""
    if rows["unit"].iloc[0] != UNITS["steps_to_goal"] or "steps" not in rows:
        return None
    values = rows["value"].astype(np.float64)
    low, high = values.fillna(rows["steps"]), values.fillna(np.inf)
    interval = median_interval(low, high)
    if interval.ci_high is None or not np.isfinite(interval.ci_high):
        return None
    return Estimate(float(np.median(high)), *interval)


def _given(row: pd.Series, key: str):
    """A number or a text, or None where there is none."""
    return row[key] if pd.notna(row.get(key)) else None


def _share(source_share: float) -> str:
    """Label of a block whose sources are cut short."""
    cut = pd.notna(source_share) and source_share < 1
    return f", {100 * source_share:g} % of the source" if cut else ""


def _published(published: dict, row: pd.Series) -> dict:
    """The paper's number for the data set that ours is or stands in for, at full sources and under
    the same noise."""
    ratios, noise = published.get("noise_ratios", []), published.get("corruption")
    other = noise is not None and row["corruption"] not in (noise, "none")
    if row["noise_ratio"] not in ratios or row["source_share"] < 1 or other:
        return {"published": np.nan}
    values = _published_values(published, row["metric"], row["stands_in_for"])
    return {"published": values[ratios.index(row["noise_ratio"])] if values else np.nan}


def _published_values(published: dict, metric: str, dataset: str) -> list[float] | None:
    """The paper's numbers of one metric; its losses follow from its scores."""
    metrics = published.get("metrics", {})
    for score in LOSSES:
        values = (metrics.get(score) or {}).get(dataset)
        losses = published_loss(values, score, metric) if values else None
        if losses:
            return losses
    return (metrics.get(metric) or {}).get(dataset)


def teacher_table(decoded: list[dict]) -> pd.DataFrame:
    """What the noisy teachers wrote, beside the clean targets, from their decoding.json."""
    cells = []
    for content in decoded:
        score, lengths, clean = (content[k] for k in ("score", "lengths", "clean_lengths"))
        rows = {
            "ended": (100 * content["ended"], "%"),
            "empty": (100 * content["empty"], "%"),
            "identical": (100 * content["identical"], "%"),
            score["metric"]: (score["value"], ""),
        }
        for statistic in ("mean", "q5", "q25", "q50", "q75", "q95", "q100"):
            rows[f"length_{statistic}"] = (lengths[statistic], "tokens")
            rows[f"clean_length_{statistic}"] = (clean[statistic], "tokens")
        keys = {k: content["run"][k] for k in ("dataset", "stands_in_for", "protocol")}
        for metric, (value, unit) in rows.items():
            cell = keys | {"panel": "noisy teacher", "row": panel(metric, unit), "unit": unit}
            cell |= {"metric": metric, "ours": value, "items": content["pairs"], "n_seeds": 1}
            cell["runs"] = content["run"].get("run_id")
            if metric == score["metric"]:
                cell |= {k: score[k] for k in ("ci_low", "ci_high", "interval")}
                cell["items"] = score["pairs"]
            if content.get("diverged"):
                cell |= dict.fromkeys(("ours", "ci_low", "ci_high")) | {"reason": DIVERGED}
            cells.append(cell)
    return tidy(cells)


def lengths_table(measured: pd.DataFrame, published: dict) -> pd.DataFrame:
    """Quantiles of sources' lengths, the paper's measure of richness (Section 3.3, Appendix K.1),
    with the length that models see at the most. measured: rows of measure_source_lengths."""
    cells = []
    for row in measured.to_dict("records"):
        printed = published["quantiles"].get(row["stands_in_for"], {})
        for metric in published["shown"]:
            unit = "%" if metric == "source_clipped" else "tokens"
            keys = {key: row[key] for key in ("dataset", "stands_in_for")}
            cell = keys | {"panel": "sources", "row": panel(metric, unit), "metric": metric}
            cell |= {"unit": unit, "ours": row[metric], "items": row["sources"]}
            cells.append(cell | {"published": printed.get(metric, np.nan)})
    return tidy(cells)


def plan_table(runs: list[dict], published: dict) -> pd.DataFrame:
    """Batch and length of planned runs (Algorithm 1, Tables 5 and 6), from their run.json."""
    cells = []
    for metric in published["shown"]:
        for run in sorted(runs, key=lambda r: order(r["error_rate"])):
            training, ratio = run["training"], run["noise_ratio"]
            examples = training["steps"] * training["batch_size"]
            values = {
                "multiplier": run["batch_multiplier"],
                "batch_size": training["batch_size"],
                "steps": training["steps"],
                "examples": examples,
                "clean_examples": examples * (1 - _number(run["error_rate"])),
                "epochs": examples / run.get("train_size", np.nan),
                "step_tokens": training["batch_size"] * run["model"].get("context", np.nan),
                "gpu_batch": training["batch_size"] / published.get("gpus", np.nan),
            }
            printed = published.get(metric, [])
            if isinstance(printed, dict):
                printed = printed.get(run["stands_in_for"], [])
            printed = dict(zip(published["noise_ratios"], printed, strict=False))
            cells.append(
                {key: run.get(key) for key in KEYS}
                | {"panel": panel(metric), "row": ratio_label(ratio, run["error_rate"])}
                | {"metric": metric, "ours": values[metric], "runs": run["run_id"]}
                | {"published": printed.get(ratio, np.nan)}
            )
    return tidy(cells)


def _number(value: float | None) -> float:
    return np.nan if value is None else value
