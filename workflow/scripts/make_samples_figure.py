"""Show images generated at each noise ratio side by side: one column per ratio."""

import argparse
from pathlib import Path

import numpy as np

from noiselab.answers import figures
from noiselab.answers.pictures import sheet
from noiselab.errors import run_script
from noiselab.files import read_json
from noiselab.measures.metrics import generated_labels

IMAGES = 4  # of each class, per noise ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json files")
    parser.add_argument("--samples", type=Path, nargs="+", required=True, help="npy, one per run")
    parser.add_argument("--out", type=Path, nargs="+", required=True, help="svg, png")
    arguments = parser.parse_args()
    sheets = {}
    for path, samples in zip(arguments.runs, arguments.samples, strict=True):
        run, images = read_json(path), np.load(samples, mmap_mode="r")
        labels = generated_labels(len(images), run["classes"])
        sheets[run["dataset"], run["noise_ratio"]] = sheet(images, labels, IMAGES)
    figure = figures.samples_figure(sheets)
    figures.save(figure, arguments.out)


if __name__ == "__main__":
    run_script(main)
