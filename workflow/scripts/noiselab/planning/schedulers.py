"""What PBS, LSF and SGE call the same things: options of jobs, answers about them.

OpenPBS and PBS Professional (`select`), IBM Spectrum LSF 10, and the descendants of Sun Grid
Engine. Names that each site of SGE chooses itself come from environment variables.
"""

import getpass
import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """What a job asks for, on one node."""

    name: str  # rule, or group of jobs
    threads: int
    gpu: int
    mem_mb: int  # of the whole job
    runtime: int  # minutes

    @classmethod
    def read(cls, jobscript: str) -> "Asked":
        """From the line `# properties = …` of a script of Snakemake's."""
        line = re.search(r"^# properties = (\{.*\})$", jobscript, re.MULTILINE)
        said = json.loads(line[1])
        resources = said["resources"]
        name = said.get("rule") or f"group{said['groupid']}"
        numbers = (resources.get("gpu", 0), resources["mem_mb"], resources["runtime"])
        return cls(re.sub(r"\W", "_", name), said.get("threads", 1), *map(int, numbers))

    @property
    def clock(self) -> str:
        """Its time as hours:minutes:seconds."""
        return f"{self.runtime // 60}:{self.runtime % 60:02}:00"


@dataclass(frozen=True)
class Scheduler:
    """Commands of a scheduler. `submit` reads a script from its standard input."""

    submit: Callable[[Asked], list[str]]
    number: str  # pattern of the number of a job in the answer to it
    ask: Callable[[str], list[str]]  # about a job, by its number
    # From exit code, text of the answer and number: is the job there? None: it does not say.
    there: Callable[[int, str, str], bool | None]
    cancel: tuple[str, ...]  # before the numbers of jobs


# ---------------------------------------------------------------------------------------- PBS


def _pbs(asked: Asked) -> list[str]:
    node = f"select=1:ncpus={asked.threads}:mem={asked.mem_mb}mb"
    node += f":ngpus={asked.gpu}" if asked.gpu else ""
    quiet = ["-j", "oe", "-o", "/dev/null", "-m", "n"]
    limits = ["-l", node, "-l", f"walltime={asked.clock}"]
    return ["qsub", "-V", "-N", asked.name[:15], "-S", "/bin/sh", *quiet, *limits]


def _pbs_there(code: int, text: str, number: str) -> bool | None:
    if code:
        return False if re.search(r"Unknown Job|has finished", text, re.IGNORECASE) else None
    state = re.search(r"job_state = (\w)", text)
    return state and state[1] not in "CFX"  # complete (Torque), finished, finished part of an array


# ---------------------------------------------------------------------------------------- LSF

LSF_ENDED = {"DONE", "EXIT", "ZOMBI"}
LSF_THERE = {"PEND", "PROV", "FWD_PEND", "PSUSP", "RUN", "USUSP", "SSUSP", "WAIT", "UNKWN"}


def _lsf(asked: Asked) -> list[str]:
    memory = f"{asked.mem_mb}MB"
    limits = ["-n", str(asked.threads), "-W", str(asked.runtime), "-M", memory]
    node = ["-R", "span[hosts=1]", "-R", f"rusage[mem={memory}]"]
    gpus = ["-gpu", f"num={asked.gpu}"] if asked.gpu else []
    return ["bsub", "-r", "-J", asked.name, "-o", "/dev/null", *limits, *node, *gpus]


def _lsf_there(code: int, text: str, number: str) -> bool | None:
    words = set(text.split())
    if "is not found" in text or words & LSF_ENDED:
        return False
    return True if words & LSF_THERE else None


# ---------------------------------------------------------------------------------------- SGE


def _sge(asked: Asked) -> list[str]:
    """Memory is asked for per slot. mem_free does not limit it: h_vmem, which does, counts address
    space, of which CUDA takes far more than memory."""
    named = {
        key: os.environ.get(f"NOISELAB_SGE_{key.upper()}", usual) for key, usual in SGE.items()
    }
    quiet = ["-j", "y", "-o", "/dev/null", "-m", "n", "-r", "y"]
    share = math.ceil(asked.mem_mb / asked.threads)
    limits = ["-l", f"h_rt={asked.clock}", "-l", f"{named['memory']}={share}M"]
    slots = ["-pe", named["slots"], str(asked.threads)] if asked.threads > 1 else []
    gpus = ["-l", f"{named['gpu']}={asked.gpu}"] if asked.gpu else []
    start = ["qsub", "-terse", "-V", "-cwd", "-N", asked.name, "-S", "/bin/sh"]
    return [*start, *quiet, *limits, *slots, *gpus]


SGE = {"slots": "smp", "memory": "mem_free", "gpu": "gpu"}  # usual names; a parallel environment


def _sge_there(code: int, text: str, number: str) -> bool | None:
    """From the table of all jobs of the user: number, priority, name, user, state. A job in state
    E, for error, waits for ever."""
    if code:
        return None
    rows = (line.split() for line in text.splitlines())
    return any(row[:1] == [number] and "E" not in row[4] for row in rows)


SCHEDULERS = {
    "pbs": Scheduler(
        _pbs, r"^(\S+)\s*$", lambda number: ["qstat", "-f", number], _pbs_there, ("qdel",)
    ),
    "lsf": Scheduler(
        _lsf,
        r"Job <(\d+)>",
        lambda number: ["bjobs", "-noheader", "-o", "stat", number],
        _lsf_there,
        ("bkill",),
    ),
    "sge": Scheduler(
        _sge,
        r"^(\d+)",
        lambda number: ["qstat", "-u", getpass.getuser()],
        _sge_there,
        ("qdel",),
    ),
}
