"""Where a result comes from: code revision, versions, machine."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from noiselab.files import ROOT, read_json, write_json
from noiselab.noise.registry import corruption
from noiselab.run import Run

PACKAGES = ("torch", "torchvision", "numpy", "snakemake")


def code_revision() -> str:
    """Short commit of the repository, `+changed` where tracked files outside docs/, which results
    are written to, differ, or `unknown`."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":(top,exclude)docs")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+changed" if changed else "")


def describe(device) -> dict:
    """Revision, package versions, hardware and threads of this process. device: torch.device."""
    import torch

    cuda = device.type == "cuda"
    return {
        "revision": code_revision(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name(device) if cuda else _processor(),
        "threads": torch.get_num_threads(),  # on a CPU, another number gives other bits
    }


def write_metrics(path: Path, run: Run, summary: Path, metrics: dict) -> None:
    """metrics.json of a run: its settings, what its noise is known to do, the summary of its
    training, its scores (metric -> {value, ci_low, ci_high, interval, floor, unit, items, reason},
    and floor_reason where no floor is known), the digests of run.json and of the data that it was
    trained on, and the revision that made them."""
    names = read_json(Path(run.data, "dataset.json")).get("class_names")
    training, noise = read_json(summary), corruption(run).facts(names)
    content = {"run": run.content(), "noise": noise, "training": training, "metrics": metrics}
    content |= {"digests": training.pop("digests", {}), "evaluation_revision": code_revision()}
    write_json(path, content)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
