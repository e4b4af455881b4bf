"""Jobs on clusters of PBS, LSF and SGE, behind Snakemake's executor `cluster-generic`.

It calls a command to submit a job, one that says how the job is, and one to cancel jobs. How a job
has ended is written by the job itself, into a file beside its log: a scheduler forgets ended jobs,
or tells of them in its own way. The scheduler is asked only whether a job is still there, since one
that was killed writes nothing; and that seldom, as all users share it.
"""

import os
import re
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from noiselab.errors import NoiselabError
from noiselab.files import read_json, write_json
from noiselab.planning.schedulers import SCHEDULERS, Asked, Scheduler

FOLDER = Path(".snakemake", "cluster")  # in the working folder: of each job its log and state
RUNNING, SUCCESS, FAILED = "running", "success", "failed"  # the words of the executor
ASK = 60.0  # seconds between two questions about a job, in which its files also reach this computer
MISSES = 2  # answers that a job is not there, until it counts as lost
LIMIT = 120.0  # seconds that a scheduler's command may take
PATIENCE = 600.0  # seconds in which jobs that were cancelled must end
MORE = "NOISELAB_SUBMIT"  # environment variable: more options of the submitting command
EXECUTOR = "cluster-generic"


def submit(scheduler: str, jobscript: str) -> str:
    """Submit a script of Snakemake's; returns number@name, by which the other commands know the
    job. NoiselabError: the scheduler refuses it."""
    chosen, text = SCHEDULERS[scheduler], Path(jobscript).read_text(encoding="utf-8")
    asked = Asked.read(text)
    name = f"{asked.name}-{secrets.token_hex(4)}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    words = [*chosen.submit(asked), *shlex.split(os.environ.get(MORE, ""))]
    done = _call(words, wrapped(text, name, scheduler))
    found = re.search(chosen.number, done.stdout)
    if done.returncode or not found:
        said = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
        raise NoiselabError(f"{shlex.join(words)}: {said[-1]}")
    state = {"scheduler": scheduler, "number": found[1], "asked": time.time(), "misses": 0}
    write_json(_file(name, "json"), state)
    return f"{found[1]}@{name}"


def wrapped(text: str, name: str, scheduler: str) -> str:
    """A script that runs that of Snakemake and writes its exit code. A signal to all processes of
    the job does not end the shells: the job would end with them, while a training that got the same
    signal is still writing its checkpoint."""
    log, code = (shlex.quote(str(_file(name, part).absolute())) for part in ("log", "code"))
    part = shlex.quote(str(_file(name, "part").absolute()))
    return f"""#!/bin/sh
exec > {log} 2>&1
export NOISELAB_CLUSTER={scheduler}
trap : TERM INT
(
trap : TERM INT
{text}
)
code=$?
echo "$code" > {part} && mv {part} {code}
exit "$code"
"""


def status(job: str) -> str:
    """How a job is: running (or waiting), success or failed. job: number@name."""
    name = job.partition("@")[2]
    ended = _text(_file(name, "code"))
    if ended is None and not _is_lost(name):
        return RUNNING
    if ended == "0":
        _forget(name, "json", "code", "log")
        return SUCCESS
    cancel([job])  # what is to be tried again must not be there any more
    _forget(name, "json", "code")
    return FAILED


def _is_lost(name: str) -> bool:
    """Whether a job that wrote no exit code is there no more. A scheduler that does not answer says
    nothing about its jobs."""
    file = _file(name, "json")
    if not file.is_file():
        return True
    state = read_json(file)
    if time.time() - state["asked"] < ASK:
        return False
    there = _there(state)
    misses = state["misses"] if there is None else (state["misses"] + 1) * (not there)
    write_json(file, state | {"asked": time.time(), "misses": misses})
    return misses >= MISSES


def cancel(jobs: Iterable[str]) -> None:
    """Have the scheduler end jobs, number@name; those that have ended already are none of them."""
    names = (job.partition("@")[2] for job in jobs)
    states = [read_json(file) for name in names if (file := _file(name, "json")).is_file()]
    for scheduler in {state["scheduler"] for state in states}:
        numbers = [state["number"] for state in states if state["scheduler"] == scheduler]
        _call([*SCHEDULERS[scheduler].cancel, *numbers])


def end_leftovers(workflow) -> None:
    """End the jobs of a Snakemake that was killed, before this one (its `workflow`) submits them
    once more, and say so. NoiselabError: they do not end."""
    executor = workflow.executor_plugin
    if executor is None or executor.name != EXECUTOR:
        return
    if ended := end_jobs():
        print(
            f"noiselab: cancelled {ended} job(s) of an earlier Snakemake; trainings among them go "
            "on from their last checkpoint",
            file=sys.stderr,
        )


def end_jobs() -> int:
    """Cancel all jobs that this folder knows of, and wait for their end; returns how many were
    there. NoiselabError: they do not end."""
    names = [file.stem for file in sorted(FOLDER.glob("*.json"))]
    left = [name for name in names if not _is_gone(name)]
    cancel(f"@{name}" for name in left)
    deadline = time.monotonic() + PATIENCE
    while still := [name for name in left if not _is_gone(name)]:
        if time.monotonic() > deadline:
            raise NoiselabError(f"jobs of an earlier Snakemake do not end: {still}")
        time.sleep(2)
    for name in names:
        _forget(name, "json", "code")
    return len(left)


def _is_gone(name: str) -> bool:
    """Whether a job has surely ended."""
    return _file(name, "code").is_file() or _there(read_json(_file(name, "json"))) is False


def _there(state: dict) -> bool | None:
    """Whether a job waits or runs; None: the scheduler does not say."""
    scheduler: Scheduler = SCHEDULERS[state["scheduler"]]
    done = _call(scheduler.ask(state["number"]))
    return scheduler.there(done.returncode, done.stdout + done.stderr, state["number"])


def _call(words: list[str], text: str = "") -> subprocess.CompletedProcess:
    """A command of the scheduler. One that cannot be called, or does not answer, has failed."""
    try:
        return subprocess.run(words, input=text, capture_output=True, text=True, timeout=LIMIT)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(words, 1, "", str(error))


def _file(name: str, suffix: str) -> Path:
    return FOLDER / f"{name}.{suffix}"


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def _forget(name: str, *suffixes: str) -> None:
    for suffix in suffixes:
        _file(name, suffix).unlink(missing_ok=True)
