"""Which runs an artefact is made from: functions (plan, ids of an experiment's runs) -> ids."""

from noiselab.families.descriptor import CLEAN, JUDGE, TEACHER
from noiselab.planning.rates import order
from noiselab.planning.runs import Plan

NOISY_INPUTS = (
    "classifier",
    "vision_transformer",
    "diffusion",
    "language_model",
    "seq2seq",
    "algorithmic",
)


def _noise(plan: Plan, run: str) -> tuple[bool, float]:
    return order(plan.runs[run].error_rate)


def noise_ratios(plan: Plan, runs: list[str]) -> list[str]:
    """Those of the first data set and seed, least noise first."""
    first = plan.runs[runs[0]]
    same = [
        run
        for run in runs
        if (plan.runs[run].dataset, plan.runs[run].seed) == (first.dataset, first.seed)
    ]
    return sorted(same, key=lambda run: _noise(plan, run))


def one_seed(plan: Plan, runs: list[str]) -> list[str]:
    """Those of the first seed."""
    return [run for run in runs if plan.runs[run].seed == plan.runs[runs[0]].seed]


def clean_runs(plan: Plan, runs: list[str]) -> list[str]:
    """The clean run of each seed."""
    return plan.parents(CLEAN, runs)


def with_clean_runs(plan: Plan, runs: list[str]) -> list[str]:
    """All of them, and the clean run of each seed."""
    return list(dict.fromkeys([*clean_runs(plan, runs), *runs]))


def with_judges(plan: Plan, runs: list[str]) -> list[str]:
    """All of them, the clean run of each seed, and who judges their images."""
    every = with_clean_runs(plan, runs)
    return list(dict.fromkeys([*every, *plan.parents(JUDGE, every)]))


def first_clean_run(plan: Plan, runs: list[str]) -> list[str]:
    """The clean run of the first seed."""
    return clean_runs(plan, runs)[:1]


def clean_and_noisiest(plan: Plan, runs: list[str]) -> list[str]:
    """The clean and the noisiest run of each seed."""
    chosen = []
    for clean in clean_runs(plan, runs):
        siblings = [run for run in runs if plan.runs[run].parents[CLEAN] == clean]
        chosen += [clean, max(siblings, key=lambda run: _noise(plan, run))]
    return chosen


def noisy_inputs(plan: Plan, runs: list[str]) -> list[str]:
    """The clean and the noisiest run of each seed, of families whose inputs can be made noisy
    (families/noisy_outputs.py)."""
    able = [run for run in runs if plan.runs[run].family in NOISY_INPUTS]
    return list(dict.fromkeys(clean_and_noisiest(plan, able)))


def teachers(plan: Plan, runs: list[str]) -> list[str]:
    """The noisy teachers of runs."""
    return plan.parents(TEACHER, runs)


def all_runs(plan: Plan, runs: list[str]) -> list[str]:
    """All of them."""
    return runs


def first_task(plan: Plan, runs: list[str]) -> list[str]:
    """Those of the first data set and seed."""
    first = plan.runs[runs[0]]
    same = (plan.runs[run] for run in runs)
    return [r.run_id for r in same if (r.dataset, r.seed) == (first.dataset, first.seed)]


CHOICES = {
    choice.__name__: choice
    for choice in (
        noise_ratios,
        one_seed,
        clean_runs,
        with_clean_runs,
        with_judges,
        first_clean_run,
        clean_and_noisiest,
        noisy_inputs,
        teachers,
        all_runs,
        first_task,
    )
}
