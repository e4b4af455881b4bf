"""Train one classifier and let it predict the test set.

The same command resumes where a stopped one left off.
"""

import argparse
from pathlib import Path

import numpy as np

from noiselab import classifier, distributed, provenance
from noiselab.data import prepared
from noiselab.data.batches import ImageBatches
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
    parser.add_argument("--predictions", type=Path, required=True, help="of the test set")
    arguments = parser.parse_args()
    run = read_json(arguments.run)
    run_digest = digest(run)
    folder = arguments.checkpoints / run_digest[:12]
    description, train_split, test_split = prepared.read(run["data"])

    with distributed.process_group() as device:

        def test_accuracy(model):
            p = classifier.predict(model, test_split.x, device)
            return {"test_accuracy": 100 * float((p.argmax(1) == test_split.y).mean())}

        model, summary = train(
            classifier.build(run, description),
            ImageBatches(run, train_split, device),
            classifier.loss,
            Settings(**run["training"]),
            seed=run["seed"],
            run_digest=run_digest,
            folder=folder,
            device=device,
            evaluate=test_accuracy,
        )
        if distributed.rank() == 0:
            save_weights(arguments.weights, model, run["run_id"])
            with whole_file(arguments.predictions) as path, open(path, "wb") as file:
                np.save(file, classifier.predict(model, test_split.x, device))
            write_json(arguments.summary, summary | provenance.describe(device))
            finish(folder, arguments.history)


if __name__ == "__main__":
    run_script(main)
