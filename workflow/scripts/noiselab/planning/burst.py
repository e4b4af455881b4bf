"""What of a plan fits into a few minutes of one GPU, in the order in which it is wanted."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from noiselab.planning.runs import Plan
from noiselab.run import Run


class Slot(NamedTuple):
    """A training in a schedule; seconds from the beginning."""

    run: str
    begins: float
    ends: float


def wanted(plan: Plan, order: Iterable[str]) -> list[str]:
    """Ids of the runs of these experiments as they are wanted: a seed of all of them before the
    next seed, the most noise first; each behind the runs that it needs."""
    found: dict[str, None] = {}
    names = [name for name in order if name in plan.experiments]
    seeds = sorted({plan.runs[run].seed for name in names for run in plan.experiments[name]})
    for seed in seeds:
        for name in names:
            own = [plan.runs[run] for run in plan.experiments[name]]
            for run in sorted((r for r in own if r.seed == seed), key=_most_noise_first):
                found |= dict.fromkeys(_with_parents(plan, run))
    return list(found)


def _most_noise_first(run: Run) -> float:
    return -1.0 if run.error_rate is None else -run.error_rate


def _with_parents(plan: Plan, run: Run) -> Iterator[str]:
    for parent in run.parents.values():
        if parent != run.run_id:
            yield from _with_parents(plan, plan.runs[parent])
    yield run.run_id


def schedule(
    runs: Iterable[str], seconds: Callable[[str], float], at_once: int, limit: float
) -> list[Slot]:
    """What fits before `limit` seconds, each at the first place that is free. seconds: of a run's
    training and scores, while `at_once` train. What does not fit is left out, and what is wanted
    less may still fit."""
    free = [0.0] * at_once
    slots = []
    for run in runs:
        begins = free[0]
        ends = begins + seconds(run)
        if ends <= limit:
            heapq.heapreplace(free, ends)
            slots.append(Slot(run, begins, ends))
    return slots
