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


def chosen(tried: pd.DataFrame, setting: list[str] = SETTING) -> pd.DataFrame:
    """The rows of the setting that validation chooses of each method, with how many there were:
    the best mean accuracy over the seeds, at a tie the lower NLL. setting: columns."""
    parts = []
    for _, rows in tried.groupby("method", sort=False):
        scores = ["validation_accuracy", "validation_nll"]
        means = rows.groupby(setting, sort=False)[scores].mean()
        best = np.lexsort((means["validation_nll"], -means["validation_accuracy"]))[0]
        same = (rows[setting] == list(means.index[best])).all(axis=1)
        parts.append(rows[same].assign(tried=len(means)))
    return pd.concat(parts)
