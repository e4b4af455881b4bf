"""Checks of GPUs and memory, of this computer or of a cluster's nodes."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from typing import NamedTuple

from noiselab.errors import NoiselabError, first_line
from noiselab.planning.graph import Graph
from noiselab.planning.preflight.rows import MISSING, OK, WARNING, Row, text_size

COMMANDS = ("sbatch", "squeue", "sacct", "scancel", "sinfo")
DOWN = ("down", "drain", "drng", "fail", "unk")  # states of Slurm's nodes that run no job
PATIENCE = 10.0  # seconds that Slurm may take to answer


class Need(NamedTuple):
    """What each job with the resources of a rule asks for."""

    rule: str
    gpu: int
    mem_mb: int


class Node(NamedTuple):
    """Nodes of a Slurm cluster, of one kind."""

    partition: str
    gpu: int
    mem_mb: int


def needs(graph: Graph, names: Iterable[str]) -> list[Need]:
    """What these jobs ask for, a need per rule."""
    asked = graph.config["resources"]
    rules = dict.fromkeys(graph.jobs[name].resources for name in names)
    found = [Need(rule, asked[rule]["gpu"], asked[rule]["mem_mb"]) for rule in rules if rule]
    return found or [Need("no job", 0, 0)]


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
    found = f"{text_size(there * 2**20)}, {most.rule} asks for {text_size(most.mem_mb * 2**20)}"
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
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
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
            found = (
                f"nodes with {need.gpu} GPUs have up to {text_size(there * 2**20)}, {need.rule} "
            )
            fix = f"--config 'resources={{{need.rule}: {{mem_mb: {there}}}}}'"
            return Row("memory", MISSING, f"{found}asks for {text_size(need.mem_mb * 2**20)}", fix)
    return Row("memory", OK, f"a node for each of {len(needs)} rules")
