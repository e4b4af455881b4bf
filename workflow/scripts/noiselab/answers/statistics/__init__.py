"""The statistics that claims are about: a module for each subject, an entry for each kind."""

from noiselab.answers.statistics import (
    gradients,
    losses,
    metrics,
    probes,
    speedups,
    stability,
    stretches,
    theory,
)

STATISTICS = {
    "loss": losses.LOSS,
    "difference": losses.DIFFERENCE,
    "largest": metrics.LARGEST,
    "change": metrics.CHANGE,
    "shift": metrics.SHIFT,
    "diverged": metrics.DIVERGED,
    "gradients": gradients.COSINE,
    "growth": gradients.GROWTH,
    "narrowing": stability.NARROWING,
    "spread_ratio": stability.RATIO,
    "at_share": stretches.AT_SHARE,
    "on_curve": stretches.ON_CURVE,
    "fall": stretches.FALL,
    "probe_gain": probes.GAIN,
    "speedup": speedups.SPEEDUP,
    "information_maximum": theory.MAXIMUM,
    "information_fall": theory.FALL,
}
