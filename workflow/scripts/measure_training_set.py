"""Moments of the features of a training set, the reference of Fréchet distances."""

import argparse
from pathlib import Path

from noiselab.data import prepared
from noiselab.errors import run_script
from noiselab.families.classifier import task as classifier
from noiselab.measures import frechet
from noiselab.measures.features import in_batches, inception_features, last_inputs
from noiselab.run import Run
from noiselab.training import distributed
from noiselab.training.weights import load_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judge-run", type=Path, required=True, help="run.json of the judge")
    parser.add_argument("--judge-weights", type=Path, required=True)
    parser.add_argument("--inception", type=Path, nargs="*", help="its weights, for FID")
    parser.add_argument("--out", type=Path, required=True, help="npz")
    arguments = parser.parse_args()
    run = Run.read(arguments.judge_run)
    description, train, _ = prepared.read_run(run)
    with distributed.process_group() as device:
        if arguments.inception:
            features = inception_features(arguments.inception[0], device)
        else:
            judge = classifier.build(run, description)
            judge = load_weights(arguments.judge_weights, judge, device, run.run_id)
            features = last_inputs(judge.eval())
        frechet.save(arguments.out, frechet.moments(in_batches(features, train.x, device)))


if __name__ == "__main__":
    run_script(main)
