"""Scores of one run from its predictions on clean test data, with interval and floor."""

import numpy as np
from scipy.special import rel_entr

from noiselab.data.kinds import DOMAINS
from noiselab.measures.scores import (
    CLEAN_DIVERGED,
    DIVERGED,
    NONE,
    UNITS,
    decisions_interval,
    excess,
    items_score,
    lost_score,
    mean_score,
    ratio_score,
    relative_lost_score,
    share_score,
    unscored,
)
from noiselab.measures.statistics import (
    Interval,
    around,
    bootstrap_interval,
    resampled_means,
    wilson_interval,
)
from noiselab.noise.base import Corruption

# Scores that have no floor by their nature: nobody knows what is best, or noise does not matter.
FLOORLESS = {"judge_accuracy", "best_accuracy", "fid", "judge_frechet", "bleu", "rouge_l"}
FLOORLESS |= {"corrupted_pairs", "corrupted_tokens", "unigram_nll", "bigram_nll"}
FLOORLESS |= {"shuffled_source_cost"}


def explained(scores: dict[str, dict], noise: Corruption) -> dict[str, dict]:
    """Scores without the floors that this noise says nobody knows, each with the `floor_reason`."""
    found = {}
    for name, score in scores.items():
        plain = name.removeprefix("snapshot_")
        why = None if plain in FLOORLESS else noise.why_no_floor(plain)
        none = {"floor": None, **excess(NONE), "floor_reason": why}
        found[name] = score | (none if why else {})
    return found


def accuracy(confusion: np.ndarray) -> float:
    """Share of right decisions in per cent. confusion: [C, C], true class in rows."""
    return 100 * np.trace(confusion) / confusion.sum()


def kl_marginal(confusion: np.ndarray) -> float:
    """KL(predicted marginal || true marginal) in nats (Appendix P). confusion: [C, C]."""
    return _kl(*_marginals(confusion))


def kl_bias(confusion: np.ndarray) -> float:
    """How much too large `kl_marginal` is on average, in nats, to first order in 1/n.

    KL is about the sum of d^2 / 2t, d = predicted - true share of a class and t its true share, so
    that the variance of d over test items adds to it: only items that are decided wrongly make
    it. It is (C - 1) / 2n where decisions tell nothing of the class and the true shares are fixed.
    """
    true, predicted = _marginals(confusion)
    items, right = confusion.sum(), np.diagonal(confusion) / confusion.sum()
    variance = (true + predicted - 2 * right - (predicted - true) ** 2) / items
    seen = true > 0
    return float((variance[seen] / (2 * true[seen])).sum())


def tvd_marginal(confusion: np.ndarray) -> float:
    """Total variation distance of predicted and true marginal (Appendix P), 0 to 1."""
    return _tvd(*_marginals(confusion))


def _kl(true: np.ndarray, predicted: np.ndarray) -> float:
    return rel_entr(predicted, true).sum(-1)


def _tvd(true: np.ndarray, predicted: np.ndarray) -> float:
    return 0.5 * np.abs(predicted - true).sum(-1)


def _marginals(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total = confusion.sum()
    return confusion.sum(axis=1) / total, confusion.sum(axis=0) / total


def decisions(p: np.ndarray, tie: float | np.ndarray = 0.0) -> np.ndarray:
    """The most probable class of each row as weights, float64 [n, C]. Classes within `tie` of
    the best share the weight, as they would on average if ties were broken at random. tie: one
    number, or one for each row, [n, 1]."""
    best = p >= p.max(axis=1, keepdims=True) - tie
    return best / best.sum(axis=1, keepdims=True)


def tolerance(clean_p: np.ndarray, tie: float) -> np.ndarray:
    """Differences of probabilities that are a tie after noise, float64 [n, 1]: the share `tie` of
    the gap between the two most probable classes before it.

    So classes tie where noise has taken that gap away, not where a model was in doubt before:
    noise that keeps the order of classes keeps a share of each gap, and makes no tie. clean_p:
    float [n, C], without noise.
    """
    second, first = np.partition(clean_p.astype(np.float64), -2, axis=1)[:, -2:].T
    return tie * (first - second)[:, None]


def confusion_matrix(decided: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weighted counts [C, C] of (true class, decision). decided: `decisions`, labels: int [n]."""
    confusion = np.zeros((decided.shape[1], decided.shape[1]))
    np.add.at(confusion, labels, decided)
    return confusion


SCORES = {"accuracy": accuracy, "kl": kl_marginal, "tvd": tvd_marginal}
MARGINALS = {"kl": _kl, "tvd": _tvd}  # of true and predicted shares of the classes


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
    Returns metric -> score (noiselab.measures.scores); accuracies have `floor_low` and
    `floor_high` beside, KL its `bias`. A model whose probabilities are not finite has empty values
    and the reason.
    """
    observed = _observed(clean_p, noise)
    own, floor = (_true_class(q, labels) for q in (p, observed))
    scores = {"sampled_accuracy": items_score("sampled_accuracy", own, floor)}
    decided = decisions(p) if np.isfinite(p).all() else None
    floors = None
    if np.isfinite(observed).all():
        floors = decisions(observed, tolerance(clean_p, noise.tie))
    itself = np.array_equal(p, clean_p)
    scores |= _decided_scores(decided, floors, labels, itself)
    scores["accuracy"] |= _sensitivity(observed, clean_p, labels, noise.tie)
    lost = ("accuracy_drop", "accuracy_relative_drop")
    if not (np.isfinite(p).all() and np.isfinite(clean_p).all()):
        why = CLEAN_DIVERGED if np.isfinite(p).all() else DIVERGED
        return scores | {name: unscored(name, len(labels), why) for name in lost}
    right, clean_right = (q.argmax(1) == labels for q in (p, clean_p))
    unknown = np.full(len(labels), np.nan)
    floors = unknown if floors is None else _true_class(floors, labels)
    return scores | drops("accuracy", right, clean_right, floors, itself)


def _decided_scores(
    own: np.ndarray | None, floor: np.ndarray | None, labels: np.ndarray, itself: bool
) -> dict[str, dict]:
    """Scores of decisions. own, floor: those of the model and of a calibrated one as weights,
    [n, C], or None where there are none. labels: int [n]; itself: the run is the clean one."""
    values, floors = _scores(own, labels), _scores(floor, labels)
    paired = {} if own is None or floor is None else _paired(own, floor, labels, itself)
    bias = {} if own is None else {"kl": {"bias": kl_bias(confusion_matrix(own, labels))}}
    return {
        name: {
            "value": values[name],
            **_interval(name, own, labels)._asdict(),
            "floor": floors[name],
            **excess(paired.get(name, NONE)),
            "unit": UNITS[name],
            "items": len(labels),
            "reason": DIVERGED if own is None else None,
            **bias.get(name, {}),
        }
        for name in SCORES
    }


def _paired(
    own: np.ndarray, floor: np.ndarray, labels: np.ndarray, itself: bool
) -> dict[str, Interval]:
    """Interval of value - floor of each score, over items. own, floor: weights [n, C]."""
    true = np.zeros(own.shape)
    true[np.arange(len(labels)), labels] = 1
    right = _true_class(own, labels) - _true_class(floor, labels)
    shares = [part.mean(axis=0) for part in (true, own, floor)]
    drawn = resampled_means([true, own, floor])

    def difference(of, true, own, floor):
        with np.errstate(invalid="ignore"):  # both are infinite where a class was not drawn
            return of(true, own) - of(true, floor)

    return {"accuracy": decisions_interval(right, itself)} | {
        name: around(difference(of, *drawn), difference(of, *shares))
        for name, of in MARGINALS.items()
    }


def _sensitivity(
    observed: np.ndarray, clean_p: np.ndarray, labels: np.ndarray, tie: float
) -> dict[str, float | None]:
    """Least and largest floor of the accuracy where nothing ties, or ties are a tenth or ten times
    as wide."""
    if not np.isfinite(observed).all():
        return {"floor_low": None, "floor_high": None}
    tolerances = (tolerance(clean_p, share * tie) for share in (0, 0.1, 1, 10))
    floors = [_true_class(decisions(observed, t), labels).mean() for t in tolerances]
    return {"floor_low": float(min(floors)), "floor_high": float(max(floors))}


def _observed(clean_p: np.ndarray, noise: Corruption) -> np.ndarray:
    """What a calibrated model predicts, float64 [n, C]; not a number where that is unknown."""
    observed = noise.observed(clean_p)
    return np.full(clean_p.shape, np.nan) if observed is None else observed


def drops(
    score: str,
    right: np.ndarray,
    clean_right: np.ndarray,
    floors: np.ndarray,
    itself: bool = False,
) -> dict[str, dict]:
    """What a score lost against the clean run, paired over items: `<score>_drop` in points and
    `<score>_relative_drop` as a share of the clean run's.

    right, clean_right: whether each item is right, bool [n]; floors: chance in per cent that a
    calibrated model is right on it, float [n]; not a number where that is unknown. itself: the run
    is the clean one.
    """
    names = (f"{score}_drop", f"{score}_relative_drop")
    base, own = 100.0 * clean_right, 100.0 * right
    lost = (base - own, base - floors)
    points = lost_score(names[0], *lost, itself)
    if base.any():
        share = relative_lost_score(names[1], *lost, base, itself)
    else:
        share = unscored(names[1], len(base), "the clean run is never right")
    return {names[0]: points, names[1]: share}


def training_metrics(
    decided: np.ndarray,
    clean_decided: np.ndarray,
    labels: np.ndarray,
    observed: np.ndarray | None,
    noise: Corruption,
    rows: np.ndarray | None = None,
    itself: bool = False,
) -> dict[str, dict]:
    """Accuracy on training images, as `classifier_metrics` gives scores: against the true labels
    and against those that the model was taught.

    decided, clean_decided: decisions int [n] of the model and of the clean run of its seed;
    negative: it has none. labels: true ones, int [n]. observed: those taught, or None where they
    are drawn anew at every visit: then the expected agreement with them counts. noise: theirs.
    rows: numbers of the training examples, int [n], where it depends on these. itself: the run is
    the clean one.
    """
    if (decided < 0).any():
        names = ("train_accuracy", "noisy_train_accuracy")
        return {name: unscored(name, len(labels)) for name in names}

    def agreement(decisions: np.ndarray) -> np.ndarray:
        if (decisions < 0).any():  # of a clean run that diverged
            return np.full(len(labels), np.nan)
        drawn = noise.chance(labels, decisions, rows) if observed is None else decisions == observed
        return 100.0 * drawn

    right, clean_right = decided == labels, clean_decided == labels
    agreed, clean_agreed = agreement(decided), agreement(clean_decided)
    noisy = items_score("noisy_train_accuracy", agreed, clean_agreed)
    known = (clean_decided >= 0).all()
    if known:
        noisy |= excess(decisions_interval(agreed - clean_agreed, itself))
    train = share_score(right, 100.0 * clean_right if known else None, itself)
    train |= {"unit": UNITS["train_accuracy"], "reason": None}
    return {"train_accuracy": train, "noisy_train_accuracy": noisy}


def best_metrics(history: list[dict], items: int) -> dict[str, dict]:
    """The best test accuracy of any evaluation in training: chosen on the test set, so no estimate
    of anything, but what is often published. history: rows of history.jsonl."""
    seen = [row["test_accuracy"] for row in history if "test_accuracy" in row]
    score = {"value": max(seen, default=None), **NONE._asdict()}
    score |= {"floor": None, **excess(NONE), "unit": UNITS["best_accuracy"], "items": items}
    return {"best_accuracy": score | {"reason": None if seen else "no evaluation in training"}}


def _true_class(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Chance, in per cent, that a label drawn from the prediction is the true one, [n]."""
    return 100 * p[np.arange(len(labels)), labels].astype(np.float64)


def _scores(decided: np.ndarray | None, labels: np.ndarray) -> dict[str, float | None]:
    """decided: weights [n, C] or None."""
    if decided is None:
        return dict.fromkeys(SCORES)
    confusion = confusion_matrix(decided, labels)
    return {name: float(score(confusion)) for name, score in SCORES.items()}


def _interval(name: str, decided: np.ndarray | None, labels: np.ndarray) -> Interval:
    if decided is None:
        return NONE
    confusion = confusion_matrix(decided, labels)
    if name == "accuracy":
        low, high, kind = wilson_interval(np.trace(confusion), confusion.sum())
        return Interval(100 * low, 100 * high, kind)
    return bootstrap_interval(SCORES[name], confusion)


# Split of clean text -> what the names of its metrics begin with.
CLEAN_TEXT = {"validation": "", **{domain: f"{domain}_" for domain in DOMAINS}}


def language_model_metrics(own: dict, clean: dict, noise: Corruption, context: int) -> dict:
    """All scores of a language model, as `classifier_metrics` gives them.

    own, clean: split ("validation", "train") -> per-token scores of the model and of the clean
    run of its seed (`language_model.token_scores`). nll: of clean validation text. train_nll:
    expected on training text with the run's noise. denoised_nll: of clean validation text
    after the known noise has been taken out of the model's predictions, where it can be; a
    calibrated model would be back at the clean NLL. nll_rise, nll_relative_rise: over the clean
    run, token by token. out_of_domain_nll, out_of_domain_nll_rise: the same of clean text out of
    the domain, where there is a split "out_of_domain"; second_domain_… of "second_domain".
    """

    def noisy(scores: dict, prefix: str = "") -> np.ndarray:
        nll, mean_nll = scores[f"{prefix}nll"], scores[f"{prefix}mean_nll"]
        return noise.expected_nll(nll, mean_nll)

    base = clean["validation"]["nll"]
    values = {
        "train_nll": (noisy(own["train"]), noisy(clean["train"], "floor_")),
        "denoised_nll": (own["validation"].get("denoised_nll", base), base),
    }
    scores = {name: mean_score(name, *pair, context) for name, pair in values.items()}
    if noise.why_not_denoised:
        lost = unscored("denoised_nll", len(base), noise.why_not_denoised)
        scores["denoised_nll"] = lost
    parts = {
        split: (own[split]["nll"], clean[split]["nll"], clean[split]["floor_nll"])
        for split in CLEAN_TEXT
        if split in own
    }
    return clean_text_metrics(parts, context) | scores


def clean_text_metrics(parts: dict[str, tuple], context: int) -> dict[str, dict]:
    """NLL of clean texts, its rise over the clean run, and the relative rise on validation text.

    parts: split -> (NLL of the model, of the clean run, floor), of the same tokens, float [n] each.
    """
    values = {}
    for split, (nll, base, floor) in parts.items():
        prefix = CLEAN_TEXT[split]
        values[f"{prefix}nll"] = (nll, floor)
        values[f"{prefix}nll_rise"] = (nll - base, floor - base)
    scores = {name: mean_score(name, *pair, context) for name, pair in values.items()}
    base = parts["validation"][1]
    whole = len(base) // context * context

    def of_sequences(tokens: np.ndarray) -> np.ndarray:
        return tokens[:whole].reshape(-1, context).sum(1)

    rise, floor, base = map(of_sequences, (*values["nll_rise"], base))
    relative = ratio_score("nll_relative_rise", 100 * rise, 100 * floor, base)
    return scores | {"nll_relative_rise": relative}


def _token_floor(clean: dict, noise: Corruption) -> np.ndarray:
    """NLL of each clean sequence where each token is predicted by q = (1 - e) p + e q_1, float [n].
    Both are of one token, given its source and the clean tokens before it."""
    e, tokens = noise.rate, clean["tokens"]
    q = (1 - e) * clean["token_p"].astype(np.float64) + e * clean[f"{noise.name}_p"]
    with np.errstate(divide="ignore"):  # what is never taught
        nll = -np.log(q)
    return np.bincount(np.repeat(np.arange(len(tokens)), tokens), nll, len(tokens))


def seq2seq_metrics(own: dict, clean: dict, teacher_right: np.ndarray, noise: Corruption) -> dict:
    """NLL of a sequence-to-sequence model, as `classifier_metrics` gives scores.

    own, clean: `nll` float [n] in nats and `tokens` int [n] of the same clean validation targets,
    for the model and the clean run of its seed. teacher_right: bool [n], whether the noisy teacher
    writes this very target; where single tokens are wrong, the clean run's are `token_p`, its
    probabilities of the true tokens, float [sum of tokens], and the same after the noise at an
    error rate of 1 under the noise's name, `uniform_token_p`, say. Scores are absolute, the rise
    over the clean run (paired over pairs) and the relative rise, which is the same per token and
    per sequence.
    """
    nll, base, tokens = own["nll"], clean["nll"], clean["tokens"]
    if noise.target == "token":
        floor = _token_floor(clean, noise)
    else:
        floor = noise.observed_nll(base, np.where(teacher_right, 0.0, np.inf))
    pairs = np.ones(len(nll))
    scores = {
        "nll": (nll, floor, tokens),
        "nll_rise": (nll - base, floor - base, tokens),
        "nll_relative_rise": (100 * (nll - base), 100 * (floor - base), base),
        "sequence_nll": (nll, floor, pairs),
        "sequence_nll_rise": (nll - base, floor - base, pairs),
    }
    return {name: ratio_score(name, *arrays) for name, arrays in scores.items()}
