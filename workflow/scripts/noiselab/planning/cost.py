"""What a plan costs, before anything is trained: sums over its jobs and their longest chain; and
what it did cost.
"""

import re
from collections.abc import Callable, Iterable
from math import fsum

from noiselab.families import FAMILIES
from noiselab.planning.config import published
from noiselab.planning.estimates import STEP, TRAINING, Estimate, JobCost, speed
from noiselab.planning.graph import Graph
from noiselab.planning.measured import workload
from noiselab.run import Run


def closure(all_jobs: dict[str, JobCost], goals: Iterable[str]) -> set[str]:
    """Names of the jobs that `goals` need, themselves included; each once, whoever shares it."""
    found, waiting = set(), list(goals)
    while waiting:
        name = waiting.pop()
        if name in all_jobs and name not in found:
            found.add(name)
            waiting += all_jobs[name].needs
    return found


def chain_seconds(all_jobs: dict[str, JobCost], goals: Iterable[str]) -> float:
    """Length of the longest sequence of jobs that must follow each other to reach one of `goals`:
    the time that any number of machines needs."""
    ends: dict[str, float] = {}

    def end(name: str) -> float:
        if name not in all_jobs:
            return 0.0
        if name not in ends:
            job = all_jobs[name]
            ends[name] = job.seconds + max(map(end, job.needs), default=0.0)
        return ends[name]

    return max(map(end, goals), default=0.0)


def planned_row(all_jobs: dict[str, JobCost], goals: list[str]) -> dict:
    """What `goals` need: trainings, steps, examples, gpu_hours, core_hours, bytes left on disk,
    bytes of the largest training's checkpoints, hours of the longest chain."""
    chosen = [all_jobs[name] for name in closure(all_jobs, goals)]
    trainings = [job for job in chosen if job.name.startswith(TRAINING)]
    return {
        "trainings": len(trainings),
        "steps": sum(job.steps for job in trainings),
        "examples": sum(job.examples for job in trainings),
        **{key: hours(chosen, key) for key in ("gpu_hours", "core_hours")},
        "bytes": fsum(job.bytes for job in chosen),
        "checkpoint_bytes": max((job.checkpoints for job in trainings), default=0.0),
        "chain_hours": chain_seconds(all_jobs, goals) / 3600,
    }


SHORT = 60  # seconds: a job that a queue takes longer to begin than it takes
BESIDE = 2  # files of a job that are no outputs: log and benchmark
SELF = {"run_config", "resolved_config"}  # rules without a record: their output says all


def load_row(graph: Graph, all_jobs: dict[str, JobCost], goals: Iterable[str]) -> dict[str, int]:
    """What `goals` ask of a cluster and its file system: jobs, those of them that have resources
    and so are submitted, those of these that are planned to be short, files below the results, and
    notes that Snakemake keeps of them, a file each, in .snakemake/metadata."""
    names = closure(all_jobs, goals)
    submitted = [all_jobs[name] for name in names if graph.jobs[name].resources]
    jobs = [graph.jobs[name] for name in names]
    outputs = sum(len(job.outputs) + (job.rule not in SELF) for job in jobs)
    return {
        "jobs": len(names),
        "submitted": len(submitted),
        "short": sum(job.seconds < SHORT for job in submitted),
        "files": outputs + BESIDE * len(names),
        "notes": outputs,
    }


def load_line(row: dict[str, int]) -> str:
    """load_row as a sentence."""
    share = 100 * row["short"] / max(1, row["submitted"])
    return (
        f"{row['jobs']:,} jobs; a cluster gets {row['submitted']:,} of them, and {share:.0f} % of "
        f"these are planned to take less than a minute. Then there are {row['files']:,} files "
        f"of results, logs and records, nearly all small, and {row['notes']:,} in .snakemake/."
    )


def bytes_to_come(all_jobs: dict[str, JobCost], names: Iterable[str], at_once: int) -> float:
    """Disk space that the jobs of these names will take: what they leave, and the checkpoints of
    the largest of their trainings, of which `at_once` run at the same time."""
    to_do = [all_jobs[name] for name in names if name in all_jobs]
    checkpoints = sorted((job.checkpoints for job in to_do), reverse=True)
    return sum(job.bytes for job in to_do) + sum(checkpoints[:at_once])


def hours(
    chosen: Iterable[JobCost],
    key: str,
    seconds: Callable[[JobCost], float] = lambda job: job.seconds,
) -> float:
    """`gpu_hours` of the jobs that ask for GPUs, or `core_hours` of the others."""
    kind = [job for job in chosen if bool(job.gpus) == (key == "gpu_hours")]
    return fsum(seconds(job) * job.units for job in kind) / 3600  # in whatever order they come


def goals(estimate: Estimate) -> list[str]:
    """Names of the jobs that have a row: of tables, figures and analyses, and of each experiment
    that is in none."""
    graph = estimate.graph
    shown = [artefact.job for artefact in graph.artefacts.values()]
    reached = graph.closure(shown)
    collected = (f"collect/{experiment}" for experiment in graph.plan.experiments)
    return sorted(shown, key=_order) + [name for name in collected if name not in reached]


def _order(name: str) -> tuple:
    """Tables, figures, analyses; in each, Table 2 before Table 10."""
    kinds = ("tables", "figures", "analysis")
    parts = re.split(r"(\d+)", name)
    numbers = [int(part) if part.isdigit() else part for part in parts]
    return kinds.index(name.split("/")[0]), numbers


def rows(names: Iterable[str], row: Callable[[list[str]], dict]) -> list[dict]:
    """row(goals) of each of these jobs by its name, and of all at once, where what they share
    counts once."""
    names = list(names)
    own = [{"artefact": name.split("/")[1], **row([name])} for name in names]
    return [*own, {"artefact": "total", **row(names)}]


def actual_row(
    assumed: dict[str, JobCost],
    planned: dict[str, JobCost],
    seconds: dict[str, float],
    goals: list[str],
) -> dict:
    """Hours planned by assumptions alone, planned from measured throughput, and taken, of the jobs
    of `goals` that have a benchmark (`seconds`: by name); how many jobs and trainings have none;
    share of the time outside training."""
    names = closure(planned, goals)
    there = sorted(names & set(seconds))
    row = {}
    for key in ("gpu_hours", "core_hours"):
        row[f"assumed_{key}"] = hours([assumed[name] for name in there], key)
        row[f"planned_{key}"] = hours([planned[name] for name in there], key)
        row[f"actual_{key}"] = hours(
            [planned[name] for name in there], key, lambda job: seconds[job.name]
        )
    trained = sum(seconds[name] * planned[name].units for name in there if _trains(name))
    taken = sum(seconds[name] * planned[name].units for name in there)
    return row | {
        "outside_training": 1 - trained / taken if taken else None,
        "jobs": len(there),
        "jobs_missing": len(names) - len(there),
        "trainings_missing": sum(map(_trains, names - set(seconds))),
    }


def _trains(name: str) -> bool:
    return name.startswith(TRAINING)


def assumptions(estimate: Estimate) -> list[str]:
    """What an estimate rests on, a line each: throughput per family and data set, then the rest."""
    cost = estimate.config["cost"]
    lines = _throughputs(estimate)
    computing = {k: r for k, r in estimate.config["resources"].items() if "prepare" not in k}
    used = {"gpu" if asked["gpu"] else "cpu" for asked in computing.values()}
    for device in sorted(used, reverse=True):
        shares = ", ".join(f"{k} {v:g}" for k, v in cost[device]["efficiency"].items())
        least = f"{1000 * cost[device]['step_seconds']:g} ms"
        lines.append(
            f"Assumed of {cost[device]['name']}: shares of the speed of training: {shares}; a "
            f"training step takes at least {least}."
        )
    start = cost["start_seconds"]["warm" if estimate.config["warm_start"] else "cold"]
    return [
        *lines,
        f"Assumed: a job needs {start:g} s to start; data are prepared at "
        f"{cost['prepared_bytes_per_second'] / 1e6:g} MB/s and core; several GPUs or threads are "
        "as many times faster.",
        f"A training step is {STEP} forward passes. Not counted: downloads, waiting in queues, "
        "attempts that failed.",
        *published_cost(estimate.config),
    ]


def published_cost(config: dict) -> list[str]:
    """What the papers say that their trainings took, at the tier that has their sizes; none: they
    do not say."""
    if config["tier"] != "paper":
        return []
    found = (published([study]).get("training", {}) for study in config["studies"])
    return [
        f"Published: {said['gpu_hours']:,} GPU-hours of {said['gpu']}, for {said['models']} models."
        for said in found
        if "gpu_hours" in said
    ]


def _throughputs(estimate: Estimate) -> list[str]:
    """Where the throughput of trainings comes from, data sets of the same together."""
    datasets: dict[str, list[str]] = {}
    for run in estimate.graph.plan.runs.values():
        if not FAMILIES[run.family].trained:
            continue
        share = run.get("source_share", 1)
        name = run.dataset + (f" with {100 * share:g} % of the sources" if share != 1 else "")
        names = datasets.setdefault(_throughput(estimate, run), [])
        names += [name] if name not in names else []
    return [line.format(", ".join(names)) for line, names in datasets.items()]


def _throughput(estimate: Estimate, run: Run) -> str:
    """Where the throughput of a run comes from, with {} for the names of data sets."""
    family, network = run.family, estimate.networks[run.run_id]
    gpu = estimate.config["resources"][f"train_{family}"]["gpu"]
    device = estimate.config["cost"]["gpu" if gpu else "cpu"]
    size = f"{network.parameters / 1e6:.3g} M parameters, {network.forward / 1e9:.3g} GFLOP forward"
    measured = estimate.measured.get(workload(run))
    if measured:
        where = f"{measured.runs} finished, training.json below runs/{family}; {measured.device}"
        rate = f"{measured.rate:,.0f} examples/s per {'GPU' if gpu else 'core'}"
        return f"Measured: {family} on {{}} ({size}): {rate}, median of {where}."
    rate = speed(estimate, run, gpu)
    speeds = f"{rate / STEP / network.forward:,.0f} examples/s of {device['name']}"
    return f"Assumed: {family} on {{}} ({size}): {speeds}, {rate / 1e9:,.0f} GFLOP/s sustained."
