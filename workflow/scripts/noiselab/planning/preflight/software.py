"""Checks of Python, its packages and conda."""

import importlib.metadata
import shutil
import sys
from pathlib import Path

from noiselab.errors import first_line
from noiselab.planning.preflight.computers import Need
from noiselab.planning.preflight.rows import MISSING, OK, SETUP, WARNING, Row

OLDEST_PYTHON = (3, 11)
PINS = Path(__file__).resolve().parents[5] / "requirements.txt"


def python_row(version: tuple = sys.version_info) -> Row:
    """The interpreter's version."""
    found, oldest = (".".join(map(str, v)) for v in (version[:3], OLDEST_PYTHON))
    if version[:2] < OLDEST_PYTHON:
        return Row("Python", MISSING, found, f"{oldest} or later: {SETUP} PYTHON=python{oldest}")
    return Row("Python", OK, found)


def packages_row(pins: Path = PINS) -> Row:
    """The versions of the packages against the pins."""
    from packaging.requirements import Requirement

    lines = [line.partition("#")[0].strip() for line in pins.read_text().splitlines()]
    wanted = [Requirement(line) for line in lines if line]
    wanted = [r for r in wanted if r.marker is None or r.marker.evaluate()]
    there = {r.name: _version(r.name) for r in wanted}
    if absent := [name for name, version in there.items() if version is None]:
        return Row("packages", MISSING, f"not installed: {', '.join(absent)}", SETUP)
    if other := [r.name for r in wanted if not r.specifier.contains(there[r.name])]:
        listed = ", ".join(f"{name} {there[name]}" for name in other)
        return Row("packages", WARNING, f"not the tested versions: {listed}", SETUP)
    return Row("packages", OK, f"the {len(wanted)} pinned ones")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def torch_row(needs: list[Need]) -> Row:
    """Whether torch can be imported and, where a job asks for GPUs, was built for them."""
    try:
        import torch
    except Exception as error:  # a library that lacks is an OSError, a version a RuntimeError
        return Row("torch", MISSING, f"cannot be imported ({first_line(error)})", SETUP)
    platform = torch.version.cuda and f"CUDA {torch.version.cuda}"
    platform = platform or (torch.version.hip and f"ROCm {torch.version.hip}")
    found = f"{torch.__version__}, {platform or 'for CPUs only'}"
    if not platform and any(need.gpu for need in needs):
        return Row("torch", MISSING, found, f"a build for GPUs: {SETUP}")
    return Row("torch", OK, found)


def software_row(conda: bool) -> Row:
    """Jobs run in the Python that runs Snakemake, unless conda is asked for."""
    if conda and not shutil.which("conda"):
        fix = "install conda, or leave out --software-deployment-method"
        return Row("conda", MISSING, "no command conda", fix)
    return Row("conda, apptainer", OK, "conda is there" if conda else "not needed")
