"""One score of a run: value, interval, floor, and the excess over the floor with its interval.

A score is a mapping: value, ci_low, ci_high, interval, floor, excess_low, excess_high,
excess_interval, unit, items, reason. The excess is value - floor. Its interval is paired: each item
has a value and a floor, and the spread is that of their differences.
"""

from collections.abc import Callable

import numpy as np

from noiselab.measures.statistics import (
    NONE,
    Interval,
    paired_interval,
    ratio_interval,
    sequence_interval,
    t_interval,
    wilson_interval,
)

UNITS = dict.fromkeys(["tvd", "bleu", "rouge_l", "fid", "judge_frechet"], "") | {"kl": "nats"}
UNITS |= dict.fromkeys(["accuracy", "sampled_accuracy", "denoising_accuracy"], "%")
UNITS |= dict.fromkeys(["train_accuracy", "noisy_train_accuracy", "best_accuracy"], "%")
UNITS |= dict.fromkeys(["accuracy_drop", "consistency_drop"], "points")
UNITS |= dict.fromkeys(["accuracy_relative_drop", "consistency_relative_drop"], "%")
UNITS |= dict.fromkeys(["consistency", "judge_accuracy"], "%")
UNITS |= dict.fromkeys(["nll_relative_rise", "corrupted_pairs", "corrupted_tokens"], "%")
UNITS |= dict.fromkeys(["nll", "train_nll", "denoised_nll", "nll_rise"], "nats/token")
UNITS |= dict.fromkeys(["noise_nll", "unseen_noise_nll", "clean_noise_nll"], "nats/token")
UNITS |= dict.fromkeys(["out_of_domain_nll", "out_of_domain_nll_rise"], "nats/token")
UNITS |= dict.fromkeys(["second_domain_nll", "second_domain_nll_rise"], "nats/token")
UNITS |= dict.fromkeys(["unigram_nll", "bigram_nll", "shuffled_source_cost"], "nats/token")
UNITS |= dict.fromkeys(["sequence_nll", "sequence_nll_rise"], "nats/sequence")

UNITS |= dict.fromkeys(
    ["steps_to_memory", "steps_to_most", "steps_to_rule", "steps_to_goal"], "steps"
)
UNITS |= {"recovery_steps": "steps", "recovery_share": "%"}
UNITS |= {"majority_accuracy": "%", "gain": "points", "p_holm": ""}
UNITS |= dict.fromkeys(["matthews", "correlation", "pearson", "spearman"], "%")

DIVERGED = "training diverged"
CLEAN_DIVERGED = "the clean run diverged"


def mean_score(name: str, values: np.ndarray, floors: np.ndarray, context: int) -> dict:
    """Mean over tokens, whose sequences of `context` are the items. values, floors: float [n];
    floors that are not finite: none is known."""
    return _score(name, values, floors, None, lambda v: sequence_interval(v, context))


def items_score(name: str, values: np.ndarray, floors: np.ndarray) -> dict:
    """Mean over independent items. values, floors: float [n]."""
    return _score(name, values, floors, None, items_interval)


def lost_score(name: str, values: np.ndarray, floors: np.ndarray, itself: bool) -> dict:
    """Mean of differences of decisions over independent items, in points. values, floors: float
    [n], from -100 to 100; itself: as for `decisions_interval`."""
    return _score(name, values, floors, None, lambda v: decisions_interval(v, itself))


def relative_lost_score(
    name: str, values: np.ndarray, floors: np.ndarray, base: np.ndarray, itself: bool
) -> dict:
    """The same as a share of the clean run's decisions `base`, 0 or 100, in per cent."""

    def interval(shares: np.ndarray) -> Interval:
        numbers, of = shares, base
        if not itself:  # an item that only the clean run decides rightly, and one that it does not
            numbers, of = np.append(shares, (1e4, -1e4)), np.append(base, (100, 0))
        return ratio_interval(numbers, of)._replace(interval="t_items")

    return _score(name, 100 * values, 100 * floors, base, interval)


def ratio_score(name: str, values: np.ndarray, floors: np.ndarray, per: np.ndarray) -> dict:
    """Sum of values over sum of `per`, all float [n] over independent items."""
    return _score(name, values, floors, per, lambda v: ratio_interval(v, per))


def share_score(right: np.ndarray, floors: np.ndarray | None, itself: bool = False) -> dict:
    """Share of what is right in per cent, without unit and reason. right: bool [n]; floors: per
    cent for each item, float [n], or None; not a number where none is known. itself: as for
    `decisions_interval`."""
    low, high, kind = wilson_interval(right.sum(), len(right))
    interval = Interval(100 * float(low), 100 * float(high), kind)
    score = {"value": 100 * float(right.mean()), **interval._asdict()}
    known = floors is not None and np.isfinite(floors).all()
    floor = float(floors.mean()) if known else None
    paired = decisions_interval(100.0 * right - floors, itself) if known else NONE
    return score | {"floor": floor, **excess(paired), "items": len(right)}


def unscored(name: str, items: int, reason: str = DIVERGED) -> dict:
    """A score that there is none of, and why."""
    numbers = {"value": None, "floor": None, **NONE._asdict(), **excess(NONE)}
    unit = UNITS[name.removeprefix("snapshot_")]
    return numbers | {"unit": unit, "items": items, "reason": reason}


def first_step(name: str, history: list[dict], reached: Callable[[dict], bool], limit: int) -> dict:
    """The score of when something was reached: the step of the first row of a training's history
    that says so. It has no floor, and no interval within one training. limit: steps planned."""
    steps = next((row["step"] for row in history if reached(row)), None)
    if steps is None:
        return unscored(name, 1, f"not within {limit:,} steps")
    none = {"floor": None, **NONE._asdict(), **excess(NONE), "items": 1, "reason": None}
    return {"value": float(steps), "unit": UNITS[name]} | none


def excess(interval: Interval) -> dict:
    """An interval as that of the excess."""
    names = ("excess_low", "excess_high", "excess_interval")
    return dict(zip(names, interval, strict=True))


def items_interval(values: np.ndarray) -> Interval:
    """t-interval of a mean over independent items; none of a single item."""
    if len(values) < 2:
        return NONE
    low, high, _ = t_interval(values)
    return Interval(low, high, "t_items")


def decisions_interval(differences: np.ndarray, itself: bool = False) -> Interval:
    """Of a mean difference of decisions in points over independent items, float [n]; none of a
    single item. itself: a run is compared with itself, and differs by construction nowhere."""
    if itself or len(differences) < 2:
        return items_interval(differences)
    return paired_interval(differences, 100.0)


def _score(name: str, values, floors, per, interval) -> dict:
    """per: None, or what the sums are divided by. interval: of numbers for each item."""
    finite, known = np.isfinite(values).all(), np.isfinite(floors).all()

    def total(numbers: np.ndarray) -> float:
        return float(numbers.mean() if per is None else numbers.sum() / per.sum())

    return {
        "value": total(values) if finite else None,
        **(interval(values) if finite else NONE)._asdict(),
        "floor": total(floors) if known else None,
        **excess(interval(values - floors) if finite and known else NONE),
        "unit": UNITS[name],
        "items": len(values),
        "reason": None if finite else DIVERGED,
        **_infinite(floors),
    }


def _infinite(floors: np.ndarray) -> dict:
    """Why there is no floor where noise leaves some targets no chance, as at an error rate of 1."""
    never = np.isposinf(floors).any()
    return {"floor_reason": "it is infinite, as some targets are never taught"} if never else {}
