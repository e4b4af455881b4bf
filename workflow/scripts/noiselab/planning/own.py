"""Settings of one's own beside a tier's: where their tables and reports go, and what they share.

Runs and data sets that are as the tier has them are shared with it. Others have a name of their
own, so that no experiment of one's own costs the tier what it has.
"""

from dataclasses import dataclass, replace

from noiselab.families.descriptor import ANNOTATION, TEACHER
from noiselab.files import digest
from noiselab.planning import config as configuration
from noiselab.planning.run_ids import teacher_targets
from noiselab.planning.runs import Plan, plan, planned_experiments
from noiselab.run import Run

# Keys that say where and how something is computed, not what.
MEANS = (
    "name",
    "studies",
    "data",
    "warm_start",
    "cpu_threads",
    "preflight",
    "burst",
    "masks",
    "max_runtime",
    "resources",
    "cost",
)
LENGTH = 6  # digits of a digest in a name


@dataclass(frozen=True)
class Settings:
    """A plan, and what of it is one's own."""

    plan: Plan
    answers: str  # folder of tables and reports; that of the tier where all is the tier's
    differing: tuple[str, ...] = ()  # keys of the configuration


def settings(config: dict, results: str) -> Settings:
    """The plan of a validated configuration, apart from the tier's where it differs: of what the
    settings of one's own change, or of what `only` lets through, whose tables and reports leave
    those of the whole as they are."""
    whole, changed = _apart(config | {"only": None}, results)
    if config["only"] is None:
        return replace(whole, plan=_restricted(whole.plan, changed))
    chosen = planned_experiments(config, whole.answers)
    answers = f"{whole.answers}/only/{_only(config['only'])}"
    part = _restricted(whole.plan, [e for e in whole.plan.experiments if e in chosen])
    return Settings(part, answers, (*whole.differing, "only"))


def _only(only: str | list[str]) -> str:
    """Name of a folder for some experiments."""
    if isinstance(only, str):
        return only
    return "-".join(sorted(only)) if len(only) < 4 else digest(sorted(only))[:8]


def _apart(config: dict, results: str) -> tuple[Settings, list[str]]:
    """The plan of all that a configuration has, and the experiments that are not as the tier has
    them, or that a table of one's own needs; all of them where there are none."""
    whole = plan(config, results)
    standard = configuration.typed(configuration.standard(config))
    keys = differences(config, standard)
    if not keys:
        return Settings(whole, results), list(whole.experiments)
    standard["data"] = config["data"]
    usual = plan(configuration.validate(standard), results)
    apart = separated(whole, usual, results)
    changed = [e for e, runs in apart.experiments.items() if usual.experiments.get(e) != runs]
    entries = [key.partition(".")[2] for key in keys if key.startswith("artefacts.")]
    needed = [e for e in apart.experiments if e in changed or e in _sources(config, entries)]
    name = config["name"] or _name(changed or entries, {key: _value(config, key) for key in keys})
    answers = f"{results}/own/{name}"
    return Settings(apart, answers, tuple(keys)), needed or list(apart.experiments)


def _sources(config: dict, entries: list[str]) -> set[str]:
    """Experiments that entries of artefacts are made from, by way of tables and analyses too."""
    found: set[str] = set()
    for name in entries:
        entry = config["artefacts"].get(name, {"experiments": [name]})
        found |= set(entry.get("experiments", ()))
        found |= _sources(config, [*entry.get("tables", ()), *entry.get("analyses", ())])
        chosen = entry.get("runs", {}).get("experiment", "")
        section = chosen.removeprefix("analyses.")
        analysis = config["analyses"].get(section, {}) if section != chosen else {}
        found.add(analysis.get("experiment", chosen))
    return found


def _value(config: dict, key: str):
    """The value of a key such as `experiments.table2`."""
    first, _, second = key.partition(".")
    return config.get(first, {}).get(second) if second else config.get(first)


def differences(config: dict, standard: dict) -> list[str]:
    """Keys of the configuration that are not as in its files, such as `experiments.table2`."""
    keys = []
    for key in sorted(set(config) | set(standard)):
        ours, theirs = config.get(key), standard.get(key)
        if key in MEANS or ours == theirs:
            continue
        if isinstance(ours, dict) and isinstance(theirs, dict):
            parts = sorted(set(ours) | set(theirs))
            keys += [f"{key}.{part}" for part in parts if ours.get(part) != theirs.get(part)]
        else:
            keys.append(key)
    return keys


def _name(experiments: list[str], different: dict) -> str:
    return experiments[0] if len(experiments) == 1 else digest([sorted(experiments), different])[:8]


def separated(whole: Plan, usual: Plan, results: str) -> Plan:
    """The plan with other names for the data sets and runs that the tier has otherwise."""
    folders = {
        name: f"{name}-{digest(spec)[:LENGTH]}"
        if _arrays(usual.datasets.get(name, spec)) != _arrays(spec)
        else name
        for name, spec in whole.datasets.items()
    }
    runs = {
        run_id: run | {"data": f"{results}/data/{folders[run.dataset]}"}
        for run_id, run in whole.runs.items()
    }
    names: dict[str, str] = {}
    while True:  # a run whose parent has another name is another run
        found = {
            run_id: f"{run_id}-o{digest(run.content())[:LENGTH]}"
            for run_id, run in runs.items()
            if run_id not in names and run_id in usual.runs
            if _named(run, names, results) != usual.runs[run_id]
        }
        if not found:
            break
        names |= found
    return Plan(
        {names.get(run_id, run_id): _named(run, names, results) for run_id, run in runs.items()},
        {e: [names.get(run, run) for run in ids] for e, ids in whole.experiments.items()},
        {folders[name]: spec for name, spec in whole.datasets.items()},
    )


def _arrays(spec: dict) -> dict:
    """What of a specification the prepared arrays follow from."""
    return {k: v for k, v in spec.items() if k not in ("overrides", "stands_in_for")}


def _named(run: Run, names: dict[str, str], results: str) -> Run:
    """A run under its name, with its parents under theirs."""
    parents = {role: names.get(parent, parent) for role, parent in run.parents.items()}
    changes = {"run_id": names.get(run.run_id, run.run_id), "parents": parents}
    if "teacher_targets" in run:
        changes["teacher_targets"] = teacher_targets(results, parents[TEACHER])
    if "annotation" in run:
        changes["annotation"] = f"{results}/runs/{parents['annotator']}/{ANNOTATION}"
    return run | changes


def _restricted(whole: Plan, experiments: list[str]) -> Plan:
    """The plan of these experiments alone, with the parents of their runs."""
    chosen = {name: whole.experiments[name] for name in experiments}
    waiting = [run for runs in chosen.values() for run in runs]
    needed: set[str] = set()
    while waiting:
        run = waiting.pop()
        if run not in needed:
            needed.add(run)
            waiting += whole.runs[run].parents.values()
    runs = {run_id: run for run_id, run in whole.runs.items() if run_id in needed}
    used = {run.data.rpartition("/")[2] for run in runs.values()}
    datasets = {name: spec for name, spec in whole.datasets.items() if name in used}
    return replace(whole, runs=runs, experiments=chosen, datasets=datasets)
