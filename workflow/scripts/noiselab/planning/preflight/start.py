"""When the checks are called for, and of which jobs. Snakemake asks before its first job."""

import json
import shlex
import subprocess
import sys

from noiselab.planning.graph import Graph

ASKED = "preflight"  # the rule that asks for the checks
# How the shell parts the words of its variables: not at blanks, which folders may have.
WORDS = "set -f; IFS='\n'; "
HINT = "nothing was started; --config preflight=false leaves these checks out"


def planned_names(graph: Graph, files: list[list[str]]) -> list[str]:
    """Names of the graph's jobs among those that write these files."""
    found = (graph.producers.get(file) for outputs in files for file in outputs)
    return [name for name in dict.fromkeys(found) if name]


def takes_long(graph: Graph, files: list[list[str]]) -> bool:
    """Whether one of the jobs that write these files downloads or has resources of its own."""
    downloads = f"{graph.places.downloads}/"
    if any(file.startswith(downloads) for outputs in files for file in outputs):
        return True
    return any(graph.jobs[name].resources for name in planned_names(graph, files))


def command(workflow, results: str) -> str:
    """The checks as a command line, with how Snakemake was called."""
    local, limit = workflow.local_exec, workflow.global_resources.get("gpu")
    methods = {method.name for method in workflow.deployment_settings.deployment_method}
    words = ["--plan", "-", "--results", results]
    words += ["--executor", "local" if local else workflow.executor_plugin.name]
    words += ["--at-once", (workflow._cores if local else workflow.nodes) or 1]
    words += ["--gpus", limit.value] if limit and limit.value is not None else []
    words += ["--conda"] if "CONDA" in methods else []
    return f"{WORDS}$ONLINE $PYTHON $SCRIPTS/preflight.py {shlex.join(map(str, words))}"


def check_or_exit(workflow, graph: Graph) -> None:
    """Print the table of checks, where they are asked for or jobs that take long are to run at a
    tier that wants them; end Snakemake where something is missing. Asked for alone, they are of
    the whole plan."""
    jobs = list(workflow.dag.needrun_jobs())
    files = [[str(file) for file in job.output] for job in jobs if job.rule.name != ASKED]
    asked = len(files) < len(jobs)
    long = graph.config["preflight"] and takes_long(graph, files)
    if workflow.touch or not (asked or long):
        return
    names = planned_names(graph, files) if files else None
    plan = json.dumps({"config": graph.config, "jobs": names})
    call = command(workflow, graph.places.results)
    if subprocess.run(call, shell=True, input=plan, text=True).returncode:
        sys.exit(1 if asked else f"noiselab: {HINT}")
