"""The jobs of a plan: what each reads, writes and is made from.

Rules, cost, checks before the first job and the digests that say what is current all come from this
one list. A job is named like its benchmark file.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from noiselab.data.kinds import DOMAINS, KINDS, OF_DOMAINS
from noiselab.families import FAMILIES
from noiselab.families.descriptor import BACKBONE, INIT, METRICS, OWN, RUN, Stage
from noiselab.files import digest
from noiselab.planning import code
from noiselab.planning.artefacts import Artefact
from noiselab.planning.datasets import is_real, source_folder
from noiselab.planning.runs import Plan, reads_snapshots
from noiselab.run import Run

INCEPTION = "inception/pt_inception-2015-12-05-6726825d.pth"  # pytorch-fid's weights


@dataclass(frozen=True)
class Job:
    """One job of the workflow."""

    name: str
    rule: str
    inputs: dict[str, tuple[str, ...]]  # option of its script, or a name -> files
    outputs: dict[str, str]  # option -> file
    resources: str | None = None  # rule whose resources it has; None: seconds of a core
    run: str | None = None  # the run that it is a stage of
    variant: str = ""  # of a stage that a parent has in several
    content: object = None  # what it is made from beside files, as JSON
    # Files of code that it follows, since it is cheap to make again.
    code: tuple[Path, ...] = ()

    @property
    def files(self) -> list[str]:
        """All that it reads."""
        return [file for files in self.inputs.values() for file in files]


@dataclass(frozen=True)
class Places:
    """Where things are, relative to the folder that Snakemake works in."""

    results: str  # of the tier: data and runs
    answers: str  # tables, figures and reports; the same folder where the settings are the tier's
    downloads: str  # data sets that were downloaded
    root: str | None = None  # local copies of data sets

    def source(self, folder: str) -> str:
        """The folder of a real data set."""
        root = self.root or self.downloads
        return f"{'./' if root.startswith('-') else ''}{root}/{folder}"  # - begins an option


@dataclass(frozen=True)
class Graph:
    """All jobs of a plan by name."""

    plan: Plan
    config: dict
    places: Places
    artefacts: dict[str, Artefact]
    jobs: dict[str, Job] = field(default_factory=dict)

    def add(self, job: Job) -> None:
        """One more job; what several share is the same."""
        self.jobs[job.name] = job
        self.__dict__.pop("producers", None)  # known anew, this job's files among them

    @cached_property
    def producers(self) -> dict[str, str]:
        """File -> name of the job that makes it."""
        return {file: job.name for job in self.jobs.values() for file in job.outputs.values()}

    def needs(self, name: str) -> list[str]:
        """Names of the jobs whose files a job reads."""
        makers = (self.producers.get(file) for file in self.jobs[name].files)
        return [maker for maker in dict.fromkeys(makers) if maker]

    def closure(self, goals: Iterable[str]) -> set[str]:
        """Names of the jobs that `goals` need, themselves included."""
        found: set[str] = set()
        waiting = list(goals)
        while waiting:
            name = waiting.pop()
            if name in self.jobs and name not in found:
                found.add(name)
                waiting += self.needs(name)
        return found

    @cached_property
    def _digests(self) -> dict[str, str]:
        return {}

    def digest(self, name: str) -> str:
        """What a job's outputs are made from: its own content and code, and that of all before it.
        Files that no job makes are not in it."""
        if name not in self._digests:
            job = self.jobs[name]
            before = sorted(self.digest(need) for need in self.needs(name))
            self._digests[name] = digest([name, job.content, code.digest(job.code), before])
        return self._digests[name]


def graph(plan: Plan, config: dict, places: Places, artefacts: dict[str, Artefact]) -> Graph:
    """The jobs from data to tables and figures."""
    whole = Graph(plan, config, places, artefacts)
    for folder, spec in plan.datasets.items():
        _prepare(whole, folder, spec)
    for run in plan.runs.values():
        _run(whole, run)
        if run.corruption != "none":
            _mask(whole, run)
    for name, runs in plan.experiments.items():
        _collect(whole, name, runs)
    for kind, add in ADDITIONS.items():
        for artefact in artefacts.values():
            if artefact.kind == kind:
                add(whole, artefact)
    _answers(whole)
    return whole


def prepared(places: Places, folder: str, spec: dict) -> list[str]:
    """The files of a prepared data set."""
    files = (*KINDS[spec["kind"]].files, "dataset.json")
    return [f"{places.results}/data/{folder}/{file}" for file in files]


def _prepare(whole: Graph, folder: str, spec: dict) -> None:
    """A data set, and texts out of its domain, which train nothing again where they change."""
    places, kind = whole.places, KINDS[spec["kind"]]
    local = places.root or not is_real(spec)
    source = [] if local else [f"{places.downloads}/{source_folder(spec)}/.complete"]
    content = {key: value for key, value in spec.items() if key not in OF_DOMAINS}
    outputs = {Path(file).name: file for file in prepared(places, folder, spec)}
    whole.add(
        Job(
            f"prepare/{folder}",
            kind.rule,
            {"source": tuple(source)},
            outputs,
            kind.rule,
            content=content,
        )
    )
    place = f"{places.results}/data/{folder}"
    for domain in DOMAINS:
        if spec.get(domain):
            name = f"prepare_{domain}/{folder}"
            inputs = {"tokenizer": (f"{place}/tokenizer.json",)}
            out = {"out": f"{place}/{domain}.npy"}
            whole.add(Job(name, "prepare_out_of_domain", inputs, out, content=spec[domain]))


def _run(whole: Graph, run: Run) -> None:
    """The stages of a run's way."""
    run_id, place = run.run_id, f"{whole.places.results}/runs/{run.run_id}"
    name = f"run_config/{run_id}"
    whole.add(
        Job(name, "run_config", {}, {"run": f"{place}/{RUN}"}, run=run_id, content=run.content())
    )
    for stage in run_stages(whole.plan, run):
        target = run if stage.role == OWN else whole.plan.runs[run.parents[stage.role]]
        variant = stage.variant(run) if stage.variant else ""
        whole.add(_stage(whole, stage, run, target, variant))


MASK = "write_mask"  # rule and script


def _mask(whole: Graph, run: Run) -> None:
    """Which targets of a run are corrupted, for other tools; nothing else needs it."""
    places, run_id = whole.places, run.run_id
    place, spec = f"{places.results}/runs/{run_id}", Path(run.data).name
    inputs = {
        "run": (f"{place}/{RUN}",),
        "data": tuple(prepared(places, spec, whole.plan.datasets[spec])),
    }
    for stage in FAMILIES[run.family].stages[:1]:  # what its training reads of others
        for option, file in stage.also.items():
            if file.role in run.parents and file.role != INIT:
                inputs[option] = (f"{places.results}/runs/{run.parents[file.role]}/{file.name}",)
    out = {"out": f"{places.results}/masks/{run_id}.parquet"}
    limit = whole.config["masks"]["targets"]
    followed = code.script(MASK)
    name = f"mask/{run_id}"
    whole.add(Job(name, MASK, inputs, out, run=run_id, content={"limit": limit}, code=followed))


def run_stages(plan: Plan, run: Run) -> tuple[Stage, ...]:
    """The stages of a run: all of its family, or those of the special role that it has."""
    family = FAMILIES[run.family]
    for role, stages in family.role_stages.items():
        if plan.holds(run.run_id, role):
            return (family.stages[0], *stages)
    return family.stages


def _stage(whole: Graph, stage: Stage, run: Run, target: Run, variant: str) -> Job:
    """One stage of the run `target`, as the run `run` needs it, on the data of `run`."""
    places, run_id = whole.places, target.run_id
    folder = f"{places.results}/runs"
    inputs: dict[str, tuple[str, ...]] = {}
    spec_folder = Path(run.data).name
    spec = whole.plan.datasets[spec_folder]
    if stage.data:
        inputs["data"] = tuple(prepared(places, spec_folder, spec))
    for option, file in {**stage.reads, **stage.also}.items():
        holder = run_id if file.role == OWN else target.parents.get(file.role)
        name = file.name if isinstance(file.name, str) else file.name(run)
        inputs[option] = (f"{folder}/{holder}/{name}",) if holder and name else ()
    for option, chosen in {**stage.data_files, **stage.data_also}.items():
        name = chosen(spec)
        inputs[option] = (f"{run.data}/{name}",) if name else ()
    if stage.inception:
        inputs["inception"] = (places.source(INCEPTION),) if stage.inception(run) else ()
    model = whole.plan.runs.get(target.parents.get(BACKBONE), target)
    if stage.downloaded and (mark := stage.downloaded(model)):
        inputs["downloaded"] = (mark,)
    outputs = {
        option: f"{folder}/{run_id}/{name.format(variant=variant)}"
        for option, name in {**stage.writes, **stage.beside}.items()
    }
    followed: tuple[Path, ...] = ()
    if stage.modules is not None:
        followed = code.script(stage.script, *stage.modules)
    resources = None if stage.local else stage.resources or stage.rule
    name = f"{stage.name}/{run_id}" + (f"-{variant}" if variant else "")
    return Job(name, stage.rule, inputs, outputs, resources, run_id, variant, code=followed)


def _collect(whole: Graph, experiment: str, runs: list[str]) -> None:
    """The metrics of an experiment's runs as one table."""
    places = whole.places
    files = tuple(f"{places.results}/runs/{run}/{METRICS}" for run in runs)
    snapshots = reads_snapshots(whole.config["experiments"][experiment])
    whole.add(
        Job(
            f"collect/{experiment}",
            "collect_metrics",
            {"metrics": files},
            {"out": f"{places.answers}/metrics/{experiment}.csv"},
            content={"snapshots": snapshots},
            code=code.script("collect_metrics"),
        )
    )


def _table(whole: Graph, artefact: Artefact) -> None:
    """A table, from metrics, analyses or files of runs."""
    files = _sources(whole, artefact)
    place = f"{whole.places.answers}/tables/{artefact.name}"
    outputs = {suffix: f"{place}.{suffix}" for suffix in ("csv", "json", "md", "tex")}
    _made(whole, artefact, "make_table", files, outputs)


def _figure(whole: Graph, artefact: Artefact) -> None:
    """A figure, from tables, analyses or files of runs."""
    place = f"{whole.places.answers}/figures/{artefact.name}"
    outputs = {"narrow": f"{place}_narrow.svg"}
    outputs |= {suffix: f"{place}.{suffix}" for suffix in ("svg", "png", "csv", "json")}
    _made(whole, artefact, "make_figure", _sources(whole, artefact), outputs)


def _made(whole: Graph, artefact: Artefact, script: str, files: tuple, outputs: dict) -> None:
    inputs = {"files": files, **_run_files(whole, artefact, "run.json")}
    content = [artefact.entry, artefact.runs, whole.config["tier"]]
    followed = code.script(script) + code.published()
    job = Job(artefact.job, artefact.name, inputs, outputs, content=content, code=followed)
    whole.add(job)


def _sources(whole: Graph, artefact: Artefact) -> tuple[str, ...]:
    """The files that a table or figure is made from."""
    answers = whole.places.answers
    files = [f"{answers}/metrics/{experiment}.csv" for experiment in artefact.experiments]
    for analysis in artefact.analyses:
        files += whole.jobs[f"analysis/{analysis}"].outputs.values()
    if name := artefact.entry.get("runs", {}).get("file"):
        files += [f"{whole.places.results}/runs/{run}/{name}" for run in artefact.runs]
    elif artefact.kind == "figure" and not artefact.analyses:
        files += [f"{answers}/tables/{table}.csv" for table in artefact.tables]
    return tuple(files)


def _run_files(whole: Graph, artefact: Artefact, name: str) -> dict[str, tuple[str, ...]]:
    """A file of each of an artefact's runs."""
    return {"runs": tuple(f"{whole.places.results}/runs/{run}/{name}" for run in artefact.runs)}


def _analysis(whole: Graph, artefact: Artefact) -> None:
    """A measurement that is no training."""
    entry, runs = artefact.entry, artefact.runs
    resources = entry.get("resources") or entry["builder"]
    inputs = _run_files(whole, artefact, "run.json")
    if entry.get("runs", {}).get("weights"):
        inputs["weights"] = _run_files(whole, artefact, "weights.safetensors")["runs"]
    if name := entry.get("runs", {}).get("file"):
        inputs["files"] = _run_files(whole, artefact, name)["runs"]
    folders = dict.fromkeys(Path(whole.plan.runs[run].data).name for run in runs)
    sets = [prepared(whole.places, f, whole.plan.datasets[f]) for f in folders]
    inputs["data"] = tuple(file for files in sets for file in files)
    names = entry.get("files", [f"{artefact.name}.csv"])
    outputs = {f"out{i}": f"{whole.places.answers}/analysis/{n}" for i, n in enumerate(names)}
    whole.add(
        Job(
            artefact.job,
            artefact.name,
            inputs,
            outputs,
            resources if resources in whole.config["resources"] else None,
            content=artefact.options,
            code=code.script(entry["builder"]),
        )
    )


def _answers(whole: Graph) -> None:
    """Verdicts, the audit and what was run, from all metrics."""
    answers, experiments = whole.places.answers, list(whole.plan.experiments)
    metrics = tuple(f"{answers}/metrics/{experiment}.csv" for experiment in experiments)
    analyses = {
        name: tuple(whole.jobs[f"analysis/{name}"].outputs.values())
        for name in ("gradients", "loss_stability", "curves")
        if name in whole.artefacts
    }
    content = [whole.config["tier"], whole.config["studies"]]
    parts = {
        "claims": (f"{answers}/claims", ("json", "md", "csv"), analyses),
        "tables/audit": (f"{answers}/tables/audit", ("csv", "json", "md"), analyses),
        "overview": (f"{answers}/overview", ("csv", "json", "md"), _descriptions(whole)),
    }
    for name, (place, suffixes, more) in parts.items():
        rule = name.rpartition("/")[2]
        outputs = {suffix: f"{place}.{suffix}" for suffix in suffixes}
        followed = code.script(f"make_{rule}") + code.published()
        inputs = {"metrics": metrics, **more}
        whole.add(Job(name, rule, inputs, outputs, content=content, code=followed))


def _descriptions(whole: Graph) -> dict[str, tuple[str, ...]]:
    """dataset.json of each data set."""
    place = f"{whole.places.results}/data"
    return {"data": tuple(f"{place}/{folder}/dataset.json" for folder in whole.plan.datasets)}


ADDITIONS = {"analysis": _analysis, "table": _table, "figure": _figure}
