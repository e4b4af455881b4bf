"""Generate class-balanced images with a diffusion model."""

import argparse
import shutil
from pathlib import Path

import numpy as np

from noiselab import records
from noiselab.answers.pictures import save_grid
from noiselab.errors import run_script
from noiselab.families.diffusion import task as diffusion
from noiselab.files import whole_file
from noiselab.measures.generated import generated_labels
from noiselab.run import Run
from noiselab.training import distributed
from noiselab.training.weights import load_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--shards", type=Path, required=True, help="folder, kept if stopped")
    parser.add_argument("--samples", type=Path, required=True, help="npy, uint8 [N, c, h, w]")
    parser.add_argument("--grid", type=Path, required=True, help="png, one row per class")
    records.add_options(parser)
    arguments = parser.parse_args()
    run = Run.read(arguments.run)
    with distributed.process_group() as device:
        model = load_weights(arguments.weights, diffusion.build(run), device, run.run_id)
        parts = diffusion.sample_all(model, run, arguments.weights, arguments.shards, device)
        if distributed.rank() == 0:
            images = np.concatenate(list(parts))
            with whole_file(arguments.samples) as path, open(path, "wb") as file:
                np.save(file, images)
            save_grid(arguments.grid, images, generated_labels(len(images), run.classes))
            shutil.rmtree(arguments.shards)
            records.keep(arguments)


if __name__ == "__main__":
    run_script(main)
