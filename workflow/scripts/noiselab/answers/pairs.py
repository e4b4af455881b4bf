"""Which runs of an experiment are compared: those of the usual setting, seed by seed."""

import numpy as np
import pandas as pd

from noiselab.errors import NoiselabError

NOISE = ["dataset", "corruption", "noise_ratio", "error_rate"]
# Multiplier -> how far one is from the usual.
GRIDS = {"batch_multiplier": lambda k: k, "learning_rate_multiplier": lambda k: abs(np.log(k))}


def usual(rows: pd.DataFrame) -> pd.DataFrame:
    """Of a grid, the runs that are compared: of each data set and noise those with the least
    batch multiplier, and of these the learning rate that is nearest to the recipe's.

    rows: of runs of one experiment. Where one setting was tried, these are all; a multiplier that
    is not a number is 1.
    """
    by = [key for key in NOISE if key in rows]
    for name, distance in GRIDS.items():
        if name in rows and len(rows):
            away = distance(rows[name].astype(np.float64).fillna(1.0))
            least = away.groupby([rows[key] for key in by], dropna=False).transform("min")
            rows = rows[np.isclose(away, least)]
    return rows


def each_once(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one metric, a training of each seed. NoiselabError: a seed has several."""
    again = rows[rows["seed"].duplicated(keep=False)]
    if len(again):
        seed = again["seed"].iloc[0]
        own = again[again["seed"] == seed]
        runs = f" ({', '.join(map(str, own['run_id']))})" if "run_id" in own else ""
        where = f"{own['dataset'].iloc[0]}: " if "dataset" in own else ""
        raise NoiselabError(
            f"{where}{len(own)} trainings of seed {seed} would count as several{runs}; leave "
            "learning_rate_multipliers out or have 1 among them, or make experiments of them"
        )
    return rows


def same_seeds(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of both sides whose seeds both have, in the order of the seeds; perhaps none.

    first, second: of one metric, data set and noise. NoiselabError: a seed has several.
    """
    sides = [each_once(side).sort_values("seed") for side in (first, second)]
    both = set(first["seed"]) & set(second["seed"])
    return tuple(side[side["seed"].isin(both)] for side in sides)
