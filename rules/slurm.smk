# What is needed only where jobs go to Slurm.
from noiselab.planning import slurm

slurm.mend(sys.modules.get("snakemake_executor_plugin_slurm"))

# Snakemake keeps one onstart, the last: this one does what was there before it as well.
_before = workflow._onstart


def end_leftovers():
    """End the jobs of a Snakemake that was killed, before they are submitted once more."""
    executor = workflow.executor_plugin
    if executor is None or executor.name != "slurm":
        return
    comments = {
        slurm.comment(job.rule.name, job.wildcards)
        for job in workflow.dag.needrun_jobs()
        if not job.is_local
    }
    ended = _or_exit(slurm.end_jobs, comments, workflow.workdir_init)
    if ended:
        print(
            f"noiselab: cancelled {ended} Slurm job(s) of an earlier Snakemake; trainings among"
            " them go on from their last checkpoint",
            file=sys.stderr,
        )


onstart:
    _before(log)
    end_leftovers()
