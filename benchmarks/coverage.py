"""How often do intervals over trainings cover? Real trainings, drawn again and again.

Twenty trainings of digits are taken for all that there are. So many of them are drawn, with
replacement, as often as said, and each time their interval covers the mean of the twenty or not.

    snakemake --cores 2 --config name=seeds 'only=[table2]' "seeds=[$(seq -s, 0 19)]" \\
      'experiments={table2: {datasets: [digits], noise_ratios: [0, 1.0]}}' -- table2
    python benchmarks/coverage.py --metrics results/quick/own/seeds/only/table2/metrics/table2.csv
"""

import argparse
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))
from noiselab.answers.tables import seeds_estimate

OUT = ROOT / "docs" / "results" / "digits_seeds"
KEPT = [
    "corruption",
    "seed",
    "noise_ratio",
    "metric",
    "unit",
    "value",
    "floor",
    "device",
    "revision",
]
SEEDS = (3, 5)  # drawn at once
DRAWS = 4000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="of the trainings")
    rows = pd.concat(map(pd.read_csv, parser.parse_args().metrics), ignore_index=True)
    rows = rows[rows["metric"] == "accuracy_drop"].loc[rows["noise_ratio"] == 1, KEPT]
    OUT.mkdir(parents=True, exist_ok=True)
    rows.to_csv(OUT / "metrics.csv", index=False)
    table(rows).to_csv(OUT / "coverage.csv", index=False)


def table(rows: pd.DataFrame, draws: int = DRAWS) -> pd.DataFrame:
    """A row per noise, number of seeds and number: how often its interval covers, in per cent.
    rows: accuracy_drop of each training."""
    numbers = (("drop", False), ("excess", True))
    return pd.DataFrame(
        {"corruption": noise, "seeds": seeds, "number": number, "unit": "%"}
        | {"value": 100 * covered(own, seeds, above, draws).mean()}
        | {"trainings": len(own), "draws": draws}
        for noise, own in rows.groupby("corruption", sort=False)
        for seeds, (number, above) in product(SEEDS, numbers)
    )


def covered(rows: pd.DataFrame, seeds: int, above_floor: bool, draws: int) -> np.ndarray:
    """Whether each draw's interval covers the mean of all trainings, bool [draws]."""
    value = rows["value"] - (rows["floor"] if above_floor else 0)
    rng, truth = np.random.default_rng(seeds), value.mean()
    drawn = (rows.iloc[rng.integers(0, len(rows), seeds)] for _ in range(draws))
    ends = ((e.ci_low, e.ci_high) for e in (seeds_estimate(part, above_floor) for part in drawn))
    return np.array([low - 1e-9 <= truth <= high + 1e-9 for low, high in ends])


if __name__ == "__main__":
    main()
