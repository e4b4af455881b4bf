"""Scores of one run from its predictions on clean test data, with interval and floor."""

import numpy as np
from scipy.special import rel_entr

from noiselab.measures.statistics import (
    Interval,
    bootstrap_interval,
    ratio_interval,
    sequence_interval,
    wilson_interval,
)
from noiselab.noise.base import Corruption

UNITS = dict.fromkeys(["tvd", "bleu", "rouge_l", "fid", "judge_frechet"], "") | {"kl": "nats"}
UNITS |= dict.fromkeys(["accuracy", "sampled_accuracy", "denoising_accuracy"], "%")
UNITS |= dict.fromkeys(["train_accuracy", "noisy_train_accuracy", "best_accuracy"], "%")
UNITS |= dict.fromkeys(["accuracy_drop", "consistency_drop"], "points")
UNITS |= dict.fromkeys(["accuracy_relative_drop", "consistency_relative_drop"], "%")
UNITS |= dict.fromkeys(["consistency", "judge_accuracy"], "%")
UNITS |= dict.fromkeys(["nll_relative_rise", "corrupted_pairs", "corrupted_tokens"], "%")
UNITS |= dict.fromkeys(["nll", "train_nll", "denoised_nll", "nll_rise"], "nats/token")
UNITS |= dict.fromkeys(["out_of_domain_nll", "out_of_domain_nll_rise"], "nats/token")
UNITS |= dict.fromkeys(["sequence_nll", "sequence_nll_rise"], "nats/sequence")


# Scores that have no floor by their nature: nobody knows what is best, or noise does not matter.
FLOORLESS = {"judge_accuracy", "best_accuracy", "fid", "judge_frechet", "bleu", "rouge_l"}
FLOORLESS |= {"corrupted_pairs", "corrupted_tokens"}


def explained(scores: dict[str, dict], noise: Corruption) -> dict[str, dict]:
    """Scores without the floors that this noise says nobody knows, each with the `floor_reason`."""
    found = {}
    for name, score in scores.items():
        plain = name.removeprefix("snapshot_")
        why = None if plain in FLOORLESS else noise.why_no_floor(plain)
        found[name] = score | ({"floor": None, "floor_reason": why} if why else {})
    return found


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


def decisions(p: np.ndarray, tie: float = 0.0) -> np.ndarray:
    """The most probable class of each row as weights, float64 [n, C]. Classes within `tie` of
    the best share the weight, as they would on average if ties were broken at random."""
    best = p >= p.max(axis=1, keepdims=True) - tie
    return best / best.sum(axis=1, keepdims=True)


def confusion_matrix(p: np.ndarray, labels: np.ndarray, tie: float = 0.0) -> np.ndarray:
    """Weighted counts [C, C] of (true class, decision). p: float [n, C], labels: int [n]."""
    confusion = np.zeros((p.shape[1], p.shape[1]))
    np.add.at(confusion, labels, decisions(p, tie))
    return confusion


SCORES = {"accuracy": accuracy, "kl": kl_marginal, "tvd": tvd_marginal}


def classifier_metrics(
    p: np.ndarray,
    labels: np.ndarray,
    clean_p: np.ndarray,
    noise: Corruption,
) -> dict[str, dict]:
    """All scores of a classifier.

    p: [n, C] predicted probabilities; labels: [n] clean test labels; clean_p: [n, C]
    probabilities of the clean run of the same seed, from which the floor follows; noise: that of
    the labels of training.
    Returns metric -> {value, ci_low, ci_high, interval, floor, unit, items, reason}.
    A model whose probabilities are not finite has empty values and the reason.
    """
    observed = _observed(clean_p, noise)
    floors = _scores(observed, labels, noise.tie)
    values = _scores(p, labels)
    diverged = None if np.isfinite(p).all() else "training diverged"
    scores = {
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
    own, floor = (_true_class(q, labels) for q in (p, observed))
    scores["sampled_accuracy"] = _items_score("sampled_accuracy", own, floor)
    if not (np.isfinite(p).all() and np.isfinite(clean_p).all()):
        lost = ("accuracy_drop", "accuracy_relative_drop")
        return scores | {name: unscored(name, len(labels)) for name in lost}
    right, clean_right = (q.argmax(1) == labels for q in (p, clean_p))
    floor = np.nan if floors["accuracy"] is None else floors["accuracy"]
    return scores | drops("accuracy", right, clean_right, floor)


def _observed(clean_p: np.ndarray, noise: Corruption) -> np.ndarray:
    """What a calibrated model predicts, float64 [n, C]; not a number where that is unknown."""
    observed = noise.observed(clean_p)
    return np.full(clean_p.shape, np.nan) if observed is None else observed


def drops(score: str, right: np.ndarray, clean_right: np.ndarray, floor: float) -> dict[str, dict]:
    """What a score lost against the clean run, paired over items: `<score>_drop` in points and
    `<score>_relative_drop` as a share of the clean run's.

    right, clean_right: whether each item is right, bool [n]; floor: the score of a calibrated
    model, in per cent.
    """
    names = (f"{score}_drop", f"{score}_relative_drop")
    base, own = 100.0 * clean_right, 100.0 * right
    points = _items_score(names[0], base - own, np.full(len(base), base.mean() - floor))
    if not base.any():
        share = unscored(names[1], len(base), "the clean run is never right")
    else:
        share = _ratio_score(names[1], 100 * (base - own), 100 * (base - floor), base)
        share |= {"interval": "t_items"}
    return {names[0]: points, names[1]: share}


def training_metrics(
    decided: np.ndarray,
    clean_decided: np.ndarray,
    labels: np.ndarray,
    observed: np.ndarray | None,
    noise: Corruption,
    rows: np.ndarray | None = None,
) -> dict[str, dict]:
    """Accuracy on training images, as `classifier_metrics` gives scores: against the true labels
    and against those that the model was taught.

    decided, clean_decided: decisions int [n] of the model and of the clean run of its seed;
    negative: it has none. labels: true ones, int [n]. observed: those taught, or None where they
    are drawn anew at every visit: then the expected agreement with them counts. noise: theirs.
    rows: numbers of the training examples, int [n], where it depends on these.
    """
    if (decided < 0).any():
        names = ("train_accuracy", "noisy_train_accuracy")
        return {name: unscored(name, len(labels)) for name in names}

    def agreement(decisions: np.ndarray) -> np.ndarray:
        drawn = noise.chance(labels, decisions, rows) if observed is None else decisions == observed
        return 100.0 * drawn

    right, clean_right = decided == labels, clean_decided == labels
    noisy = _items_score("noisy_train_accuracy", agreement(decided), agreement(clean_decided))
    train = _share_score(right, 100 * clean_right.mean())
    train |= {"unit": UNITS["train_accuracy"], "reason": None}
    return {"train_accuracy": train, "noisy_train_accuracy": noisy}


def best_metrics(history: list[dict], items: int) -> dict[str, dict]:
    """The best test accuracy of any evaluation in training: chosen on the test set, so no estimate
    of anything, but what is often published. history: rows of history.jsonl."""
    seen = [row["test_accuracy"] for row in history if "test_accuracy" in row]
    score = {"value": max(seen, default=None), **Interval(None, None, "none")._asdict()}
    score |= {"floor": None, "unit": UNITS["best_accuracy"], "items": items}
    return {"best_accuracy": score | {"reason": None if seen else "no evaluation in training"}}


def _true_class(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Chance, in per cent, that a label drawn from the prediction is the true one, [n]."""
    return 100 * p[np.arange(len(labels)), labels].astype(np.float64)


def _items_score(name: str, values: np.ndarray, floors: np.ndarray) -> dict:
    """Mean over independent test items."""
    score = _mean_score(name, values, floors, 1)
    return score | ({"interval": "t_items"} if score["reason"] is None else {})


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


def language_model_metrics(own: dict, clean: dict, noise: Corruption, context: int) -> dict:
    """All scores of a language model, as `classifier_metrics` gives them.

    own, clean: split ("validation", "train") -> per-token scores of the model and of the clean
    run of its seed (`language_model.token_scores`). nll: of clean validation text. train_nll:
    expected on training text with the run's noise. denoised_nll: of clean validation text
    after the known noise has been taken out of the model's predictions, where it can be; a
    calibrated model would be back at the clean NLL. nll_rise, nll_relative_rise: over the clean
    run, token by token. out_of_domain_nll, out_of_domain_nll_rise: the same of clean text out of
    the domain, where there is a split "out_of_domain".
    """

    def noisy(scores: dict, prefix: str = "") -> np.ndarray:
        nll, mean_nll = scores[f"{prefix}nll"], scores[f"{prefix}mean_nll"]
        return noise.expected_nll(nll, mean_nll)

    def clean_text(split: str, prefix: str = "") -> dict:
        nll, base, floor = own[split]["nll"], clean[split]["nll"], clean[split]["floor_nll"]
        return {f"{prefix}nll": (nll, floor), f"{prefix}nll_rise": (nll - base, floor - base)}

    base = clean["validation"]["nll"]
    values = clean_text("validation") | {
        "train_nll": (noisy(own["train"]), noisy(clean["train"], "floor_")),
        "denoised_nll": (own["validation"].get("denoised_nll", base), base),
    }
    if "out_of_domain" in own:
        values |= clean_text("out_of_domain", "out_of_domain_")
    scores = {name: _mean_score(name, *pair, context) for name, pair in values.items()}
    if noise.why_not_denoised:
        lost = unscored("denoised_nll", len(base), noise.why_not_denoised)
        scores["denoised_nll"] = lost
    whole = len(base) // context * context

    def of_sequences(tokens: np.ndarray) -> np.ndarray:
        return tokens[:whole].reshape(-1, context).sum(1)

    rise, floor, base = map(of_sequences, (*values["nll_rise"], base))
    relative = _ratio_score("nll_relative_rise", 100 * rise, 100 * floor, base)
    return scores | {"nll_relative_rise": relative}


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
        **_infinite(floors),
    }


def _infinite(floors: np.ndarray) -> dict:
    """Why there is no floor where noise leaves some targets no chance, as at an error rate of 1."""
    never = np.isposinf(floors).any()
    return {"floor_reason": "it is infinite, as some targets are never taught"} if never else {}


def seq2seq_metrics(own: dict, clean: dict, teacher_right: np.ndarray, noise: Corruption) -> dict:
    """NLL of a sequence-to-sequence model, as `classifier_metrics` gives scores.

    own, clean: `nll` float [n] in nats and `tokens` int [n] of the same clean validation targets,
    for the model and the clean run of its seed. teacher_right: bool [n], whether the noisy teacher
    writes this very target. Scores are absolute, the rise over the clean run (paired over pairs)
    and the relative rise, which is the same per token and per sequence.
    """
    nll, base, tokens = own["nll"], clean["nll"], clean["tokens"]
    floor = noise.observed_nll(base, np.where(teacher_right, 0.0, np.inf))
    pairs = np.ones(len(nll))
    scores = {
        "nll": (nll, floor, tokens),
        "nll_rise": (nll - base, floor - base, tokens),
        "nll_relative_rise": (100 * (nll - base), 100 * (floor - base), base),
        "sequence_nll": (nll, floor, pairs),
        "sequence_nll_rise": (nll - base, floor - base, pairs),
    }
    return {name: _ratio_score(name, *arrays) for name, arrays in scores.items()}


def _ratio_score(name: str, values: np.ndarray, floors: np.ndarray, per: np.ndarray) -> dict:
    finite = np.isfinite(values).all()
    interval = ratio_interval(values, per) if finite else Interval(None, None, "none")
    return {
        "value": float(values.sum() / per.sum()) if finite else None,
        **interval._asdict(),
        "floor": float(floors.sum() / per.sum()) if np.isfinite(floors).all() else None,
        "unit": UNITS[name],
        "items": len(values),
        "reason": None if finite else "training diverged",
        **_infinite(floors),
    }


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
    classes = len(prior)
    if not np.isfinite(own["class_errors"]).all():
        names = [
            "consistency",
            "consistency_drop",
            "consistency_relative_drop",
            "judge_accuracy",
            "denoising_accuracy",
            *distance,
        ]
        return {name: unscored(name, len(own["decided"])) for name in names}
    hits, clean_hits = (_hits(measured["decided"], classes) for measured in (own, clean))
    right, clean_right = (_right(measured["class_errors"], labels) for measured in (own, clean))
    floor = consistency_floor(clean["decided"], prior, noise)
    scores = {
        "consistency": _share_score(hits, floor),
        # Image by image: those of the same place start from the same noise at every ratio.
        **drops("consistency", hits, clean_hits, floor),
        "judge_accuracy": _share_score(judge_p.argmax(1) == labels, None),
        # Where noise leaves the decision of a calibrated model as it is: the clean run's.
        "denoising_accuracy": _share_score(right, 100 * clean_right.mean()),
    }
    if np.isnan(floor) and len(clean_hits) < classes:
        why = {"floor_reason": "fewer images were generated than there are classes"}
        scores |= {n: s | why for n, s in scores.items() if n.startswith("consistency")}
    no_interval = Interval(None, None, "none")._asdict()
    for name, value in distance.items():
        scores[name] = {"value": value, **no_interval, "floor": None, "items": len(hits)}
    return {name: {"unit": UNITS[name], "reason": None} | s for name, s in scores.items()}


def consistency_floor(decided: np.ndarray, prior: np.ndarray, noise: Corruption) -> float:
    """Consistency, in per cent, of a sampler that learned the corrupted labels exactly; NaN where
    that is unknown.

    Asked for label z it draws an image of class y with probability P(y|z), and the judge says z of
    that as often as of the clean run's images of y. decided: int [N], the judge's decisions on
    these; prior: as for `diffusion_metrics`.
    """
    classes = len(prior)
    asked = generated_labels(len(decided), classes)
    agreement = noise.observed_agreement((decided == asked).mean())
    if agreement is not None:
        return 100 * agreement
    origins, counts = noise.origins(prior), np.zeros((classes, classes))
    if origins is None or len(decided) < classes:
        return np.nan
    np.add.at(counts, (asked, decided), 1)
    images = counts.sum(axis=1)
    judged = counts / images[:, None]  # share of the images of class y that are taken for z
    return 100 * float(images @ (origins * judged.T).sum(axis=1) / images.sum())


def unscored(name: str, items: int, reason: str = "training diverged") -> dict:
    """A score that there is none of, and why."""
    numbers = {"value": None, "floor": None, **Interval(None, None, "none")._asdict()}
    unit = UNITS[name.removeprefix("snapshot_")]
    return numbers | {"unit": unit, "items": items, "reason": reason}


def generated_labels(count: int, classes: int) -> np.ndarray:
    """Labels that `count` images are generated for, int64 [N]: class-balanced, in turn."""
    return np.arange(count) % classes


def _hits(decided: np.ndarray, classes: int) -> np.ndarray:
    """Whether the judge sees the class that each image was generated for, bool [N]."""
    return decided == generated_labels(len(decided), classes)


def _right(errors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the class of the smallest denoising error is the true one, bool [n]."""
    return errors.argmin(1) == labels[: len(errors)]


def _share_score(right: np.ndarray, floor: float | None) -> dict:
    low, high, kind = wilson_interval(right.sum(), len(right))
    return {
        "value": _percent(right.mean()),
        "ci_low": _percent(low),
        "ci_high": _percent(high),
        "interval": kind,
        "floor": None if floor is None or np.isnan(floor) else float(floor),
        "items": len(right),
    }


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * float(share)
