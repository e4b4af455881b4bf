# When the checks of noiselab.preflight are called for, and of which jobs.
import subprocess


def jobs_to_run():
    """Rule -> names of its jobs, those of their benchmark files, of what Snakemake is about to
    run."""
    jobs = {}
    for job in workflow.dag.needrun_jobs():
        name = str(job.benchmark or "").removeprefix(f"{RESULTS}/benchmarks/")
        jobs.setdefault(job.rule.name, []).append(name.removesuffix(".tsv"))
    return jobs


def takes_long(rule):
    """Whether a rule downloads or has resources of its own."""
    return rule in config["resources"] or rule.startswith("download_")


def preflight_command():
    """The checks as a command line, with how Snakemake was called."""
    local = workflow.local_exec
    limit = workflow.global_resources.get("gpu")
    methods = {m.name for m in workflow.deployment_settings.deployment_method}
    command = f"$ONLINE $PYTHON $SCRIPTS/preflight.py --plan - --results {RESULTS}"
    command += f" --downloads {os.path.dirname(DOWNLOADS)}"
    command += f" --executor {'local' if local else workflow.executor_plugin.name}"
    command += f" --at-once {(workflow._cores if local else workflow.nodes) or 1}"
    command += f" --gpus {limit.value}" if limit and limit.value is not None else ""
    return command + (" --conda" if "CONDA" in methods else "")


def preflight_or_exit():
    """Print the table of checks, where they are asked for or jobs that take long are to run at a
    tier that wants them; end Snakemake where something is missing. Asked for alone, they are of
    the whole plan."""
    jobs = jobs_to_run()
    asked = bool(jobs.pop("preflight", None))
    long = config["preflight"] and any(map(takes_long, jobs))
    if workflow.touch or not (asked or long):
        return
    plan = json.dumps({"config": config, "jobs": jobs or None})
    done = subprocess.run(preflight_command(), shell=True, input=plan, text=True)
    if done.returncode:
        hint = "nothing was started; --config preflight=false leaves these checks out"
        sys.exit(1 if asked else f"noiselab: {hint}")
