"""Print what a plan costs before it is run; with --out, write what it cost beside the plan."""

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd

from noiselab.answers.layouts import content, records
from noiselab.errors import NoiselabError, run_script
from noiselab.files import read_json, whole_file, write_text
from noiselab.planning import cost, project
from noiselab.planning.config import validate
from noiselab.planning.estimates import TRAINING, Estimate, job_costs
from noiselab.planning.measured import all_seconds

SIZES = ["B", "kB", "MB", "GB", "TB"]
HEADS = {
    "artefact": "artefact",
    "trainings": "trainings",
    "steps": "steps",
    "examples": "examples",
    "gpu_hours": "GPU time",
    "core_hours": "core time",
    "bytes": "disk",
    "checkpoint_bytes": "+ checkpoints",
    "chain_hours": "longest chain",
}
HEADS |= {
    f"{when}_{unit}_hours": f"{when} {name} time"
    for unit, name in (("gpu", "GPU"), ("core", "core"))
    for when in ("assumed", "planned", "actual")
}
HEADS |= {
    "outside_training": "outside training",
    "jobs": "jobs",
    "jobs_missing": "missing jobs",
    "trainings_missing": "missing trainings",
}
PLAN_NOTES = [
    "Jobs and data that artefacts share count once in the total, so it is less than their sum. "
    "Disk: what stays; checkpoints: of the largest training, for each that runs at the same time. "
    "Chain: the longest sequence of jobs that must follow each other.",
]
COST_NOTES = [
    "Assumed: what a plan without any measurement says; planned: with the throughput of the "
    "trainings that are finished; actual: Snakemake's benchmark files, times the GPUs or threads "
    "that a job asked for. All three are of the jobs that have a benchmark; it is that of the last "
    "attempt. Missing: jobs and trainings without one.",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="config.json of the results")
    parser.add_argument("--results", type=Path, required=True, help="folder of the tier")
    parser.add_argument("--out", type=Path, nargs="+", help="csv, md and json")
    arguments = parser.parse_args()
    config = validate(read_json(arguments.config))
    graph = project.plan(config, str(arguments.results)).graph
    from noiselab.planning.flops import estimated  # torch takes seconds: mistakes are told before

    estimate = estimated(graph)
    if arguments.out:
        _write(arguments.out, *_actual(estimate), config["tier"])
    else:
        jobs = job_costs(estimate)
        rows = cost.rows(cost.goals(estimate), lambda names: cost.planned_row(jobs, names))
        print(f"Tier {config['tier']}, planned\n\n{_grid(rows).to_string(index=False)}\n")
        load = cost.load_line(cost.load_row(graph, jobs, project.GOALS))
        print("\n".join(f"- {line}" for line in [*PLAN_NOTES, load, *cost.assumptions(estimate)]))


def _actual(estimate: Estimate) -> tuple[list, list]:
    """Rows per artefact, and notes."""
    planned, goals = job_costs(estimate), cost.goals(estimate)
    assumed = job_costs(replace(estimate, measured={}))
    seconds = all_seconds(estimate.graph)
    if not seconds:
        results = estimate.graph.places.results
        raise NoiselabError(f"{results}: no benchmark of a job of this plan")
    rows = cost.rows(goals, lambda names: cost.actual_row(assumed, planned, seconds, names))
    missing = sorted(cost.closure(planned, goals) - set(seconds))
    trainings = [name for name in missing if name.startswith(TRAINING)]
    missed = [f"No benchmark of {', '.join(trainings)}."] if trainings else []
    return rows, [*COST_NOTES, *missed, *cost.assumptions(estimate)]


def _write(paths: list[Path], rows: list[dict], notes: list[str], tier: str) -> None:
    """Tidy numbers as csv, the same as Markdown and as data for the report."""
    table, title = _grid(rows), f"Cost of tier {tier}"
    listed = "\n".join(f"- {note}" for note in notes)
    markdown = table.to_markdown(index=False, disable_numparse=True)
    texts = {
        ".md": f"## {title}\n\n{markdown}\n\n{listed}\n",
        ".json": content(title, notes, [records(table)]),
    }
    for path in paths:
        if path.suffix == ".csv":
            with whole_file(path) as temporary:
                pd.DataFrame(rows).to_csv(temporary, index=False)
        else:
            write_text(path, texts[path.suffix])


def _grid(rows: list[dict]) -> pd.DataFrame:
    """Rows as text, without the hours of a kind of device that nothing needs."""
    table = pd.DataFrame(rows)
    unused = [c for c in table if c.endswith("u_hours") and not table[c].any()]
    table = table.drop(columns=unused)
    return pd.DataFrame({HEADS[c]: [_text(c, value) for value in table[c]] for c in table})


def _text(column: str, value) -> str:
    if pd.isna(value):
        return "—"
    if column.endswith("bytes"):
        return _size(value)
    if column.endswith("hours"):
        return _time(value)
    if column == "outside_training":
        return f"{100 * value:.0f} %"
    return value if column == "artefact" else f"{value:,.0f}"


def _time(hours: float) -> str:
    for unit, length in (("h", 1), ("min", 1 / 60)):
        if hours >= length:
            return f"{hours / length:,.{0 if hours >= 100 * length else 1}f} {unit}"
    return f"{3600 * hours:.0f} s"


def _size(size: float) -> str:
    unit = 0
    while size >= 1000 and unit < len(SIZES) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.3g} {SIZES[unit]}"


if __name__ == "__main__":
    run_script(main)
