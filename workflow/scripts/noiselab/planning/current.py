"""Whether a result is what the plan would make now.

Each job leaves a record, the digest of what it was made from: settings, code where it is cheap, and
the same of all before it (noiselab.planning.graph). A result without the planned digest is made
again, whatever the times of files say, and without Snakemake's own notes. So is one with a file of
another size than its job has left: it was cut off, or changed by hand.
"""

import contextlib
import json
import os
import time
from pathlib import Path

from noiselab import records
from noiselab.data import sources
from noiselab.errors import NoiselabError
from noiselab.families.descriptor import SUMMARY
from noiselab.files import digest, read_json
from noiselab.planning.graph import Graph, Job

AHEAD = 60.0  # seconds by which the clocks of a shared file system may differ


def record(graph: Graph, job: Job) -> str:
    """File that has the digest of what a job's outputs were made from."""
    return f"{folder(graph, job)}/records/{job.name}"


def folder(graph: Graph, job: Job) -> str:
    """Folder that has a job's records, logs and benchmarks: of data and runs, that of the tier."""
    shared = job.run is not None or job.name.startswith("prepare")
    return graph.places.results if shared else graph.places.answers


def settle_times(graph: Graph) -> None:
    """Give files of the future the time of now. Where the clock was ahead when they were written,
    Snakemake would refuse all that is made from them until that time has come."""
    now = time.time()
    for job in graph.jobs.values():
        for file in job.outputs.values():
            with contextlib.suppress(OSError):  # it is not there, or somebody else's
                if os.stat(file).st_mtime > now + AHEAD:
                    os.utime(file, (now, now))


def is_stale(graph: Graph, job: Job) -> bool:
    """Whether a job's outputs are there, but not made from what is planned. What is cheap is stale
    where it was made and is gone, too: Snakemake would do without it as long as all that is made
    from it is there."""
    there = [Path(file) for file in job.outputs.values() if Path(file).exists()]
    if not there:
        return bool(job.code) and Path(record(graph, job)).exists()
    if job.rule in ("run_config", "resolved_config"):  # what they are made from is what they say
        return not _has_content(there[0], job.content)
    made_from, sizes = records.read(Path(record(graph, job)))
    if any(str(file) in sizes and _size(file) != sizes[str(file)] for file in there):
        return True
    if made_from != graph.digest(job.name):
        return made_from is None or not _is_kept(graph, job)
    if job.name.startswith("prepare/"):
        return _replaced(graph, job)
    return "summary" in job.outputs and _other_data(graph, job)


def _size(path: Path) -> int | None:
    """Bytes of a file; None: it is gone, for a job that still runs writes it anew."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _is_kept(graph: Graph, job: Job) -> bool:
    """Whether these are scores by earlier code of the planned run, whose weights are gone, as of
    one from an archive: only another training could score it anew."""
    before = [graph.jobs[name] for name in graph.needs(job.name)]
    recorded = [one for one in before if one.rule != "run_config"]  # trainings' digests have that
    is_score = job.run and job.code and job.content is None  # of settings in run.json alone
    if not is_score or all(Path(file).exists() for file in job.files):
        return False
    return all(records.read(Path(record(graph, b)))[0] == graph.digest(b.name) for b in recorded)


def _has_content(path: Path, content: object) -> bool:
    """Whether a JSON file says just this."""
    try:
        return json.loads(path.read_text(encoding="utf-8")) == json.loads(json.dumps(content))
    except (OSError, ValueError):
        return False


def _replaced(graph: Graph, job: Job) -> bool:
    """Whether the files that a real data set was made from are others now."""
    folder = job.name.partition("/")[2]
    if graph.places.root is None:
        return False
    spec = graph.plan.datasets[folder]
    kept = Path(graph.places.results, "data", folder, sources.FILE)
    folders = sources.folders(spec)
    return kept.is_file() and sources.differ(Path(graph.places.root), folders, read_json(kept))


def _other_data(graph: Graph, job: Job) -> bool:
    """Whether a run was trained on other data than are there now."""
    place = Path(graph.places.results, "runs", job.run, SUMMARY)
    described = Path(graph.plan.runs[job.run].data, "dataset.json")
    try:
        trained_on = read_json(place).get("digests", {}).get("data")
        return described.is_file() and trained_on != digest(read_json(described))
    except NoiselabError:
        return True
