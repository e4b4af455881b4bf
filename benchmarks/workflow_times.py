"""The workflow around the training: starting a script, planning, and the whole tier quick."""

import csv
import ctypes
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from comparing import ROOT, SCRIPTS, Bench, benchmark

SNAKEMAKE = [sys.executable, "-m", "snakemake"]
WORKFLOW = ["--snakefile", str(ROOT / "Snakefile")]
WORKFLOW += ["--workflow-profile", str(ROOT / "profiles" / "default")]


LIMIT = 3600  # seconds that a command may take


def output(command: list, folder: Path) -> str:
    """What a command prints; temporary files go to the folder, so that servers are its own."""
    options = {"cwd": folder, "env": os.environ | {"TMPDIR": str(folder)}, "text": True}
    options |= {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    result = subprocess.run([str(part) for part in command], timeout=LIMIT, **options)
    if result.returncode:
        raise RuntimeError(result.stdout)
    return result.stdout


@benchmark("starting a script", "start", rounds=5, on_device=False)
def starting(bench: Bench) -> None:
    script = [SCRIPTS / "train.py", "--help"]

    def same(ours: str, theirs: str) -> None:
        assert ours == theirs

    bench.compare(
        "train.py --help with the imports done (warm_start.py)",
        "python train.py --help",
        lambda: output([sys.executable, SCRIPTS / "warm_start.py", *script], bench.folder),
        lambda: output([sys.executable, *script], bench.folder),
        check=same,
        reason="On a GPU machine, in a Slurm job and where there is no Linux, scripts start cold.",
    )


@benchmark("planning", "plan", rounds=5, on_device=False)
def planning(bench: Bench) -> None:
    """The DAG of everything as published."""
    dry = [*SNAKEMAKE, *WORKFLOW, "--cores", 1, "--dry-run", "--config", "tier=paper"]
    total = re.findall(r"^total\s+(\d+)", output(dry, bench.folder), re.MULTILINE)
    jobs = total[0] if total else "no"
    bench.compare(
        f"snakemake --dry-run of tier paper, {jobs} jobs",
        "snakemake --version",
        lambda: output(dry, bench.folder),
        lambda: output([*SNAKEMAKE, "--version"], bench.folder),
        note=lambda ours, theirs: f"the difference is {ours - theirs:.2f} s",
        reason="The reference is Snakemake's start alone, which no plan can be faster than.",
    )


# ------------------------------------------------------------------------------------- tier quick

SAMPLED = 2.0  # seconds between two looks at the memory


@benchmark("the whole tier", "quick", rounds=1)
def whole_tier(bench: Bench) -> None:
    """`make quick` in an empty folder, against its jobs one after the other."""
    config = bench.settings or ["tier=quick"]
    walls, sums, tree, largest, listed = [], [], 0.0, 0.0, 0.0
    for _ in range(bench.rounds):
        with TemporaryDirectory(dir=bench.folder) as folder:
            start = time.perf_counter()
            tree, largest = map(max, (tree, largest), watched(Path(folder), config))
            walls.append(time.perf_counter() - start)
            jobs = list(job_rows(Path(folder)))
        sums.append(sum(number(job["s"]) for job in jobs))
        listed = max(number(job["max_rss"]) / 2**10 for job in jobs)
    bench.add(
        f"snakemake --cores all, {' '.join(config)}, {len(jobs)} jobs",
        "the seconds of its jobs, added up",
        walls,
        sums,
        note=f"the ratio is the number of cores kept busy, of {os.cpu_count()}; at most "
        f"{tree:.2f} GiB in all processes together (shared pages once, a look every {SAMPLED:g} s)"
        f" and {largest:.2f} GiB in one; the largest max_rss in Snakemake's benchmark files is "
        f"{listed:.2f} GiB, forked scripts not included",
        reason="The jobs were waited for longer than they took.",
    )


def watched(folder: Path, config: list[str]) -> tuple[float, float]:
    """Run a tier in a folder; most GiB of all its processes together, and of one of them."""
    if sys.platform == "linux":
        # PR_SET_CHILD_SUBREAPER: the server of warm_start.py outlives its parent, and is then
        # a child of this process instead of the system's first.
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    log = folder / "log"
    command = [*SNAKEMAKE, *WORKFLOW, "--cores", "all", "--config", *config]
    environment = os.environ | {"TMPDIR": str(folder)}
    together = largest = 0.0
    with open(log, "wb") as file:
        options = {"cwd": folder, "env": environment, "stdout": file, "stderr": file}
        running = subprocess.Popen(command, **options)
        deadline = time.monotonic() + 4 * LIMIT
        while running.poll() is None:
            if time.monotonic() > deadline:
                running.terminate()
                raise RuntimeError(f"no end after {4 * LIMIT} s, see {log}")
            sizes = [memory(p) for p in psutil.Process().children(recursive=True)]
            together, largest = max(together, sum(sizes)), max(largest, *sizes, 0.0)
            try:
                running.wait(SAMPLED)
            except subprocess.TimeoutExpired:
                continue
    if running.returncode:
        raise RuntimeError(log.read_text()[-5000:])
    return together, largest


def memory(process: psutil.Process) -> float:
    """GiB of a process, its part of what it shares (Linux), or all it uses; 0 of one that ended."""
    try:
        found = process.memory_full_info()
        return getattr(found, "pss", found.rss) / 2**30
    except psutil.Error:
        return 0.0


def job_rows(folder: Path):
    """The rows of all benchmark files of a tier's results."""
    for file in folder.glob("results/*/benchmarks/**/*.tsv"):
        with open(file, encoding="utf-8", newline="") as lines:
            yield from csv.DictReader(lines, delimiter="\t")


def number(text: str) -> float:
    """A number of a benchmark file; 0 where it could not be measured."""
    try:
        return float(text)
    except ValueError:
        return 0.0
