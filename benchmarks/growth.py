"""How planning and reporting grow with the number of runs, which are synthetic: nothing is trained.

Processor time is compared, since a busy machine changes it little; wall time is in the remark.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

from comparing import SCRIPTS, Bench, benchmark
from noiselab.files import write_json, write_text
from noiselab.planning import config, project
from workflow_times import LIMIT, SNAKEMAKE, WORKFLOW

SIZES = (100, 1000, 5000)  # runs
RATIOS = [round(0.1 * step, 1) for step in range(10)]
EXPERIMENT = "synthetic"
RESULTS = "results/smoke"
STEPS = 20  # rows of a history
SLOWER = "It grew faster than the number of runs."


def settings(runs: int) -> dict:
    """A configuration of so many trainings: ten noise ratios, and a tenth of `runs` as seeds."""
    asked = {"family": "classifier", "datasets": ["digits"], "corruption": "uniform_label"}
    asked |= {"resample": "fixed", "budget": "fixed_clean", "protocol": "text"}
    asked |= {"noise_ratios": RATIOS, "seeds": list(range(runs // len(RATIOS)))}
    return {"tier": "smoke", "experiments": {EXPERIMENT: asked}, "only": [EXPERIMENT]}


def planned(runs: int) -> project.Project:
    """Their plan, as the library makes it."""
    return project.plan(config.load(settings(runs), tier="smoke"), RESULTS)


def taken(command: list, folder: Path) -> tuple[float, float]:
    """Seconds of processor and wall time of a command and all that it waited for.
    RuntimeError: it failed, or took longer than LIMIT."""
    start, before = time.perf_counter(), os.times()
    words = [str(word) for word in command]
    options = {"cwd": folder, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    result = subprocess.run(words, timeout=LIMIT, text=True, **options)
    wall, after = time.perf_counter() - start, os.times()
    if result.returncode:
        raise RuntimeError(result.stdout[-5000:])
    used = after.children_user + after.children_system
    return used - before.children_user - before.children_system, wall


def compared(bench: Bench, what: str, once) -> None:
    """Keep a line per size from the second on, against the size before it taken so many times that
    both have the same number of runs. once: of runs, (processor time, wall time)."""
    rounds = [{size: once(size) for size in SIZES} for _ in range(bench.rounds)]
    for before, size in pairwise(SIZES):
        walls = statistics.median(found[size][1] for found in rounds)
        bench.add(
            f"{what} of {size:,} runs, processor time",
            f"{size // before} times that of {before:,} runs",
            [found[size][0] for found in rounds],
            [found[before][0] * size / before for found in rounds],
            note=f"wall time {walls:.1f} s, on a machine that may have been busy",
            reason=SLOWER,
        )


@benchmark("growth", "growth_library", rounds=5, on_device=False)
def library(bench: Bench) -> None:
    """The graph of jobs, with the digests that say what is current."""

    def once(runs: int) -> tuple[float, float]:
        start = time.process_time(), time.perf_counter()
        graph = planned(runs).graph
        for name in graph.jobs:
            graph.digest(name)
        return time.process_time() - start[0], time.perf_counter() - start[1]

    once(SIZES[0])  # what is read once in a process
    compared(bench, "graph of jobs and digests", once)


@benchmark("growth", "growth_plan", rounds=5, on_device=False)
def dry_run(bench: Bench) -> None:
    """`snakemake --dry-run`, from the start of Python to the end."""

    def once(runs: int) -> tuple[float, float]:
        file = bench.folder / f"{runs}.json"
        write_json(file, settings(runs))
        dry = ["--cores", 1, "--dry-run", "--quiet", "rules", "--configfile", file]
        return taken([*SNAKEMAKE, *WORKFLOW, *dry], bench.folder)

    compared(bench, "snakemake --dry-run", once)


@benchmark("growth", "growth_report", rounds=5, on_device=False)
def report(bench: Bench) -> None:
    """Metrics gathered, the table of them, and the page with an entry for each run."""

    def once(runs: int) -> tuple[float, float]:
        folder = bench.folder / str(runs)
        commands = list(reporting(folder, runs))
        times = [taken([sys.executable, *command], folder) for command in commands]
        return sum(cpu for cpu, _ in times), sum(wall for _, wall in times)

    compared(bench, "metrics, table and report", once)


def reporting(folder: Path, runs: int):
    """The commands that lead from finished runs, which are written to the folder, to the report."""
    whole = planned(runs)
    jobs = whole.graph.jobs
    for run in whole.graph.plan.runs.values():
        finished(folder / RESULTS / "runs" / run.run_id, run)
    for data in whole.structure()["datasets"]:
        write_json(folder / data["file"], {"name": "digits", "train_size": 200})
    for made in (jobs[f"collect/{EXPERIMENT}"], jobs["report"]):
        for file in made.outputs.values():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
    collect, table = jobs[f"collect/{EXPERIMENT}"], jobs[f"tables/{EXPERIMENT}"]
    files = [*collect.inputs["metrics"], "--out", collect.outputs["out"]]
    yield [SCRIPTS / "collect_metrics.py", "--metrics", *files]
    (folder / table.outputs["csv"]).parent.mkdir(parents=True, exist_ok=True)
    entry = json.dumps(whole.graph.artefacts[EXPERIMENT].entry)
    asked = ["--name", EXPERIMENT, "--artefact", entry, "--tier", "smoke"]
    files = ["--files", collect.outputs["out"], "--out", table.outputs["csv"]]
    yield [SCRIPTS / "make_table.py", *asked, *files]
    asked = folder / jobs["config"].outputs["out"]
    write_json(asked, whole.graph.config)
    where = ["--config", asked, "--results", RESULTS]
    yield [SCRIPTS / "make_report.py", *where, "--out", jobs["report"].outputs["html"]]


def finished(place: Path, run) -> None:
    """The files of a run as if it had been trained and scored."""
    accuracy = 90.0 - 10 * run.error_rate - run.seed % 7 / 10
    summary = {"device": "none", "revision": "synthetic", "seconds": 1.0, "python": "3"}
    summary |= dict.fromkeys(("torch", "torchvision", "numpy", "snakemake"), "1")
    summary |= {"steps": STEPS, "examples": 400, "measured_error_rate": run.error_rate}
    score = {"value": accuracy, "ci_low": accuracy - 2, "ci_high": accuracy + 2, "unit": "%"}
    score |= {"floor": 90.0, "excess_low": accuracy - 92, "excess_high": accuracy - 88}
    score |= {"interval": "wilson_items", "excess_interval": "t_items", "items": 500}
    scores = {"accuracy": score | {"reason": None}}
    write_json(place / "run.json", run.content())
    write_json(place / "training.json", summary)
    described = {"run": run.content(), "training": summary, "evaluation_revision": "synthetic"}
    write_json(place / "metrics.json", described | {"metrics": scores})
    history = [{"step": step, "loss": 2.5 - step / 10} for step in range(1, STEPS + 1)]
    write_text(place / "history.jsonl", "\n".join(map(json.dumps, history)) + "\n")
