"""Figures, drawn from the tidy tables so that they show exactly what the tables say.

A builder takes tables and gives a figure; FIGURES has them by name.
"""

from collections.abc import Callable

import matplotlib

matplotlib.use("Agg")

import pandas as pd
from matplotlib.figure import Figure

from noiselab.answers.figures.conditions import batch_figure, context_figure, scale_figure
from noiselab.answers.figures.drawing import save
from noiselab.answers.figures.error_rate import (
    classifier_figure,
    language_model_figure,
    rulers_figure,
    seq2seq_figure,
)
from noiselab.answers.figures.gradients import gradient_figure
from noiselab.answers.figures.information import information_loss_figure, sample_complexity_figure
from noiselab.answers.figures.samples import samples_figure
from noiselab.answers.figures.spectrum import spectrum_figure

__all__ = ["FIGURES", "samples_figure", "save"]

FIGURES: dict[str, Callable[[list[pd.DataFrame]], Figure]] = {
    "spectrum": spectrum_figure,
    "classifier": classifier_figure,
    "language_model": language_model_figure,
    "rulers": rulers_figure,
    "seq2seq": seq2seq_figure,
    "information_loss": information_loss_figure,
    "sample_complexity": sample_complexity_figure,
    "gradients": gradient_figure,
    "context": context_figure,
    "scale": scale_figure,
    "batch": batch_figure,
}
