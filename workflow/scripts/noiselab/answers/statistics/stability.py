"""Stability of the loss: how much narrower it gets with the batch."""

import numpy as np
import pandas as pd

from noiselab.answers.statistics.evidence import (
    Kind,
    Measured,
    Ruled,
    Tested,
    Tests,
    analysis_rows,
)
from noiselab.measures.statistics import Interval, log_interval, over_seeds


def _narrowing_tests(statistic: dict, measured: Measured) -> Tests:
    """Relative fall of the loss's standard deviation from the smallest to the largest batch."""
    for dataset, rows in analysis_rows(measured.stability, statistic["of"]):
        ratio = rows["batch_size"].max() / rows["batch_size"].min()
        rulers, seeds = {}, rows["seed"].nunique()
        for name, own in (
            ("noisy model", rows[rows["noise_ratio"] != 0]),
            ("clean model", rows[rows["noise_ratio"] == 0]),
        ):
            kept = [_kept(seed) for _, seed in own.groupby("seed")]
            count = own["macro_batches"].iloc[0]
            # The logarithm of a standard deviation of n values varies by 1 / sqrt(2 (n - 1)).
            error = np.sqrt(1 / (count - 1))
            for suffix, factor in (("", 1), (", beyond averaging", np.sqrt(ratio))):
                shares = [factor * share for share in kept]
                low, high, kind = log_interval(shares[0], error, "chi2_batches")
                spread = Interval(100 * (1 - high), 100 * (1 - low), kind)
                estimate = over_seeds([100 * (1 - share) for share in shares], spread)
                unit = "% of what averaging leaves" if suffix else "%"
                rulers[name + suffix] = Ruled(estimate, unit)
        reason = None if ratio == 16 else f"batches differ {ratio:g} times, not 16"
        yield Tested((dataset,), seeds, rulers if ratio == 16 else {}, reason)


def _kept(rows: pd.DataFrame) -> float:
    rows = rows.sort_values("batch_size")
    return float(rows["std"].iloc[-1] / rows["std"].iloc[0])


def _printed_narrowing(statistic: dict, published: dict) -> dict[str, float]:
    printed = {}
    for model, values in published["table11"]["models"].items():
        kept = values["std"][-1] / values["std"][0]
        printed[f"{model} model"] = 100 * (1 - kept)
        printed[f"{model} model, beyond averaging"] = 100 * (1 - 4 * kept)
    return printed


NARROWING = Kind(
    _narrowing_tests,
    _printed_narrowing,
    lambda *_: "fall of the standard deviation of the noisy model's loss, batch × 16",
)
