"""The same loss by several rulers: absolute, relative, and above the noise floor."""

from typing import NamedTuple

import numpy as np

from noiselab.measures.metrics import decisions
from noiselab.noise.registry import CORRUPTIONS
from noiselab.noise.theory import floor_rise_bound


class Losses(NamedTuple):
    """Metrics that say what a score lost against the clean run of the same seed."""

    absolute: str
    relative: str  # in per cent of the clean run's score
    more_is_better: bool


LOSSES = {
    "accuracy": Losses("accuracy_drop", "accuracy_relative_drop", True),
    "consistency": Losses("consistency_drop", "consistency_relative_drop", True),
    "nll": Losses("nll_rise", "nll_relative_rise", False),
    "sequence_nll": Losses("sequence_nll_rise", "nll_relative_rise", False),
}


def lost(score: str, value: float, clean: float) -> float:
    """What is lost of a score that was `clean`, in its own unit; negative: gained."""
    return clean - value if LOSSES[score].more_is_better else value - clean


def published_loss(values: list[float], score: str, metric: str) -> list[float] | None:
    """An absolute or relative loss at each noise ratio, from the printed scores; the first is
    that of the clean run. None: `metric` is no loss of this score."""
    losses = [lost(score, value, values[0]) for value in values]
    if metric == LOSSES[score].absolute:
        return losses
    if metric == LOSSES[score].relative:
        return [100 * loss / values[0] for loss in losses]
    return None


def published_floor(
    score: str, name: str, clean: float, error_rate: float, classes: int | None
) -> float | None:
    """Noise floor of a printed score, from its clean value alone. name: of the corruption.

    Accuracies are those of a model that is certain of its decisions; an NLL gets its bound, an
    upper one; None where the clean value is not enough (per token, under a teacher's noise).
    """
    if score == "nll" and CORRUPTIONS[name].target == "token":
        return clean + floor_rise_bound(error_rate)
    if score not in ("accuracy", "consistency"):
        return None
    noise = CORRUPTIONS[name](error_rate, classes)
    if score == "consistency":
        agreement = noise.observed_agreement(clean / 100)
        return None if agreement is None else 100 * agreement
    return clean * decisions(noise.observed(np.eye(classes)[:1]), 1e-9)[0, 0]
