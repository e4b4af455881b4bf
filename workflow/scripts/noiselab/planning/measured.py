"""What finished jobs took: throughput of trainings, and times in Snakemake's benchmark files."""

import csv
from pathlib import Path
from statistics import median
from typing import NamedTuple

from noiselab.errors import NoiselabError
from noiselab.families.descriptor import RUN, SUMMARY
from noiselab.families.work import passes
from noiselab.files import digest, read_json
from noiselab.planning import current
from noiselab.planning.graph import Graph
from noiselab.planning.runs import Plan
from noiselab.run import Run


class Measured(NamedTuple):
    """Throughput of finished trainings of one kind."""

    rate: float  # median of examples per second on one GPU, or core
    runs: int
    device: str


def workload(run: Run) -> str:
    """What the throughput of a training depends on: family, data set, network and passes."""
    folder = Path(run.data).name
    settings = (run.get(k) for k in ("family", "model", "source_share"))
    return digest([folder, *settings, passes(run)])


def measured_rates(plan: Plan, config: dict, results: Path) -> dict[str, Measured]:
    """Throughput of finished trainings below `results`, by workload; of planned workloads only."""
    found: dict[str, list] = {}
    for run in plan.runs.values():
        folder = results / "runs" / run.run_id
        if not (folder / SUMMARY).is_file():
            continue
        summary, was = read_json(folder / SUMMARY), Run.read(folder / RUN)
        # A run that diverged stopped early, but counts all its examples.
        whole = summary["examples_per_second"] and not summary["diverged_at"]
        if workload(was) == workload(run) and whole:
            asked = config["resources"][f"train_{run.family}"]
            units = summary["processes"] if asked["gpu"] else asked["threads"]
            rate = summary["examples_per_second"] / units
            found.setdefault(workload(run), []).append((rate, summary["device"]))
    return {
        key: Measured(median(rate for rate, _ in rows), len(rows), rows[0][1])
        for key, rows in found.items()
    }


def benchmark(graph: Graph, name: str) -> Path:
    """The benchmark file of a job."""
    return Path(current.folder(graph, graph.jobs[name])) / "benchmarks" / f"{name}.tsv"


def benchmark_seconds(path: Path) -> float | None:
    """Wall-clock seconds of a job in its benchmark file; None where there is none."""
    if not path.is_file():
        return None
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    try:
        return sum(float(row["s"]) for row in rows)
    except (KeyError, TypeError, ValueError):
        raise NoiselabError(f"{path}: no benchmark file of Snakemake (column s)") from None


def all_seconds(graph: Graph) -> dict[str, float]:
    """Wall-clock seconds of the jobs that have a benchmark, by name."""
    found = {name: benchmark_seconds(benchmark(graph, name)) for name in graph.jobs}
    return {name: seconds for name, seconds in found.items() if seconds is not None}
