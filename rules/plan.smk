# From the merged configuration to runs: no file is read here, no job knows the configuration
# but through run.json.
config = _or_exit(noiselab_config.validate, config)
RESULTS = f"results/{config['tier']}"
PLAN = _or_exit(noiselab_runs.plan, config, RESULTS)

DATA = RESULTS + "/data/{dataset}"
RUN = RESULTS + "/runs/{run}"


wildcard_constraints:
    dataset=r"[A-Za-z0-9_-]+",
    run=r"[a-z0-9]+/[A-Za-z0-9_-]+/[A-Za-z0-9_.-]+",
    experiment="|".join(PLAN.experiments),


def resource(rule, name):
    """A rule's resource from the configuration; retries ask for more time."""
    value = config["resources"][rule][name]
    if name == "runtime":
        return lambda wildcards, attempt: value * attempt
    return value


def launcher(rule):
    """How to start a training: several GPUs are several processes inside one task."""
    gpus = config["resources"][rule]["gpu"]
    return f"torchrun --standalone --nproc-per-node {gpus}" if gpus > 1 else "python"


def of_runs(experiment, file):
    """A file of each run of an experiment."""
    return [f"{RESULTS}/runs/{run}/{file}" for run in PLAN.experiments[experiment]]


def library(*modules):
    """Library modules as rule inputs: for rules that are cheap to run again."""
    return [f"{SCRIPTS}/noiselab/{module}.py" for module in modules]
