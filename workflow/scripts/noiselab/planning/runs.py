"""From the configuration to runs: one training each, with everything it needs resolved.

A run is written to `run.json`. Its id is readable and depends only on what
makes it different from its siblings, so that experiments which need the same run share it.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from noiselab.errors import NoiselabError
from noiselab.families import FAMILIES
from noiselab.families.descriptor import (
    ANNOTATION,
    ANNOTATOR,
    BACKBONE,
    CLEAN,
    INIT,
    JUDGE,
    TEACHER,
)
from noiselab.files import digest, sha256
from noiselab.noise.registry import CORRUPTIONS
from noiselab.planning import pretrained
from noiselab.planning.checks import check_dataset, check_experiment, check_run
from noiselab.planning.hints import hint
from noiselab.planning.image_sets import resolved
from noiselab.planning.probes import backbone, check, chosen_backbones, probes
from noiselab.planning.rates import CLEAN_RATE, Rate, check_budget, rates
from noiselab.planning.recipes import all_seeds, batch_multiplier, paced, recipe, seeds, training
from noiselab.planning.run_ids import annotator_id, noise_name, teacher_targets, variant
from noiselab.run import Run


@dataclass(frozen=True)
class Plan:
    """What a configuration asks for."""

    runs: dict[str, Run]  # run id -> run
    experiments: dict[str, list[str]]  # experiment -> ids of its runs
    datasets: dict[str, dict]  # folder of a data set -> specification, those in use only

    def kinds(self, kinds: tuple[str, ...]) -> list[str]:
        """Folders of the data sets of these kinds."""
        return [name for name, spec in self.datasets.items() if spec["kind"] in kinds]

    def parents(self, role: str, runs: list[str] | None = None) -> list[str]:
        """Ids of the parents that runs (by default all) have in a role, each once, in order."""
        if runs is None:
            return list(self._held.get(role, ()))
        found = (self.runs[run].parents.get(role) for run in runs)
        return [run for run in dict.fromkeys(found) if run]

    def holds(self, run: str, role: str) -> bool:
        """Whether a run is the parent of any run in a role. One look, however many runs there are:
        it is asked for each run."""
        return run in self._held.get(role, ())

    @cached_property
    def _held(self) -> dict[str, dict[str, None]]:
        """Role -> ids of the runs that are parents in it, in order."""
        found: dict[str, dict[str, None]] = {}
        for run in self.runs.values():
            for role, parent in run.parents.items():
                if parent:
                    found.setdefault(role, {})[parent] = None
        return found


@dataclass(frozen=True)
class Place:
    """Where one experiment's run stands: what its runs differ in."""

    rate: Rate
    seed: int
    axes: tuple = ()  # (axis, value) of each of the family's own
    multiplier: int | None = None  # None: what `batch_multiplier` says
    learning_rate: float = 1  # what that of the recipe is multiplied by


@dataclass(frozen=True)
class Start:
    """Weights that a training starts from."""

    content: dict  # its keys of run.json
    runs: tuple[Run, ...] = ()  # whose weights these are, and its parents; none: a file's


def plan(config: dict, results: str) -> Plan:
    """Expand a validated configuration. `results`: folder of the tier, in the paths of runs."""
    runs: dict[str, Run] = {}
    experiments: dict[str, list[str]] = {}
    datasets: dict[str, dict] = {}
    for name, experiment in planned_experiments(config, results).items():
        experiments[name] = []
        for spec, run, parents in _planned(config, results, name, experiment):
            datasets[spec["name"]] = spec
            if run.run_id in experiments[name]:
                raise NoiselabError(
                    f"config key experiments.{name}: two runs would be called {run.run_id}; "
                    "numbers that differ in the seventh digit only are one"
                )
            experiments[name].append(run.run_id)
            for needed in (run, *parents):
                _check_shared(needed, runs.setdefault(needed.run_id, needed), name)
    for run in runs.values():
        check_run(run)
        if lacking := [parent for parent in run.parents.values() if parent not in runs]:
            raise NoiselabError(f"{run.run_id} needs {lacking[0]}, which is not planned")
    for run in runs.values():  # what a training starts from may be of another data set
        if run.dataset not in datasets:
            datasets[run.dataset] = resolved(config, results, run.dataset, "init.dataset")
    return Plan(runs, experiments, datasets)


def _planned(config: dict, results: str, name: str, experiment: dict) -> Iterator[tuple]:
    """(data set, run, its parents) of the runs of an experiment."""
    probed = FAMILIES[experiment["family"]].backbones
    find = _probed if probed else _asked
    experiment = _located(experiment, config["data"]["root"])
    if not probed:  # a probe starts nowhere, and says so of an `init`
        experiment = experiment | _initial(config, results, name, experiment)
    for dataset in experiment["datasets"]:
        spec = resolved(config, results, dataset, f"experiments.{name}.datasets")
        check_dataset(spec)
        for run, parents in find(config, results, name, experiment, spec):
            yield spec, run, parents


def _asked(config: dict, results: str, name: str, experiment: dict, spec: dict):
    """(run, its parents) of the trainings on one data set."""
    check_experiment(name, experiment, spec)
    for run in _runs(config, results, _trained(name, experiment, spec), spec):
        yield run, list(_parents(config, results, experiment, spec, run))


def _probed(config: dict, results: str, name: str, experiment: dict, spec: dict):
    """The same of the probes on one task, whose backbones are among the parents."""
    check(name, experiment, spec)
    trained = _backbones(config, results, name, experiment, spec)
    chosen = chosen_backbones(experiment, [own[0] for own in trained.values()])
    for run in probes(config, results, name, experiment, spec, chosen):
        yield run, trained[run.parents[BACKBONE]]


def _backbones(config: dict, results: str, name: str, experiment: dict, spec: dict) -> dict:
    """Id of a backbone -> itself and its parents."""
    if "models" in experiment["backbone"]:
        found = pretrained.models(config, results, name, experiment, spec)
        return {run.run_id: (run,) for run in found}
    chosen, other = backbone(config, name, experiment)
    other = other | ({"seeds": config["seeds"], "replicas": {}} if config["seeds"] else {})
    planned = _planned(config, results, chosen, other)
    return {run.run_id: (run, *parents) for _, run, parents in planned}


def _located(experiment: dict, root: str | None) -> dict:
    """An experiment with its file of labels found: in the working folder, or else below
    `data.root`."""
    labels = experiment.get("labels")
    labels = {"file": labels} if isinstance(labels, str) else labels
    if not labels or not root or os.path.exists(labels["file"]):
        return experiment
    below = os.path.join(root, labels["file"])
    return experiment | {"labels": labels | {"file": below}}


def _check_shared(run: Run, other: Run, name: str) -> None:
    """A run that an experiment shares with others is the same for all. other: of the same id."""
    if run is other:
        return
    theirs = other.content()
    differing = [key for key, value in run.content().items() if theirs.get(key) != value]
    if differing:
        raise NoiselabError(
            f"config key experiments.{name}: {run.run_id} would be a run of another experiment, "
            f"too, which has another {differing[0]}; say the same in both"
        )


def planned_experiments(config: dict, answers: str) -> dict[str, dict]:
    """The experiments that are enabled and that `only` lets through, with their seeds. answers:
    folder of metrics and tables, for those that are built."""
    enabled = {n: e for n, e in config["experiments"].items() if e.get("enabled", True)}
    only = config["only"]
    if only == "built":  # metrics are the last that is made of an experiment's runs
        only = [name for name in enabled if os.path.isfile(f"{answers}/metrics/{name}.csv")]
        if not only:
            raise NoiselabError(f"config key only: nothing is built in {answers}")
    unknown = [name for name in only or [] if name not in enabled]
    if unknown:
        known = hint(unknown[0], enabled)
        raise NoiselabError(f"config key only: no enabled experiment {unknown[0]!r} ({known})")
    if not enabled:
        raise NoiselabError("config key experiments: none is enabled, so there is nothing to do")
    same = {"seeds": config["seeds"], "replicas": {}} if config["seeds"] else {}
    chosen = {n: e for n, e in enabled.items() if only is None or n in only}
    return {n: e | {k: v for k, v in same.items() if k in e} for n, e in chosen.items()}


def reads_snapshots(experiment: dict) -> bool:
    """Whether an experiment's numbers are those of longer runs on their way (Table 8 as released):
    where a run of fixed total length would end, the learning rate not yet annealed."""
    released = (experiment.get("protocol"), experiment.get("budget")) == ("released", "fixed_total")
    return released and FAMILIES[experiment["family"]].snapshots


def _trained(name: str, experiment: dict, spec: dict) -> dict:
    """An experiment as its runs are trained: those that have the snapshots are shared with whoever
    asks for their ends; with what its corruption adds to run.json as `noise`, and its `rates`."""
    corruption, where = CORRUPTIONS[experiment["corruption"]], f"config key experiments.{name}."
    noise = corruption.planned(experiment, spec, where)
    if reads_snapshots(experiment):
        experiment = experiment | {"budget": "fixed_clean", "protocol": "text"}
    return experiment | {"noise": noise, "rates": rates(experiment, noise, where)}


def _runs(config: dict, results: str, experiment: dict, spec: dict):
    """The runs asked for."""
    own = FAMILIES[experiment["family"]].experiment
    values = [[(a, v) for v in experiment.get(key, [a.default])] for key, a in own.items()]
    multipliers = experiment.get("batch_multipliers", [None])
    paces = experiment.get("learning_rate_multipliers", [1])
    for point in product(all_seeds(experiment), *values, multipliers, paces, experiment["rates"]):
        seed, *axes, multiplier, pace, rate = point
        if seed in seeds(experiment, spec["name"], rate.noise_ratio):
            place = Place(rate, seed, tuple(axes), multiplier, pace)
            yield _run(config, results, experiment, spec, place)


def _initial(
    config: dict, results: str, name: str, experiment: dict, after: tuple[str, ...] = ()
) -> dict:
    """Where the trainings of an experiment start, by seed: from the runs of the same seed of
    another experiment, at a noise ratio, or from a local file of weights. after: experiments that
    start from this one."""
    init, key = experiment.get("init"), f"config key experiments.{name}.init"
    if init is None:
        return {}
    if "weights" in init:
        start = Start(
            {"init": {"weights": init["weights"], "sha256": _content(init["weights"], key)}}
        )
        return {"initial": dict.fromkeys(all_seeds(experiment), start)}
    other = config["experiments"].get(init["experiment"])
    if other is None or other["family"] != experiment["family"]:
        same = [n for n, e in config["experiments"].items() if e["family"] == experiment["family"]]
        found = f"no {experiment['family']} experiment {init['experiment']!r}"
        raise NoiselabError(f"{key}.experiment: {found} ({hint(init['experiment'], same)})")
    if init["experiment"] in (name, *after):
        raise NoiselabError(f"{key}.experiment: {init['experiment']} would start from itself")
    dataset = init.get("dataset", other["datasets"][0])
    spec = resolved(config, results, dataset, f"experiments.{name}.init.dataset")
    other = other | {"seeds": all_seeds(experiment)}
    if spec["kind"] not in FAMILIES[other["family"]].kinds:
        raise NoiselabError(f"{key}.dataset: {dataset} is not for a {other['family']}")
    check_experiment(init["experiment"], other, spec)
    other |= _initial(config, results, init["experiment"], other, (*after, name))
    other = _trained(init["experiment"], other, spec)
    own = FAMILIES[other["family"]].experiment.values()
    axes = tuple((axis, axis.default) for axis in own)
    starts = {}
    for seed in all_seeds(experiment):
        place = Place(_initial_rate(init, other, key), seed, axes)
        first = _run(config, results, other, spec, place)
        weights = f"{results}/runs/{first.run_id}/weights.safetensors"
        runs = (first, *_parents(config, results, other, spec, first))
        starts[seed] = Start({"init": {"weights": weights}}, runs)
    return {"initial": starts}


def _initial_rate(init: dict, other: dict, key: str) -> Rate:
    """The rate of the runs that trainings start from, by default 0."""
    if given := [name for name in ("noise_ratio", "error_rate") if name in init]:
        if not CORRUPTIONS[other["corruption"]].rated:
            raise NoiselabError(f"{key}.{given[0]}: {other['corruption']} has a rate of its own")
        if len(given) > 1:
            raise NoiselabError(f"{key}.error_rate: not together with noise_ratio")
    if "error_rate" not in init:
        return Rate.from_ratio(float(init.get("noise_ratio", 0)))
    rate = Rate.from_error(float(init["error_rate"]))
    check_budget(other["budget"], [rate], f"{key}.error_rate")
    return rate


def _content(path: str, key: str) -> str:
    """SHA-256 of a file of weights. NoiselabError: it is none, or cannot be read."""
    from safetensors import SafetensorError, safe_open  # few plans need it

    try:
        found = sha256(path)
        with safe_open(path, "numpy"):
            return found
    except OSError as error:
        raise NoiselabError(f"{key}.weights: cannot read {path} ({error.strerror})") from error
    except SafetensorError as error:
        raise NoiselabError(f"{key}.weights: {path} is no safetensors file ({error})") from error


def _run(config, results, experiment, spec, place: Place) -> Run:
    """A run of an experiment, whose parents have the ids that they are planned under."""
    if place.rate.error_rate == 0:
        return _usual(lambda own: _own_run(config, results, own, spec, place), experiment)
    run = _own_run(config, results, experiment, spec, place)
    if not experiment.get("training"):
        return run
    parents, changes = dict(run.parents), {}
    if parents[CLEAN] != run.run_id:  # or there is nothing that it could be compared with
        clean = Place(CLEAN_RATE, place.seed, place.axes, 1)
        parents[CLEAN] = _run(config, results, experiment, spec, clean).run_id
    if TEACHER in parents:
        parents[TEACHER] = _teacher(config, results, experiment, spec).run_id
        changes["teacher_targets"] = teacher_targets(results, parents[TEACHER])
    return run | changes | {"parents": parents}


def _usual(make: Callable[[dict], Run], experiment: dict) -> Run:
    """The run that `make` plans of an experiment. One that the experiment's own changes of the
    recipe leave as it is, such as a schedule that only longer runs notice, is the run without
    them."""
    run = make(experiment)
    if not experiment.get("training"):
        return run
    try:
        usual = make(experiment | {"training": {}})
    except NoiselabError:  # without the changes it could not be
        return run
    same = {key: usual[key] for key in ("run_id", "parents")}
    return usual if (run | same).content() == usual.content() else run


def _own_run(config, results, experiment, spec, place: Place) -> Run:
    family, protocol, dataset = experiment["family"], experiment["protocol"], spec["name"]
    kind, own = FAMILIES[family], paced(recipe(config, experiment, spec), place.learning_rate)
    clean, rate = place.rate.error_rate == 0, place.rate
    noise = {
        # A clean run is the same run whatever corruption or budget its siblings have.
        "corruption": "none" if clean else experiment["corruption"],
        "resample": "none" if clean else experiment["resample"],
        "budget": "none" if clean else experiment["budget"],
        "noise_ratio": rate.noise_ratio,
        "error_rate": rate.error_rate,
        "batch_multiplier": place.multiplier
        or batch_multiplier(experiment, own, spec, rate.noise_ratio),
        **({"learning_rate_multiplier": place.learning_rate} if place.learning_rate != 1 else {}),
        **({} if clean else experiment.get("noise", {})),
        **({"correction": own["correction"]} if "correction" in own and not clean else {}),
    }
    part = "".join(axis.label(value) for axis, value in place.axes)
    ending = variant(protocol, experiment.get("training", {}))  # of a teacher, too
    start = experiment.get("initial", {}).get(place.seed)
    own_ending = ending + (f"-i{digest(start.content)[:6]}" if start else "")
    run_id = f"{family}/{dataset}/{noise_name(noise, rate)}{part}-s{place.seed}{own_ending}"
    parents = {CLEAN: f"{family}/{dataset}/clean{part}-s{place.seed}{own_ending}"}
    if not spec.get("clean_labels", True):
        parents[CLEAN] = run_id  # there is nothing that it could be compared with
    if kind.judge:
        parents[JUDGE] = f"{kind.judge}/{dataset}/clean-s{place.seed}"
    if CORRUPTIONS[noise["corruption"]].target == "sequence":
        parents[TEACHER] = f"{family}/{dataset}/teacher-s{own['teacher']['seed']}{ending}"
        noise["teacher_targets"] = teacher_targets(results, parents[TEACHER])
    if CORRUPTIONS[noise["corruption"]].annotated:
        annotator = kind.judge or family, dataset, noise["annotator"]
        parents[ANNOTATOR] = annotator_id(*annotator)
        noise["annotation"] = f"{results}/runs/{parents[ANNOTATOR]}/{ANNOTATION}"
    if start and start.runs:
        parents[INIT] = start.runs[0].run_id
    content = {
        "run_id": run_id,
        "parents": parents,
        "family": family,
        "tier": config["tier"],
        "dataset": dataset,
        "stands_in_for": spec.get("stands_in_for"),
        "data": f"{results}/data/{dataset}",
        **noise,
        "protocol": protocol,
        "seed": place.seed,
        "model": own["model"],
        **kind.facts(spec, own),
        **{axis.key: value for axis, value in place.axes},
        **(start.content if start else {}),
        "training": training(own, kind.clean_examples(spec, own), spec, noise, kind.snapshots),
    }
    return Run.from_content(content)


def _parents(config: dict, results: str, experiment: dict, spec: dict, run: Run):
    """The runs that a run needs beside itself: the clean run, which gives the noise floor, even
    where it is not asked for; the teacher; the judge."""
    trained = _trained("", experiment, spec)
    axes = FAMILIES[run.family].experiment.values()
    same = tuple((axis, run[axis.key]) for axis in axes)
    if run.parents[CLEAN] != run.run_id:
        yield _run(config, results, trained, spec, Place(CLEAN_RATE, run.seed, same, 1))
    if ANNOTATOR in run.parents:
        yield _annotator(config, results, spec, run)
    if TEACHER in run.parents:
        yield _teacher(config, results, trained, spec)
    if INIT in run.parents:
        yield from experiment["initial"][run.seed].runs
    if JUDGE in run.parents:
        judged = {"family": FAMILIES[run.family].judge, "protocol": "text"}
        yield _run(config, results, judged, spec, Place(CLEAN_RATE, run.seed))


def _teacher(config: dict, results: str, experiment: dict, spec: dict) -> Run:
    """The noisy teacher (Appendix K.3): a clean run, stopped early, of a seed of its own, so that
    a student shares neither initial weights nor order with it."""
    seed = recipe(config, experiment, spec)["teacher"]["seed"]
    if seed in all_seeds(experiment):
        raise NoiselabError(
            f"config key seq2seq.teacher.seed: {seed} is a student's seed, too; both would begin "
            "with the same weights"
        )
    return _usual(lambda own: _own_teacher(config, results, own, spec), experiment)


def _own_teacher(config: dict, results: str, experiment: dict, spec: dict) -> Run:
    own = recipe(config, experiment, spec)
    axes = tuple(
        (axis, axis.default) for axis in FAMILIES[experiment["family"]].experiment.values()
    )
    place = Place(CLEAN_RATE, own["teacher"]["seed"], axes, 1)
    run = _own_run(config, results, experiment, spec, place)
    run_id = "/teacher".join(run.run_id.rsplit("/clean", 1))
    changes = {
        "run_id": run_id,
        "parents": {CLEAN: run_id},
        "training": training(own, own["teacher"]["step"] * own["batch_size"], spec, run),
        # It writes all validation targets, too: the floor asks which of them are the true ones.
        "evaluation": run.evaluation | {"generated": None},
    }
    return run | changes


def _annotator(config: dict, results: str, spec: dict, run: Run) -> Run:
    """Who confuses the labels of a run: a clean classifier that was stopped early, or it would be
    sure of the images that it was trained on."""
    kind = FAMILIES[FAMILIES[run.family].judge or run.family]
    usual = {"family": kind.name, "protocol": "text"}
    own, annotator = recipe(config, usual, spec), run.annotator
    clean = _run(config, results, usual, spec, Place(CLEAN_RATE, annotator["seed"]))
    examples = annotator["share"] * kind.clean_examples(spec, own)
    run_id = annotator_id(kind.name, spec["name"], annotator)
    changes = {"run_id": run_id, "parents": {CLEAN: run_id}}
    return clean | changes | {"training": training(own, examples, spec, clean)}
