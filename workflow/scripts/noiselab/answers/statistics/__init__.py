"""The statistics that claims are about: a module for each subject, an entry for each kind."""

from noiselab.answers.statistics import gradients, losses, metrics, stability

STATISTICS = {
    "loss": losses.LOSS,
    "difference": losses.DIFFERENCE,
    "largest": metrics.LARGEST,
    "change": metrics.CHANGE,
    "gradients": gradients.COSINE,
    "snr_growth": gradients.GROWTH,
    "narrowing": stability.NARROWING,
}
