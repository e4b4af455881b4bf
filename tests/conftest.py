"""Order of the tests' files, and the smoke tier that several of them share."""

import fcntl
import os
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from commands import run
from offline import guarded, namespace

ROOT = Path(__file__).resolve().parents[1]
# Each takes a minute or more. Begun last, one of them would keep one process busy after the others
# have ended. Those that share the smoke tier are apart, so that none waits while another makes it.
LONG = ("test_workflow", "test_extending", "test_kills", "test_current", "test_offline")


def pytest_collection_modifyitems(items: list) -> None:
    """Long files first; the order is else as it was."""
    ranks = {name: rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


class Smoke(NamedTuple):
    """The smoke tier, made from data to report, undisturbed and without a network."""

    folder: Path  # in which it was made; to be copied, not changed
    said: str  # by Snakemake, with the jobs' commands

    @property
    def results(self) -> Path:
        return self.folder / "results" / "smoke"


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Smoke:
    """Made once, whichever process of the tests asks first; the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "smoke"
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = folder / "said.txt"
        if not said.exists():
            command = [*namespace(), sys.executable, "-m", "snakemake", "-p", "--cores", 2]
            command += ["--snakefile", ROOT / "Snakefile"]
            command += ["--workflow-profile", ROOT / "profiles" / "default"]
            command += ["--config", "tier=smoke"]
            done = run(command, check=True, cwd=folder, env=guarded(folder))
            said.write_text(done.stdout + done.stderr, encoding="utf-8")
    return Smoke(folder, said.read_text(encoding="utf-8"))
