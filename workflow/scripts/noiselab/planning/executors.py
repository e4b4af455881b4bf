"""What Snakemake's executors of clusters have in common, Slurm's and the others'."""


def mend(plugin) -> None:
    """Have Ctrl-C cancel all jobs. While Snakemake asks the scheduler how its jobs are, it has none
    of them on the list of those to be cancelled (snakemake-interface-executor-plugins 9.4), and
    where a scheduler is slow, it asks most of the time. plugin: module of the executor; None: it is
    not in use."""
    if plugin is None or hasattr(plugin.Executor, "asked_about"):  # the Snakefile is read anew
        return
    executor = plugin.Executor
    check, cancel = executor.check_active_jobs, executor.cancel_jobs

    async def check_active_jobs(self, active_jobs):
        self.asked_about = list(active_jobs)
        self.asked_about = [job async for job in check(self, active_jobs)]
        for job in self.asked_about:
            yield job

    def cancel_jobs(self, active_jobs) -> None:
        jobs = {id(job): job for job in (*self.asked_about, *active_jobs)}
        cancel(self, list(jobs.values()))

    executor.asked_about = []
    executor.check_active_jobs, executor.cancel_jobs = check_active_jobs, cancel_jobs
