"""Checks of the folder of results and of the room on its disk."""

import tempfile
from pathlib import Path

from noiselab.planning import cost
from noiselab.planning.estimates import job_costs
from noiselab.planning.graph import Graph
from noiselab.planning.measured import all_seconds
from noiselab.planning.preflight.rows import MISSING, OK, WARNING, Row, text_size
from noiselab.planning.project import GOALS

MARGIN = 2  # disk space is estimated; less than so many times what is needed is doubtful


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that there is."""
    return next(f for f in (folder.absolute(), *folder.absolute().parents) if f.exists())


def folder_row(folder: Path) -> Row:
    """Whether results can be written."""
    try:
        with tempfile.TemporaryFile(dir=existing(folder)):
            pass
    except OSError as error:
        fix = "run in a folder of your own: snakemake --directory FOLDER"
        return Row("results", MISSING, f"{folder}: {error.strerror}", fix)
    return Row("results", OK, f"{folder} can be written")


def disk_needed(graph: Graph, names: list[str] | None, at_once: int) -> float | None:
    """Bytes that these jobs will take, or, where it is None, those of the plan that have no
    benchmark, as `snakemake plan` estimates them. None: that cannot be estimated, as torch or the
    like is broken."""
    try:
        from noiselab.planning.flops import estimated

        planned = job_costs(estimated(graph, timed=False))
        to_do = graph.closure(GOALS) - set(all_seconds(graph)) if names is None else names
        return cost.bytes_to_come(planned, to_do, at_once)
    except Exception:  # other rows say what is broken
        return None


def disk_row(to_come: float | None, to_download: float, free: float) -> Row:
    """Free space against what is planned and what has to be downloaded."""
    if to_come is None:
        fix = "mend what is above, or see: snakemake plan"
        return Row("disk", WARNING, f"{text_size(free)} free, what is needed is unknown", fix)
    needed = to_come + to_download
    found = f"{text_size(free)} free, needed about {text_size(needed)}"
    found += f", {text_size(to_download)} of it downloads" if to_download else ""
    fix = "room, or another disk: snakemake --directory FOLDER; what for: snakemake plan"
    if free < needed:
        return Row("disk", MISSING, found, fix)
    if free < MARGIN * needed:
        return Row("disk", WARNING, found, f"this is an estimate; {fix}")
    return Row("disk", OK, found)
