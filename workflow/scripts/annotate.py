"""Ask an annotator, a clean model that was stopped early, between which classes it wavers."""

import argparse
from importlib import import_module
from pathlib import Path

from noiselab.data import prepared
from noiselab.errors import run_script
from noiselab.families.classifier import task as classifier
from noiselab.files import save_arrays
from noiselab.noise.corruptions.instance import SPLITS, doubts
from noiselab.run import Run
from noiselab.training import distributed
from noiselab.training.weights import load_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json of the annotator")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="npz")
    arguments = parser.parse_args()
    run = Run.read(arguments.run)
    description, train, test = prepared.read_run(run)
    family = import_module(f"noiselab.families.{run.family}.task")
    with distributed.process_group() as device:
        model = load_weights(arguments.weights, family.build(run, description), device, run.run_id)
        arrays = {}
        for split, examples in zip(SPLITS, (train, test), strict=True):
            thought = doubts(classifier.predict(model, examples.x, device))
            arrays |= {f"{split}_{name}": value for name, value in thought._asdict().items()}
        save_arrays(arguments.out, arrays)


if __name__ == "__main__":
    run_script(main)
