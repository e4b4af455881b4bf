"""Show generated images to the judge, and use the diffusion model itself as a classifier."""

import argparse
from pathlib import Path

import numpy as np

from noiselab import reading
from noiselab.data import prepared
from noiselab.errors import run_script
from noiselab.families.classifier import task as classifier
from noiselab.families.diffusion import task as diffusion
from noiselab.files import save_arrays
from noiselab.measures import frechet
from noiselab.measures.features import in_batches, inception_features, last_inputs
from noiselab.run import Run
from noiselab.training import distributed
from noiselab.training.weights import load_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--judge-run", type=Path, required=True, help="run.json of the judge")
    parser.add_argument("--judge-weights", type=Path, required=True)
    parser.add_argument("--inception", type=Path, nargs="*", help="its weights, for FID")
    parser.add_argument("--measured", type=Path, required=True, help="npz")
    parser.add_argument("--moments", type=Path, required=True, help="npz, of the features")
    arguments = parser.parse_args()
    run, judge_run = Run.read(arguments.run), Run.read(arguments.judge_run)
    description, _, test = prepared.read_run(run)
    shape = (run.evaluation["images"], run.channels, run.size, run.size)
    samples = reading.array(arguments.samples, "u", shape)
    with distributed.process_group() as device:
        judge = classifier.build(judge_run, description)
        judge = load_weights(arguments.judge_weights, judge, device, judge_run.run_id).eval()
        decided = [decisions(logits) for logits in in_batches(judge, samples, device)]
        features = last_inputs(judge)
        if arguments.inception:
            features = inception_features(arguments.inception[0], device)
        frechet.save(arguments.moments, frechet.moments(in_batches(features, samples, device)))
        model = load_weights(arguments.weights, diffusion.build(run), device, run.run_id)
        errors = diffusion.class_errors(model, run, test, device)
    measured = {"decided": np.concatenate(decided), "class_errors": errors}
    save_arrays(arguments.measured, measured)


def decisions(logits: np.ndarray) -> np.ndarray:
    """The judge's classes, int64 [n]; -1 where a judge that diverged has none. logits: [n, C]."""
    return np.where(np.isfinite(logits).all(1), logits.argmax(1), -1)


if __name__ == "__main__":
    run_script(main)
