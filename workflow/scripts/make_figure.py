"""Draw one figure from tidy tables."""

import argparse
from pathlib import Path

import pandas as pd

from noiselab.answers import figures
from noiselab.errors import run_script
from noiselab.files import whole_file

FIGURES = {
    "figure_spectrum": figures.spectrum_figure,
    "figure_classifier": figures.classifier_figure,
    "figure1": figures.language_model_figure,
    "figure_rulers": figures.rulers_figure,
    "figure2": figures.seq2seq_figure,
    "figure3": figures.information_loss_figure,
    "figure4": figures.gradient_figure,
    "figure_context": figures.context_figure,
    "figure_scale": figures.scale_figure,
    "figure_batch": figures.batch_figure,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", choices=FIGURES, required=True)
    parser.add_argument("--tables", nargs="+", required=True, help="csv")
    parser.add_argument("--out", nargs="+", type=Path, required=True, help="svg, png")
    arguments = parser.parse_args()
    figure = FIGURES[arguments.name]([pd.read_csv(path) for path in arguments.tables])
    for out in arguments.out:
        with whole_file(out) as path:
            figures.save(figure, path, out.suffix[1:])


if __name__ == "__main__":
    run_script(main)
