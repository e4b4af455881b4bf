"""Fit the heads of a probe: all settings of all methods with all seeds, side by side."""

import argparse
import time
from pathlib import Path

import torch

from noiselab import reading
from noiselab.errors import run_script
from noiselab.families.probe import task
from noiselab.families.probe.summary import summary
from noiselab.files import whole_file, write_json
from noiselab.measures.probes.fits import Items
from noiselab.planning import provenance
from noiselab.run import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json")
    parser.add_argument("--features", type=Path, required=True, help="npz, of the backbone")
    parser.add_argument("--chosen", type=Path, required=True, help="csv")
    parser.add_argument("--tried", type=Path, required=True, help="csv")
    parser.add_argument("--summary", type=Path, required=True, help="json")
    arguments = parser.parse_args()
    run, device = (
        Run.read(arguments.run),
        torch.device("cuda" if torch.cuda.is_available() else "cpu"),
    )
    arrays = reading.arrays(arguments.features, "train_labels", "test_labels")
    items = {
        split: Items(*(part.to(device) for part in own))
        for split, own in task.splits(run, arrays).items()
    }
    began = time.monotonic()
    tried, chosen = task.fitted(run, items)
    seconds = time.monotonic() - began
    for path, table in ((arguments.tried, tried), (arguments.chosen, chosen)):
        with whole_file(path) as temporary:
            table.to_csv(temporary, index=False)
    counts = {split: len(own.labels) for split, own in items.items()}
    found = summary(run, counts, len(tried), seconds)
    found["features"] = items["train"].features.shape[1]
    write_json(arguments.summary, found | provenance.describe(device))


if __name__ == "__main__":
    run_script(main)
