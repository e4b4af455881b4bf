"""Where Snakemake and Slurm miss each other: jobs that outlive the Snakemake that submitted them,
and faults of Snakemake's Slurm plugin.

A Snakemake that is killed leaves its jobs in the queue. The next one knows nothing of them and
would train beside them, into the same files.
"""

import shlex
import subprocess
import sys
import time
from collections.abc import Iterable

from noiselab.errors import NoiselabError

PATIENCE = 600  # seconds: a job has its KillWait to write a checkpoint, and a node may be slow


def comment(rule: str, wildcards: Iterable[str]) -> str:
    """The comment by which Snakemake's Slurm plugin marks a job."""
    values = "_".join(wildcards).replace("/", "_")
    return f"rule_{rule}_wildcards_{values}" if values else f"rule_{rule}"


def end_jobs(comments: set[str], folder: str) -> int:
    """Cancel the jobs with these comments that were submitted from `folder` and wait for their end;
    returns how many there were. NoiselabError: they do not end.

    For jobs that this Snakemake is about to submit, whose files its lock protects from every other
    Snakemake: what is in the queue under their name can only be left over.
    """
    left = _queued(comments, folder)
    if not left:
        return 0
    _call("scancel", *left)
    deadline = time.monotonic() + PATIENCE
    while still := set(_queued(comments, folder)) & set(left):
        if time.monotonic() > deadline:
            raise NoiselabError(f"Slurm jobs of an earlier Snakemake do not end: {sorted(still)}")
        time.sleep(2)
    return len(left)


def end_leftovers(workflow) -> None:
    """End the jobs of a Snakemake that was killed, before this one (its `workflow`) submits them
    once more, and say so. NoiselabError: they do not end."""
    executor = workflow.executor_plugin
    if executor is None or executor.name != "slurm":
        return
    submitted = (job for job in workflow.dag.needrun_jobs() if not job.is_local)
    comments = {comment(job.rule.name, job.wildcards) for job in submitted}
    if ended := end_jobs(comments, workflow.workdir_init):
        print(
            f"noiselab: cancelled {ended} Slurm job(s) of an earlier Snakemake; trainings among"
            " them go on from their last checkpoint",
            file=sys.stderr,
        )


def mend(plugin) -> None:
    """Mend two faults of Snakemake's Slurm plugin (2.8). plugin: its module; None: not in use.

    When a node fails, it asks the accounting where the job ran, so as to keep off that node. Slurm
    has put the job back in the queue by then, and the answer is `None assigned`: with that, sbatch
    refuses every later job. And it takes a job for a running one whose state it does not know, such
    as `CANCELLED by 1000`, which is what sacct says after scancel: it would wait for ever.
    """
    if plugin is None or hasattr(plugin, "mended"):  # Snakemake reads the Snakefile anew
        return
    submit, query = plugin.get_submit_command, plugin.query_job_status

    def get_submit_command(*arguments, failed_nodes=None, **options):
        named = {node for node in failed_nodes or () if " " not in node}
        return submit(*arguments, failed_nodes=named, **options)

    async def query_job_status(*arguments):
        states, seconds = await query(*arguments)
        if states is not None:
            states = {job: state.split(" by ")[0] for job, state in states.items()}
        return states, seconds

    plugin.get_submit_command, plugin.query_job_status = get_submit_command, query_job_status
    plugin.mended = True


def _queued(comments: set[str], folder: str) -> list[str]:
    """Numbers of these jobs that wait, run or are just ending."""
    lines = _call("squeue", "--noheader", "--me", "--format=%A %k %Z").splitlines()
    jobs = (line.split(maxsplit=2) for line in lines)
    return [job[0] for job in jobs if job[2:] == [folder] and job[1] in comments]


def _call(*command: str) -> str:
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoiselabError(f"cannot ask Slurm for earlier jobs: {error}") from error
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NoiselabError(f"{shlex.join(command)}: {reason}")
    return result.stdout
