"""Score one classifier's predictions on the clean test set, with the floor from the clean run."""

import argparse
from pathlib import Path

import numpy as np

from noiselab.data import prepared
from noiselab.errors import run_script
from noiselab.files import read_json
from noiselab.metrics import classifier_metrics
from noiselab.provenance import write_metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json")
    parser.add_argument("--summary", type=Path, required=True, help="of the training")
    parser.add_argument("--predictions", type=Path, required=True, help="probabilities, npy")
    parser.add_argument("--clean", type=Path, required=True, help="those of the clean run")
    parser.add_argument("--metrics", type=Path, required=True)
    arguments = parser.parse_args()
    run = read_json(arguments.run)
    _, _, test = prepared.read(run["data"])
    metrics = classifier_metrics(
        np.load(arguments.predictions),
        np.asarray(test.y),
        np.load(arguments.clean),
        run["corruption"],
        run["error_rate"],
    )
    write_metrics(arguments.metrics, run, arguments.summary, metrics)


if __name__ == "__main__":
    run_script(main)
