"""Scores of runs that are made up, and the layout of a table as text, for the tests."""

import numpy as np

from noiselab.answers import layouts


def rows(values, dataset="digits", stands_in_for="cifar10", metric="accuracy", **changes):
    """Rows as collect_metrics writes them; values: noise ratio -> one value per seed."""
    return [
        {
            "run_id": f"{dataset}-{ratio}-{seed}",
            "family": "classifier",
            "dataset": dataset,
            "stands_in_for": stands_in_for,
            "corruption": "uniform_label" if ratio else "none",
            "resample": "fresh",
            "budget": "fixed_clean",
            "protocol": "text",
            "source_share": np.nan,
            "batch_multiplier": 1,
            "classes": 10,
            "train_size": 1000,
            "noise_ratio": ratio,
            "error_rate": ratio / (1 + ratio),
            "seed": seed,
            "metric": metric,
            "unit": "%",
            "value": value,
            "ci_low": np.nan if value is None else value - 1,
            "ci_high": np.nan if value is None else value + 2,
            "interval": "wilson_items",
            "floor": 98.0,
            "items": 500,
            "measured_error_rate": ratio / (1 + ratio),
            "reason": None,
        }
        | changes
        for ratio, seeds in values.items()
        for seed, value in enumerate(seeds)
    ]


def texts(table):
    """The layout of a table as text."""
    return layouts.layout(table).map(str)
