"""What each tier costs, as its plan says without any measurement."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd

from noiselab.planning import config, cost, project
from noiselab.planning.estimates import job_costs
from noiselab.planning.flops import estimated

TIERS = ("quick", "desk", "burst", "lab", "paper")
LABELS = "cifar10n/labels.parquet"  # the one file below data.root that a plan looks for


def table() -> pd.DataFrame:
    """A row per tier: trainings, gpu_hours, core_hours, disk in bytes and what else
    cost.planned_row has. Networks are built and counted: a minute or two."""
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder, LABELS)
        labels.parent.mkdir()
        labels.touch()
        return pd.DataFrame([{"tier": tier, **_row(tier, folder)} for tier in TIERS])


def artefacts(study: str, chosen: tuple[str, ...]) -> pd.DataFrame:
    """A row per tier and artefact of a study, and `total`: what it costs by itself, as `table`."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for tier in chosen:
            settings = config.load({"data": {"root": folder}, "studies": [study]}, tier=tier)
            estimate = estimated(project.plan(settings, f"{folder}/results").graph)
            jobs = job_costs(replace(estimate, measured={}))
            rows = cost.rows(
                cost.goals(estimate), lambda names, jobs=jobs: cost.planned_row(jobs, names)
            )
            found += [{"tier": tier, **row} for row in rows]
    return pd.DataFrame(found)


def _row(tier: str, root: str) -> dict:
    """The whole of a tier. root: of real data."""
    settings = config.load({"data": {"root": root}}, tier=tier)
    estimate = estimated(project.plan(settings, f"{root}/results").graph)
    jobs = job_costs(replace(estimate, measured={}))
    return cost.planned_row(jobs, cost.goals(estimate))
