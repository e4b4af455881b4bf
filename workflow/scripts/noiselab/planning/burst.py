"""What of a plan fits into a few minutes of one GPU, in the order in which it is wanted."""

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
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


def parents(plan: Plan, to_do: Iterable[str]) -> Callable[[str], list[str]]:
    """Run -> ids of the parents that it waits for: others are there already."""
    waiting = set(to_do)

    def found(run: str) -> list[str]:
        return [p for p in plan.runs[run].parents.values() if p != run and p in waiting]

    return found


def schedule(
    runs: Iterable[str],
    seconds: Callable[[str], float],
    at_once: int,
    limit: float,
    parents: Callable[[str], Iterable[str]] = lambda run: (),
) -> list[Slot]:
    """What fits before `limit` seconds, each as soon as its parents have ended and a place is free.
    runs: parents first. seconds: of a run's training and scores, while `at_once` train. What does
    not fit is left out with all that needs it, and what is wanted less may still fit."""
    places: list[list[Slot]] = [[] for _ in range(at_once)]
    ends: dict[str, float] = {}
    for run in runs:
        needed = list(parents(run))
        if any(parent not in ends for parent in needed):
            continue
        ready = max((ends[parent] for parent in needed), default=0.0)
        length = seconds(run)
        begins, place = min((_begins(place, ready, length), i) for i, place in enumerate(places))
        if begins + length <= limit:
            ends[run] = begins + length
            places[place] = sorted([*places[place], Slot(run, begins, ends[run])], key=_BEGINS)
    slots = {slot.run: slot for place in places for slot in place}
    return [slots[run] for run in ends]


_BEGINS = attrgetter("begins")


def _begins(place: list[Slot], ready: float, length: float) -> float:
    """The first time from `ready` on at which a place is free for so long. place: its slots."""
    begins = ready
    for slot in place:
        if begins + length <= slot.begins:
            break
        begins = max(begins, slot.ends)
    return begins
