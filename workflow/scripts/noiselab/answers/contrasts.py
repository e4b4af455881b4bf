"""Two experiments side by side: what differs between their runs, seed by seed."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from noiselab.answers.layouts import NOISES
from noiselab.answers.pairs import same_seeds, usual
from noiselab.answers.tables import EXCESS, panel, rate_text, run_cell, seeds_estimate, tidy
from noiselab.measures.statistics import Estimate, difference, over_seeds
from noiselab.planning import rates


class Contrast(NamedTuple):
    """Means of both sides, and second - first."""

    first: Estimate
    second: Estimate
    effect: Estimate
    n_seeds: int


def contrast(first: pd.DataFrame, second: pd.DataFrame, above_floor: bool = False) -> Contrast:
    """From the rows of one metric, of the seeds that both have, if any: one training is compared
    with one, and several are paired. above_floor: of value - floor. NoiselabError: a seed has
    several trainings."""
    both = same_seeds(first, second)
    sides = both if len(both[0]) else (first, second)
    before, after = (seeds_estimate(side, above_floor) for side in sides)
    effect = difference(after, before)
    if len(both[0]) > 1:
        of_seeds = [s["value"] - s["floor"] if above_floor else s["value"] for s in sides]
        effect = over_seeds(list(of_seeds[1].to_numpy() - of_seeds[0].to_numpy()), None)
    return Contrast(before, after, effect, min(map(len, sides)))


def side_by_side_table(
    metrics: dict[str, pd.DataFrame], labels: dict[str, str], wanted: list[str]
) -> pd.DataFrame:
    """A row per label, kind of noise, noise ratio and data set: each model without noise, then with
    each noise. Where a kind has one noise ratio, its row does not say it.

    metrics: experiment -> rows of runs; labels: experiment -> what its model is called, which
    several experiments may share; wanted: metrics, a block each.
    """
    called = {name: labels.get(name, name) for name in metrics}
    rows = pd.concat([part.assign(label=called[name]) for name, part in metrics.items()])
    rows = rows[rows["metric"].isin(wanted)].drop_duplicates(["run_id", "metric", "label"])
    order = {label: place for place, label in enumerate(dict.fromkeys(called.values()))}
    kinds = {kind: place for place, kind in enumerate(dict.fromkeys(["none", *rows["corruption"]]))}
    cells, by = [], ["label", "corruption", "dataset", "metric", "error_rate"]
    several = rows.groupby("corruption")["error_rate"].nunique() > 1
    for (label, kind, *_, error), group in rows.groupby(by, dropna=False):
        cell = run_cell(group)
        rate = f", {rate_text(cell['noise_ratio'], error)}" if several[kind] else ""
        cell |= {"row": f"{label}, {NOISES.get(kind, kind)}{rate}"}
        place = (wanted.index(cell["metric"]), order[label], kinds[kind], rates.order(error))
        cells.append(cell | {"place": place})
    table = tidy(sorted(cells, key=lambda cell: cell.pop("place")))
    if len(kinds) == 1:  # without noise, floors say nothing
        table[["floor", "excess", *EXCESS]] = np.nan
    return table


def contrasts_table(metrics: dict[str, pd.DataFrame], entries: list[dict]) -> pd.DataFrame:
    """A row per pair of experiments, noise ratio and data set, a block for the difference of their
    noisy runs' scores, and one for what of it the floors leave open.

    metrics: experiment -> rows of runs; entries: `label`, `first` and `second` (experiments),
    `metric` and perhaps `noise_ratio` (default: each with noise); difference = second - first. Of
    an experiment that has not been run there is no row.
    """
    cells = []
    for above_floor in (False, True):
        for entry in entries:
            if {entry["first"], entry["second"]} <= metrics.keys():
                for single in _single(entry, metrics[entry["second"]]):
                    cells += _cells(single, metrics, above_floor)
    return tidy(cells)


def _single(entry: dict, rows: pd.DataFrame) -> list[dict]:
    """An entry for each noise ratio of rows, where they have several and none is asked for."""
    noisy = rows[rows["corruption"] != "none"]
    ratios = sorted(noisy["noise_ratio"].dropna().unique()) if "noise_ratio" in noisy else []
    if "noise_ratio" in entry or len(ratios) < 2:
        return [entry]
    labels = {ratio: f"{entry['label']}, {rate_text(ratio, None)}" for ratio in ratios}
    return [entry | {"noise_ratio": ratio, "label": label} for ratio, label in labels.items()]


def _cells(entry: dict, metrics: dict, above_floor: bool) -> list[dict]:
    sides = [chosen(metrics[entry[side]], entry, noisy=True) for side in ("first", "second")]
    cells = []
    for dataset in dict.fromkeys(sides[1]["dataset"]):
        rows = [side[side["dataset"] == dataset] for side in sides]
        needed = ["value", "floor"] if above_floor else ["value"]
        if not all(len(side) and side[needed].notna().all(axis=None) for side in rows):
            continue
        found = contrast(*rows, above_floor)
        last = rows[1].iloc[0]
        unit = "points" if last["unit"] == "%" else last["unit"]
        metric = f"{'excess' if above_floor else entry['metric']}_difference"
        cell = {key: last[key] for key in ("family", "dataset", "stands_in_for", "protocol")}
        cell |= {"panel": panel(metric, unit), "row": entry["label"], "metric": metric}
        cell |= {"unit": unit, "ours": found.effect.value, "n_seeds": found.n_seeds}
        cell |= found.effect.ends()
        cells.append(cell)
    return cells


def chosen(rows: pd.DataFrame, entry: dict, noisy: bool) -> pd.DataFrame:
    """Rows of an entry's metric at its noise ratio, in the usual setting. Where it names none: of
    all runs with noise, or of those without."""
    if "noise_ratio" in entry:
        wanted = rows["noise_ratio"] == entry["noise_ratio"]
    else:
        wanted = (rows["corruption"] != "none") == noisy
    return usual(rows[(rows["metric"] == entry["metric"]) & wanted])
