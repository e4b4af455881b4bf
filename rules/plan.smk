# From the merged configuration to runs: no job knows the configuration
# but through run.json.
config = _or_exit(noiselab_config.validate, config)
RESULTS = f"results/{config['tier']}"
# Where runs are short, Python starts with its imports done.
WARM = f"python {SCRIPTS}/warm_start.py"
os.environ.update(PYTHON=WARM if config["warm_start"] else "python")

PLAN = _or_exit(noiselab_runs.plan, config, RESULTS)

DATA = f"{RESULTS}/data/{{dataset}}"
RUN = f"{RESULTS}/runs/{{run}}"
DOWNLOADS = "data/{dataset}"
IMAGES = ["train_x.npy", "train_y.npy", "test_x.npy", "test_y.npy", "dataset.json"]
TOKENS = ["train.npy", "validation.npy", "tokenizer.json", "dataset.json"]
IMAGE_FILES = [
    f"{split}{suffix}"
    for split in ("train", "test")
    for suffix in (".bin", "_offsets.npy", "_y.npy")
]
IMAGE_FILES += ["dataset.json"]
PAIRS = [
    f"{split}_{side}{suffix}.npy"
    for split in ("train", "validation")
    for side in ("source", "target")
    for suffix in ("", "_offsets")
]
PAIRS += ["tokenizer.json", "dataset.json"]
TABLES = f"{RESULTS}/tables"
FIGURES = f"{RESULTS}/figures"
REPORT = f"{RESULTS}/report.html"
CAPTIONS = f"{workflow.basedir}/workflow/report"


wildcard_constraints:
    dataset=r"[A-Za-z0-9_-]+",
    images="|".join(PLAN.of_kinds(noiselab_runs.IMAGE_KINDS)) or "none",
    image_files="|".join(PLAN.of_kinds(noiselab_runs.FILE_KINDS)) or "none",
    texts="|".join(PLAN.of_kinds(noiselab_runs.TEXT_KINDS)) or "none",
    pairs="|".join(PLAN.of_kinds(noiselab_runs.PAIR_KINDS)) or "none",
    teacher=r"seq2seq/[A-Za-z0-9_-]+/teacher-s[A-Za-z0-9_.-]+",
    run=r"[a-z0-9_]+/[A-Za-z0-9_-]+/[A-Za-z0-9_.-]+",
    experiment="|".join(PLAN.experiments),
    features="judge|inception",


def resource(rule, name):
    """A rule's resource from the configuration; retries ask for more time, up to the longest."""
    value = config["resources"][rule][name]
    if name == "runtime":
        longest = config["max_runtime"] or math.inf
        return lambda wildcards, attempt: min(value * attempt, longest)
    return value


def launcher(rule):
    """How to start a training: several GPUs are several processes inside one task, which share
    the task's threads. The lone -- keeps torchrun from reading the script's options as its own.

    Rules start it by `exec`: Slurm signals all processes of a job, so the shell would end at once,
    and with it the job, while the training is still writing its checkpoint.
    """
    gpus = config["resources"][rule]["gpu"]
    if gpus <= 1:
        return "$PYTHON"
    threads = max(1, config["resources"][rule]["threads"] // gpus)
    return f"env OMP_NUM_THREADS={threads} torchrun --standalone --nproc-per-node {gpus} --"


def of_runs(experiment, file):
    """A file of each run of an experiment."""
    return [f"{RESULTS}/runs/{run}/{file}" for run in PLAN.experiments[experiment]]


def snapshots(experiment):
    """Option of collect_metrics.py where longer runs count as they were on their way."""
    released = noiselab_runs.reads_snapshots(config["experiments"][experiment])
    return "--snapshots" if released else ""


def code(script):
    """A script and all of the library that it imports, as inputs of what is cheap to make again."""
    return list(map(str, noiselab_code.closure(Path(SCRIPTS, f"{script}.py"))))


def is_real(dataset):
    """Whether a data set has to be downloaded or found in a local folder."""
    return PLAN.datasets[dataset]["kind"] in ("cifar", "image_files", "text", "pairs")


def folder_of(dataset):
    """Name of a real data set's folder; subsets share one."""
    return PLAN.datasets[dataset].get("source") or dataset


# Folder -> a data set whose files lie there.
SHARED_FOLDERS = {
    folder_of(d): d for d in reversed(PLAN.of_kinds(noiselab_runs.FILE_KINDS))
}


def source(dataset):
    """Command-line option that names the folder of a real data set: local copy or download."""
    root = config["data"]["root"] or os.path.dirname(DOWNLOADS)
    return f"--source {root}/{folder_of(dataset)}" if is_real(dataset) else ""


def downloaded(dataset):
    """What has to be downloaded before a data set can be prepared."""
    local = config["data"]["root"] or not is_real(dataset)
    return [] if local else f"{DOWNLOADS}/.complete".format(dataset=folder_of(dataset))


def specification(dataset, without=()):
    """A data set's specification as JSON, for the command line."""
    spec = {k: v for k, v in PLAN.datasets[dataset].items() if k not in without}
    return json.dumps(spec, sort_keys=True)


def prepared_data(run, files):
    """The arrays of a run's data set."""
    return [
        f"{DATA}/{file}".format(dataset=PLAN.runs[run]["dataset"]) for file in files
    ]


def images_of(wildcards):
    kind = PLAN.datasets[PLAN.runs[wildcards.run]["dataset"]]["kind"]
    files = IMAGE_FILES if kind in noiselab_runs.FILE_KINDS else IMAGES
    return prepared_data(wildcards.run, files)


def tokens_of(run):
    return prepared_data(run, TOKENS)


def out_of_domain_of(run):
    """Tokens of the text out of the domain of a run's data set, where that has any."""
    has = PLAN.datasets[PLAN.runs[run]["dataset"]].get("out_of_domain")
    return prepared_data(run, ["out_of_domain.npy"]) if has else []


def pairs_of(run):
    return prepared_data(run, PAIRS)


def of_teacher(run, *files):
    """Files of the noisy teacher whose targets a run is trained on; none for a clean run."""
    teacher = PLAN.runs[run].get("teacher_run")
    return [f"{RESULTS}/runs/{teacher}/{file}" for file in files] if teacher else []


def of_judge(run, file):
    """A file of the clean classifier that judges a diffusion model's images."""
    return f"{RESULTS}/runs/{PLAN.runs[run]['judge_run']}/{file}"


def features_of(run):
    """Whose features a diffusion run's images are compared by: judge or inception."""
    return PLAN.runs[run]["evaluation"]["features"]


def weights_of(features):
    """Inception's weights, where its features are wanted."""
    if features != "inception":
        return []
    root = config["data"]["root"] or os.path.dirname(DOWNLOADS)
    return f"{root}/inception/pt_inception-2015-12-05-6726825d.pth"


# Experiments of the table `audit` alone.
AUDITS = [e for e in PLAN.experiments if e.startswith("audit_")]


def teachers():
    """Ids of the noisy teachers, in the order of the plan, but for those of the audit."""
    ids = [
        run for e in PLAN.experiments if e not in AUDITS for run in PLAN.experiments[e]
    ]
    return list(
        dict.fromkeys(
            PLAN.runs[run]["teacher_run"]
            for run in ids
            if "teacher_run" in PLAN.runs[run]
        )
    )


def clean_run(wildcards):
    """Id of the clean run of the same seed, the reference for the floor."""
    return PLAN.runs[wildcards.run]["clean_run"]


def by_noise(experiment):
    """Ids of an experiment's runs of its first data set and seed, least noise first."""
    runs = [PLAN.runs[run] for run in PLAN.experiments[experiment]]
    first = [
        r
        for r in runs
        if (r["dataset"], r["seed"]) == (runs[0]["dataset"], runs[0]["seed"])
    ]
    return [r["run_id"] for r in sorted(first, key=lambda r: r["noise_ratio"])]


def one_seed(experiment):
    """Ids of an experiment's runs of its first seed; none where it is left out."""
    runs = [PLAN.runs[run] for run in PLAN.experiments.get(experiment, [])]
    return [r["run_id"] for r in runs if r["seed"] == runs[0]["seed"]]


def analysis(name, runs):
    """Settings of an analysis with the ids of its runs; None where its experiment is left out."""
    settings = config["analyses"][name]
    of = PLAN.experiments.get(settings["experiment"])
    return settings | {"runs": runs(of)} if of else None


def clean_runs(runs):
    """The clean run of each seed."""
    return list(dict.fromkeys(PLAN.runs[run]["clean_run"] for run in runs))


def clean_and_noisiest(runs):
    """The clean and the noisiest run of each seed."""
    chosen = []
    for clean in clean_runs(runs):
        siblings = [run for run in runs if PLAN.runs[run]["clean_run"] == clean]
        chosen += [clean, max(siblings, key=lambda run: PLAN.runs[run]["noise_ratio"])]
    return chosen


GRADIENTS = analysis("gradient_coherence", clean_runs)
STABILITY = analysis("loss_stability", clean_and_noisiest)


ANALYSES = {}
if GRADIENTS:
    ANALYSES["gradients"] = f"{RESULTS}/analysis/gradients.csv"
if STABILITY:
    ANALYSES["stability"] = f"{RESULTS}/analysis/loss_stability.csv"


def all_metrics():
    """Metrics of all that is planned."""
    return [f"{RESULTS}/metrics/{experiment}.csv" for experiment in PLAN.experiments]


def of_analyses(*names):
    """Command-line options for those of the analyses that are planned."""
    return " ".join(f"--{name} {ANALYSES[name]}" for name in names if name in ANALYSES)


# Experiments that show how their family stands noise.
FAMILY_EXPERIMENTS = ["table2", "table3", "table1", "figure1_runs", "table7", "table9"]


def table_sources():
    """Table -> (option of make_table.py, the files it is made from)."""
    sources = {
        e: ("--metrics", [f"{RESULTS}/metrics/{e}.csv"]) for e in PLAN.experiments
    }
    if "figure1_runs" in PLAN.experiments:
        planned = [f"{RESULTS}/runs/{run}/run.json" for run in by_noise("figure1_runs")]
        sources["table5"] = ("--plan", planned)
    if "table3" in PLAN.experiments:
        planned = [f"{RESULTS}/runs/{run}/run.json" for run in one_seed("table3")]
        sources["table6"] = ("--plan", planned)
    if {"table8", "table8_released"} <= set(PLAN.experiments):
        files = [f"{RESULTS}/metrics/{e}.csv" for e in ("table8", "table8_released")]
        sources["table8"] = ("--metrics", files)
        del sources["table8_released"]
    if {"scale_fixed_clean", "scale_fixed_total"} <= set(PLAN.experiments):
        budgets = ("scale_fixed_clean", "scale_fixed_total")
        files = [f"{RESULTS}/metrics/{e}.csv" for e in budgets]
        sources["scale"] = ("--scale", files)
        for experiment in budgets:
            del sources[experiment]
    if "table1" in PLAN.experiments:
        sources["table12"] = sources["table1"]
    if {"table1", "table2"} <= set(PLAN.experiments):
        files = [f"{RESULTS}/metrics/{table}.csv" for table in ("table2", "table1")]
        sources["rulers"] = ("--metrics", files)
    if teachers():
        decoded = [f"{RESULTS}/runs/{run}/decoding.json" for run in teachers()]
        sources["teacher"] = ("--teacher", decoded)
    for experiment in AUDITS:
        sources.pop(experiment, None)
    families = [
        f"{RESULTS}/metrics/{e}.csv"
        for e in FAMILY_EXPERIMENTS
        if e in PLAN.experiments
    ]
    if families:
        sources["spectrum"] = ("--spectrum", families)
    sources["published_floors"] = ("--floors", [])
    if GRADIENTS:
        sources["table4"] = ("--gradients", [ANALYSES["gradients"]])
    if STABILITY:
        sources["table11"] = ("--stability", [ANALYSES["stability"]])
    return sources


# Figure -> (name in the report, family, the tables it is drawn from).
FIGURE_SOURCES = {
    "figure_spectrum": ("The spectrum", "all", ["spectrum", "published_floors"]),
    "figure_classifier": (
        "Accuracy against error rate",
        "classifier",
        ["table2", "table10"],
    ),
    "figure_rulers": ("Decision against sampling", "diffusion", ["rulers"]),
    "figure_scale": ("What is scale?", "vision_transformer", ["scale"]),
    "figure_batch": (
        "Batch size under noise",
        "vision_transformer",
        ["batch_ablation", "batch_ablation_text"],
    ),
    "figure1": ("Figure 1", "language_model", ["figure1_runs", "table7"]),
    "figure2": ("Figure 2", "seq2seq", ["table9"]),
    "figure_context": ("Context ablation", "seq2seq", ["context_ablation"]),
}


def figure_sources():
    """Figures whose tables are planned; one of them is enough for that of batches."""
    planned = table_sources()
    found = {}
    for name, (title, family, tables) in FIGURE_SOURCES.items():
        there = [table for table in tables if table in planned]
        if there == tables or (there and name == "figure_batch"):
            found[name] = (title, family, there)
    return found


FAMILY_NAMES = {
    "all": "All families",
    "classifier": "Classifiers",
    "vision_transformer": "Vision transformers",
    "diffusion": "Diffusion models",
    "language_model": "Language models",
    "seq2seq": "Sequence to sequence",
}
# Tables that are no experiment; the others of these are about language models.
OTHER_TABLES = {"teacher": "seq2seq", "table12": "diffusion", "rulers": "diffusion"}
OTHER_TABLES |= dict.fromkeys(("spectrum", "published_floors"), "all")
OTHER_TABLES |= {"table6": "vision_transformer", "scale": "vision_transformer"}


def family_of(table):
    """Family that a table is about, as the report names it."""
    experiment = PLAN.experiments.get(table)
    if experiment:
        return FAMILY_NAMES[PLAN.runs[experiment[0]]["family"]]
    return FAMILY_NAMES[OTHER_TABLES.get(table, "language_model")]


def caption(name):
    """Caption file of a table; experiments of your own share one."""
    own = f"{CAPTIONS}/{name}.rst"
    return own if os.path.exists(own) else f"{CAPTIONS}/table.rst"


def table_report(file, table, kind):
    """A table's file as an entry of the report. Entries are sorted as text: two blanks put
    Table 2 before Table 10."""
    numbered = re.fullmatch(r"(table|figure)(\d+)(?:_runs)?", table)
    name = f"{numbered[1].capitalize()} {numbered[2]:>2}" if numbered else table
    return report(
        file,
        caption=caption(table),
        category=family_of(table),
        subcategory="Tables",
        labels={"result": name, "format": kind},
    )


def shown():
    """Files that Snakemake's report shows."""
    files = [f"{TABLES}/{table}.csv" for table in table_sources()]
    files += [f"{FIGURES}/{figure}.svg" for figure in figure_sources()]
    generated = one_seed("table1")
    if generated:
        files.append(f"{FIGURES}/figure_samples.svg")
    files += [f"{RESULTS}/runs/{run}/samples.png" for run in generated]
    files += [f"{FIGURES}/figure3.svg"] + [f"{FIGURES}/figure4.svg"] * bool(GRADIENTS)
    files += [f"{RESULTS}/claims.html", f"{TABLES}/audit.html"]
    return files + [f"{RESULTS}/overview.html"]
