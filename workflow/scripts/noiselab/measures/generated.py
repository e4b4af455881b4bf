"""Scores of a diffusion model from its generated images and its denoising errors, with floors."""

import numpy as np

from noiselab.measures.metrics import drops
from noiselab.measures.scores import (
    CLEAN_DIVERGED,
    NONE,
    UNITS,
    excess,
    share_score,
    unscored,
)
from noiselab.noise.base import Corruption


def diffusion_metrics(
    own: dict,
    clean: dict,
    judge_p: np.ndarray,
    labels: np.ndarray,
    distance: dict[str, float],
    prior: np.ndarray,
    noise: Corruption,
) -> dict:
    """All scores of a diffusion model, as `classifier_metrics` gives them.

    own, clean: what was measured on the model and on the clean run of its seed: `decided` int [N],
    the judge's decisions on images generated for the labels 0, 1, … C - 1, 0, …; `class_errors`
    [n, C] of the first test images. judge_p: [n, C], the judge's own test predictions. distance:
    Fréchet distance to the training set under its name. prior: shares of the classes in the
    training set, float [C].
    """
    items = len(own["decided"])
    judged = ["consistency", "consistency_drop", "consistency_relative_drop", "judge_accuracy"]
    if not np.isfinite(own["class_errors"]).all():
        return {name: unscored(name, items) for name in (*judged, "denoising_accuracy", *distance)}
    scores, why = _denoising(own, clean, labels), "the judge diverged"
    if np.isfinite(judge_p).all() and (own["decided"] >= 0).all():
        scores |= _judged(own, clean, judge_p, labels, prior, noise)
    else:
        scores |= {name: unscored(name, items, why) for name in judged}
    none = {**NONE._asdict(), "floor": None, **excess(NONE), "items": items}
    for name, value in distance.items():
        score = {"value": value, **none}
        scores[name] = score if np.isfinite(value) else unscored(name, items, why)
    return {name: {"unit": UNITS[name], "reason": None} | s for name, s in scores.items()}


def _denoising(own: dict, clean: dict, labels: np.ndarray) -> dict[str, dict]:
    """Accuracy of a diffusion model as a classifier."""
    right = _right(own["class_errors"], labels)
    # Where noise leaves the decision of a calibrated model as it is: the clean run's.
    known = np.isfinite(clean["class_errors"]).all()
    floors = 100.0 * _right(clean["class_errors"], labels) if known else None
    score = share_score(right, floors, _same(own, clean))
    score |= {} if known else {"floor_reason": CLEAN_DIVERGED}
    return {"denoising_accuracy": {"unit": UNITS["denoising_accuracy"], "reason": None} | score}


def _judged(
    own: dict,
    clean: dict,
    judge_p: np.ndarray,
    labels: np.ndarray,
    prior: np.ndarray,
    noise: Corruption,
) -> dict[str, dict]:
    """What a judge sees in generated images, against those of the clean run."""
    classes = len(prior)
    hits, clean_hits = (_hits(measured["decided"], classes) for measured in (own, clean))
    judge = {"judge_accuracy": share_score(judge_p.argmax(1) == labels, None)}
    if not np.isfinite(clean["class_errors"]).all():
        lost = ("consistency_drop", "consistency_relative_drop")
        scores = {name: unscored(name, len(hits), CLEAN_DIVERGED) for name in lost}
        why = {"floor_reason": CLEAN_DIVERGED}
        return judge | scores | {"consistency": share_score(hits, None) | why}
    floors = consistency_floors(clean["decided"], prior, noise)
    # Image by image: those of the same place start from the same noise at every ratio.
    scores = {
        "consistency": share_score(hits, floors, _same(own, clean)),
        **drops("consistency", hits, clean_hits, floors, _same(own, clean)),
    }
    if np.isnan(floors).any() and len(clean_hits) < classes:
        why = {"floor_reason": "fewer images were generated than there are classes"}
        scores = {name: score | why for name, score in scores.items()}
    return scores | judge


def consistency_floors(decided: np.ndarray, prior: np.ndarray, noise: Corruption) -> np.ndarray:
    """Consistency, in per cent, of a sampler that learned the corrupted labels exactly: what each
    of the clean run's images adds to it, float64 [N]; their mean is it. NaN where it is unknown.

    Asked for label z it draws an image of class y with probability P(y|z), and the judge says z of
    that as often as of the clean run's images of y. decided: int [N], the judge's decisions on
    these; prior: as for `diffusion_metrics`.
    """
    classes = len(prior)
    asked = generated_labels(len(decided), classes)
    agreement = noise.observed_agreement((decided == asked).astype(np.float64))
    if agreement is not None:
        return 100 * agreement
    origins = noise.origins(prior)
    if origins is None or len(decided) < classes or np.isnan(origins).any():
        return np.full(len(decided), np.nan)
    images = np.bincount(asked, minlength=classes)
    return 100 * origins[decided, asked] * images[decided] / images[asked]


def generated_labels(count: int, classes: int) -> np.ndarray:
    """Labels that `count` images are generated for, int64 [N]: class-balanced, in turn."""
    return np.arange(count) % classes


def _hits(decided: np.ndarray, classes: int) -> np.ndarray:
    """Whether the judge sees the class that each image was generated for, bool [N]."""
    return decided == generated_labels(len(decided), classes)


def _same(own: dict, clean: dict) -> bool:
    """Whether a run is the clean one: no other has its errors to the last digit."""
    return np.array_equal(own["class_errors"], clean["class_errors"])


def _right(errors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the class of the smallest denoising error is the true one, bool [n]."""
    return errors.argmin(1) == labels[: len(errors)]
