# From the merged configuration to runs: no file is read here, no job knows the configuration
# but through run.json.
config = _or_exit(noiselab_config.validate, config)
RESULTS = f"results/{config['tier']}"
PLAN = _or_exit(noiselab_runs.plan, config, RESULTS)

DATA = f"{RESULTS}/data/{{dataset}}"
RUN = f"{RESULTS}/runs/{{run}}"
DOWNLOADS = "data/{dataset}"
PREPARED = ["train_x.npy", "train_y.npy", "test_x.npy", "test_y.npy", "dataset.json"]
TABLES = f"{RESULTS}/tables"
FIGURES = f"{RESULTS}/figures"
REPORT = f"{RESULTS}/report.html"
CAPTIONS = f"{workflow.basedir}/workflow/report"


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
    # The lone -- keeps torchrun from reading the script's options as its own.
    return f"torchrun --standalone --nproc-per-node {gpus} --" if gpus > 1 else "python"


def of_runs(experiment, file):
    """A file of each run of an experiment."""
    return [f"{RESULTS}/runs/{run}/{file}" for run in PLAN.experiments[experiment]]


def library(*modules):
    """Library modules as inputs, for what is cheap to make again."""
    return [f"{SCRIPTS}/noiselab/{module}.py" for module in modules]


def is_real(dataset):
    """Whether a data set has to be downloaded or found in a local folder."""
    return PLAN.datasets[dataset]["kind"] == "cifar"


def source(wildcards):
    """Folder of a real data set: the local copy, or the download."""
    root = config["data"]["root"] or os.path.dirname(DOWNLOADS)
    return f"{root}/{wildcards.dataset}" if is_real(wildcards.dataset) else None


def downloaded(wildcards):
    """What has to be downloaded before a data set can be prepared."""
    local = config["data"]["root"] or not is_real(wildcards.dataset)
    return [] if local else f"{DOWNLOADS}/.complete".format(dataset=wildcards.dataset)


def prepared_data(wildcards):
    """The arrays of a run's data set."""
    run = PLAN.runs[wildcards.run]
    return [f"{DATA}/{file}".format(dataset=run["dataset"]) for file in PREPARED]


def caption(name):
    """Caption file of a table; experiments of your own share one."""
    own = f"{CAPTIONS}/{name}.rst"
    return own if os.path.exists(own) else f"{CAPTIONS}/table.rst"


def table_report(file, experiment, kind):
    """A table's file as an entry of the report. Entries are sorted as text: two blanks put
    Table 2 before Table 10."""
    number = experiment.removeprefix("table")
    name = f"Table {number:>2}" if number.isdigit() else experiment
    return report(
        file,
        caption=caption(experiment),
        category="Classifiers",
        subcategory="Tables",
        labels={"result": name, "format": kind},
    )
