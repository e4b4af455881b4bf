"""Figures in Vega-Lite, drawn from the tidy tables so that they show exactly what the tables say.

A builder takes tables and gives a Drawing; FIGURES has them by name. What is drawn is interactive
in a page that has Vega, without a network, and looks the same without: a specification each for
wide and for narrow pages, both also as SVG.
"""

from collections.abc import Callable

import pandas as pd

from noiselab.answers.figures.conditions import (
    batch_figure,
    context_figure,
    generated_grid_figure,
    scale_figure,
)
from noiselab.answers.figures.drawing import Drawing
from noiselab.answers.figures.error_rate import (
    classifier_figure,
    label_noise_figure,
    language_model_figure,
    rulers_figure,
    seq2seq_figure,
)
from noiselab.answers.figures.gradients import gradient_figure
from noiselab.answers.figures.information import information_loss_figure, sample_complexity_figure
from noiselab.answers.figures.progress import Training, progress_figure
from noiselab.answers.figures.recovery import recovery_figure
from noiselab.answers.figures.regions import regions_figure
from noiselab.answers.figures.samples import samples_figure
from noiselab.answers.figures.saving import save
from noiselab.answers.figures.spectrum import FAMILY_COLOURS, spectrum_figure
from noiselab.answers.figures.stability import layer_stability_figure, model_stability_figure
from noiselab.answers.figures.stretches import (
    domain_curves_figure,
    domains_figure,
    languages_figure,
    learned_figure,
    learning_figure,
    proposition_figure,
    signature_figure,
    tokens_figure,
)

__all__ = ["FAMILY_COLOURS", "FIGURES", "Drawing", "Training", "languages_figure"]
__all__ += ["progress_figure", "recovery_figure", "samples_figure", "save"]

FIGURES: dict[str, Callable[[list[pd.DataFrame]], Drawing]] = {
    "spectrum": spectrum_figure,
    "classifier": classifier_figure,
    "label_noise": label_noise_figure,
    "language_model": language_model_figure,
    "rulers": rulers_figure,
    "seq2seq": seq2seq_figure,
    "information_loss": information_loss_figure,
    "sample_complexity": sample_complexity_figure,
    "gradients": gradient_figure,
    "context": context_figure,
    "scale": scale_figure,
    "generated_grid": generated_grid_figure,
    "batch": batch_figure,
    "learning": learning_figure,
    "learned": learned_figure,
    "domains": domains_figure,
    "domain_curves": domain_curves_figure,
    "signature": signature_figure,
    "proposition": proposition_figure,
    "tokens": tokens_figure,
    "regions": regions_figure,
    "layer_stability": layer_stability_figure,
    "model_stability": model_stability_figure,
}
