"""Confidence intervals, all at 95 %. Each says which variability it shows."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.sparse import csr_array as sparse_array

LEVEL = 0.95
TOGETHER = 50  # samples of a bootstrap at once


class Interval(NamedTuple):
    """ci_low, ci_high, and how the interval was computed."""

    ci_low: float | None
    ci_high: float | None
    interval: str


NONE = Interval(None, None, "none")


def wilson_interval(successes: float, trials: float) -> Interval:
    """Wilson score interval of a proportion (0 to 1): variability over test items."""
    test = stats.binomtest(round(successes), round(trials))
    interval = test.proportion_ci(LEVEL, method="wilson")
    return Interval(float(interval.low), float(interval.high), "wilson_items")


def t_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Student-t interval of a mean: variability over seeds. Needs two values or more."""
    mean, error = np.mean(values), stats.sem(values)
    half = stats.t.ppf(0.5 + level / 2, len(values) - 1) * error
    return Interval(float(mean - half), float(mean + half), "t_seeds")


def paired_interval(differences: Sequence[float], scale: float = 1.0) -> Interval:
    """t-interval of a mean difference of decisions over independent items, float [n] from -scale
    to scale (right in place of wrong), with one more item each way (Bonett and Price 2012).

    Few items that differ say little of how many more do: without these two the interval is too
    narrow, and has no width where no item differs.
    """
    low, high, _ = t_interval([*differences, scale, -scale])
    return Interval(max(low, -scale), min(high, scale), "t_items")


def bootstrap_interval(
    score: Callable[[np.ndarray], float], confusion: np.ndarray, draws: int = 1000
) -> Interval:
    """Bootstrap over test items of a non-negative score of the confusion matrix [C, C].

    Resampled divergences are biased upwards, so the spread of the draws around their own mean
    is laid around the observed value; the lower end is cut at 0.
    """
    rng = np.random.default_rng(0)
    cells = np.flatnonzero(confusion)
    weights = confusion.flat[cells] / confusion.sum()
    scores = []
    for _ in range(draws):
        resampled = np.zeros_like(confusion)
        resampled.flat[cells] = rng.multinomial(round(confusion.sum()), weights)
        scores.append(score(resampled))
    interval = around(np.array(scores), score(confusion))
    return (
        interval if interval.ci_low is None else interval._replace(ci_low=max(0.0, interval.ci_low))
    )


def resampled_means(parts: list[np.ndarray], draws: int = 1000) -> list[np.ndarray]:
    """Bootstrap over test items: means of each part, float [draws, C], all of the same items.

    parts: float [n, C] each, mostly 0.
    """
    rng, items = np.random.default_rng(0), len(parts[0])
    sparse = [sparse_array(part.T) for part in parts]
    found: list[list] = [[] for _ in parts]
    for start in range(0, draws, TOGETHER):
        count = min(TOGETHER, draws - start)
        chosen = rng.integers(items, size=(count, items)) + items * np.arange(count)[:, None]
        weights = np.bincount(chosen.ravel(), minlength=count * items).reshape(count, items)
        for part, means in zip(sparse, found, strict=True):
            means.append((part @ weights.T).T / items)
    return [np.concatenate(means) for means in found]


def around(scores: np.ndarray, observed: float) -> Interval:
    """The spread of resampled scores, float [draws], around their mean, laid around the observed
    one. None where a sample has no score, as the KL of a class that was not drawn."""
    if not np.isfinite(scores).all():
        return NONE
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(scores, [tail, 1 - tail]) - np.mean(scores) + observed
    return Interval(float(low), float(high), "bootstrap_items")


def sequence_interval(values: np.ndarray, length: int) -> Interval:
    """t-interval of the mean of per-token values over sequences of `length` tokens.

    Tokens of one sequence are not independent, so whole sequences are the items; values:
    float [tokens], an incomplete last sequence counts in the mean but not in the spread.
    """
    whole = len(values) // length
    if whole < 2:
        return NONE
    spread = t_interval(values[: whole * length].reshape(whole, length).mean(1))
    half = (spread.ci_high - spread.ci_low) / 2
    return Interval(float(values.mean() - half), float(values.mean() + half), "t_sequences")


def ratio_interval(numerators: np.ndarray, denominators: np.ndarray) -> Interval:
    """t-interval of sum(numerators) / sum(denominators) over independent items, both float [n].

    The spread is that of the residuals numerator - ratio * denominator (linearisation), so items
    that are long in both, such as sentences with their NLL and tokens, widen it little.
    """
    ratio = numerators.sum() / denominators.sum()
    spread = t_interval((numerators - ratio * denominators) / denominators.mean())
    half = (spread.ci_high - spread.ci_low) / 2
    return Interval(float(ratio - half), float(ratio + half), "t_sequences")


def macro_batch_losses(losses: np.ndarray, size: int, count: int) -> np.ndarray:
    """Mean loss of `count` disjoint macro-batches of `size` sequences, float [count]."""
    return losses[: size * count].reshape(count, size).mean(1)


def std_interval(std: float, count: int) -> Interval:
    """Interval of a standard deviation of `count` normal values (chi-squared)."""
    tail = (1 - LEVEL) / 2
    high, low = stats.chi2.ppf([tail, 1 - tail], count - 1)
    scale = std * np.sqrt(count - 1)
    return Interval(float(scale / np.sqrt(low)), float(scale / np.sqrt(high)), "chi2_batches")


class Estimate(NamedTuple):
    """A number with its interval; ci_low and ci_high are None where it has none."""

    value: float
    ci_low: float | None
    ci_high: float | None
    interval: str

    def ends(self) -> dict:
        """The interval alone, as columns of a table."""
        return {key: getattr(self, key) for key in Interval._fields}


def over_seeds(values: Sequence[float], first: Interval) -> Estimate:
    """Mean over seeds with its t-interval; of one seed, its own interval `first`."""
    interval = t_interval(values) if len(values) > 1 else first
    return Estimate(float(np.mean(values)), *interval)


def geometric_over_seeds(values: Sequence[float], first: Interval) -> Estimate:
    """The same for positive numbers on the scale of their logarithms: the geometric mean."""
    logs = over_seeds([float(np.log(value)) for value in values], NONE)
    if logs.ci_low is None:
        return Estimate(float(np.exp(logs.value)), *first)
    return Estimate(*(float(np.exp(number)) for number in logs[:3]), f"log_{logs.interval}")


FEWEST = 6  # values whose smallest and largest are a 95 % interval of the median


def median_interval(low: Sequence[float], high: Sequence[float]) -> Interval:
    """Interval of the median of values of which only two ends are known, float [n] each, infinite
    ones among them: between two of the ordered ends, as the sign test has it, whatever the values
    are distributed like. None of fewer than six."""
    count = len(low)
    if count < FEWEST:
        return NONE
    place = int(stats.binom.ppf((1 - LEVEL) / 2, count, 0.5))  # counted from each end
    ends = float(np.sort(low)[place - 1]), float(np.sort(high)[count - place])
    return Interval(*ends, "median_seeds")


def difference(a: Estimate, b: Estimate) -> Estimate:
    """a - b of independent estimates: their distances to the interval's ends add up in quadrature
    (method of variance estimates recovery; Zou and Donner 2008)."""
    value = a.value - b.value
    if None in (a.ci_low, b.ci_low):
        return Estimate(value, None, None, "none")
    low = value - np.hypot(a.value - a.ci_low, b.ci_high - b.value)
    high = value + np.hypot(a.ci_high - a.value, b.value - b.ci_low)
    kinds = dict.fromkeys((a.interval, b.interval))
    return Estimate(value, float(low), float(high), ", ".join(kinds))


def log_interval(value: float, standard_error: float, kind: str) -> Interval:
    """Normal interval of a positive number on the scale of its logarithm, whose standard error
    is given."""
    half = stats.norm.ppf(0.5 + LEVEL / 2) * standard_error
    return Interval(float(value * np.exp(-half)), float(value * np.exp(half)), kind)
