"""Whatever is killed, a rerun ends in the tables of a run that nobody disturbed."""

import contextlib
import random
import shutil
import subprocess
import sys
import time

import psutil

import commands
from campaign.workflow import descendants
from project import Project

KILLS, OF_SNAKEMAKE = 50, 5
TARGETS = ("table2", "table1", "table9", "table4", "claims")


def tables(results):
    """What the targets have, by the names of their files; results: folder of the tier."""
    files = [results / "claims.csv", *(results / f"tables/{name}.csv" for name in TARGETS[:-1])]
    return {file.name: file.read_bytes() for file in files}


def kill_one(snakemake, folder, choice):
    """Kill a process of a job, if there is any; whether one was killed."""
    with contextlib.suppress(psutil.Error):
        jobs = descendants(psutil.Process(snakemake.pid), folder)
        if jobs:
            choice.choice(jobs).kill()
            return True
    return False


def test_fifty_random_kills_leave_no_other_table(smoke, tmp_path):
    project, choice = Project(tmp_path / "project"), random.Random(0)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--retries", "100"]
    command += ["--config", "tier=smoke", "--", *TARGETS]
    unlock = [*command[:5], "--unlock", "--config", "tier=smoke"]
    quiet = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
    kills = 0
    while kills < KILLS:
        commands.run(unlock, check=True, cwd=project.folder)
        with commands.started(command, cwd=project.folder, **quiet) as snakemake:
            while snakemake.poll() is None and kills < KILLS:
                time.sleep(choice.uniform(0, 0.6))
                if choice.random() < OF_SNAKEMAKE / KILLS / 4 and kills:
                    snakemake.kill()
                    kills += 1
                else:
                    kills += kill_one(snakemake, project.folder, choice)
        if snakemake.poll() == 0 and kills < KILLS:  # the machine was faster: once more
            shutil.rmtree(project.results)
    commands.run(unlock, check=True, cwd=project.folder)
    project.make(*TARGETS)
    assert tables(project.results) == tables(smoke.results)
    assert not project.planned(*TARGETS)
