"""Scores of one run from its predictions on clean test data, with interval and floor."""

import numpy as np
from scipy.special import rel_entr

from noiselab.stats import Interval, bootstrap_interval, sequence_interval, wilson_interval
from noiselab.theory import TIE, decisions, expected_noisy_nll, observed_posterior

UNITS = {"accuracy": "%", "kl": "nats", "tvd": ""} | dict.fromkeys(
    ["nll", "train_nll", "denoised_nll"], "nats/token"
)


def accuracy(confusion: np.ndarray) -> float:
    """Share of right decisions in per cent. confusion: [C, C], true class in rows."""
    return 100 * np.trace(confusion) / confusion.sum()


def kl_marginal(confusion: np.ndarray) -> float:
    """KL(predicted marginal || true marginal) in nats (Appendix P). confusion: [C, C]."""
    true, predicted = _marginals(confusion)
    return rel_entr(predicted, true).sum()


def tvd_marginal(confusion: np.ndarray) -> float:
    """Total variation distance of predicted and true marginal (Appendix P), 0 to 1."""
    true, predicted = _marginals(confusion)
    return 0.5 * np.abs(predicted - true).sum()


def _marginals(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total = confusion.sum()
    return confusion.sum(axis=1) / total, confusion.sum(axis=0) / total


def confusion_matrix(p: np.ndarray, labels: np.ndarray, tie: float = 0.0) -> np.ndarray:
    """Weighted counts [C, C] of (true class, decision). p: float [n, C], labels: int [n]."""
    confusion = np.zeros((p.shape[1], p.shape[1]))
    np.add.at(confusion, labels, decisions(p, tie))
    return confusion


SCORES = {"accuracy": accuracy, "kl": kl_marginal, "tvd": tvd_marginal}


def classifier_metrics(
    p: np.ndarray, labels: np.ndarray, clean_p: np.ndarray, corruption: str, error_rate: float
) -> dict[str, dict]:
    """All scores of a classifier.

    p: [n, C] predicted probabilities; labels: [n] clean test labels; clean_p: [n, C]
    probabilities of the clean run of the same seed, from which the floor follows.
    Returns metric -> {value, ci_low, ci_high, interval, floor, unit, items, reason}.
    A model whose probabilities are not finite has empty values and the reason.
    """
    tie = 0.0 if corruption == "none" else TIE
    floors = _scores(observed_posterior(clean_p, corruption, error_rate), labels, tie)
    values = _scores(p, labels)
    diverged = None if np.isfinite(p).all() else "training diverged"
    return {
        name: {
            "value": values[name],
            **_interval(name, p, labels)._asdict(),
            "floor": floors[name],
            "unit": UNITS[name],
            "items": len(labels),
            "reason": diverged,
        }
        for name in SCORES
    }


def _scores(p: np.ndarray, labels: np.ndarray, tie: float = 0.0) -> dict[str, float | None]:
    if not np.isfinite(p).all():
        return dict.fromkeys(SCORES)
    confusion = confusion_matrix(p, labels, tie)
    return {name: float(score(confusion)) for name, score in SCORES.items()}


def _interval(name: str, p: np.ndarray, labels: np.ndarray) -> Interval:
    if not np.isfinite(p).all():
        return Interval(None, None, "none")
    confusion = confusion_matrix(p, labels)
    if name == "accuracy":
        low, high, kind = wilson_interval(np.trace(confusion), confusion.sum())
        return Interval(100 * low, 100 * high, kind)
    return bootstrap_interval(SCORES[name], confusion)


def language_model_metrics(own: dict, clean: dict, error_rate: float, context: int) -> dict:
    """All scores of a language model, as `classifier_metrics` gives them.

    own, clean: split ("validation", "train") -> per-token scores of the model and of the clean
    run of its seed (`language_model.token_scores`). nll: of clean validation text. train_nll:
    expected on training text with the run's noise. denoised_nll: of clean validation text
    after the known noise has been taken out of the model's predictions; a calibrated model
    would be back at the clean NLL.
    """

    def noisy(scores: dict, prefix: str = "") -> np.ndarray:
        nll, mean_nll = scores[f"{prefix}nll"], scores[f"{prefix}mean_nll"]
        return expected_noisy_nll(nll, mean_nll, error_rate)

    validation, train = own["validation"], own["train"]
    values = {
        "nll": (validation["nll"], clean["validation"]["floor_nll"]),
        "train_nll": (noisy(train), noisy(clean["train"], "floor_")),
        "denoised_nll": (validation["denoised_nll"], clean["validation"]["nll"]),
    }
    return {name: _mean_score(name, *pair, context) for name, pair in values.items()}


def _mean_score(name: str, values: np.ndarray, floors: np.ndarray, context: int) -> dict:
    finite = np.isfinite(values).all()
    interval = sequence_interval(values, context) if finite else Interval(None, None, "none")
    return {
        "value": float(values.mean()) if finite else None,
        **interval._asdict(),
        "floor": float(floors.mean()) if np.isfinite(floors).all() else None,
        "unit": UNITS[name],
        "items": len(values),
        "reason": None if finite else "training diverged",
    }
