"""Rows as collect_metrics writes them, for tests of claims."""

import numpy as np

from noiselab.planning import config
from noiselab.planning.rates import error_rate

PUBLISHED = config.published(["low_quality_data"])


def row(experiment, dataset, metric, value, *, ratio=1.0, of=None, half=0.0, **more):
    """A row of collect_metrics."""
    base = {"family": "classifier", "tier": "quick", "seed": 0, "source_share": np.nan}
    base |= {"dataset": dataset, "stands_in_for": of or dataset, "classes": 10}
    noise = PUBLISHED.get(experiment, {}).get("corruption", "uniform_label")
    base |= {"corruption": noise, "resample": "fresh", "budget": "fixed_clean"}
    base |= {"protocol": "text", "batch_multiplier": 1, "items": 100, "reason": np.nan}
    base |= {"noise_ratio": ratio, "error_rate": error_rate(ratio), "measured_error_rate": 0.5}
    base |= {"metric": metric, "unit": "", "value": value, "interval": "t_items"}
    base |= {"ci_low": value - half, "ci_high": value + half, "floor": np.nan}
    return base | more
