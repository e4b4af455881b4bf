"""The paper's own formula, Eq. 1, which needs no run."""

from itertools import pairwise

import numpy as np
from scipy.optimize import minimize_scalar

from noiselab.answers.statistics.evidence import Kind, Measured, Ruled, Tested, Tests
from noiselab.measures.statistics import Estimate
from noiselab.noise.theory import relative_information_loss, uninformative_error_rate

EVERYWHERE, BEFORE = "all error rates", "up to (n − 1)/n of the fewer classes"
RATES = np.arange(1, 100) / 100  # at 0 and 1 no number of classes matters, or only one does


def _exact(values: dict[str, float], unit: str) -> Tests:
    """One test without data: closed forms have no spread."""
    ruled = {name: Ruled(Estimate(v, v, v, "closed_form"), unit) for name, v in values.items()}
    yield Tested((), 0, ruled)


def _maximum_distance(classes: list[int]) -> float:
    """Largest distance of the error rate at which Eq. 1 is greatest from (n − 1)/n."""
    distances = []
    for n in classes:
        best = minimize_scalar(
            lambda e, n=n: -relative_information_loss(e, n),
            bounds=(0, 1),
            method="bounded",
            options={"xatol": 1e-10},
        )
        distances.append(abs(best.x - uninformative_error_rate(n)))
    return round(float(max(distances)), 5)


def _falls(classes: list[int]) -> dict[str, float]:
    """By how much Eq. 1 falls, at the least, from each number of classes to the next."""
    falls: dict[str, list] = {EVERYWHERE: [], BEFORE: []}
    for few, many in pairwise(classes):
        losses = (relative_information_loss(RATES, n) for n in (few, many))
        fall = np.subtract(*losses)
        falls[EVERYWHERE] += list(fall)
        falls[BEFORE] += list(fall[uninformative_error_rate(few) >= RATES])
    return {name: float(min(values)) for name, values in falls.items()}


def _maximum_tests(statistic: dict, measured: Measured) -> Tests:
    return _exact({"closed form": _maximum_distance(statistic["classes"])}, "error rate")


def _fall_tests(statistic: dict, measured: Measured) -> Tests:
    return _exact(_falls(statistic["classes"]), "relative information loss")


def _listed(statistic: dict) -> str:
    return ", ".join(f"{n:,}" for n in statistic["classes"])


MAXIMUM = Kind(
    _maximum_tests,
    lambda *_: {"closed form": 0.0},
    lambda s, _: f"distance of the maximum of Eq. 1 from (n − 1)/n, largest of n = {_listed(s)}",
)
FALL = Kind(
    _fall_tests,
    lambda *_: {},
    lambda s, _: f"least fall of Eq. 1 from one n to the next, n = {_listed(s)}",
)
