"""Each check of software, computers and disk; the table of all checks; and the command."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch

import preflight as script
from noiselab.errors import NoiselabError
from noiselab.planning import config, cost, project
from noiselab.planning import preflight as package
from noiselab.planning.data_rules import DataRules
from noiselab.planning.estimates import JobCost
from noiselab.planning.preflight import checks, computers, disk, software, start
from noiselab.planning.preflight.computers import Need, Node
from noiselab.planning.preflight.rows import HEADS, MISSING, OK, WARNING, Row, table
from preflight_samples import cifar_files, planned, states
from test_workflow import snakemake

GPU = [Need("prepare_text", 0, 8000), Need("train_diffusion", 8, 64000)]
CPU = [Need("train_classifier", 0, 2000)]


# --------------------------------------------------------------------------------- software


def test_an_old_python_is_missing():
    assert software.python_row().state == OK
    row = software.python_row((3, 10, 4))
    assert (row.state, row.found) == (MISSING, "3.10.4")
    assert "3.11" in row.fix


@pytest.mark.parametrize(
    ("pins", "state", "found"),
    [
        (f"numpy=={np.__version__}\nno-such==1 ; sys_platform == 'beos'\n", OK, "1 pinned"),
        ("numpy==0.0.1  # too old\n", WARNING, f"numpy {np.__version__}"),
        ("numpy==0.0.1\nno-such-package==1\n", MISSING, "no-such-package"),
    ],
)
def test_packages_are_compared_with_their_pins(tmp_path, pins, state, found):
    (tmp_path / "pins.txt").write_text(pins)
    row = software.packages_row(tmp_path / "pins.txt")
    assert row.state == state
    assert found in row.found


def test_torch_has_to_be_built_for_gpus_where_jobs_ask_for_them(monkeypatch):
    monkeypatch.setattr(torch.version, "hip", None)
    for built, needs, state in ((None, GPU, MISSING), (None, CPU, OK), ("13.0", GPU, OK)):
        monkeypatch.setattr(torch.version, "cuda", built)
        assert software.torch_row(needs).state == state


def test_a_torch_that_cannot_be_imported_is_missing_and_no_traceback(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    row = software.torch_row(CPU)
    assert row.state == MISSING
    assert "cannot be imported" in row.found
    assert computers.visible_gpus() == 0


def test_conda_is_needed_only_where_it_is_asked_for(monkeypatch):
    assert software.software_row(False).found == "not needed"
    monkeypatch.setattr(shutil, "which", lambda command: None)
    assert software.software_row(False).state == OK
    assert software.software_row(True).state == MISSING
    monkeypatch.setattr(shutil, "which", lambda command: "/bin/conda")
    assert software.software_row(True).state == OK


# -------------------------------------------------------------------------------- computers


@pytest.mark.parametrize(
    ("needs", "visible", "limit", "state"),
    [
        (GPU, 0, None, MISSING),
        (GPU, 4, 4, MISSING),
        (GPU, 8, None, WARNING),
        (GPU, 8, 16, WARNING),
        (GPU, 8, 8, OK),
        (CPU, 0, None, OK),
    ],
)
def test_gpus_are_counted_against_the_largest_job(needs, visible, limit, state):
    row = computers.gpu_row(needs, visible, limit)
    assert row.state == state
    assert bool(row.fix) == (state != OK)
    if needs is GPU:
        assert f"{visible} visible, train_diffusion asks for 8" in row.found


def test_less_memory_than_a_job_asks_for_is_doubtful():
    assert computers.memory_row(GPU, 63_999).state == WARNING
    assert computers.memory_row(GPU, 64_000).state == OK
    assert computers.memory_mb() > 100


SINFO = """batch*|(null)|64000|idle
gpu|gpu:a100:4(S:0-1),shard:8|256000+|mix
gpu|gpu:h100:8(S:0-1)|1000000|down*
big|gpu:2,gpu:v100:6|500000|idle~
"""


def slurm(folder, monkeypatch, sinfo="cat <<'END'\n" + SINFO + "END\n", without=()):
    """A folder on PATH with commands that are called like Slurm's."""
    (folder / "bin").mkdir()
    for command in ("sbatch", "squeue", "sacct", "scancel", "sinfo"):
        if command not in without:
            path = folder / "bin" / command
            path.write_text("#!/bin/sh\n" + (sinfo if command == "sinfo" else "exit 0\n"))
            path.chmod(0o755)
    for tool in ("cat", "sh"):
        (folder / "bin" / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", str(folder / "bin"))
    monkeypatch.delenv("SBATCH_PARTITION", raising=False)


def test_nodes_of_slurm_are_those_that_are_up(tmp_path, monkeypatch):
    slurm(tmp_path, monkeypatch)
    nodes = [Node("batch", 0, 64000), Node("gpu", 4, 256000), Node("big", 8, 500000)]
    assert computers.slurm_nodes() == nodes
    rows = computers.slurm_rows(GPU)
    assert states(rows) == {"Slurm": OK, "GPUs": OK, "memory": OK}
    assert "partition big" in rows[1].found


def test_of_a_partition_that_is_asked_for_alone(tmp_path, monkeypatch):
    slurm(tmp_path, monkeypatch, sinfo='for a; do :; done; echo "$a|(null)|1000|idle"\n')
    monkeypatch.setenv("SBATCH_PARTITION", "mine")
    assert computers.slurm_nodes() == [Node("--partition=mine", 0, 1000)]


def test_jobs_that_no_node_of_slurm_can_hold_are_named(tmp_path, monkeypatch):
    slurm(tmp_path, monkeypatch)
    large = [Need("train_diffusion", 4, 600_000), Need("prepare_text", 0, 8000)]
    gpus, memory = computers.slurm_rows([*large, Need("train_classifier", 16, 700_000)])[1:]
    assert (gpus.state, memory.state) == (MISSING, MISSING)
    assert "up to 8, train_classifier asks for 16" in gpus.found
    assert "train_diffusion" in memory.found
    assert "{mem_mb: 500000}" in memory.fix


def test_missing_commands_of_slurm_are_named(tmp_path, monkeypatch):
    slurm(tmp_path, monkeypatch, without=("sbatch", "sacct"))
    (row,) = computers.slurm_rows(GPU)
    assert (row.state, row.found) == (MISSING, "no command sbatch, sacct")


def test_a_slurm_that_does_not_answer_is_missing(tmp_path, monkeypatch):
    slurm(tmp_path, monkeypatch, sinfo="echo sinfo: error: no controller >&2; exit 1\n")
    (row,) = computers.slurm_rows(GPU)
    assert row.state == MISSING
    assert "no controller" in row.found


# ------------------------------------------------------------------------------------- disk


def test_a_folder_that_cannot_be_written_is_missing(tmp_path, monkeypatch):
    assert disk.folder_row(tmp_path / "results" / "new").state == OK
    assert not (tmp_path / "results").exists()

    def refused(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(disk.tempfile, "TemporaryFile", refused)
    row = disk.folder_row(tmp_path)
    assert row.state == MISSING
    assert "Permission denied" in row.found


def test_disk_space_is_compared_with_results_and_downloads():
    for free, state in ((39e9, MISSING), (50e9, WARNING), (100e9, OK)):
        row = disk.disk_row(30e9, 10e9, free)
        assert row.state == state
        assert "needed about 40 GB, 10 GB of it downloads" in row.found
    assert disk.disk_row(None, 0, 1e12).state == WARNING


def job(name, size, checkpoints=0.0):
    return JobCost(name, (), 1.0, 0, 1, bytes=size, checkpoints=checkpoints)


def test_disk_space_is_that_of_jobs_to_come():
    jobs = [job("train/a", 10, 100), job("train/b", 20, 300), job("train/c", 40, 200)]
    jobs = {j.name: j for j in jobs}
    assert cost.bytes_to_come(jobs, jobs, 1) == 70 + 300
    assert cost.bytes_to_come(jobs, jobs, 2) == 70 + 500
    assert cost.bytes_to_come(jobs, ["train/a", "other"], 2) == 10 + 100


def test_what_is_done_takes_no_more_disk(tmp_path):
    results = tmp_path / "results"
    graph = project.plan(config.load({"only": ["table2"]}, tier="smoke"), str(results)).graph
    whole = disk.disk_needed(graph, None, 1)
    name, spec = "prepare/digits", graph.plan.datasets["digits"]
    size = (spec["train_size"] + spec["test_size"]) * 8 * 8
    assert disk.disk_needed(graph, [name], 1) == size
    done = results / "benchmarks" / f"{name}.tsv"
    done.parent.mkdir(parents=True)
    done.write_text("s\n1\n")
    assert disk.disk_needed(graph, None, 1) == whole - size
    done.write_text("broken\nfile\n")
    assert disk.disk_needed(graph, None, 1) is None


def test_needs_are_of_the_planned_jobs_or_of_those_to_run():
    graph, names = planned("paper", only=["table1", "table7"])
    rules = [need.rule for need in computers.needs(graph, names)]
    diffusion = ["train_classifier", "train_diffusion", "sample_images", "measure_generated"]
    text = ["train_language_model", "evaluate_language_model", "measure_gradients"]
    assert sorted(rules) == sorted(["prepare_images", "prepare_text", *diffusion, *text])
    inception = next(name for name in names if name.endswith("-inception"))
    for jobs, rule in (
        ([inception, "tables/table1"], "measure_generated"),
        (["analysis/gradient_projection"], "measure_gradients"),
        (["tables/table1"], "no job"),
    ):
        assert [need.rule for need in computers.needs(graph, jobs)] == [rule]
    assert computers.needs(graph, [])[0].gpu == 0


def test_every_job_with_resources_and_every_download_takes_long():
    graph, names = planned("paper", only=["table1", "table7"])
    for name in names:
        outputs = list(graph.jobs[name].outputs.values())
        assert start.planned_names(graph, [outputs]) == [name]
        assert start.takes_long(graph, [[], outputs]) == bool(graph.jobs[name].resources)
    assert start.takes_long(graph, [["data/cifar10/.complete"]])
    assert start.takes_long(graph, [["data/inception/weights.pth"]])
    assert not start.takes_long(graph, [[], ["results/paper/data.txt"]])
    for download in DataRules(graph).downloads():  # what the rule writes is what preparing reads
        assert graph.places.source(download.pattern.split("|")[0]).startswith("data/")


# ------------------------------------------------------------------------------------ table


def test_the_table_keeps_paths_whole_and_columns_apart():
    path = "/a/very/long/path/" + "x" * 60
    found = [Row("Python", OK, "3.11"), Row("data", MISSING, path, "put it there")]
    lines = table(found, 80).splitlines()
    assert [head in lines[0] for head in HEADS] == [True] * 4
    assert any(path in line for line in lines)
    assert lines[2].split() == ["Python", "ok", "3.11"]
    assert all(line == line.rstrip() for line in lines)


def call_script(monkeypatch, folder, found):
    monkeypatch.setattr(checks, "check", lambda *arguments: found)
    settings = config.load({"only": ["table2"]}, tier="smoke")
    (folder / "plan.json").write_text(json.dumps({"config": settings, "jobs": None}))
    arguments = ["preflight.py", "--plan", str(folder / "plan.json"), "--results", "r"]
    monkeypatch.setattr(sys, "argv", arguments)
    script.main()


def test_without_numpy_a_line_says_what_to_do(monkeypatch, tmp_path):
    (tmp_path / "plan.json").write_text("{}")
    arguments = ["preflight.py", "--plan", str(tmp_path / "plan.json"), "--results", "r"]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.delitem(sys.modules, "noiselab.planning.preflight.checks")
    monkeypatch.delattr(package, "checks")
    monkeypatch.setitem(
        sys.modules, "noiselab.planning.preflight.data", None
    )  # like a package that is not there
    with pytest.raises(NoiselabError, match=r"^preflight: .*: make setup"):
        script.main()


def test_exit_codes(monkeypatch, tmp_path, capsys):
    good = [Row("a", OK, "there"), Row("b", WARNING, "perhaps", "look")]
    call_script(monkeypatch, tmp_path, good)
    assert "perhaps" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="preflight: missing c, d"):
        call_script(monkeypatch, tmp_path, [*good, *(Row(n, MISSING, "gone") for n in "cd")])


# --------------------------------------------------------------------------------- Snakemake

ENDED = "nothing was started; --config preflight=false"


def table_of(said):
    """Check -> its lines in the table that Snakemake's output has."""
    lines = said.splitlines()
    heads = [i for i, line in enumerate(lines) if line.split() == " ".join(HEADS).split()]
    assert len(heads) == 1
    rows = (line.split("  ") for line in lines[heads[0] + 2 :])
    return {row[0]: [part.strip() for part in row if part.strip()] for row in rows}


def test_preflight_of_the_smoke_tier_is_well_and_makes_nothing(tmp_path):
    said = snakemake("--cores", 1, "preflight", "--config", "tier=smoke", cwd=tmp_path)
    rows = table_of(said.stdout)
    for name in ("Python", "torch", "GPUs", "results", "disk", "data: embedded"):
        assert rows[name][1] == OK
    assert not (tmp_path / "results").exists()


@pytest.fixture
def lacking(tmp_path):
    """Settings of a plan whose data.root has a training split of CIFAR-10 but no test split."""
    cifar_files(tmp_path / "root")
    (tmp_path / "root" / "cifar10" / "test.parquet").unlink()
    changes = ["experiments={table2: {datasets: [cifar10]}}"]
    changes += ["datasets={cifar10: {classes: 2, train_size: 4, test_size: 2}}"]
    return ["tier=smoke", f"data={{root: {tmp_path / 'root'}}}", "only=[table2]", *changes]


def test_a_file_that_lacks_is_named_and_the_exit_code_says_so(tmp_path, lacking):
    said = snakemake("--cores", 1, "preflight", "--config", *lacking, cwd=tmp_path, check=False)
    assert said.returncode == 1
    row = table_of(said.stdout)["data: cifar10"]
    assert row[1] == MISSING
    assert "no test*.parquet" in " ".join(said.stdout.split())
    errors = [line for line in said.stderr.splitlines() if line.startswith("noiselab: ")]
    errors = [line for line in errors if "settings of your own" not in line]
    assert errors == ["noiselab: preflight: missing data: cifar10"]
    assert "Traceback" not in said.stdout + said.stderr


def test_a_run_that_lacks_something_starts_no_job_unless_told_to(tmp_path, lacking):
    arguments = ("--cores", 1, "--config", *lacking)
    said = snakemake(*arguments, "preflight=true", "--", "table2", cwd=tmp_path, check=False)
    assert said.returncode == 1
    assert ENDED in said.stderr
    assert table_of(said.stdout)["data: cifar10"][1] == MISSING
    assert not (tmp_path / "results").exists()
    # What needs neither data nor training is not held up.
    done = snakemake(*arguments, "preflight=true", "--", "published_floors", cwd=tmp_path)
    assert "how to fix" not in done.stdout
    assert list((tmp_path / "results" / "smoke" / "own").rglob("tables/published_floors.csv"))


def test_checks_set_off_no_job(tmp_path):
    """They leave nothing that a later plan could take for newer than what is there."""
    arguments = ("--cores", 1, "--config", "tier=smoke", "only=[table2]")
    target = "results/smoke/runs/classifier/digits/clean-s0/weights.safetensors"
    snakemake(*arguments, "preflight=false", "--", target, cwd=tmp_path)
    files = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    before = [path.stat().st_mtime_ns for path in files]
    snakemake(*arguments, "--", "preflight", cwd=tmp_path)
    again = snakemake(*arguments, "preflight=true", "--", target, cwd=tmp_path)
    assert "Nothing to be done" in again.stdout + again.stderr
    assert [path.stat().st_mtime_ns for path in files] == before
