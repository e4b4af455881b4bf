"""All checks of a plan.

Each check is a function that gives one row: what is needed, whether it is there, what was found and
how to mend it. Checks change nothing and download nothing; those that ask the network do so all at
once and wait for seconds only.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

from noiselab.planning.graph import Graph
from noiselab.planning.preflight import computers, disk, software
from noiselab.planning.preflight.data import data_rows
from noiselab.planning.preflight.labels import label_rows
from noiselab.planning.preflight.rows import Row
from noiselab.planning.project import GOALS


class Call(NamedTuple):
    """How Snakemake was called."""

    executor: str = "local"
    gpus: int | None = None  # --resources gpu
    at_once: int = 1  # jobs
    conda: bool = False  # --software-deployment-method conda


def check(graph: Graph, names: list[str] | None, call: Call) -> list[Row]:
    """All checks of what the jobs of these names need, or, where it is None, all of the plan."""
    chosen = sorted(graph.closure(GOALS)) if names is None else names
    needs = computers.needs(graph, chosen)
    rows = [software.python_row(), software.packages_row(), software.torch_row(needs)]
    # Imports come before there are threads.
    to_come = disk.disk_needed(graph, names, call.at_once)
    if call.executor == "slurm":
        rows += computers.slurm_rows(needs)
    elif call.executor == "local":  # of another's computers nothing is known
        rows.append(computers.gpu_row(needs, computers.visible_gpus(), call.gpus))
        rows.append(computers.memory_row(needs, computers.memory_mb()))
    data, to_download = data_rows(graph, chosen)
    results = Path(graph.places.results)
    free = shutil.disk_usage(disk.existing(results)).free
    rows += [software.software_row(call.conda), disk.folder_row(results)]
    room = disk.disk_row(to_come, to_download, free)
    return [*rows, room, *data, *label_rows(graph, chosen)]
