"""Whether a plan can be carried out here, asked before hours are spent on it.

Each check is a function that gives one row: what is needed, whether it is there, what was found and
how to mend it. Checks change nothing and download nothing; those that ask the network do so all at
once and wait for seconds only.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from noiselab.data import cifar, image_files, pairs, text
from noiselab.errors import NoiselabError, first_line
from noiselab.planning import cost, runs
from noiselab.planning.runs import Plan

OK, WARNING, MISSING = "ok", "warning", "missing"
HEADS = ("check", "state", "found", "how to fix")
OLDEST_PYTHON = (3, 11)
REQUEST, NETWORK = 5.0, 10.0  # seconds that a request may take, and all of them together
COMMANDS = ("sbatch", "squeue", "sacct", "scancel", "sinfo")
DOWN = ("down", "drain", "drng", "fail", "unk")  # states of Slurm's nodes that run no job
MARGIN = 2  # disk space is estimated; less than so many times what is needed is doubtful
PINS = Path(__file__).resolve().parents[4] / "requirements.txt"
SETUP = "make setup"
LOCAL = "docs/DATA.md says what belongs there"
# Real data: kind -> the loader that checks files, and knows what it would download.
LOADERS = {"cifar": cifar, "image_files": image_files, "text": text, "pairs": pairs}
# Packages that embedded data come out of; texts and pairs name theirs.
EMBEDDED = {"digits": ("sklearn",), "glyphs": ("matplotlib", "PIL")}
# Rules that ask for resources after a family's training.
AFTER = {
    "diffusion": ("sample_images", "measure_generated"),
    "language_model": ("evaluate_language_model",),
    "seq2seq": ("decode_teacher",),
}
ANALYSES = {"gradient_coherence": "measure_gradients", "loss_stability": "measure_loss_stability"}
# Rules that take the resources of another.
LIKE = {"project_gradients": "measure_gradients", "measure_training_set": "measure_generated"}
INCEPTION = {"measure_generated", "measure_training_set"}  # rules that compare images

Jobs = dict[str, list[str]]  # rule -> names of its jobs as noiselab.cost has them


class Row(NamedTuple):
    """The outcome of a check."""

    check: str
    state: str
    found: str
    fix: str = ""


class Call(NamedTuple):
    """How Snakemake was called."""

    executor: str = "local"
    gpus: int | None = None  # --resources gpu
    at_once: int = 1  # jobs
    conda: bool = False  # --software-deployment-method conda


class Need(NamedTuple):
    """What each job of a rule asks for."""

    rule: str
    gpu: int
    mem_mb: int


class Node(NamedTuple):
    """Nodes of a Slurm cluster, of one kind."""

    partition: str
    gpu: int
    mem_mb: int


class Question(NamedTuple):
    """A question to the network: `ask`(seconds) gives the bytes to download, or fails. where: the
    name of a computer or of the hub's repository."""

    check: str
    where: str
    ask: Callable[[float], int]
    refusal: str = ""  # what to do where access is denied


def check(config: dict, jobs: Jobs | None, results: Path, downloads: Path, call: Call) -> list[Row]:
    """All checks of what `jobs` need, or, where it is None, all that a configuration plans.
    results: folder of the tier; downloads: where data sets go that have to be downloaded."""
    plan = runs.plan(config, str(results))
    needs = needs_of(plan, config, jobs)
    rows = [python_row(), packages_row(), torch_row(needs)]
    to_come = disk_needed(config, jobs, results, call.at_once)  # imports, before there are threads
    if call.executor == "slurm":
        rows += slurm_rows(needs)
    elif call.executor == "local":  # of another's computers nothing is known
        rows += [gpu_row(needs, visible_gpus(), call.gpus), memory_row(needs, memory_mb())]
    data, to_download = data_rows(plan, config, jobs, results, downloads)
    free = shutil.disk_usage(existing(results)).free
    rows += [software_row(call.conda), folder_row(results), disk_row(to_come, to_download, free)]
    return rows + data


def needs_of(plan: Plan, config: dict, jobs: Jobs | None = None) -> list[Need]:
    """What the rules ask for that are to run, or all that a plan needs."""
    rules = planned_rules(plan, config) if jobs is None else [LIKE.get(r, r) for r in jobs]
    asked = config["resources"]
    there = [rule for rule in dict.fromkeys(rules) if rule in asked]
    return [Need(r, asked[r]["gpu"], asked[r]["mem_mb"]) for r in there] or [Need("no job", 0, 0)]


def planned_rules(plan: Plan, config: dict) -> list[str]:
    """Rules with resources that a plan needs."""
    rules = [cost.preparing_rule(spec["kind"]) for spec in plan.datasets.values()]
    for family in {run["family"]: None for run in plan.runs.values()}:
        rules += [f"train_{family}", *AFTER.get(family, ())]
    for name, rule in ANALYSES.items():
        if config["analyses"][name]["experiment"] in plan.experiments:
            rules.append(rule)
    return rules


# --------------------------------------------------------------------------------- software


def python_row(version: tuple = sys.version_info) -> Row:
    """The interpreter's version."""
    found, oldest = (".".join(map(str, v)) for v in (version[:3], OLDEST_PYTHON))
    if version[:2] < OLDEST_PYTHON:
        return Row("Python", MISSING, found, f"{oldest} or later: {SETUP} PYTHON=python{oldest}")
    return Row("Python", OK, found)


def packages_row(pins: Path = PINS) -> Row:
    """The versions of the packages against the pins."""
    from packaging.requirements import Requirement

    lines = [line.partition("#")[0].strip() for line in pins.read_text().splitlines()]
    wanted = [Requirement(line) for line in lines if line]
    wanted = [r for r in wanted if r.marker is None or r.marker.evaluate()]
    there = {r.name: _version(r.name) for r in wanted}
    if absent := [name for name, version in there.items() if version is None]:
        return Row("packages", MISSING, f"not installed: {', '.join(absent)}", SETUP)
    if other := [r.name for r in wanted if not r.specifier.contains(there[r.name])]:
        listed = ", ".join(f"{name} {there[name]}" for name in other)
        return Row("packages", WARNING, f"not the tested versions: {listed}", SETUP)
    return Row("packages", OK, f"the {len(wanted)} pinned ones")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def torch_row(needs: list[Need]) -> Row:
    """Whether torch can be imported and, where a job asks for GPUs, was built for them."""
    try:
        import torch
    except Exception as error:  # a library that lacks is an OSError, a version a RuntimeError
        return Row("torch", MISSING, f"cannot be imported ({first_line(error)})", SETUP)
    platform = torch.version.cuda and f"CUDA {torch.version.cuda}"
    platform = platform or (torch.version.hip and f"ROCm {torch.version.hip}")
    found = f"{torch.__version__}, {platform or 'for CPUs only'}"
    if not platform and any(need.gpu for need in needs):
        return Row("torch", MISSING, found, f"a build for GPUs: {SETUP}")
    return Row("torch", OK, found)


def software_row(conda: bool) -> Row:
    """Jobs run in the Python that runs Snakemake, unless conda is asked for."""
    if conda and not shutil.which("conda"):
        fix = "install conda, or leave out --software-deployment-method"
        return Row("conda", MISSING, "no command conda", fix)
    return Row("conda, apptainer", OK, "conda is there" if conda else "not needed")


# -------------------------------------------------------------------------------- computers


def visible_gpus() -> int:
    """GPUs that torch sees."""
    try:
        import torch
    except Exception:  # torch_row says so
        return 0
    return torch.cuda.device_count()


def memory_mb() -> int:
    """Memory of this computer."""
    import psutil

    return psutil.virtual_memory().total // 2**20


def gpu_row(needs: list[Need], visible: int, limit: int | None) -> Row:
    """Visible GPUs against those that one job asks for, and against what Snakemake may hand out."""
    most = max(needs, key=lambda need: need.gpu)
    found = f"{visible} visible, {most.rule} asks for {most.gpu}"
    if most.gpu == 0:
        return Row("GPUs", OK, "none asked for")
    if visible < most.gpu:
        fewer = f"--config 'resources={{{most.rule}: {{gpu: {visible}}}}}' (and so for other rules)"
        return Row("GPUs", MISSING, found, f"--profile slurm, or a computer with more, or {fewer}")
    if limit is None or limit > visible:
        fix = f"--resources gpu={visible}, or as many jobs share GPUs as fit the cores"
        return Row("GPUs", WARNING, f"{found}, Snakemake has no limit", fix)
    return Row("GPUs", OK, found)


def memory_row(needs: list[Need], there: int) -> Row:
    """Memory against what one job asks for, generously."""
    most = max(needs, key=lambda need: need.mem_mb)
    found = f"{_size(there * 2**20)}, {most.rule} asks for {_size(most.mem_mb * 2**20)}"
    if there < most.mem_mb:
        return Row("memory", WARNING, found, "another computer, if a job is killed for want of it")
    return Row("memory", OK, found)


def slurm_rows(needs: list[Need]) -> list[Row]:
    """Slurm's commands, and whether it has nodes for each job."""
    if lacking := [command for command in COMMANDS if not shutil.which(command)]:
        fix = "run this on a login node of the cluster, or add --executor local"
        return [Row("Slurm", MISSING, f"no command {', '.join(lacking)}", fix)]
    try:
        nodes = slurm_nodes()
    except NoiselabError as error:
        return [Row("Slurm", MISSING, str(error), "ask for help with: sinfo; or --executor local")]
    found = f"{len({node.partition for node in nodes})} partition(s) with nodes that are up"
    return [Row("Slurm", OK, found), node_gpus_row(needs, nodes), node_memory_row(needs, nodes)]


def slurm_nodes() -> list[Node]:
    """The nodes that sinfo lists, kind by kind, without those that are down; of one partition where
    sbatch is to use it."""
    command = ["sinfo", "--noheader", "--exact", "--format=%P|%G|%m|%t"]
    if partition := os.environ.get("SBATCH_PARTITION"):
        command.append(f"--partition={partition}")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=NETWORK)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoiselabError(f"sinfo gives no answer ({error})") from error
    if done.returncode:
        raise NoiselabError(f"sinfo fails ({first_line(done.stderr)})")
    lines = [line.split("|") for line in done.stdout.splitlines() if line.count("|") == 3]
    up = [line for line in lines if not line[3].startswith(DOWN)]
    return [Node(p.rstrip("*"), _gres_gpus(g), int(m.rstrip("+"))) for p, g, m, _ in up]


def _gres_gpus(gres: str) -> int:
    """GPUs in a list of generic resources, such as gpu:a100:4(S:0-1),gpu:2,shard:8."""
    found = re.findall(r"(?:^|,)gpu(?::[^:,()]+)?:(\d+)", gres)
    return sum(map(int, found))


def node_gpus_row(needs: list[Need], nodes: list[Node]) -> Row:
    """Whether a node has the GPUs that one job asks for."""
    most = max(needs, key=lambda need: need.gpu)
    largest = max((node.gpu for node in nodes), default=0)
    found = f"nodes with up to {largest}, {most.rule} asks for {most.gpu}"
    if largest < most.gpu:
        fix = f"--config 'resources={{{most.rule}: {{gpu: {largest}}}}}' (and so for other rules)"
        return Row("GPUs", MISSING, found, fix)
    partitions = dict.fromkeys(node.partition for node in nodes if node.gpu >= most.gpu)
    return Row("GPUs", OK, f"{found} (partition {', '.join(partitions)})")


def node_memory_row(needs: list[Need], nodes: list[Node]) -> Row:
    """Whether, for each rule, a node with its GPUs, if there is any, has its memory, too."""
    for need in sorted(needs, key=lambda need: -need.mem_mb):
        there = max((node.mem_mb for node in nodes if node.gpu >= need.gpu), default=None)
        if there is not None and there < need.mem_mb:
            found = f"nodes with {need.gpu} GPUs have up to {_size(there * 2**20)}, {need.rule} "
            fix = f"--config 'resources={{{need.rule}: {{mem_mb: {there}}}}}'"
            return Row("memory", MISSING, f"{found}asks for {_size(need.mem_mb * 2**20)}", fix)
    return Row("memory", OK, f"a node for each of {len(needs)} rules")


# ------------------------------------------------------------------------------------- disk


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that there is."""
    return next(f for f in (folder.absolute(), *folder.absolute().parents) if f.exists())


def folder_row(folder: Path) -> Row:
    """Whether results can be written."""
    try:
        with tempfile.TemporaryFile(dir=existing(folder)):
            pass
    except OSError as error:
        fix = "run in a folder of your own: snakemake --directory FOLDER"
        return Row("results", MISSING, f"{folder}: {error.strerror}", fix)
    return Row("results", OK, f"{folder} can be written")


def disk_needed(config: dict, jobs: Jobs | None, results: Path, at_once: int) -> float | None:
    """Bytes that the jobs to come will take, as `snakemake plan` estimates them; None where that
    cannot be estimated, as torch or the like is broken."""
    names = None if jobs is None else {name for of_rule in jobs.values() for name in of_rule}
    try:
        from noiselab.planning.flops import estimated

        planned = cost.jobs(estimated(config, results, timed=False), {})
        return cost.bytes_to_come(planned, names, results, at_once)
    except Exception:  # other rows say what is broken
        return None


def disk_row(to_come: float | None, to_download: float, free: float) -> Row:
    """Free space against what is planned and what has to be downloaded."""
    if to_come is None:
        fix = "mend what is above, or see: snakemake plan"
        return Row("disk", WARNING, f"{_size(free)} free, what is needed is unknown", fix)
    needed = to_come + to_download
    found = f"{_size(free)} free, needed about {_size(needed)}"
    found += f", {_size(to_download)} of it downloads" if to_download else ""
    fix = "room, or another disk: snakemake --directory FOLDER; what for: snakemake plan"
    if free < needed:
        return Row("disk", MISSING, found, fix)
    if free < MARGIN * needed:
        return Row("disk", WARNING, found, f"this is an estimate; {fix}")
    return Row("disk", OK, found)


def _size(size: float) -> str:
    for unit, least in (("TB", 1e12), ("GB", 1e9)):
        if size >= least:
            return f"{size / least:.3g} {unit}"
    return f"{size / 1e6:.3g} MB"


# ------------------------------------------------------------------------------------- data


def data_rows(
    plan: Plan, config: dict, jobs: Jobs | None, results: Path, downloads: Path
) -> tuple[list[Row], float]:
    """A row per real data set that is to be prepared, one for all embedded ones, and bytes to
    download."""
    rows, questions = [], []
    specs = [s for s in plan.datasets.values() if jobs is None or _prepares(jobs, s)]
    embedded = [spec for spec in specs if spec["kind"] not in LOADERS]
    if embedded:
        rows.append(embedded_row(embedded))
    real = [spec for spec in specs if spec["kind"] in LOADERS]
    root = config["data"]["root"]
    for spec in real:
        if root is not None:
            rows.append(local_row(spec, Path(root), results))
        elif row := downloaded_row(spec, downloads, results):
            rows.append(row)
        else:
            questions.append(_question(spec, downloads))
    if _compares_by_inception(plan, jobs):
        weights = Path(root or downloads) / "inception" / _inception_url().rpartition("/")[2]
        if root is not None or weights.is_file():
            rows.append(inception_row(weights))
        else:
            url = _inception_url()
            questions.append(Question("data: inception", _host(url), partial(_length, url)))
    asked = {(q.check, q.where): q for q in questions}  # subsets of a set: once
    answers = ask_all(list(asked.values()))
    return rows + [row for row, _ in answers], sum(size for _, size in answers)


def _prepares(jobs: Jobs, spec: dict) -> bool:
    return f"prepare/{spec['name']}" in jobs.get(cost.preparing_rule(spec["kind"]), ())


def _compares_by_inception(plan: Plan, jobs: Jobs | None) -> bool:
    features = (run.get("evaluation", {}).get("features") for run in plan.runs.values())
    return (jobs is None or bool(INCEPTION & set(jobs))) and "inception" in features


def embedded_row(specs: list[dict]) -> Row:
    """Whether the packages are installed that embedded data come out of."""
    packages: dict[str, None] = {}
    for spec in specs:
        packages |= dict.fromkeys(spec.get("packages") or EMBEDDED[spec["kind"]])
    lacking = [name for name in packages if importlib.util.find_spec(name) is None]
    if lacking:
        fix = f"{SETUP}; or leave them out of `packages` in the configuration"
        return Row("data: embedded", MISSING, f"not installed: {', '.join(lacking)}", fix)
    return Row("data: embedded", OK, f"{len(specs)} sets from {', '.join(packages)}")


def _source(spec: dict) -> str:
    return spec.get("source") or spec["name"]


def _prepared(spec: dict, results: Path) -> bool:
    return (results / "data" / spec["name"] / "dataset.json").is_file()


def local_row(spec: dict, root: Path, results: Path) -> Row:
    """Whether a folder has a data set, by the rules of its loader; and the tokenizer it needs."""
    name = f"data: {spec['name']}"
    try:
        source = LOADERS[spec["kind"]].check(spec, root / _source(spec))
        if spec.get("tokenizer") == "gpt2":
            text.gpt2_tokenizer(root / "gpt2", spec["vocabulary"])
    except NoiselabError as error:
        if _prepared(spec, results):
            return Row(name, WARNING, f"{error}; yet it is prepared", LOCAL)
        return Row(name, MISSING, str(error), LOCAL)
    if source.doubt:
        return Row(name, WARNING, source.doubt, LOCAL)
    return Row(name, OK, source.found)


def downloaded_row(spec: dict, downloads: Path, results: Path) -> Row | None:
    """Of a data set that needs no download any more."""
    for done, there in (
        ("prepared", _prepared(spec, results)),
        ("downloaded", (downloads / _source(spec) / ".complete").is_file()),
    ):
        if there:
            return Row(f"data: {spec['name']}", OK, done)
    return None


def inception_row(weights: Path) -> Row:
    """Whether Inception's weights are there and whole: their name has the start of their hash."""
    name = "data: inception"
    if not weights.is_file():
        fix = f"{LOCAL}; or diffusion: {{evaluation: {{features: judge}}}}"
        return Row(name, MISSING, f"no {weights}", fix)
    with open(weights, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(weights.stem.rpartition("-")[2]):
        return Row(name, MISSING, f"{weights} is broken (another hash)", "fetch it once more")
    return Row(name, OK, str(weights))


# ---------------------------------------------------------------------------------- network


def _question(spec: dict, downloads: Path) -> Question:
    loader, name = LOADERS[spec["kind"]], f"data: {_source(spec)}"
    if spec["kind"] == "cifar":
        url = cifar.url(spec["name"])
        return Question(name, _host(url), lambda seconds: 2 * _length(url, seconds))  # and unpacked
    refusal = image_files.access(spec, downloads / _source(spec))
    return Question(name, spec["hub"], lambda seconds: loader.available(spec, seconds), refusal)


def _inception_url() -> str:
    from pytorch_fid.inception import FID_WEIGHTS_URL

    return FID_WEIGHTS_URL


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _length(url: str, seconds: float) -> int:
    """Bytes of a file on the web."""
    with urlopen(Request(url, method="HEAD"), timeout=seconds) as answer:
        return int(answer.headers.get("Content-Length") or 0)


def ask_all(questions: list[Question], seconds: float = NETWORK) -> list[tuple[Row, float]]:
    """The answers to all questions, asked at the same time: a row and bytes to download each."""
    import huggingface_hub  # noqa: F401  (threads that import the same wait for each other)

    late = "set data.root to a folder that holds it, or try where there is a network"
    answers = [(Row(q.check, MISSING, f"{q.where}: no answer", late), 0.0) for q in questions]

    def answer(i: int) -> None:
        answers[i] = _answer(questions[i], late)

    # Not a pool, whose threads would be waited for at the end.
    threads = [threading.Thread(target=answer, args=[i], daemon=True) for i in range(len(answers))]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return list(answers)


def _answer(question: Question, fix: str) -> tuple[Row, float]:
    try:
        size = question.ask(REQUEST)
    except Exception as error:  # of the hub, of HTTP, of the name's look-up
        if question.refusal and image_files.refused(error):
            return Row(question.check, MISSING, "the hub refuses it", question.refusal), 0.0
        reason = first_line(getattr(error, "reason", error))
        return Row(question.check, MISSING, f"{question.where}: no access ({reason})", fix), 0.0
    return Row(question.check, OK, f"{_size(size)} to download from {question.where}"), size


# ------------------------------------------------------------------------------------ table


def table(rows: Iterable[Row], width: int) -> str:
    """Rows as text of about `width` columns; words are never broken, for they may be paths."""
    rows = [Row(*HEADS), *rows]
    first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
    third = max(24, (width - first - second - 6) * 2 // 5)
    fourth = max(24, width - first - second - third - 6)
    lines = []
    for row in rows:
        cells = [[row.check], [row.state], _wrapped(row.found, third), _wrapped(row.fix, fourth)]
        for i in range(max(map(len, cells))):
            parts = (cell[i] if i < len(cell) else "" for cell in cells)
            sizes = (first, second, third, 0)
            line = "  ".join(part.ljust(n) for part, n in zip(parts, sizes, strict=True))
            lines.append(line.rstrip())
    lines.insert(1, "-" * min(width, max(map(len, lines))))
    return "\n".join(lines)


def _wrapped(content: str, width: int) -> list[str]:
    options = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.wrap(content, width, **options) or [""]
