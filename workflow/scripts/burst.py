"""Some minutes of one GPU: measure what it trains in a second, say what fits, train that, stop in
time, write a table. The same command goes on where it stopped."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from noiselab import reading
from noiselab.errors import NoiselabError, run_script
from noiselab.families.descriptor import METRICS, SUMMARY
from noiselab.files import ROOT, read_json, whole_file, write_text
from noiselab.planning import burst, config, project, yaml_file
from noiselab.planning.estimates import STEP, TRAINING, Estimate, job_costs
from noiselab.planning.measured import Measured, workload

STOPPING = 40  # seconds for trainings to write a checkpoint and end
TABLING = 20  # seconds for the table
TABLE = "all.csv"
MEASURING = 4.0  # seconds of training per kind of network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tier", default="burst")
    parser.add_argument("--data", help="folder with local copies of data sets (data.root)")
    parser.add_argument("--minutes", type=float, help="of the device; default: the tier's")
    parser.add_argument("--configfile", type=Path, nargs="*", default=[], help="further settings")
    parser.add_argument("--measuring", type=float, default=MEASURING, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    changes = [yaml_file.read(path) for path in arguments.configfile]
    changes += [{"data": {"root": arguments.data}}] if arguments.data else []
    settings = config.load(*changes, tier=arguments.tier)
    if "burst" not in settings:
        raise NoiselabError(f"config key burst: missing; tier {arguments.tier} has none")
    own, results = settings["burst"], f"results/{settings['tier']}"
    minutes = own["minutes"] if arguments.minutes is None else arguments.minutes
    planned = project.plan(settings, results)
    runs = burst.wanted(planned.graph.plan, own["order"])
    command = _snakemake(arguments, settings["tier"], own["at_once"])

    _prepare(command, planned.graph.plan, runs)
    deadline = time.monotonic() + 60 * minutes - TABLING
    to_do = [run for run in runs if not _metrics(results, run).is_file()]
    chosen = [run for run in runs if run not in to_do]  # Snakemake sees whether they still hold
    if to_do:
        chosen += _fitting(planned.graph, to_do, own, deadline, arguments.measuring)
    _train(command, [str(_metrics(results, run)) for run in chosen], deadline)
    _write_table(planned.graph.plan, own["order"], Path(results))


def _snakemake(arguments: argparse.Namespace, tier: str, at_once: int) -> list[str]:
    """The command that makes targets; each training takes one of the device's `at_once` places."""
    found = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--cores",
        str(max(os.cpu_count() or 1, at_once)),
    ]
    found += ["--resources", f"gpu={at_once}", "--keep-going", "--quiet", "all", "--nolock"]
    if arguments.configfile:
        found += ["--configfile", *map(str, arguments.configfile)]
    found += ["--config", f"tier={tier}", "preflight=false"]
    return found + ([f"data={json.dumps({'root': arguments.data})}"] if arguments.data else [])


def _prepare(command: list[str], plan, runs: Iterable[str]) -> None:
    """Data sets first: they need no GPU, and their time does not count."""
    folders = dict.fromkeys(plan.runs[run].data for run in runs)
    missing = [
        f"{folder}/dataset.json" for folder in folders if not Path(folder, "dataset.json").is_file()
    ]
    if missing and subprocess.run([*command, "--", *missing]).returncode:
        raise NoiselabError("data sets could not be prepared; Snakemake says why above")


def _metrics(results: str, run: str) -> Path:
    return Path(results, "runs", run, METRICS)


def _fitting(graph, to_do: list[str], own: dict, deadline: float, measuring: float) -> list[str]:
    """Measure each kind of network that is to be trained; tell and return which runs fit."""
    from noiselab.planning.flops import estimated  # torch takes seconds: mistakes are told before
    from noiselab.training.throughput import together

    plan, at_once = graph.plan, own["at_once"]
    estimate = estimated(graph)
    kinds = {workload(plan.runs[run]): plan.runs[run] for run in reversed(to_do)}
    rates = dict(zip(kinds, together(list(kinds.values()), at_once, measuring), strict=True))
    print(f"Measured, {at_once} trainings at once:")
    for kind, run in kinds.items():
        if not rates[kind]:
            print(f"  {run.family} on {run.dataset}: not measured, as a process failed")
            continue
        flops = STEP * estimate.networks[run.run_id].forward * rates[kind]
        share = f", {flops / own['peak_flops']:.1%} of {own['peak_flops']:.3g}"
        name = run.model["name"]
        print(
            f"  {run.family} {name} on {run.dataset}: {rates[kind]:,.0f} examples/s, "
            f"{flops / 1e12:.3g} TFLOP/s{share}"
        )
    usable = [run for run in to_do if rates[workload(plan.runs[run])]]
    seconds = _seconds(estimate, {k: rate / at_once for k, rate in rates.items() if rate})
    left = deadline - STOPPING - time.monotonic()
    slots = burst.schedule(usable, seconds, at_once, left, burst.parents(plan, to_do))
    fits = [slot.run for slot in slots]
    print(f"In the {left:.0f} s that are left, {len(fits)} of {len(to_do)} trainings fit:")
    for name in own["order"]:
        ids = plan.experiments.get(name, [])
        there = sum(run not in to_do for run in ids)
        print(f"  {name}: {there} there, {len(set(ids) & set(fits))} fit, {len(ids)} wanted")
    return fits


def _seconds(estimate: Estimate, rates: dict[str, float]):
    """Run -> seconds of its training and of what is scored of it. rates: of one training among
    those at once, by workload."""
    measured = {kind: Measured(rate, 1, "") for kind, rate in rates.items()}
    jobs = job_costs(replace(estimate, measured=measured))
    of_run: dict[str, float] = {}
    for name, job in estimate.graph.jobs.items():
        if job.run and (name.startswith(TRAINING) or job.resources):
            of_run[job.run] = of_run.get(job.run, 0.0) + jobs[name].seconds
    return of_run.__getitem__


def _train(command: list[str], targets: list[str], deadline: float) -> None:
    """Have Snakemake make the targets, as far as the time allows: what is stopped writes a
    checkpoint, and goes on next time."""
    seconds = deadline - STOPPING - time.monotonic()
    if not targets or seconds <= 0:
        return
    process = subprocess.Popen([*command, "--", *targets], start_new_session=True)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        print("The time is over: trainings write checkpoints and stop.")
    finally:
        _stop(process)


def _stop(process: subprocess.Popen) -> None:
    """End it and all that it started, first in peace: it may end before its trainings have written
    their checkpoints."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        limit = time.monotonic() + STOPPING
        while _group_is_there(process) and time.monotonic() < limit:
            time.sleep(0.1)
    process.wait(STOPPING)


def _group_is_there(process: subprocess.Popen) -> bool:
    """Whether any process of a group is left."""
    process.poll()  # one that ended is not there
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _write_table(plan, order: list[str], results: Path) -> None:
    """What is there by now of each experiment, as csv and Markdown, and its metrics."""
    from noiselab.answers import collected, layouts, tables  # a second, which --help need not wait

    parts, blocks = [], []
    for name in order:
        ids = plan.experiments.get(name, [])
        ready = [p for p in (_metrics(str(results), run) for run in ids) if p.is_file()]
        if ready:
            rows = [row for path in ready for row in collected.rows(collected.content(path))]
            metrics = results / "burst" / f"{name}.csv"
            with whole_file(metrics) as path:
                pd.DataFrame(rows).to_csv(path, index=False)
            table = tables.runs_table(reading.metrics(metrics), config.published().get(name, {}))
            parts.append(table.assign(experiment=name))
            seconds = sum(read_json(path.with_name(SUMMARY))["seconds"] for path in ready)
            told = f"{len(ready)} of {len(ids)} trainings, {seconds:.0f} s."
            blocks.append(layouts.markdown(table, name, [told]))
    if not parts:
        print("Nothing is ready yet.")
        return
    with whole_file(results / "burst" / TABLE) as path:
        pd.concat(parts).to_csv(path, index=False)
    table = (results / "burst" / TABLE).with_suffix(".md")
    write_text(table, "\n".join(blocks))
    print("\n".join(blocks))
    print(f"The table: {table}")


if __name__ == "__main__":
    run_script(main)
