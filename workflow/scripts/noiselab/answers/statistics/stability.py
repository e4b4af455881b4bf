"""Stability of the loss: how much narrower it gets with the batch, and with noise."""

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
from noiselab.answers.statistics.extremes import extreme
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


def _ratio_tests(statistic: dict, measured: Measured) -> Tests:
    """Standard deviation of the noisy model's loss over that of the clean one's at the same batch,
    largest of all batches."""
    for dataset, rows in analysis_rows(measured.stability, statistic["of"]):
        clean, noisy = (
            rows[(rows["noise_ratio"] != 0) == is_noisy].set_index(["batch_size", "seed"])["std"]
            for is_noisy in (False, True)
        )
        # As above: the logarithms of two standard deviations.
        error = np.sqrt(1 / (rows["macro_batches"].iloc[0] - 1))
        cells = [
            (over_seeds(list(own), log_interval(own.iloc[0], error, "chi2_batches")), len(own))
            for _, own in (noisy / clean).dropna().groupby("batch_size")
        ]
        found = extreme(cells, "ratio")
        yield found.tested(dataset, {"noisy over clean": found.ruled})


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


def _printed_ratio(statistic: dict, published: dict) -> dict[str, float]:
    noisy, clean = (published["table11"]["models"][model]["std"] for model in ("noisy", "clean"))
    return {"noisy over clean": max(a / b for a, b in zip(noisy, clean, strict=True))}


NARROWING = Kind(
    _narrowing_tests,
    _printed_narrowing,
    lambda *_: "fall of the standard deviation of the noisy model's loss, batch × 16",
)
RATIO = Kind(
    _ratio_tests,
    _printed_ratio,
    lambda *_: "standard deviation of the noisy model's loss over the clean one's, largest ratio",
)
