"""Stand-ins for the commands of PBS, LSF and SGE; their jobs are processes of this computer.

    python standin.py FOLDER SCHEDULER COMMAND [ARGUMENT ...]

A file `down` in the folder: no command answers. A file `hold`: jobs that are submitted wait.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "pbs": ("qsub", "qstat", "qdel"),
    "lsf": ("bsub", "bjobs", "bkill"),
    "sge": ("qsub", "qstat", "qdel"),
}
GRACE = 60  # seconds between SIGTERM and SIGKILL


def install(folder: Path, scheduler: str) -> Path:
    """Make the folder of a scheduler; returns that of its commands, for PATH."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for command in COMMANDS[scheduler]:
        words = f"'{sys.executable}' '{Path(__file__).resolve()}' '{folder}' {scheduler} {command}"
        (programs / command).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        (programs / command).chmod(0o755)
    return programs


def jobs(folder: Path) -> dict[str, dict]:
    """Number -> {pid, words} of all jobs that were submitted."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}


def alive(job: dict) -> bool:
    """Whether the first process of a job is there, and more than a record of its end."""
    try:
        return Path(f"/proc/{job['pid']}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def end(job: dict, first: int = signal.SIGTERM) -> None:
    """End a job: a signal to all of its processes, and SIGKILL to those that stay."""
    deadline = time.monotonic() + GRACE
    for number in (first, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job["pid"], number)
        while alive(job) and time.monotonic() < deadline:
            time.sleep(0.1)


def submit(folder: Path, scheduler: str, words: list[str]) -> str:
    """Start the script of the standard input; returns what the scheduler answers."""
    number = str(len(jobs(folder)) + 1)
    script = folder / f"{number}.sh"
    script.write_text("sleep 3000\n" if (folder / "hold").exists() else sys.stdin.read())
    files = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    process = subprocess.Popen(["/bin/sh", script], start_new_session=True, **files)
    text = json.dumps({"pid": process.pid, "words": words})
    part = folder / f"{number}.part"
    part.write_text(text)
    part.rename(folder / f"{number}.json")
    return {
        "pbs": f"{number}.standin",
        "lsf": f"Job <{number}> is submitted to default queue <normal>.",
        "sge": number,
    }[scheduler]


def state(folder: Path, scheduler: str, words: list[str]) -> str:
    """What the scheduler says of a job, or of all."""
    there = {number: job for number, job in jobs(folder).items() if alive(job)}
    if scheduler == "sge":
        rows = [f"{n:>7} 0.55500 rule user r 01/01/2026 00:00:00 all.q@node 1" for n in there]
        return "\n".join(["job-ID prior name user state submit/start at queue slots", "-", *rows])
    number = words[-1].removesuffix(".standin")
    if scheduler == "pbs":
        if number not in there:
            print(f"qstat: Unknown Job Id {words[-1]}", file=sys.stderr)
            sys.exit(153)
        return f"Job Id: {words[-1]}\n    Job_Name = rule\n    job_state = R\n    queue = batch"
    if number not in jobs(folder):
        print(f"Job <{number}> is not found", file=sys.stderr)
        sys.exit(255)
    return "RUN" if number in there else "EXIT"


def main() -> None:
    folder, (scheduler, command, *words) = Path(sys.argv[1]), sys.argv[2:]
    if (folder / "down").exists():
        sys.exit("cannot connect to server")
    kind = COMMANDS[scheduler].index(command)
    if kind < 2:
        print((submit, state)[kind](folder, scheduler, words))
        return
    for number in words:
        if job := jobs(folder).get(number.removesuffix(".standin")):
            end(job)


if __name__ == "__main__":
    main()
