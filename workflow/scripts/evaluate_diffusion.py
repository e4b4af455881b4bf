"""Score one diffusion model from what was measured on its images, with the floors."""

import argparse
from pathlib import Path

import numpy as np

from noiselab.data import prepared
from noiselab.errors import run_script
from noiselab.files import read_json
from noiselab.measures import frechet
from noiselab.measures.metrics import diffusion_metrics
from noiselab.noise.registry import corruption
from noiselab.planning.provenance import write_metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json")
    parser.add_argument("--summary", type=Path, required=True, help="of the training")
    parser.add_argument("--measured", type=Path, required=True, help="npz")
    parser.add_argument("--clean", type=Path, required=True, help="that of the clean run")
    parser.add_argument("--judge", type=Path, required=True, help="its predictions, npz")
    parser.add_argument("--moments", type=Path, required=True, help="npz")
    parser.add_argument("--reference", type=Path, required=True, help="npz, of the training set")
    parser.add_argument("--metrics", type=Path, required=True)
    arguments = parser.parse_args()
    run = read_json(arguments.run)
    _, _, test = prepared.read(run["data"])
    distance = frechet.frechet_distance(
        frechet.load(arguments.moments), frechet.load(arguments.reference)
    )
    metrics = diffusion_metrics(
        np.load(arguments.measured),
        np.load(arguments.clean),
        np.load(arguments.judge)["test"],
        np.asarray(test.y),
        {"fid" if run["evaluation"]["features"] == "inception" else "judge_frechet": distance},
        run["classes"],
        corruption(run),
    )
    write_metrics(arguments.metrics, run, arguments.summary, metrics)


if __name__ == "__main__":
    run_script(main)
