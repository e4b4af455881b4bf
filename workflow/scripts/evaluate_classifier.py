"""Score one classifier on its clean test set, with the floor from the clean run."""

import argparse
from pathlib import Path

import numpy as np

from noiselab import classifier, distributed, provenance
from noiselab.data import prepared
from noiselab.errors import run_script
from noiselab.files import read_json, whole_file, write_json
from noiselab.metrics import classifier_metrics
from noiselab.weights import load_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--summary", type=Path, required=True, help="of the training")
    parser.add_argument("--clean", type=Path, help="predictions of the clean run of this seed")
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True)
    arguments = parser.parse_args()
    run, summary = read_json(arguments.run), read_json(arguments.summary)
    description, _, test = prepared.read(run["data"])

    with distributed.process_group() as device:
        model = load_weights(arguments.weights, classifier.build(run, description), device)
        p = classifier.predict(model, test.x, device)
    clean_p = np.load(arguments.clean) if arguments.clean else p
    with whole_file(arguments.predictions) as path, open(path, "wb") as file:
        np.save(file, p)
    labels = np.asarray(test.y)
    scores = classifier_metrics(p, labels, clean_p, run["corruption"], run["error_rate"])
    write_json(
        arguments.metrics,
        {
            "run": run,
            "training": summary,
            "evaluation_revision": provenance.code_revision(),
            "metrics": scores,
        },
    )


if __name__ == "__main__":
    run_script(main)
