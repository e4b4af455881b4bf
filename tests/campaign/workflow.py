"""A small workflow of three studies, run here, and the processes that it has started."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

import commands
from measured_results import differences, results

ROOT = Path(__file__).resolve().parents[2]
# Six trainings of a second each: images, text with stretches of noise, sums with and without the
# penalty on noise.
SETTINGS = {
    "tier": "smoke",
    "name": "campaign",
    "studies": "all",
    "only": ["table2", "stretches", "addition", "addition_stable"],
    "experiments": {
        "table2": {"datasets": ["digits"], "noise_ratios": [0, 1.0]},
        "stretches": {"noise_shares": [0, 0.2]},
        "addition": {"seeds": [0]},
        "addition_stable": {"seeds": [0]},
    },
}
TARGETS = ("table2", "stretches", "grokking", "claims")  # in none of them is a time
ANSWERS = ("tables/*.csv", "tables/*.json", "tables/*.md", "tables/*.tex", "claims.*")
# Waits are this much longer than on two cores of which half is taken.
PATIENCE = float(os.environ.get("NOISELAB_PATIENCE", 1))
LIMIT = 900 * PATIENCE  # seconds that one call of Snakemake may take
GRACE = 90 * PATIENCE  # seconds from a signal that asks Snakemake to end until it is killed


class Workflow:
    """A folder in which Snakemake is called again and again, as its users call it."""

    def __init__(self, folder: Path, temporary: Path, targets: tuple[str, ...] = TARGETS):
        """folder: for the workflow, its settings and its log. temporary: for temporary files, and
        so for the server of warm starts, which several workflows may share."""
        self.folder, self.temporary, self.targets = folder / "work", temporary, targets
        for place in (self.folder, self.temporary):
            place.mkdir(parents=True, exist_ok=True)
        self.settings, self.log = folder / "settings.yaml", folder / "snakemake.log"
        self.settings.write_text(json.dumps(SETTINGS), encoding="utf-8")
        self.environment = os.environ | {"TMPDIR": str(self.temporary), "COLUMNS": "200"}
        self.environment["NOISELAB_IDLE"] = "600"  # seconds: calls may be far apart
        self.process: subprocess.Popen | None = None
        self.started = 0.0
        self.starts = 0

    @property
    def results(self) -> Path:
        return self.folder / "results" / "smoke"

    # --------------------------------------------------------------------------------- calls

    def command(self, *options: str) -> list[str]:
        """Snakemake for the targets, with these options."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--workflow-profile", str(ROOT / "profiles" / "default"), "--cores", "2"]
        return [*command, "--configfile", str(self.settings), *options, "--", *self.targets]

    def call(self, *options: str) -> subprocess.CompletedProcess:
        """Another Snakemake in the same folder, to its end."""
        return commands.run(
            self.command(*options), limit=LIMIT, cwd=self.folder, env=self.environment
        )

    def start(self) -> None:
        """Start Snakemake, after the locks that a killed one has left were removed: all that
        `--unlock` does, without its seconds."""
        shutil.rmtree(self.folder / ".snakemake" / "locks", ignore_errors=True)
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # A shell starts what runs in its background with SIGINT ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        self.started = time.monotonic()
        self.starts += 1

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def planned(self) -> list[str]:
        """Rules of the jobs that a dry run would execute. RuntimeError: it fails."""
        done = self.call("--dry-run")
        said = done.stdout + done.stderr
        if done.returncode:
            raise RuntimeError(said[-2000:])
        return re.findall(r"^(?:local)?rule (\w+):", said, re.MULTILINE)

    # ----------------------------------------------------------------------------- processes

    def jobs(self) -> list[psutil.Process]:
        """Processes that Snakemake has started, those that a warm server runs among them."""
        with contextlib.suppress(psutil.Error):
            return descendants(psutil.Process(self.process.pid), self.folder)
        return []

    def servers(self) -> list[psutil.Process]:
        """Servers of warm starts that this workflow's jobs have started."""
        return [process for process in served() if _cwd(process).startswith(str(self.temporary))]

    def left(self) -> list[psutil.Process]:
        """Processes that work in the folder, Snakemake or not."""
        return [p for p in psutil.process_iter() if _cwd(p) == str(self.folder)]

    def settle(self) -> None:
        """Wait for jobs that have outlived their Snakemake: they may still write. RuntimeError:
        they do not end."""
        deadline = time.monotonic() + LIMIT
        while not self.running() and self.left():
            if time.monotonic() > deadline:
                raise RuntimeError(f"jobs do not end: {self.left()}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End everything but the server."""
        for process in self.left():
            with contextlib.suppress(psutil.Error):
                process.kill()
        if self.process:
            self.process.wait(GRACE)

    # ------------------------------------------------------------------------------- results

    def forget(self) -> None:
        """Remove all results; Snakemake's own notes stay."""
        shutil.rmtree(self.folder / "results", ignore_errors=True)

    def answers(self) -> dict[str, bytes]:
        """Contents of the tables and verdicts, by name."""
        folders = sorted(self.results.glob("own/campaign/only/*"))
        found = [path for f in folders for pattern in ANSWERS for path in f.glob(pattern)]
        return {str(path.relative_to(self.results)): path.read_bytes() for path in sorted(found)}

    def measured(self) -> dict[str, object]:
        """All that was measured, without facts of machine and load."""
        return results(self.results)


def faults_of(workflow: Workflow, answers: dict[str, bytes], measured: dict) -> list[str]:
    """What finished results have not as those of an undisturbed run have it; what is stale."""
    found = [f"{name} differs" for name in differences(answers, workflow.answers())]
    try:
        found += [f"{name} differs" for name in differences(measured, workflow.measured())]
    except Exception as error:  # whatever a damaged file makes its reader say
        found.append(f"a result cannot be read: {error}")
    try:
        return found + [f"{rule} is planned again" for rule in workflow.planned()]
    except RuntimeError as error:
        return [*found, f"a dry run fails: {error}"]


def descendants(process: psutil.Process, folder: Path) -> list[psutil.Process]:
    """What a process has started, jobs in a folder that a warm server runs for it among them."""
    found = process.children(recursive=True)
    for server in served():
        with contextlib.suppress(psutil.Error):
            found += server.children(recursive=True)
    return [process for process in dict.fromkeys(found) if _cwd(process) == str(folder)]


def served() -> list[psutil.Process]:
    """Servers of warm starts; their children have the same command line."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            parent = process.parent()
            if "--serve" in process.cmdline() and not (parent and "--serve" in parent.cmdline()):
                found.append(process)
    return found


def _cwd(process: psutil.Process) -> str:
    try:
        return process.cwd()
    except psutil.Error:
        return ""
