"""Figures, drawn from the tidy tables so that they show exactly what the tables say.

A builder takes tables and gives a figure; FIGURES names the builder of each.
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
from noiselab.answers.figures.information import information_loss_figure
from noiselab.answers.figures.samples import samples_figure
from noiselab.answers.figures.spectrum import spectrum_figure

__all__ = ["FIGURES", "samples_figure", "save"]

FIGURES: dict[str, Callable[[list[pd.DataFrame]], Figure]] = {
    "figure_spectrum": spectrum_figure,
    "figure_classifier": classifier_figure,
    "figure1": language_model_figure,
    "figure_rulers": rulers_figure,
    "figure2": seq2seq_figure,
    "figure3": information_loss_figure,
    "figure4": gradient_figure,
    "figure_context": context_figure,
    "figure_scale": scale_figure,
    "figure_batch": batch_figure,
}
