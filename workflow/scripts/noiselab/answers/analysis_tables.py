"""Tidy tables of analyses: spread of the loss, coherence of gradients, guidance of diffusion."""

import numpy as np
import pandas as pd
from scipy.stats import permutation_test, rankdata

from noiselab.answers.layouts import BUDGETS, NAMES, NOISES
from noiselab.answers.tables import EXCESS, panel, tidy
from noiselab.measures.scores import DIVERGED, NONE
from noiselab.measures.statistics import Estimate, Interval, difference, over_seeds
from noiselab.noise.theory import averaged_std


def stability_table(measured: pd.DataFrame, published: dict) -> pd.DataFrame:
    """Mean and spread of the loss over macro-batches (Table 11), means over seeds.

    The floor of a spread is what averaging alone predicts from the smallest batch. Spreads are in
    nats / 1000. Rows are matched by their order, since smaller tiers measure smaller batches.
    """
    cells, by = [], ["dataset", "noise_ratio"]
    for (dataset, ratio), part in measured.groupby(by, sort=False, dropna=False):
        model = "clean" if ratio == 0 else "noisy"
        smallest = part[part["batch_size"] == part["batch_size"].min()]
        for i, (size, seeds) in enumerate(part.groupby("batch_size")):
            keys = {"dataset": dataset, "stands_in_for": seeds["stands_in_for"].iloc[0]}
            keys |= {"noise_ratio": ratio, "error_rate": seeds["error_rate"].iloc[0]}
            keys |= {"row": f"{size} sequences", "items": seeds["macro_batches"].iloc[0]}
            keys["runs"] = " ".join(dict.fromkeys(seeds.get("run_id", ()))) or None
            printed = _printed_stability(published, model, size, i)
            cells += [
                keys | _mean_loss(seeds, model) | {"published": printed["mean"]},
                keys | _spread(seeds, smallest, model) | {"published": printed["std"]},
            ]
    lost = [cell for cell in cells if pd.isna(cell["ours"])]
    for cell in lost:
        cell["reason"] = DIVERGED
    return tidy(cells)


def _printed_stability(published: dict, model: str, size: int, row: int) -> dict[str, float]:
    """The paper's mean and std at this batch size, or in this row where it has no such size."""
    sizes, printed = published["batch_sizes"], published["models"][model]
    at = sizes.index(size) if size in sizes else row
    return {name: values[at] if at < len(values) else np.nan for name, values in printed.items()}


def _mean_loss(seeds: pd.DataFrame, model: str) -> dict:
    """Mean loss in nats; its interval is over macro-batches where there is one seed."""
    half = 1.96 * seeds["std"] / np.sqrt(seeds["macro_batches"])  # normal, for there are many
    ends = Interval((seeds["mean"] - half).iloc[0], (seeds["mean"] + half).iloc[0], "t_batches")
    cell = {"panel": f"{model} model, {panel('mean', 'nats')}", "metric": "mean", "unit": "nats"}
    return cell | _over_seeds(seeds["mean"], ends)


def _spread(seeds: pd.DataFrame, smallest: pd.DataFrame, model: str) -> dict:
    """Standard deviation of the loss, and its floor, what averaging leaves of that of the smallest
    batch, in nats / 1000; paired by seed, of one seed as two independent samples."""
    first, base = seeds.iloc[0], smallest.iloc[0]
    scale = averaged_std(1, base["batch_size"], first["batch_size"])
    ends = Interval(1000 * first["ci_low"], 1000 * first["ci_high"], first["interval"])
    floors = 1000 * scale * smallest.set_index("seed")["std"]
    values = 1000 * seeds.set_index("seed")["std"]
    cell = {"panel": f"{model} model, {panel('std', 'nats/1000')}", "metric": "std"}
    cell |= {"unit": "nats/1000", "floor": floors.mean()} | _over_seeds(values, ends)
    if scale == 1:  # nothing was averaged
        return cell
    floor = Estimate(floors.iloc[0], *(1000 * scale * base[["ci_low", "ci_high"]]), "")
    alone = difference(Estimate(values.iloc[0], *ends), floor)
    paired = over_seeds(list(values - floors), Interval(*alone[1:3], first["interval"]))
    return cell | dict(zip(EXCESS, paired[1:], strict=True))


def _over_seeds(values: pd.Series, of_one: Interval) -> dict:
    """Mean over seeds and its interval; of_one: the interval where there is one seed."""
    estimate = over_seeds(list(values), of_one)._asdict()
    return {"ours": estimate.pop("value"), "n_seeds": len(values)} | estimate


def gradient_table(measured: pd.DataFrame, published: dict) -> pd.DataFrame:
    """Coherence of per-example gradients (Table 4), means over seeds; a block per noise protocol.

    Cosines come with their smallest and largest value of all seeds, norms with the interval of
    their mean, over batches where there is one seed. Three further columns: published_min and
    published_max, of a cosine; with_empty, where batches that have nothing to sum count as 0.
    """
    cells = []
    by = ["dataset", "protocol", "error_rate", "batch_size"]
    for (dataset, protocol, error_rate, size), seeds in measured.groupby(by, sort=False):
        case = f"{100 * error_rate:g} %, batch {size}"
        keys = {"dataset": dataset, "stands_in_for": seeds["stands_in_for"].iloc[0]}
        keys |= {"protocol": protocol, "error_rate": error_rate, "items": seeds["batches"].iloc[0]}
        keys |= {"panel": f"{NAMES[protocol]}, {case}"}
        for metric in published["metrics"]:
            cell = _cosine(seeds, metric) if metric.startswith("cosine") else _norm(seeds, metric)
            if protocol == "sequences" and not metric.startswith("cosine"):
                cell["with_empty"] = with_empty(seeds, metric).mean()
            missing = None if np.isfinite(cell["ours"]) else "no such pair in any batch"
            printed = _printed(published, error_rate, size, metric)
            cell |= {"metric": metric, "row": NAMES[metric]} | printed
            cells.append(keys | cell | {"reason": missing})
    further = pd.DataFrame(cells).reindex(columns=["published_min", "published_max", "with_empty"])
    return tidy(cells).join(further)


def with_empty(rows: pd.DataFrame, metric: str) -> pd.Series:
    """A mean norm, or the ratio of both, where batches without such a unit count as 0, as the
    released code has it. rows: of measure_gradients, which leaves these batches out."""
    if metric == "snr":
        return with_empty(rows, "norm_clean") / with_empty(rows, "norm_corrupt")
    left_out = rows[metric.replace("norm", "batches_without")]
    return rows[metric] * (1 - left_out / rows["batches"])


def _cosine(seeds: pd.DataFrame, metric: str) -> dict:
    """Mean cosine, and the range of all pairs of all seeds."""
    values = seeds[f"{metric}_mean"].dropna()
    ends = Interval(seeds[f"{metric}_min"].min(), seeds[f"{metric}_max"].max(), "range")
    return {"ours": values.mean(), "n_seeds": len(values)} | ends._asdict()


def _norm(seeds: pd.DataFrame, metric: str) -> dict:
    """Mean norm, or ratio of norms, which has no interval where there is one seed."""
    seeds = seeds.dropna(subset=metric)
    errors = seeds.get(f"{metric}_se", seeds[metric] * np.nan)
    ends = [seeds[metric] - 1.96 * errors, seeds[metric] + 1.96 * errors]
    low, high = (end.mean() for end in ends)
    return _over_seeds(seeds[metric], Interval(low, high, "t_batches"))


def _printed(published: dict, error_rate: float, size: int, metric: str) -> dict:
    """The paper's number for this error rate and batch size, and the range of a cosine."""
    cases = [(case["error_rate"], case["batch_size"]) for case in published["cases"]]
    if (error_rate, size) not in cases:
        return {}
    at = cases.index((error_rate, size))
    printed = {"published": published["metrics"][metric][at]}
    if metric in published["ranges"]:
        low, high = published["ranges"][metric][at]
        printed |= {"published_min": low, "published_max": high}
    return printed


def guided_table(measured: pd.DataFrame) -> pd.DataFrame:
    """A row per kind of noise and way to draw images, means over seeds. measured: rows of
    measure_guidance. The floor is that of images drawn as a noisy model draws them."""
    cells = []
    for (noise, way), seeds in measured.groupby(["corruption", "way"], sort=False):
        first = seeds.iloc[0]
        values, floors = (seeds[name].to_numpy() for name in ("consistency", "floor"))
        estimate = over_seeds(list(values), NONE)
        cell = {key: first[key] for key in ("family", "dataset", "stands_in_for", "protocol")}
        cell |= {key: first[key] for key in ("corruption", "noise_ratio", "error_rate")}
        cell |= {"row": f"{NOISES.get(noise, noise)}, {way}", "metric": "consistency"}
        cell |= {"unit": "%", "panel": panel("consistency", "%"), "n_seeds": len(seeds)}
        cell |= {"ours": estimate.value, "floor": floors.mean()}
        cell |= estimate.ends()
        cell["runs"] = " ".join(seeds["run_id"])
        if np.isnan(floors).any():
            cell["floor_reason"] = "under this noise it takes more than the share that is right"
        else:
            cell |= dict(zip(EXCESS, over_seeds(list(values - floors), NONE)[1:], strict=True))
        cells.append(cell)
    return tidy(cells)


def model_stability_table(measured: pd.DataFrame) -> pd.DataFrame:
    """A row per family, data set and noise of the targets, means over seeds: the share of the
    output's variance that survives at each correlation of the inputs, on how few positions it
    hangs, and what the noise costs above its floor; then how much the two go together. measured:
    rows of measure_model_stability."""
    cells = []
    by = ["family", "dataset", "corruption", "budget", "protocol", "variant"]
    measured = measured.assign(variant=measured["run_id"].map(_variant))
    measured = measured.assign(label=_labels(measured))
    for _, seeds in measured.groupby(by, sort=False):
        for rho, own in seeds.groupby("rho"):
            title = f"share that survives at a correlation of {rho:g}"
            cells.append(_stability_cell("surviving_share", own["share"], own, title, ""))
        first = seeds[seeds["rho"] == seeds["rho"].min()]
        if first["half_positions"].notna().all():
            cells += [_stability_cell(m, first[m], first, text, "") for m, text in JUNTA.items()]
        noisy = first["corruption"].iloc[0] != "none"
        if noisy and first["excess"].notna().all():
            unit = first["unit"].iloc[0]
            title = panel("excess", unit)
            cells.append(_stability_cell("excess", first["excess"], first, title, unit))
    cells += _rank_cells(costs(measured[measured["rho"] == measured["rho"].max()]))
    order = {title: place for place, title in enumerate(dict.fromkeys(c["panel"] for c in cells))}
    return tidy(sorted(cells, key=lambda cell: order[cell["panel"]]))


# How few positions a function hangs on; column -> title.
JUNTA = {
    "half_positions": "positions with half of all influence",
    "positions": "positions in all",
    "first_share": "share of all influence that one position has, at most",
}


def costs(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per family, data set and kind of noise, means over seeds: what it costs, and the share
    that survives of these models and of the clean ones."""
    by = ["family", "dataset", "corruption", "budget", "unit"]
    noisy = rows[(rows["corruption"] != "none") & rows["excess"].notna()]
    clean = rows[rows["corruption"] == "none"].groupby(["family", "dataset"])["share"].mean()
    found = noisy.groupby(by, sort=False)[["share", "excess"]].mean().reset_index()
    keys = pd.MultiIndex.from_frame(found[["family", "dataset"]])
    return found.assign(clean=clean.reindex(keys).to_numpy())


FEWEST = 3  # points that a rank correlation is of


def ranked(found: pd.DataFrame) -> tuple[float, float]:
    """Spearman's correlation of what noise costs with what survives of the clean models, and its
    two-sided p: exact over all orders, or of many at random where there are more. found: of
    `costs`, in one unit, FEWEST or more."""
    first, second = (rankdata(found[name]) for name in ("clean", "excess"))

    def correlation(ranks: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.mean((ranks - first.mean()) * (second - second.mean()), axis=axis)

    seeded = {"rng": np.random.default_rng(0), "n_resamples": ORDERS, "batch": ORDERS}
    test = permutation_test(
        (first,), correlation, permutation_type="pairings", vectorized=True, **seeded
    )
    scale = first.std() * second.std()
    return (float(test.statistic / scale), float(test.pvalue)) if scale else (np.nan, np.nan)


ORDERS = 50_000  # all of eight points


def _rank_cells(found: pd.DataFrame) -> list[dict]:
    """A row per unit of what noise costs: the rank correlation with its p."""
    cells = []
    for unit, own in found.dropna(subset=["clean"]).groupby("unit", sort=False):
        if len(own) < FEWEST:
            continue
        row = f"{len(own)} kinds of noise and data, in {unit}"
        for (metric, title), value in zip(RANKS.items(), ranked(own), strict=True):
            cell = {"family": "all", "row": row, "metric": metric, "panel": title}
            cells.append(cell | {"ours": value, "unit": ""})
    return cells


RANKS = {
    "rank_correlation": "what survives of clean models, and what noise costs: rank correlation",
    "rank_p": "p of this correlation, over all orders",
}


def _labels(measured: pd.DataFrame) -> pd.Series:
    """Names of rows: family, data set, noise, what is special about the training, and, where that
    does not tell two trainings apart, their length and the end of their ids."""
    noises = measured["corruption"].map(lambda noise: NOISES.get(noise, noise))
    special = (
        measured["recipe"].astype(object).fillna("").map(lambda text: f", {text}" if text else "")
    )
    names = measured["family"] + ", " + measured["dataset"] + ", " + noises + special
    several = measured.groupby([names, "protocol"])["budget"].transform("nunique") > 1
    lengths = measured["budget"].map(lambda budget: f", {BUDGETS.get(budget, budget)}")
    names = names.where(~several, names + lengths)
    alike = measured.groupby([names, "budget", "protocol"])["variant"].transform("nunique") > 1
    ends = measured["variant"].map(lambda end: f" {end}" if end else "")
    return names.where(~alike, names + ends)


def _variant(run_id: str) -> str:
    """What tells runs of one noise apart that differ in their recipe: the end of the id."""
    last = run_id.rpartition("-")[2]
    return last if last.startswith("x") else ""


def _stability_cell(
    metric: str, values: pd.Series, seeds: pd.DataFrame, title: str, unit: str
) -> dict:
    first = seeds.iloc[0]
    estimate = over_seeds(list(values), NONE)
    cell = {key: first[key] for key in ("family", "stands_in_for", "protocol", "corruption")}
    cell |= {key: first[key] for key in ("budget", "noise_ratio", "error_rate")}
    cell |= {"row": first["label"], "metric": metric, "unit": unit}
    cell |= {"panel": title, "n_seeds": len(seeds), "ours": estimate.value}
    cell |= estimate.ends()
    return cell | {"runs": " ".join(seeds["run_id"])}
