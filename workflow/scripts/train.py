"""Train one run of any family. The same command resumes where a stopped one left off."""

import argparse
from importlib import import_module
from pathlib import Path

import numpy as np

from noiselab import distributed, provenance
from noiselab.errors import run_script
from noiselab.files import read_json, whole_file, write_json
from noiselab.runs import digest
from noiselab.training import Settings, finish, train
from noiselab.weights import save_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--history", type=Path, required=True)
    parser.add_argument("--summary", type=Path, required=True)
    parser.add_argument("--predictions", type=Path, help="of the test set, where a family has them")
    arguments = parser.parse_args()
    run = read_json(arguments.run)
    folder = arguments.checkpoints / digest(run)[:12]

    with distributed.process_group() as device:
        task = import_module(f"noiselab.{run['family']}").task(run, device)
        model, summary = train(
            task.model,
            task.batch,
            task.loss,
            Settings(**run["training"]),
            seed=run["seed"],
            run_digest=digest(run),
            folder=folder,
            device=device,
            evaluate=task.evaluate,
        )
        if distributed.rank() == 0:
            save_weights(arguments.weights, model, run["run_id"])
            if arguments.predictions:
                save_predictions(arguments.predictions, task.predict(model))
            write_json(arguments.summary, summary | provenance.describe(device))
            finish(folder, arguments.history)


def save_predictions(path: Path, predictions: np.ndarray | dict[str, np.ndarray]) -> None:
    """One array as npy, several as npz."""
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        if isinstance(predictions, dict):
            np.savez(file, **predictions)
        else:
            np.save(file, predictions)


if __name__ == "__main__":
    run_script(main)
