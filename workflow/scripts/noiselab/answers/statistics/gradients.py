"""Gradients: cosines of clean and corrupt ones, and how their signal grows with the batch."""

import numpy as np
import pandas as pd

from noiselab.answers.layouts import NAMES
from noiselab.answers.statistics.evidence import (
    Kind,
    Measured,
    Ruled,
    Tested,
    Tests,
    analysis_rows,
)
from noiselab.answers.statistics.extremes import extreme
from noiselab.measures.statistics import Estimate, Interval, difference, log_interval, over_seeds

PROTOCOLS = {
    "tokens": "token noise, as in the text",
    "sequences": "sequence noise, as released",
}
EXTREME = {"snr": min, "norm_clean": min, "norm_corrupt": max}  # what speaks most against the paper


def _gradient_tests(statistic: dict, measured: Measured) -> Tests:
    for dataset, rows in analysis_rows(measured.gradients, statistic["of"]):
        found = {name: _cosine(rows, protocol, statistic) for protocol, name in PROTOCOLS.items()}
        rulers = {name: Ruled(estimate, "cosine") for name, estimate in found.items() if estimate}
        reason = None if rulers else "no such pair in any batch"
        yield Tested((dataset,), rows["seed"].nunique(), rulers, reason)


def _cosine(rows: pd.DataFrame, protocol: str, statistic: dict) -> Estimate | None:
    """A mean cosine, or by how much it is above that of `minus`."""
    own = mean_cosine(rows, protocol, statistic["metric"])
    if own is None or "minus" not in statistic:
        return own
    other = mean_cosine(rows, protocol, statistic["minus"])
    return other and difference(own, other)


def mean_cosine(rows: pd.DataFrame, protocol: str, metric: str) -> Estimate | None:
    """Mean cosine over all error rates and batch sizes, from rows of measure_gradients; one seed's
    interval is the widest of these, over batches. None where no batch has such a pair."""
    own = rows[(rows["protocol"] == protocol) & rows[f"{metric}_mean"].notna()]
    if len(own) == 0:
        return None
    values = own.groupby("seed")[f"{metric}_mean"].mean()
    half = 1.96 * own[f"{metric}_se"].max()
    spread = Interval(values.iloc[0] - half, values.iloc[0] + half, "t_batches")
    return over_seeds(list(values), spread)


def _growth_tests(statistic: dict, measured: Measured) -> Tests:
    """A norm, or the signal-to-noise ratio, at twice the batch over that at the batch, smallest of
    all error rates (of the corrupt sums: largest)."""
    metric = statistic["metric"]
    for dataset, rows in analysis_rows(measured.gradients, statistic["of"]):
        found = {}
        for protocol, name in PROTOCOLS.items():
            own = rows[(rows["protocol"] == protocol) & rows[metric].notna()]
            cells = [_growth_cell(cell, metric) for _, cell in own.groupby("error_rate")]
            if cells:
                found[name] = extreme(cells, "factor at twice the batch", EXTREME[metric])
        if not found:
            yield Tested((dataset,), rows["seed"].nunique(), {}, "no such sum in any batch")
            continue
        rulers = {name: own.ruled for name, own in found.items()}
        yield next(iter(found.values())).tested(dataset, rulers)


def _growth_cell(cell: pd.DataFrame, metric: str) -> tuple[Estimate, int]:
    """Growth at an error rate over its seeds, and how many these are; of one seed, over batches."""
    growths = [_growth(seed, metric) for _, seed in cell.groupby("seed")]
    spread = log_interval(*growths[0], "t_batches")
    return over_seeds([growth for growth, _ in growths], spread), len(growths)


def _growth(case: pd.DataFrame, metric: str) -> tuple[float, float]:
    """Growth per doubling of the batch, and the standard error of its logarithm."""
    ordered = case.sort_values("batch_size").to_dict("records")
    small, large = ordered[0], ordered[-1]
    doublings = np.log2(large["batch_size"] / small["batch_size"])
    kinds = ("norm_clean", "norm_corrupt") if metric == "snr" else (metric,)
    variance = sum((row[f"{k}_se"] / row[k]) ** 2 for row in (small, large) for k in kinds)
    growth = (large[metric] / small[metric]) ** (1 / doublings)
    return float(growth), float(np.sqrt(variance) / doublings)


def _printed_gradient(statistic: dict, published: dict) -> dict[str, float]:
    """The paper's text speaks of tokens, its code corrupts sequences; it prints one number."""
    printed = published["table4"]["metrics"]
    value = np.mean(printed[statistic["metric"]])
    if "minus" in statistic:
        value -= np.mean(printed[statistic["minus"]])
    return dict.fromkeys(PROTOCOLS.values(), float(value))


def _printed_growth(statistic: dict, published: dict) -> dict[str, float]:
    metric = statistic["metric"]
    values = published["table4"]["metrics"][metric]
    growth = EXTREME[metric](values[1] / values[0], values[3] / values[2])
    return dict.fromkeys(PROTOCOLS.values(), growth)


def _cosine_sentence(statistic: dict, published: dict) -> str:
    minus = f" minus {NAMES[statistic['minus']]}" if "minus" in statistic else ""
    return f"mean {NAMES[statistic['metric']]}{minus}, token noise"


def _growth_sentence(statistic: dict, published: dict) -> str:
    which = "largest" if EXTREME[statistic["metric"]] is max else "smallest"
    return f"{NAMES[statistic['metric']]} at twice the batch, {which} of all error rates"


COSINE = Kind(_gradient_tests, _printed_gradient, _cosine_sentence)
GROWTH = Kind(_growth_tests, _printed_growth, _growth_sentence)
