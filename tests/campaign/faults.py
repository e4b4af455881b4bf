"""Kinds of faults. Each is a function of the scene that returns what it hit, or None where there
was nothing to hit."""

import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from campaign.workflow import GRACE, Workflow
from commands import run

DAY = 86_400.0  # seconds
HELD = (2.0, 6.0)  # seconds that a disk stays full, or a folder read-only
NEWEST = 12  # files that were written while the clock was wrong
APART = {"logs", "benchmarks"}  # of which nothing is made
# What is wrong in itself, whatever the results are in the end.
HANGS, LET_IN, FAILED = "did not end, killed", "let in", "ended with an error"
WRONG = {HANGS, LET_IN, FAILED}


@dataclass
class Scene:
    """What faults happen to. full: the disk of the workflow is its own, so it can be filled."""

    workflow: Workflow
    chance: random.Random
    full: bool = False

    def files(self) -> list[Path]:
        """Files of one kind of result: data, runs, records or answers."""
        kinds = sorted(p for p in self.workflow.results.glob("*") if p.name not in APART)
        kinds = [k for k in kinds if k.is_dir() and any(p.is_file() for p in k.rglob("*"))]
        if not kinds:
            return []
        found = self.chance.choice(kinds).rglob("*")
        return sorted(p for p in found if p.is_file() and not APART & {*p.parts})

    def name(self, path: Path) -> str:
        """A file as the log of faults has it."""
        return str(path.relative_to(self.workflow.folder))

    def hold(self) -> None:
        """Wait for a while, or until Snakemake has ended."""
        end = time.monotonic() + self.chance.uniform(*HELD)
        while time.monotonic() < end and self.workflow.running():
            time.sleep(0.1)


# ----------------------------------------------------------------------------------- processes


def _signal_job(scene: Scene, number: int) -> str | None:
    found = scene.workflow.jobs()
    if not found:
        return None
    victim = scene.chance.choice(sorted(found, key=lambda process: process.pid))
    try:
        what = _called(victim)
        victim.send_signal(number)
    except psutil.Error:
        return None
    return what


def _called(process: psutil.Process) -> str:
    """What a process does: its script, or its program."""
    words = process.cmdline()
    scripts = [Path(w).name for w in words if w.endswith(".py") and "warm_start" not in w]
    return "a fork of the warm server" if "--serve" in words else (scripts or [process.name()])[0]


def kill_job(scene: Scene) -> str | None:
    return _signal_job(scene, signal.SIGKILL)


def terminate_job(scene: Scene) -> str | None:
    return _signal_job(scene, signal.SIGTERM)


def kill_server(scene: Scene) -> str | None:
    found = scene.workflow.servers()
    for server in found:
        with contextlib.suppress(psutil.Error):
            server.kill()
    return f"{len(found)} with all its jobs" if found else None


def kill_snakemake(scene: Scene) -> str:
    """Its jobs go on, and a new Snakemake begins them once more."""
    scene.workflow.process.kill()
    return "its jobs go on"


def kill_all(scene: Scene) -> str:
    jobs = scene.workflow.jobs()
    os.killpg(scene.workflow.process.pid, signal.SIGKILL)
    for process in jobs:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return f"{len(jobs)} processes of jobs"


def terminate_snakemake(scene: Scene) -> str:
    scene.workflow.process.terminate()
    return _end(scene.workflow)


def interrupt_snakemake(scene: Scene) -> str:
    """Ctrl-C in a terminal goes to all that runs in the foreground."""
    os.killpg(scene.workflow.process.pid, signal.SIGINT)
    return _end(scene.workflow)


def _end(workflow: Workflow) -> str:
    """Wait until Snakemake has ended; after a while it is killed."""
    deadline = time.monotonic() + GRACE
    while workflow.running():
        if time.monotonic() > deadline:
            os.killpg(workflow.process.pid, signal.SIGKILL)
            return HANGS
        time.sleep(0.1)
    return "ended"


def second_snakemake(scene: Scene) -> str | None:
    """A second call in the same folder must be refused."""
    locks = scene.workflow.folder / ".snakemake" / "locks"
    deadline = time.monotonic() + GRACE
    while not any(locks.glob("*")):  # the first has not come so far
        if time.monotonic() > deadline or not scene.workflow.running():
            return None
        time.sleep(0.1)
    done = scene.workflow.call()
    if done.returncode == 0:  # or it came after the end of the first, and has all to itself
        return "nothing to be done" if not scene.workflow.running() else LET_IN
    return "refused" if "lock" in (done.stdout + done.stderr).lower() else FAILED


# --------------------------------------------------------------------------------------- disks


def full_disk(scene: Scene) -> str | None:
    if not scene.full:
        return limited_files(scene)
    filler = scene.workflow.folder / "filler"
    try:
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
            while file.write(bytes(1 << 16)):
                pass
        scene.hold()
    finally:
        filler.unlink(missing_ok=True)
    return "the disk"


def limited_files(scene: Scene) -> str | None:
    """Where no disk can be filled: no process may write to a file beyond its first kilobyte."""
    found = [*scene.workflow.jobs(), psutil.Process(scene.workflow.process.pid)]
    with _limited(found, 1024):
        scene.hold()
    return f"{len(found)} processes"


@contextlib.contextmanager
def _limited(processes: list[psutil.Process], size: int) -> Iterator[None]:
    """Processes whose files have a largest size in bytes."""
    before = {}
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            before[process] = process.rlimit(psutil.RLIMIT_FSIZE)
            process.rlimit(psutil.RLIMIT_FSIZE, (size, before[process][1]))
    try:
        yield
    finally:
        for process, limits in before.items():
            with contextlib.suppress(psutil.Error, OSError):
                process.rlimit(psutil.RLIMIT_FSIZE, limits)


def read_only(scene: Scene) -> str | None:
    folders = [scene.workflow.folder / ".snakemake", scene.workflow.results]
    folders += [path for path in sorted(scene.workflow.results.rglob("*")) if path.is_dir()]
    folder = scene.chance.choice([path for path in folders if path.is_dir()])
    before = folder.stat().st_mode
    try:
        folder.chmod(0o555)
        scene.hold()
    finally:
        with contextlib.suppress(FileNotFoundError):
            folder.chmod(before)
    return scene.name(folder)


# --------------------------------------------------------------------------------------- files


def truncate(scene: Scene, keep_time: bool = False) -> str | None:
    """A file loses its end, or all of it."""
    found = scene.files()
    if not found:
        return None
    path, share = scene.chance.choice(found), scene.chance.choice([0, 0.5, 0.9])
    with contextlib.suppress(FileNotFoundError):  # the workflow was faster
        before = path.stat()
        if not before.st_size:
            return None
        os.truncate(path, int(before.st_size * share))
        if keep_time:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return f"{scene.name(path)} to {share:.0%}"
    return None


def truncate_unseen(scene: Scene) -> str | None:
    """As a crash of the machine leaves it: the file's time is as before."""
    return truncate(scene, keep_time=True)


def truncate_note(scene: Scene) -> str | None:
    """One of Snakemake's own notes about a file."""
    notes = scene.workflow.folder / ".snakemake" / "metadata"
    found = sorted(path for path in notes.rglob("*") if path.is_file())
    if not found:
        return None
    with contextlib.suppress(FileNotFoundError):
        path = scene.chance.choice(found)
        os.truncate(path, path.stat().st_size // 2)
        return "a note"
    return None


def remove(scene: Scene) -> str | None:
    found = scene.files()
    if not found:
        return None
    path = scene.chance.choice(found)
    path.unlink(missing_ok=True)
    return scene.name(path)


def _shift(scene: Scene, seconds: float) -> str | None:
    """The clock was wrong while the newest files were written."""
    times = {}
    for path in scene.workflow.results.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                times[path] = path.stat().st_mtime
    newest = sorted(times, key=times.get)[-scene.chance.randint(1, NEWEST) :]
    for path in newest:
        with contextlib.suppress(FileNotFoundError):
            os.utime(path, (times[path] + seconds,) * 2)
    return f"{len(newest)} files, the last {scene.name(newest[-1])}" if newest else None


def ahead(scene: Scene) -> str | None:
    return _shift(scene, DAY)


def behind(scene: Scene) -> str | None:
    return _shift(scene, -DAY)


# kind -> (function, whether only a running workflow can meet it)
FAULTS: dict[str, tuple[Callable[[Scene], str | None], bool]] = {
    "SIGKILL of a process of a job": (kill_job, True),
    "SIGTERM to a process of a job": (terminate_job, True),
    "SIGKILL of the server of warm starts": (kill_server, True),
    "SIGKILL of Snakemake alone": (kill_snakemake, True),
    "SIGKILL of Snakemake and its jobs": (kill_all, True),
    "SIGTERM to Snakemake": (terminate_snakemake, True),
    "SIGINT to Snakemake and its jobs": (interrupt_snakemake, True),
    "a second Snakemake beside it": (second_snakemake, True),
    "a full disk": (full_disk, True),
    "a read-only folder": (read_only, True),
    "a truncated file": (truncate, False),
    "a truncated file of the same time": (truncate_unseen, False),
    "a truncated note of Snakemake": (truncate_note, False),
    "a removed file": (remove, False),
    "a clock that was a day ahead": (ahead, False),
    "a clock that was a day behind": (behind, False),
}


# ---------------------------------------------------------------------------- what is possible


def obeys_modes(folder: Path) -> bool:
    """Whether a read-only folder can be written to by nobody; root may write everywhere."""
    probe = folder / "probe"
    probe.mkdir(mode=0o555)
    try:
        (probe / "file").touch()
    except OSError:
        return True
    finally:
        probe.chmod(0o755)
        shutil.rmtree(probe)
    return False


def own_disk(folder: Path, mebibytes: int) -> bool:
    """Mount a small disk of its own at a folder, in memory; whether that is allowed."""
    if not shutil.which("mount"):
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "campaign", folder]
    return run(command).returncode == 0
