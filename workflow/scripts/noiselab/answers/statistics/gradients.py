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
from noiselab.measures.statistics import Estimate, Interval, log_interval, over_seeds

PROTOCOLS = {
    "tokens": "token noise, as in the text",
    "sequences": "sequence noise, as released",
}


def _gradient_tests(statistic: dict, measured: Measured) -> Tests:
    metric = statistic["metric"]
    for dataset, rows in analysis_rows(measured.gradients, statistic["of"]):
        found = {name: mean_cosine(rows, protocol, metric) for protocol, name in PROTOCOLS.items()}
        rulers = {name: Ruled(estimate, "cosine") for name, estimate in found.items() if estimate}
        reason = None if rulers else "no such pair in any batch"
        yield Tested((dataset,), rows["seed"].nunique(), rulers, reason)


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
    """Signal-to-noise ratio at twice the batch over that at the batch, smallest of all error
    rates."""
    for dataset, rows in analysis_rows(measured.gradients, statistic["of"]):
        rulers = {}
        for protocol, name in PROTOCOLS.items():
            own = rows[rows["protocol"] == protocol]
            own = own[own["snr"].notna()]
            least = [
                min(_growth(case) for _, case in seed.groupby("error_rate"))
                for _, seed in own.groupby("seed")
            ]
            if least:
                value, error = least[0]
                spread = log_interval(value, error, "t_batches")
                estimate = over_seeds([growth for growth, _ in least], spread)
                rulers[name] = Ruled(estimate, "factor at twice the batch")
        yield Tested((dataset,), rows["seed"].nunique(), rulers)


def _growth(case: pd.DataFrame) -> tuple[float, float]:
    """Growth per doubling of the batch, and the standard error of its logarithm."""
    ordered = case.sort_values("batch_size").to_dict("records")
    small, large = ordered[0], ordered[-1]
    doublings = np.log2(large["batch_size"] / small["batch_size"])
    kinds = ("norm_clean", "norm_corrupt")
    variance = sum((row[f"{k}_se"] / row[k]) ** 2 for row in (small, large) for k in kinds)
    growth = (large["snr"] / small["snr"]) ** (1 / doublings)
    return float(growth), float(np.sqrt(variance) / doublings)


def _printed_gradient(statistic: dict, published: dict) -> dict[str, float]:
    """The paper's text speaks of tokens, its code corrupts sequences; it prints one number."""
    values = published["table4"]["metrics"][statistic["metric"]]
    return dict.fromkeys(PROTOCOLS.values(), float(np.mean(values)))


def _printed_growth(statistic: dict, published: dict) -> dict[str, float]:
    snr = published["table4"]["metrics"]["snr"]
    return dict.fromkeys(PROTOCOLS.values(), min(snr[1] / snr[0], snr[3] / snr[2]))


COSINE = Kind(
    _gradient_tests, _printed_gradient, lambda s, _: f"mean {NAMES[s['metric']]}, token noise"
)
GROWTH = Kind(
    _growth_tests,
    _printed_growth,
    lambda *_: "signal-to-noise ratio at twice the batch, smallest of all error rates",
)
