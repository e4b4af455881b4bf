"""What a plan costs, before anything is trained: time, disk, and the longest chain of jobs; and
what it did cost, from Snakemake's benchmark files.

Arithmetic only, without torch: the sizes of networks are handed in (noiselab.flops). A job is named
like its benchmark file, so that what was planned can be compared with what was measured.
"""

import csv
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

from noiselab.errors import NoiselabError
from noiselab.files import digest, read_json
from noiselab.planning.runs import FILE_KINDS, IMAGE_KINDS, TEXT_KINDS, Plan

STEP = 3  # forward passes that a training step is worth: backward, it is two more
WEIGHT = 4  # bytes, single precision
CHECKPOINTS = 3  # on disk while one is written: the two newest are kept
# What the optimiser keeps of every weight.
OPTIMIZER_COPIES = {"sgd": 1, "adam": 2, "adamw": 2}
# FLOPs of the features of one image by pytorch-fid's Inception, which sees 299 x 299 pixels: twice
# the 5.7 G multiplications and additions of Szegedy et al. 2015, Table 2.
INCEPTION = 2 * 5.7e9
INCEPTION_FEATURES = 2048
LOCAL = {"gpu": 0, "threads": 1}  # of rules that the configuration gives no resources
TRAINING = "train/"  # how the names of trainings begin


class Network(NamedTuple):
    """Size of a run's network."""

    parameters: int
    forward: float  # FLOPs of the forward pass of one example
    longest: float = 0.0  # the same with a target of the greatest length, of pairs only


class Data(NamedTuple):
    """Size of a data set: images, tokens of a text, or pairs."""

    train: float
    validation: float
    source: float = 0.0  # mean tokens per pair, clipped
    target: float = 0.0
    bytes: float = 0.0  # prepared
    image: int | None = None  # pixels along one side


class Measured(NamedTuple):
    """Throughput of finished trainings of one kind."""

    rate: float  # median of examples per second on one GPU, or core
    runs: int
    device: str


@dataclass(frozen=True)
class Job:
    """One job of the workflow; `name` is the path of its benchmark file below benchmarks/."""

    name: str
    needs: tuple[str, ...]  # names of the jobs that must come before
    seconds: float
    gpus: int
    threads: int
    bytes: float = 0.0  # left on disk
    checkpoints: float = 0.0  # bytes on disk while it runs
    steps: int = 0
    examples: int = 0

    @property
    def units(self) -> int:
        """What its time counts times: GPUs, or cores where there is none."""
        return self.gpus or self.threads


@dataclass(frozen=True)
class Estimate:
    """Everything that an estimate of a plan is made from."""

    plan: Plan
    config: dict
    data: dict[str, Data]  # by data set
    networks: dict[str, Network]  # by run
    measured: dict[str, Measured]  # by workload

    def data_of(self, run: dict) -> Data:
        """Size of the run's data set."""
        return self.data[run["dataset"]]

    def network_of(self, run: dict) -> Network:
        """Size of the run's network."""
        return self.networks[run["run_id"]]


# ------------------------------------------------------------------------------- data sets


def data_size(spec: dict, folder: Path, assumed: dict) -> Data:
    """Size of a data set: of the prepared arrays where `folder` has them, else from its
    specification and what is assumed of texts and pairs (by name, or else by kind)."""
    described = folder / "dataset.json"
    facts = read_json(described) if described.is_file() else {}
    guess = assumed.get(spec["name"], assumed.get(spec["kind"]))
    if spec["kind"] in (*IMAGE_KINDS, *FILE_KINDS):
        size = Data(spec["train_size"], spec["test_size"], image=spec["size"])
    elif spec["kind"] in TEXT_KINDS:
        size = Data(*(facts.get(f"{s}_tokens", guess[s]) for s in ("train", "validation")))
    else:
        size = _pairs_size(spec, facts, guess)
    held = sum(file.stat().st_size for file in folder.glob("*")) if facts else _bytes(spec, size)
    return size._replace(bytes=held)


def _pairs_size(spec: dict, facts: dict, guess: dict) -> Data:
    counts = (
        facts.get(f"{split}_size", spec[f"{split}_size"] or guess[split])
        for split in ("train", "validation")
    )
    means = facts.get("mean_length", {})
    lengths = (
        means.get(f"train_{side}", min(guess[side], spec[f"{side}_length"]))
        for side in ("source", "target")
    )
    return Data(*counts, *lengths)


def _bytes(spec: dict, size: Data) -> float:
    """Bytes of arrays that are not there yet: uint8 pixels, uint16 tokens, int64 offsets."""
    examples = size.train + size.validation
    if spec["kind"] in IMAGE_KINDS:
        return examples * spec["channels"] * spec["size"] ** 2
    if spec["kind"] in FILE_KINDS:  # JPEGs of half a byte per pixel, 4 : 3
        return examples * 0.5 * (spec["resize"] or spec["size"]) ** 2 * 4 / 3
    if spec["kind"] in TEXT_KINDS:
        return 2 * examples
    return examples * (2 * (size.source + size.target) + 2 * 8)


# ------------------------------------------------------------------------------ throughput


def workload(run: dict) -> str:
    """What the throughput of a training depends on: family, data set and network."""
    return digest([run.get(k) for k in ("family", "dataset", "model", "source_share")])


def measured_rates(plan: Plan, config: dict, results: Path) -> dict[str, Measured]:
    """Throughput of finished trainings below `results`, by workload; of planned workloads only."""
    found: dict[str, list] = {}
    for run in plan.runs.values():
        folder = results / "runs" / run["run_id"]
        if not (folder / "training.json").is_file():
            continue
        summary, was = read_json(folder / "training.json"), read_json(folder / "run.json")
        # A run that diverged stopped early, but counts all its examples.
        whole = summary["examples_per_second"] and not summary["diverged_at"]
        if workload(was) == workload(run) and whole:
            asked = config["resources"][f"train_{run['family']}"]
            units = summary["processes"] if asked["gpu"] else asked["threads"]
            rate = summary["examples_per_second"] / units
            found.setdefault(workload(run), []).append((rate, summary["device"]))
    return {
        key: Measured(median(rate for rate, _ in rows), len(rows), rows[0][1])
        for key, rows in found.items()
    }


def speed(estimate: Estimate, run: dict, gpu: int) -> float:
    """FLOPs per second of one GPU (or, where gpu is 0, core) on the run's network: what its
    training was measured to do on such a device, or else what is assumed."""
    cost, family = estimate.config["cost"], run["family"]
    measured = estimate.measured.get(workload(run))
    trained_on = estimate.config["resources"][f"train_{family}"]["gpu"]
    if measured and bool(trained_on) == bool(gpu):
        return STEP * estimate.network_of(run).forward * measured.rate
    return cost["gpu" if gpu else "cpu"]["flops"][family]


# ------------------------------------------------------------------------------------ jobs


def jobs(estimate: Estimate, products: dict[str, list[str]]) -> dict[str, Job]:
    """All jobs of a plan by name. products: name of each job that makes a table, a figure or an
    analysis -> the files that it reads (below the folder of results)."""
    plan = estimate.plan
    made = [_preparing(estimate, name) for name in plan.datasets]
    for run in plan.runs.values():
        made += [_job(estimate, f"run_config/{run['run_id']}", "run_config", [])]
        made += [_training(estimate, run), *OF_FAMILY[run["family"]](estimate, run)]
    for name, runs in plan.experiments.items():
        made.append(_job(estimate, f"collect/{name}", "", [f"evaluate/{run}" for run in runs]))
    for name, files in products.items():
        made.append(_product(estimate, name, [job_of(file) for file in files]))
    return {job.name: job for job in made}


# Folder of results, or file of a run's folder -> first part of the name of the job that makes it.
MAKERS = {"metrics": "collect", "run.json": "run_config", "weights.safetensors": "train"}
MAKERS |= {"decoding.json": "decode", "samples.npy": "sample", "metrics.json": "evaluate"}


def job_of(file: str) -> str:
    """Name of the job that makes a file, given relative to the folder of results."""
    path = Path(file)
    if path.parts[0] == "runs":
        return f"{MAKERS[path.name]}/{path.parent.relative_to('runs').as_posix()}"
    return f"{MAKERS.get(path.parts[0], path.parts[0])}/{path.stem}"


def _job(estimate: Estimate, name: str, rule: str, needs: list[str], **more) -> Job:
    """A job with its rule's resources; `seconds` come on top of those to start a process."""
    asked = estimate.config["resources"].get(rule, LOCAL)
    start = estimate.config["cost"]["start_seconds"]
    start = start["warm" if estimate.config["warm_start"] and not asked["gpu"] else "cold"]
    seconds = start + more.pop("seconds", 0.0)
    return Job(name, tuple(needs), seconds, asked["gpu"], asked["threads"], **more)


def _seconds(estimate: Estimate, run: dict, rule: str, flops: float, kind: str = "") -> float:
    """Time for FLOPs on the run's network with the rule's resources. kind: of `efficiency`."""
    asked = estimate.config["resources"].get(rule, LOCAL)
    units = asked["gpu"] or asked["threads"]
    share = _efficiency(estimate, asked["gpu"], kind) if kind else 1.0
    return flops / (speed(estimate, run, asked["gpu"]) * share * units)


def _efficiency(estimate: Estimate, gpu: int, kind: str) -> float:
    return estimate.config["cost"]["gpu" if gpu else "cpu"]["efficiency"][kind]


def preparing_rule(kind: str) -> str:
    """The rule that prepares data sets of a kind."""
    rules = dict.fromkeys(IMAGE_KINDS, "prepare_images") | {FILE_KINDS[0]: "prepare_image_files"}
    return rules.get(kind, "prepare_text" if kind in TEXT_KINDS else "prepare_pairs")


def _preparing(estimate: Estimate, dataset: str) -> Job:
    """Download is not counted."""
    rule = preparing_rule(estimate.plan.datasets[dataset]["kind"])
    size = estimate.data[dataset].bytes
    per_core = estimate.config["cost"]["prepared_bytes_per_second"]
    seconds = size / per_core / estimate.config["resources"][rule]["threads"]
    return _job(estimate, f"prepare/{dataset}", rule, [], seconds=seconds, bytes=size)


def _training(estimate: Estimate, run: dict) -> Job:
    """The training of a run, with its evaluations on the way and its predictions at the end."""
    name, settings, family = run["run_id"], run["training"], run["family"]
    network, rule = estimate.network_of(run), f"train_{family}"
    examples = settings["steps"] * settings["batch_size"]
    every = settings["evaluate_every"]
    looks = settings["steps"] / every * _glance(estimate, run) if every else 0
    flops = looks * network.forward + _predicting(estimate, run)
    needs = [f"run_config/{name}", f"prepare/{run['dataset']}"]
    needs += [f"decode/{run['teacher_run']}"] if "teacher_run" in run else []
    return _job(
        estimate,
        TRAINING + name,
        rule,
        needs,
        seconds=_step_seconds(estimate, run, rule) * settings["steps"]
        + _seconds(estimate, run, rule, flops),
        bytes=WEIGHT * network.parameters + _predicted_bytes(estimate, run),
        checkpoints=checkpoint_bytes(settings, network.parameters),
        steps=settings["steps"],
        examples=examples,
    )


def _step_seconds(estimate: Estimate, run: dict, rule: str) -> float:
    """Time of an optimiser step. A GPU that has little to compute is kept waiting by Python; what
    was measured has that in it."""
    gpu, batch = estimate.config["resources"][rule]["gpu"], run["training"]["batch_size"]
    least = estimate.config["cost"]["gpu" if gpu else "cpu"]["step_seconds"]
    flops = STEP * batch * estimate.network_of(run).forward
    seconds = _seconds(estimate, run, rule, flops)
    return seconds if workload(run) in estimate.measured else max(seconds, least)


def checkpoint_bytes(settings: dict, parameters: int) -> float:
    """Most bytes of a training's checkpoints at a time: weights, optimiser, moving average; and the
    snapshot beside them."""
    copies = 1 + OPTIMIZER_COPIES[settings["optimizer"]["name"]]
    copies += settings["ema_decay"] is not None
    snapshot = "snapshot_step" in settings
    return WEIGHT * parameters * (CHECKPOINTS * copies + snapshot)


def _glance(estimate: Estimate, run: dict) -> float:
    """Examples of one evaluation during training."""
    held_out, evaluation = estimate.data_of(run).validation, run.get("evaluation", {})
    if run["family"] == "language_model":
        held_out = math.ceil(held_out / run["model"]["context"])
    wanted = (evaluation.get(f"curve_{what}") for what in ("images", "sequences", "pairs"))
    return min(held_out, next((n for n in wanted if n), held_out))


def _predicting(estimate: Estimate, run: dict) -> float:
    """FLOPs of the predictions that a training leaves, decoding as slow as it is."""
    data, network = estimate.data_of(run), estimate.network_of(run)
    if run["family"] in ("classifier", "vision_transformer"):
        images = data.validation + _judged_training_images(run, data)
        return network.forward * images * (2 if "snapshot_step" in run["training"] else 1)
    if run["family"] == "seq2seq":
        scored, written = (_of(data, run["evaluation"][what]) for what in ("pairs", "generated"))
        gpu = estimate.config["resources"]["train_seq2seq"]["gpu"]
        slow = network.longest / _efficiency(estimate, gpu, "decoding")
        return scored * network.forward + written * slow
    return 0.0


def _judged_training_images(run: dict, data: Data) -> float:
    """Training images that a vision transformer decides on at the end; a classifier: none."""
    if run["family"] == "classifier":
        return 0
    return min(run["evaluation"]["train_images"] or data.train, data.train)


def _of(data: Data, wanted: int | None) -> float:
    """So many of the held-out examples, or all."""
    return min(wanted or data.validation, data.validation)


def _predicted_bytes(estimate: Estimate, run: dict) -> float:
    """float32 probabilities of test images, int64 rows and decisions of training images; float64
    NLL and int64 lengths of pairs, and uint16 tokens of those written."""
    data = estimate.data_of(run)
    if run["family"] in ("classifier", "vision_transformer"):
        size = 4 * run["classes"] * data.validation + 2 * 8 * _judged_training_images(run, data)
        return size * (2 if "snapshot_step" in run["training"] else 1)
    if run["family"] == "seq2seq":
        scored, written = (_of(data, run["evaluation"][what]) for what in ("pairs", "generated"))
        return 2 * 8 * scored + 2 * data.target * written
    return 0.0


# -------------------------------------------------------- what follows the training of a family


def _evaluation(estimate: Estimate, run: dict, needs: Iterable[str] = (), **more) -> Job:
    name = run["run_id"]
    rule = f"evaluate_{run['family']}"
    own = [TRAINING + name, TRAINING + run["clean_run"], f"prepare/{run['dataset']}"]
    return _job(estimate, f"evaluate/{name}", rule, [*own, *needs], **more)


def _after_classifier(estimate: Estimate, run: dict) -> Iterator[Job]:
    yield _evaluation(estimate, run)


def _after_diffusion(estimate: Estimate, run: dict) -> Iterator[Job]:
    name, judge = run["run_id"], run["judge_run"]
    training_set = f"measure/{judge}-{run['evaluation']['features']}"
    yield _sampling(estimate, run)
    yield _measuring(estimate, run)
    yield _measuring_training_set(estimate, run, training_set)
    needs = [f"measure/{name}", f"measure/{run['clean_run']}", TRAINING + judge, training_set]
    yield _evaluation(estimate, run, needs)


def _sampling(estimate: Estimate, run: dict) -> Job:
    """2 x steps - 1 forward passes per image (Heun)."""
    name, images, rule = run["run_id"], run["evaluation"]["images"], "sample_images"
    passes = images * (2 * run["evaluation"]["sampling_steps"] - 1)
    seconds = _seconds(estimate, run, rule, passes * estimate.network_of(run).forward)
    size = images * run["channels"] * run["size"] ** 2
    return _job(estimate, f"sample/{name}", rule, [TRAINING + name], seconds=seconds, bytes=size)


def _measuring(estimate: Estimate, run: dict) -> Job:
    """The judge and the features see every image; the model is a classifier by a forward pass per
    test image, class and draw of noise."""
    name, evaluation, rule = run["run_id"], run["evaluation"], "measure_generated"
    judge, compared = _judge_and_features(estimate, run)
    errors = min(evaluation["classified"], estimate.data_of(run).validation) * run["classes"]
    classifying = errors * evaluation["draws"] * estimate.network_of(run).forward
    judging = evaluation["images"] * (estimate.network_of(judge).forward + compared)
    seconds = _seconds(estimate, run, rule, classifying)
    seconds += _seconds(estimate, judge, rule, judging)
    size = 8 * (errors + evaluation["images"] + _moments(evaluation["features"], judge))
    needs = [f"sample/{name}", TRAINING + judge["run_id"]]
    return _job(estimate, f"measure/{name}", rule, needs, seconds=seconds, bytes=size)


def _measuring_training_set(estimate: Estimate, run: dict, name: str) -> Job:
    judge, compared = _judge_and_features(estimate, run)
    rule, images = "measure_generated", estimate.data_of(run).train
    seconds = _seconds(estimate, judge, rule, images * compared)
    size = 8 * _moments(run["evaluation"]["features"], judge)
    needs = [TRAINING + judge["run_id"], f"prepare/{run['dataset']}"]
    return _job(estimate, name, rule, needs, seconds=seconds, bytes=size)


def _judge_and_features(estimate: Estimate, run: dict) -> tuple[dict, float]:
    """The run of the judge, and FLOPs of the features of one image."""
    judge = estimate.plan.runs[run["judge_run"]]
    own = run["evaluation"]["features"] == "judge"
    return judge, estimate.network_of(judge).forward if own else INCEPTION


def _moments(features: str, judge: dict) -> int:
    """Numbers in mean and covariance of features: of Inception, or of the judge's last stage."""
    width = INCEPTION_FEATURES
    if features == "judge" and judge["model"]["name"] == "resnet":
        width = judge["model"]["width"] * 2 ** (len(judge["model"]["blocks"]) - 1)
    return width * (width + 1)


def _after_language_model(estimate: Estimate, run: dict) -> Iterator[Job]:
    """Scored by its own model and by that of the clean run, for the floor."""
    evaluation, rule = run["evaluation"], "evaluate_language_model"
    windows = math.ceil(estimate.data_of(run).validation / run["model"]["context"])
    sequences = (evaluation["crops"] or windows) + evaluation["train_sequences"]
    models = 1 if run["clean_run"] == run["run_id"] else 2
    flops = models * sequences * estimate.network_of(run).forward
    yield _evaluation(estimate, run, seconds=_seconds(estimate, run, rule, flops, "scores"))


def _after_seq2seq(estimate: Estimate, run: dict) -> Iterator[Job]:
    """Of a noisy teacher, a target for every training source, at most as long as targets may be."""
    name, data, rule = run["run_id"], estimate.data_of(run), "decode_teacher"
    if any(name == other.get("teacher_run") for other in estimate.plan.runs.values()):
        flops = data.train * estimate.network_of(run).longest
        seconds = _seconds(estimate, run, rule, flops, "decoding")
        size = data.train * (2 * data.target + 8)
        yield _job(estimate, f"decode/{name}", rule, [TRAINING + name], seconds=seconds, bytes=size)
        return
    teacher = [TRAINING + run["teacher_run"]] if "teacher_run" in run else []
    yield _evaluation(estimate, run, teacher)


OF_FAMILY: dict[str, Callable[[Estimate, dict], Iterator[Job]]] = {
    "classifier": _after_classifier,
    "vision_transformer": _after_classifier,
    "diffusion": _after_diffusion,
    "language_model": _after_language_model,
    "seq2seq": _after_seq2seq,
}


# ---------------------------------------------------------------- tables, figures, analyses


def _product(estimate: Estimate, name: str, needs: list[str]) -> Job:
    """A table, a figure or an analysis; of the analyses that take long, `needs` name the runs."""
    runs = [estimate.plan.runs[need.split("/", 1)[1]] for need in needs if name in ANALYSES]
    if not runs:
        return _job(estimate, name, "", needs)
    rule, kind, sequences = ANALYSES[name]
    count = sequences(estimate.config["analyses"]) * len(runs)
    flops = count * estimate.network_of(runs[0]).forward
    needs = [*needs, f"prepare/{runs[0]['dataset']}"]
    seconds = _seconds(estimate, runs[0], rule, flops, kind)
    return _job(estimate, name, rule, needs, seconds=seconds)


def _gradient_passes(analyses: dict) -> float:
    """Forward passes per run: a sequence is two units under protocol `tokens`, one under
    `sequences`; a unit goes forward, backward, and more than once through the output head."""
    settings = analyses["gradient_coherence"]
    units = sum(2 if protocol == "tokens" else 1 for protocol in settings["protocols"])
    sequences = sum(settings["batch_sizes"]) * settings["batches"] * len(settings["error_rates"])
    return 4 * units * sequences


def _stability_passes(analyses: dict) -> float:
    """Forward passes per run: the largest macro-batches have the others in them."""
    settings = analyses["loss_stability"]
    return max(settings["batch_sizes"]) * settings["macro_batches"]


# Analysis -> (rule, kind of efficiency, forward passes per run).
ANALYSES = {
    "analysis/gradients": ("measure_gradients", "gradients", _gradient_passes),
    "analysis/loss_stability": ("measure_loss_stability", "losses", _stability_passes),
}


# ----------------------------------------------------------------------------------- sums


def closure(all_jobs: dict[str, Job], goals: Iterable[str]) -> set[str]:
    """Names of the jobs that `goals` need, themselves included; each once, whoever shares it."""
    found, waiting = set(), list(goals)
    while waiting:
        name = waiting.pop()
        if name in all_jobs and name not in found:
            found.add(name)
            waiting += all_jobs[name].needs
    return found


def chain_seconds(all_jobs: dict[str, Job], goals: Iterable[str]) -> float:
    """Length of the longest sequence of jobs that must follow each other to reach one of `goals`:
    the time that any number of machines needs."""
    ends: dict[str, float] = {}

    def end(name: str) -> float:
        if name not in all_jobs:
            return 0.0
        if name not in ends:
            job = all_jobs[name]
            ends[name] = job.seconds + max(map(end, job.needs), default=0.0)
        return ends[name]

    return max(map(end, goals), default=0.0)


def planned_row(all_jobs: dict[str, Job], goals: list[str]) -> dict:
    """What `goals` need: trainings, steps, examples, gpu_hours, core_hours, bytes left on disk,
    bytes of the largest training's checkpoints, hours of the longest chain."""
    chosen = [all_jobs[name] for name in closure(all_jobs, goals)]
    trainings = [job for job in chosen if job.name.startswith(TRAINING)]
    return {
        "trainings": len(trainings),
        "steps": sum(job.steps for job in trainings),
        "examples": sum(job.examples for job in trainings),
        **{key: hours(chosen, key) for key in ("gpu_hours", "core_hours")},
        "bytes": sum(job.bytes for job in chosen),
        "checkpoint_bytes": max((job.checkpoints for job in trainings), default=0.0),
        "chain_hours": chain_seconds(all_jobs, goals) / 3600,
    }


def bytes_to_come(
    all_jobs: dict[str, Job], names: Iterable[str] | None, results: Path, at_once: int
) -> float:
    """Disk space that jobs will take: those of these names or else those without a benchmark below
    `results`. It is what they leave, and the checkpoints of the largest of their trainings, of
    which `at_once` run at the same time."""
    if names is None:
        names = [name for name in all_jobs if benchmark_seconds(results, name) is None]
    to_do = [all_jobs[name] for name in names if name in all_jobs]
    checkpoints = sorted((job.checkpoints for job in to_do), reverse=True)
    return sum(job.bytes for job in to_do) + sum(checkpoints[:at_once])


def hours(
    chosen: Iterable[Job], key: str, seconds: Callable[[Job], float] = lambda job: job.seconds
) -> float:
    """`gpu_hours` of the jobs that ask for GPUs, or `core_hours` of the others."""
    kind = [job for job in chosen if bool(job.gpus) == (key == "gpu_hours")]
    return sum(seconds(job) * job.units for job in kind) / 3600


def per_artefact(all_jobs: dict[str, Job], products: Iterable[str], row: Callable) -> list[dict]:
    """row(goals) of each table and figure by its name, of each experiment that is in none, and of
    all at once, where what they share counts once."""
    shown = [name for name in products if name.startswith(("tables/", "figures/"))]
    tabled = closure(all_jobs, shown)
    shown += [name for name in all_jobs if name.startswith("collect/") and name not in tabled]
    rows = [{"artefact": name.split("/")[1], **row([name])} for name in shown]
    return [*rows, {"artefact": "total", **row(shown)}]


# --------------------------------------------------------------------------------- actual


def benchmark_seconds(results: Path, name: str) -> float | None:
    """Wall-clock seconds of a job in its benchmark file; None where there is none."""
    path = results / "benchmarks" / f"{name}.tsv"
    if not path.is_file():
        return None
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    try:
        return sum(float(row["s"]) for row in rows)
    except (KeyError, TypeError, ValueError):
        raise NoiselabError(f"{path}: no benchmark file of Snakemake (column s)") from None


def actual_row(
    assumed: dict[str, Job], planned: dict[str, Job], seconds: dict[str, float], goals: list[str]
) -> dict:
    """Hours planned by assumptions alone, planned from measured throughput, and taken, of the jobs
    of `goals` that have a benchmark (`seconds`: by name); how many jobs and trainings have none;
    share of the time outside training."""
    names = closure(planned, goals)
    there = sorted(names & set(seconds))
    row = {}
    for key in ("gpu_hours", "core_hours"):
        row[f"assumed_{key}"] = hours([assumed[name] for name in there], key)
        row[f"planned_{key}"] = hours([planned[name] for name in there], key)
        row[f"actual_{key}"] = hours(
            [planned[name] for name in there], key, lambda job: seconds[job.name]
        )
    trained = sum(seconds[name] * planned[name].units for name in there if _trains(name))
    taken = sum(seconds[name] * planned[name].units for name in there)
    return row | {
        "outside_training": 1 - trained / taken if taken else None,
        "jobs": len(there),
        "jobs_missing": len(names) - len(there),
        "trainings_missing": sum(map(_trains, names - set(seconds))),
    }


def _trains(name: str) -> bool:
    return name.startswith(TRAINING)


# ---------------------------------------------------------------------------- assumptions


def assumptions(estimate: Estimate) -> list[str]:
    """What an estimate rests on, a line each: throughput per family and data set, then the rest."""
    datasets: dict[str, list[str]] = {}
    for run in estimate.plan.runs.values():
        share = run.get("source_share", 1)
        name = run["dataset"] + (f" with {100 * share:g} % of the sources" if share != 1 else "")
        names = datasets.setdefault(_throughput(estimate, run), [])
        names += [name] if name not in names else []
    lines = [line.format(", ".join(names)) for line, names in datasets.items()]
    cost = estimate.config["cost"]
    computing = {k: r for k, r in estimate.config["resources"].items() if "prepare" not in k}
    used = {"gpu" if asked["gpu"] else "cpu" for asked in computing.values()}
    for device in sorted(used, reverse=True):
        shares = ", ".join(f"{k} {v:g}" for k, v in cost[device]["efficiency"].items())
        least = f"{1000 * cost[device]['step_seconds']:g} ms"
        lines.append(
            f"Assumed of {cost[device]['name']}: shares of the speed of training: {shares}; a "
            f"training step takes at least {least}."
        )
    start = cost["start_seconds"]["warm" if estimate.config["warm_start"] else "cold"]
    return [
        *lines,
        f"Assumed: a job needs {start:g} s to start; data are prepared at "
        f"{cost['prepared_bytes_per_second'] / 1e6:g} MB/s and core; several GPUs or threads are "
        "as many times faster.",
        f"A training step is {STEP} forward passes. Not counted: downloads, waiting in queues, "
        "attempts that failed.",
    ]


def _throughput(estimate: Estimate, run: dict) -> str:
    """Where the throughput of a run comes from, with {} for the names of data sets."""
    family, network = run["family"], estimate.network_of(run)
    gpu = estimate.config["resources"][f"train_{family}"]["gpu"]
    device = estimate.config["cost"]["gpu" if gpu else "cpu"]
    size = f"{network.parameters / 1e6:.3g} M parameters, {network.forward / 1e9:.3g} GFLOP forward"
    measured = estimate.measured.get(workload(run))
    if measured:
        where = f"{measured.runs} finished, training.json below runs/{family}; {measured.device}"
        rate = f"{measured.rate:,.0f} examples/s per {'GPU' if gpu else 'core'}"
        return f"Measured: {family} on {{}} ({size}): {rate}, median of {where}."
    rate = speed(estimate, run, gpu)
    speeds = f"{rate / STEP / network.forward:,.0f} examples/s of {device['name']}"
    return f"Assumed: {family} on {{}} ({size}): {speeds}, {rate / 1e9:,.0f} GFLOP/s sustained."
