"""A copy of the project that a test may change, and its workflow run there."""

import os
import re
import shutil
from collections import Counter
from pathlib import Path
from subprocess import CompletedProcess

from commands import ROOT, snakemake

PARTS = ("Snakefile", "rules", "config", "workflow", "profiles", "envs", "requirements.txt")


class Project:
    """The project's files in a folder of their own, in which it also works."""

    def __init__(self, folder: Path):
        self.folder = folder
        ignored = shutil.ignore_patterns("__pycache__")
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=ignored)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, folder / part)

    def call(self, *arguments, check=True) -> CompletedProcess:
        """Run Snakemake on two cores at tier smoke, unless `arguments` say otherwise."""
        return snakemake("--cores", "2", *arguments, check=check, cwd=self.folder)

    def make(self, *targets, **options) -> CompletedProcess:
        """Make targets at tier smoke."""
        return self.call("--config", "tier=smoke", "--", *targets, **options)

    def planned(self, *targets, config=()) -> Counter:
        """Jobs that a dry run would execute: rule -> number."""
        done = self.call("-n", "--config", "tier=smoke", *config, "--", *targets)
        return Counter(re.findall(r"^(?:local)?rule (\w+):", done.stdout + done.stderr, re.M))

    def edit(self, file: str, before: str, after: str) -> None:
        """Replace a text in one of the project's files, where it must be."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert before in text, f"{file} has no {before!r}"
        path.write_text(text.replace(before, after), encoding="utf-8")

    def forget(self) -> None:
        """Take Snakemake's own notes away."""
        shutil.rmtree(self.folder / ".snakemake")

    def copy(self, folder: Path) -> "Project":
        """The same project and its results elsewhere; the code is newer, as in a fresh clone."""
        shutil.copytree(self.folder, folder, symlinks=True)
        for part in PARTS:
            for path in [folder / part, *(folder / part).rglob("*")]:
                os.utime(path)
        other = object.__new__(Project)
        other.folder = folder
        return other

    @property
    def results(self) -> Path:
        """The results of tier smoke."""
        return self.folder / "results" / "smoke"
