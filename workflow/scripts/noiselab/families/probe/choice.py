"""What validation chooses of all that was tried."""

import numpy as np
import pandas as pd

SETTING = [
    "learning_rate",
    "batch_size",
    "weight_decay",
    "penalty",
    "strength",
    "radius",
    "dropout",
]


def chosen(
    tried: pd.DataFrame, setting: list[str] = SETTING, main: str = "accuracy", tie: str = "nll"
) -> pd.DataFrame:
    """The rows of the setting that validation chooses of each method, with how many there were:
    the largest mean of the score `main` over the seeds, at a tie the smaller one of `tie`. setting:
    columns."""
    parts = []
    for _, rows in tried.groupby("method", sort=False):
        first, second = f"validation_{main}", f"validation_{tie}"
        means = rows.groupby(setting, sort=False)[[first, second]].mean()
        best = np.lexsort((means[second], -means[first]))[0]
        same = (rows[setting] == list(means.index[best])).all(axis=1)
        parts.append(rows[same].assign(tried=len(means)))
    return pd.concat(parts)
