"""Seconds and bytes of each job of a plan, estimated from what it computes and leaves.

Arithmetic only, without torch: the sizes of networks are handed in (noiselab.planning.flops). Which
jobs there are says the graph; what a stage computes, its family (families/<name>/cost.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from noiselab.errors import NoiselabError
from noiselab.families import stages, work
from noiselab.families.descriptor import OWN
from noiselab.families.work import Computing, Data, Network, Sizes, Work
from noiselab.planning.artefacts import ALL
from noiselab.planning.graph import Graph, Job
from noiselab.planning.measured import Measured, workload
from noiselab.run import Run

STEP = 3  # forward passes that a training step is worth: backward, it is two more
WEIGHT = 4  # bytes, single precision
CHECKPOINTS = 3  # on disk while one is written: the two newest are kept
# What the optimiser keeps of every weight.
OPTIMIZER_COPIES = {"sgd": 1, "adam": 2, "adamw": 2}
LOCAL = {"gpu": 0, "threads": 1}  # of jobs that the configuration gives no resources
TRAINING, PREPARING, ANALYSIS = "train/", "prepare/", "analysis/"  # how names of jobs begin


@dataclass(frozen=True)
class JobCost:
    """What one job of the workflow takes; `name` and `needs` are those of the graph."""

    name: str
    needs: tuple[str, ...]  # names of the jobs that must come before
    seconds: float
    gpus: int
    threads: int
    bytes: float = 0.0  # left on disk
    checkpoints: float = 0.0  # bytes on disk while it runs
    steps: int = 0
    examples: int = 0

    @property
    def units(self) -> int:
        """What its time counts times: GPUs, or cores where there is none."""
        return self.gpus or self.threads


@dataclass(frozen=True)
class Estimate:
    """Everything that an estimate of a plan is made from."""

    graph: Graph
    data: dict[str, Data]  # by folder of the data set
    networks: dict[str, Network]  # by run
    measured: dict[str, Measured]  # by workload

    @property
    def config(self) -> dict:
        """The configuration."""
        return self.graph.config

    def sizes(self, run_id: str, variant: str = "") -> Sizes:
        """How large everything is that the stages of a run see."""
        own = self._own(run_id)
        parents = {role: self._own(parent) for role, parent in own.run.parents.items()}
        return Sizes(own.run, own.data, own.network, parents, variant, self.data.get(variant))

    def _own(self, run_id: str) -> Sizes:
        run = self.graph.plan.runs[run_id]
        return Sizes(run, self.data[Path(run.data).name], self.networks[run_id])


def job_costs(estimate: Estimate) -> dict[str, JobCost]:
    """What each job of the plan takes, by name."""
    graph = estimate.graph
    return {name: _job_cost(estimate, job, graph.needs(name)) for name, job in graph.jobs.items()}


def _job_cost(estimate: Estimate, job: Job, needs: list[str]) -> JobCost:
    """A job with its rule's resources; what it does comes on top of the start of a process."""
    asked, more = _resources(estimate, job), _doing(estimate, job)
    start = estimate.config["cost"]["start_seconds"]
    start = start["warm" if estimate.config["warm_start"] and not asked["gpu"] else "cold"]
    seconds = start + more.pop("seconds", 0.0)
    return JobCost(job.name, tuple(needs), seconds, asked["gpu"], asked["threads"], **more)


def _resources(estimate: Estimate, job: Job) -> dict:
    return estimate.config["resources"][job.resources] if job.resources else LOCAL


def _doing(estimate: Estimate, job: Job) -> dict:
    """What a job takes beside its start, as fields of JobCost."""
    for beginning, take in DOING.items():
        if job.name.startswith(beginning):
            return take(estimate, job)
    return _stage(estimate, job) if job.resources else {}


def _preparing(estimate: Estimate, job: Job) -> dict:
    """Download is not counted."""
    size = estimate.data[job.name.removeprefix(PREPARING)].bytes
    per_core = estimate.config["cost"]["prepared_bytes_per_second"]
    return {"seconds": size / per_core / _resources(estimate, job)["threads"], "bytes": size}


def _training(estimate: Estimate, job: Job) -> dict:
    """The training of a run, with its evaluations on the way and its predictions at the end."""
    sizes, rest = estimate.sizes(job.run), _stage(estimate, job)
    settings, network = sizes.run.training, sizes.network
    every, looks = settings["evaluate_every"], 0.0
    if every:
        looks = settings["steps"] / every * _family(sizes.run.family).glance(sizes)
    seconds = _step_seconds(estimate, job, sizes) * settings["steps"]
    seconds += _seconds(estimate, job, sizes.run, looks * network.forward)
    return {
        "seconds": seconds + rest["seconds"],
        "bytes": WEIGHT * network.parameters + rest["bytes"],
        "checkpoints": checkpoint_bytes(settings, network.parameters),
        "steps": settings["steps"],
        "examples": settings["steps"] * settings["batch_size"],
    }


def _step_seconds(estimate: Estimate, job: Job, sizes: Sizes) -> float:
    """Time of an optimiser step. A GPU that has little to compute is kept waiting by Python; what
    was measured has that in it."""
    batch = sizes.run.training["batch_size"] * work.passes(sizes.run)
    flops = STEP * batch * sizes.network.forward
    seconds = _seconds(estimate, job, sizes.run, flops)
    least = _device(estimate, job)["step_seconds"]
    return seconds if workload(sizes.run) in estimate.measured else max(seconds, least)


def checkpoint_bytes(settings: dict, parameters: int) -> float:
    """Most bytes of a training's checkpoints at a time: weights, optimiser, moving average; and the
    snapshot beside them."""
    copies = 1 + OPTIMIZER_COPIES[settings["optimizer"]["name"]]
    copies += settings["ema_decay"] is not None
    snapshot = "snapshot_step" in settings
    return WEIGHT * parameters * (CHECKPOINTS * copies + snapshot)


def _stage(estimate: Estimate, job: Job) -> dict:
    """What the family says of a stage."""
    sizes = estimate.sizes(job.run, job.variant)
    work = stage_work(job.rule)(sizes)
    seconds = sum(_computing_seconds(estimate, job, sizes, part) for part in work.computing)
    return {"seconds": seconds, "bytes": work.bytes}


def _computing_seconds(estimate: Estimate, job: Job, sizes: Sizes, part: Computing) -> float:
    run = sizes.run if part.role == OWN else sizes.parents[part.role].run
    return _seconds(estimate, job, run, part.flops, part.kind)


def stage_work(rule: str) -> Callable[[Sizes], Work]:
    """What the stage of this rule does. NoiselabError: its family's cost.py does not say."""
    family = next(stage.family for stage in stages() if stage.rule == rule)
    said = _family(family).WORK
    if said and rule not in said:
        raise NoiselabError(f"cost: {family} has no {rule} in WORK of its cost.py")
    return said.get(rule, work.nothing)


def _family(name: str) -> ModuleType:
    """What the family says about cost, in cost.py; a family that has none gets what holds for most:
    only its training counts."""
    module = f"noiselab.families.{name}.cost"
    return import_module(module) if find_spec(module) else work


def _analysis(estimate: Estimate, job: Job) -> dict:
    """An analysis computes on the networks of its runs, which are alike."""
    artefact = estimate.graph.artefacts[job.name.removeprefix(ANALYSIS)]
    if not artefact.runs or artefact.entry["family"] == ALL:  # forward passes of small networks
        return {}
    known = getattr(_family(artefact.entry["family"]), "ANALYSES", {})
    if artefact.entry["builder"] not in known:
        return {}
    kind, passes = known[artefact.entry["builder"]]
    sizes = estimate.sizes(artefact.runs[0])
    count = passes(artefact.options) * len(artefact.runs)
    return {"seconds": _seconds(estimate, job, sizes.run, count * sizes.network.forward, kind)}


DOING = {TRAINING: _training, PREPARING: _preparing, ANALYSIS: _analysis}


# ------------------------------------------------------------------------------------ speed


def speed(estimate: Estimate, run: Run, gpu: int) -> float:
    """FLOPs per second of one GPU (or, where gpu is 0, core) on the run's network: what its
    training was measured to do on such a device, or else what is assumed."""
    cost, family = estimate.config["cost"], run.family
    measured = estimate.measured.get(workload(run))
    trained_on = estimate.config["resources"].get(f"train_{family}", {}).get("gpu")
    if measured and bool(trained_on) == bool(gpu):
        return STEP * estimate.networks[run.run_id].forward * work.passes(run) * measured.rate
    return cost["gpu" if gpu else "cpu"]["flops"][family]


def _seconds(estimate: Estimate, job: Job, run: Run, flops: float, kind: str = "") -> float:
    """Time of a job for FLOPs on a run's network. kind: of `efficiency`."""
    asked = _resources(estimate, job)
    share = _device(estimate, job)["efficiency"][kind] if kind else 1.0
    return flops / (speed(estimate, run, asked["gpu"]) * share * (asked["gpu"] or asked["threads"]))


def _device(estimate: Estimate, job: Job) -> dict:
    """What is assumed of the devices that a job computes on."""
    return estimate.config["cost"]["gpu" if _resources(estimate, job)["gpu"] else "cpu"]
