"""Each check of what a plan needs, where it is there and where it lacks; and the command."""

import json
import shutil
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import preflight as script
from image_folders import image_folder, image_spec, parquet_folder
from noiselab.data import complete, text, text_sources
from noiselab.errors import NoiselabError
from noiselab.planning import config, cost, project
from noiselab.planning import preflight as package
from noiselab.planning.data_rules import DataRules
from noiselab.planning.estimates import JobCost
from noiselab.planning.preflight import (
    checks,
    computers,
    data,
    disk,
    network,
    software,
    start,
)
from noiselab.planning.preflight.computers import Need, Node
from noiselab.planning.preflight.network import Question
from noiselab.planning.preflight.rows import HEADS, MISSING, OK, WARNING, Row, table
from test_workflow import snakemake

GPU = [Need("prepare_text", 0, 8000), Need("train_diffusion", 8, 64000)]
CPU = [Need("train_classifier", 0, 2000)]


def states(rows):
    return {row.check: row.state for row in rows}


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


def planned(tier, **changes):
    """The graph of a tier with these settings, and the names of the jobs of its targets."""
    graph = project.plan(config.load(changes, tier=tier), f"results/{tier}").graph
    return graph, sorted(graph.closure(project.GOALS))


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


# ------------------------------------------------------------------------------------- data


def rows_of(root, spec, prepared=False):
    return data.local_row(spec, root, prepared)


CIFAR = {"name": "cifar10", "kind": "cifar", "train_size": 4, "test_size": 2, "classes": 2}
TEXT = {"name": "web", "kind": "text", "text_column": "text", "tokenizer": "bpe"}
PAIRS = {"name": "two", "kind": "pairs", "source_column": "en", "target_column": "de"}
PAIRS |= {"train_files": "train*", "validation_files": "val*"}


def parquet(path, rows=2, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    names = columns or {"text": "a"}
    pq.write_table(pa.table({name: [value] * rows for name, value in names.items()}), path)


def cifar_files(folder):
    for split, rows in (("train", 4), ("test", 2)):
        parquet(folder / "cifar10" / f"{split}.parquet", rows, img={"bytes": b""}, label=0)


def test_cifar_is_whole_by_names_columns_and_rows(tmp_path):
    assert "no folder" in rows_of(tmp_path, CIFAR).found
    cifar_files(tmp_path)
    assert rows_of(tmp_path, CIFAR).state == OK
    row = rows_of(tmp_path, CIFAR | {"train_size": 5})
    assert (row.state, "train split has 4 images" in row.found) == (MISSING, True)
    (tmp_path / "cifar10" / "test.parquet").unlink()
    assert "no test*.parquet" in rows_of(tmp_path, CIFAR).found
    parquet(tmp_path / "cifar10" / "test.parquet", wrong=1)
    assert "no columns image and label" in rows_of(tmp_path, CIFAR).found


def test_a_file_that_lacks_in_torchvisions_folder_is_named(tmp_path):
    folder = tmp_path / "cifar10" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).touch()
    assert rows_of(tmp_path, CIFAR).state == OK
    (folder / "data_batch_3").unlink()
    row = rows_of(tmp_path, CIFAR)
    assert (row.state, row.found) == (MISSING, f"no {folder / 'data_batch_3'}")


def test_folders_of_images_need_an_image_of_each_class(tmp_path):
    image_folder(tmp_path / "photos", train=2, test=1)
    spec = image_spec(train_size=8, test_size=4)
    assert rows_of(tmp_path, spec).state == OK
    for file in (tmp_path / "photos" / "val" / "n00000007").iterdir():
        file.unlink()
    row = rows_of(tmp_path, spec)
    assert row.state == MISSING
    assert row.found == f"no image in {tmp_path / 'photos' / 'val' / 'n00000007'}"
    shutil.rmtree(tmp_path / "photos" / "val")
    assert "no val/ nor validation/" in rows_of(tmp_path, spec).found


def test_a_shard_of_image_files_that_lacks_is_named(tmp_path):
    tree = image_folder(tmp_path / "tree", train=2, test=1)
    folder = parquet_folder(tmp_path / "photos", tree)
    spec = image_spec(train_size=8, test_size=4)
    assert rows_of(tmp_path, spec).state == OK
    assert "configured 9" in rows_of(tmp_path, spec | {"train_size": 9}).found
    shard = folder / "data" / "train-00001-of-00002.parquet"
    shard.unlink()
    row = rows_of(tmp_path, spec)
    assert (row.state, row.found) == (MISSING, f"no {shard}")


def test_text_with_a_shard_less_is_doubtful_and_other_columns_are_missing(tmp_path):
    for i in (0, 2):
        parquet(tmp_path / "web" / f"train-{i:05}-of-00003.parquet")
    row = rows_of(tmp_path, TEXT)
    assert row.state == WARNING
    assert "train-00001-of-00003.parquet" in row.found
    parquet(tmp_path / "web" / "train-00001-of-00003.parquet")
    assert (rows_of(tmp_path, TEXT).state, rows_of(tmp_path, TEXT).found) == (OK, "3 files")
    row = rows_of(tmp_path, TEXT | {"text_column": "content"})
    assert (row.state, "no column content" in row.found) == (MISSING, True)
    (tmp_path / "web" / "train-00001-of-00003.parquet").write_bytes(b"PAR1")
    assert "cannot be read" in rows_of(tmp_path, TEXT).found


def test_text_of_several_folders_needs_all_of_them_and_that_out_of_domain(tmp_path):
    spec = TEXT | {"parts": [{"folder": f, "text_column": f"of_{f}"} for f in ("a", "b")]}
    spec |= {"out_of_domain": {"folder": "wiki", "text_column": "line", "files": "test*"}}
    parquet(tmp_path / "a" / "train.parquet", of_a="words")
    assert rows_of(tmp_path, spec).found == f"no folder {tmp_path / 'b'}"
    parquet(tmp_path / "b" / "all.parquet", of_a="words")
    assert "no column of_b" in rows_of(tmp_path, spec).found
    parquet(tmp_path / "b" / "all.parquet", of_b="words")
    assert rows_of(tmp_path, spec).found == f"no folder {tmp_path / 'wiki'}"
    parquet(tmp_path / "wiki" / "validation.parquet", line="words")
    row = rows_of(tmp_path, spec)
    assert (row.state, "matches 'test*'" in row.found) == (MISSING, True)
    parquet(tmp_path / "wiki" / "test.parquet", line="words")
    assert (rows_of(tmp_path, spec).state, rows_of(tmp_path, spec).found) == (OK, "3 files")


def test_gpt2s_tokenizer_lies_beside_its_text(tmp_path):
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a.txt").write_text("words")
    row = rows_of(tmp_path, TEXT | {"tokenizer": "gpt2", "vocabulary": 300})
    assert row.state == MISSING
    assert f"{tmp_path / 'gpt2'}: no tokenizer.json" in row.found
    (tmp_path / "gpt2").mkdir()
    text.bpe_tokenizer(["many words"], 257).save(str(tmp_path / "gpt2" / "tokenizer.json"))
    assert rows_of(tmp_path, TEXT | {"tokenizer": "gpt2", "vocabulary": 257}).state == OK


def test_pairs_need_both_splits_and_columns(tmp_path):
    parquet(tmp_path / "two" / "train.parquet", en="a", de="b")
    assert "jsonl, .csv or .tsv file matches validation_files" in rows_of(tmp_path, PAIRS).found
    (tmp_path / "two" / "val.jsonl").write_text('{"translation": {"en": "a", "de": "b"}}\n')
    assert rows_of(tmp_path, PAIRS).state == OK
    (tmp_path / "two" / "val.jsonl").write_text('{"en": "a"}\n')
    assert "no column de" in rows_of(tmp_path, PAIRS).found


def test_a_source_that_has_gone_is_no_harm_once_it_is_prepared(tmp_path):
    settings = config.load({"only": ["table2"], "data": {"root": str(tmp_path)}}, tier="paper")
    graph = project.plan(settings, str(tmp_path / "results")).graph
    prepared = tmp_path / "results" / "data" / "cifar10"
    prepared.mkdir(parents=True)
    (prepared / "dataset.json").write_text("{}")
    found = data.data_rows(graph, ["prepare/cifar10", "prepare/cifar100"])[0]
    assert states(found) == {"data: cifar10": WARNING, "data: cifar100": MISSING}


def test_shards_that_lack_are_told_from_the_names_of_the_others():
    files = [Path(f"a/train-0000{i}-of-00004.parquet") for i in (0, 3)]
    other = [Path("a/validation-00000-of-00001.parquet"), Path("a/train.parquet")]
    missing = [Path(f"a/train-0000{i}-of-00004.parquet") for i in (1, 2)]
    assert complete.missing_shards(files + other) == missing
    assert complete.named(missing) == f"{missing[0]} and 1 more"


def test_embedded_data_need_their_packages():
    digits = {"name": "digits", "kind": "digits"}
    assert data.embedded_row([digits]).state == OK
    row = data.embedded_row([digits, {"kind": "docstrings", "packages": ["no_such"]}])
    assert (row.state, row.found) == (MISSING, "not installed: no_such")


def test_inceptions_weights_have_their_hash_in_their_name(tmp_path):
    weights = tmp_path / "pt_inception-2cf24dba.pth"  # of "hello"
    assert data.inception_row(weights).state == MISSING
    weights.write_bytes(b"hello")
    assert data.inception_row(weights).state == OK
    weights.write_bytes(b"hell")
    assert "broken" in data.inception_row(weights).found


# ---------------------------------------------------------------------------------- network


def asked(ask, refusal=""):
    ((row, size),) = network.ask_all([Question("data: x", "host", ask, refusal)], seconds=300)
    return row, size


def fail(error):
    def ask(seconds):
        raise error

    return ask


def test_what_has_to_be_downloaded_is_asked_for():
    row, size = asked(lambda seconds: 3_000_000_000)
    assert (row.state, size) == (OK, 3e9)
    assert "3 GB to download from host" in row.found
    row, size = asked(fail(OSError("no route\nat all")))
    assert (row.state, size) == (MISSING, 0)
    assert "host: no access (no route)" in row.found
    assert "data.root" in row.fix


def test_a_network_that_does_not_answer_is_not_waited_for():
    over = threading.Event()
    questions = [Question(f"data: {i}", "host", lambda _: over.wait(600)) for i in range(9)]
    rows = [row for row, _ in network.ask_all(questions, seconds=0.2)]
    over.set()  # or they would wait for ten minutes: the rows were there before
    assert {row.state for row in rows} == {MISSING}
    assert rows[8].found == "host: no answer"


def hub(monkeypatch, metadata=lambda url, **options: None):
    """A hub of two shards and another file, each of 5 bytes."""
    import huggingface_hub

    names = ("data/train-0.parquet", "data/val-0.parquet", "README.md")
    files = [SimpleNamespace(rfilename=name, size=5) for name in names]
    info = SimpleNamespace(siblings=files)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *args, **options: info)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", metadata)


IMAGENET = {"name": "imagenet10", "kind": "image_files", "source": "imagenet", "hub": "a/imagenet"}


def test_the_hub_is_asked_for_the_files_that_are_downloaded(monkeypatch):
    seen = []
    hub(monkeypatch, lambda url, **options: seen.append(url))
    question = data.question(IMAGENET, Path("data"))
    assert question.check == "data: imagenet"
    assert question.ask(1.0) == 10
    assert seen[0].endswith("/datasets/a/imagenet/resolve/main/data/train-0.parquet")
    with pytest.raises(NoiselabError, match="has no "):
        text_sources.snapshot_bytes("a/imagenet", ["*.zip"], 1.0)


def test_terms_that_were_not_accepted_are_told_apart(monkeypatch):
    from huggingface_hub.errors import GatedRepoError

    response = SimpleNamespace(status_code=401, headers={}, request=None)
    gated = GatedRepoError("Access is restricted", response=response)
    hub(monkeypatch, lambda url, **options: fail(gated)(1))
    question = data.question(IMAGENET, Path("data"))
    ((row, _),) = network.ask_all([question])
    assert (row.state, row.found) == (MISSING, "the hub refuses it")
    for part in ("a/imagenet", "hf auth login", "HF_TOKEN", "imagenet/train/"):
        assert part in row.fix


def test_subsets_of_a_set_are_asked_for_once_and_downloaded_ones_not(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    graph, names = planned("paper", only=["table3"])
    answered = []

    def ask_all(questions):
        answered.extend(questions)
        return [(Row(q.check, OK, ""), 7.0) for q in questions]

    monkeypatch.setattr(network, "ask_all", ask_all)
    found, size = data.data_rows(graph, names)
    assert ([row.check for row in found], size) == (["data: imagenet"], 7)
    complete = tmp_path / "data" / "imagenet" / ".complete"
    complete.parent.mkdir(parents=True)
    complete.touch()
    found, size = data.data_rows(graph, ["prepare/imagenet10", "tables/table3"])
    assert [(row.check, row.found) for row in found] == [("data: imagenet10", "downloaded")]
    assert (len(answered), size) == (1, 0)
    assert data.data_rows(graph, []) == ([], 0)


def test_the_weights_of_inception_are_looked_for_where_jobs_read_them(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        network, "ask_all", lambda asked: [(Row(q.check, OK, ""), 1) for q in asked]
    )
    graph, names = planned("paper", only=["table1"])
    judged, _ = planned("paper", only=["table1"], diffusion={"evaluation": {"features": "judge"}})
    measuring = [name for name in names if name.startswith("measure/")]
    assert [row.check for row in data.data_rows(graph, measuring)[0]] == ["data: inception"]
    other = [name for name in judged.jobs if name.startswith("measure/")]
    assert len(other) == len(measuring)
    assert data.data_rows(judged, other) == ([], 0)
    local, _ = planned("paper", only=["table1"], data={"root": str(tmp_path)})
    (row,), _ = data.data_rows(local, measuring)
    assert (row.state, str(tmp_path / "inception") in row.found) == (MISSING, True)


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
