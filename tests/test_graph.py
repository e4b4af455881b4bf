"""The graph that cost and checks are made from is the one that Snakemake has."""

import os
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from commands import run
from noiselab.answers.report import claims
from noiselab.files import ROOT
from noiselab.planning import config, project
from noiselab.planning.wiring import Wiring, interpreter
from test_workflow import snakemake

BLOCK = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", re.MULTILINE)


@pytest.fixture(scope="module")
def dry(tmp_path_factory):
    """Job's name (its benchmark file) -> rule, inputs and outputs, as a dry run lists them."""
    said = snakemake("-n", "--config", "tier=smoke", cwd=tmp_path_factory.mktemp("dry")).stdout
    found = {}
    for rule, text in BLOCK.findall(said):
        lines = dict(line.strip().partition(": ")[::2] for line in text.splitlines())
        name = lines.get("benchmark", "").removeprefix("results/smoke/benchmarks/")
        files = [set(filter(None, lines.get(k, "").split(", "))) for k in ("input", "output")]
        assert name.removesuffix(".tsv") not in found
        found[name.removesuffix(".tsv")] = (rule, *files)
    return found


@pytest.fixture(scope="module")
def graph():
    return project.plan(config.load(tier="smoke"), "results/smoke").graph


def test_jobs_of_the_graph_are_those_of_a_dry_run(dry, graph):
    assert set(dry) - set(graph.jobs) == {""}  # the rule all, which makes nothing
    assert dry[""][0] == "all"
    assert graph.closure(project.GOALS) == set(dry) - {""}
    assert len(dry) > 150


def test_the_catalogues_snakefile_plans_the_same(dry, tmp_path):
    """Each rule's number of jobs, in the table at the end of a dry run."""
    command = [sys.executable, "-m", "snakemake", "-n", "--cores", "2", "--config", "tier=smoke"]
    command += ["--snakefile", str(ROOT / "workflow" / "Snakefile")]
    said = run(command, check=True, cwd=tmp_path).stdout
    listed = dict(re.findall(r"^(\w+) +(\d+)$", said.rpartition("Job stats:")[2], re.MULTILINE))
    expected = Counter(rule for rule, *_ in dry.values())
    assert {rule: int(number) for rule, number in listed.items()} == {
        **expected,
        "total": sum(expected.values()),
    }


def test_each_job_has_the_rule_and_the_files_of_a_dry_run(dry, graph):
    for name in graph.closure(project.GOALS):
        rule, inputs, outputs = dry[name]
        job = graph.jobs[name]
        assert (name, job.rule) == (name, rule)
        assert (name, set(job.files)) == (name, inputs)
        recorded = {file for file in outputs if "/records/" in file}
        assert (name, set(job.outputs.values())) == (name, outputs - recorded)


def test_what_all_does_not_need_scores_runs_that_no_experiment_has(dry, graph):
    """Parents, such as a judge: they may be asked for by name."""
    shown = {run for runs in graph.plan.experiments.values() for run in runs}
    for name in set(graph.jobs) - set(dry):
        stage, _, run = name.partition("/")
        if stage in ("mask", "crate", "bundle"):  # for others, where they are asked for
            continue
        assert stage in ("evaluate", "sample", "measure"), name
        assert run not in shown, name


def test_resources_of_each_job_are_those_that_are_configured(graph):
    asked = {job.resources for job in graph.jobs.values()} - {None}
    assert asked <= set(graph.config["resources"])
    unused = {"prepare_image_files"}  # no embedded data are image files
    # Of other studies.
    unused |= {"prepare_algorithmic", "train_algorithmic"}
    unused |= {"prepare_labelled_texts", "extract_features", "train_probe", "train_fine_tuning"}
    unused |= {"train_masked_language_model", "evaluate_masked_language_model"}
    assert set(graph.config["resources"]) - asked == unused


def test_data_sets_that_are_asked_for_are_those_that_runs_read():
    settings = config.load({"studies": "all", "only": ["stretches"]}, tier="smoke")
    graph = project.plan(settings, "results/smoke").graph
    read = {
        file
        for name in graph.closure(["collect/stretches"])
        for file in graph.jobs[name].files
        if file.startswith("results/smoke/data/")
    }
    asked = Wiring(graph, force=lambda files: None).datasets()
    assert read == set(asked)
    assert {file.rpartition("/")[0] for file in read} == {"results/smoke/data/docstrings_apart"}
    assert any(file.endswith("second_domain.npy") for file in asked)


def test_a_tier_fixes_the_threads_that_its_processes_compute_with(tmp_path):
    """Whatever Snakemake gives the job, which depends on --cores."""
    for tier, expected in (("smoke", "1"), ("quick", "1"), ("desk", "1"), ("paper", "")):
        words = interpreter(config.load({"data": {"root": str(tmp_path)}}, tier=tier), "scripts")
        settings = "; ".join(word for word in words if word.endswith("_NUM_THREADS=1"))
        assert settings.count(";") == (2 if expected else 0)
        command = [*words[: words.index("python")], "printenv", "OMP_NUM_THREADS"]
        environment = os.environ | {"OMP_NUM_THREADS": "7"}
        said = run(command, env=environment).stdout.strip()
        assert said == (expected or "7")
        assert ("scripts/warm_start.py" in words) == (tier in ("smoke", "quick"))


@pytest.mark.parametrize(("fixed", "computing"), [(None, 12), (2, 2)])
def test_several_gpus_share_the_threads_of_their_job(fixed, computing):
    settings = config.load({"cpu_threads": fixed}, tier="paper")
    launcher = Wiring(project.plan(settings, "results/paper").graph, print).launcher
    assert launcher("train_classifier") == "$PYTHON"
    words = launcher("train_vision_transformer").split()
    assert words[:2] == ["env", "THREADS=12"]  # of 96 on 8 GPUs
    libraries = ("OMP", "MKL", "OPENBLAS")
    assert words[2:5] == [f"{name}_NUM_THREADS={computing}" for name in libraries]


def test_longer_chains_begin_first_and_what_is_cheap_last():
    """A teacher must be trained, must write and only then teaches: begun last, it would leave the
    other cores idle at the end."""
    wiring = Wiring(project.plan(config.load(tier="quick"), "results/quick").graph, force=print)
    first = {stage.rule: wiring.priority(stage) for stage in wiring.stages}
    assert first["train_diffusion"] > first["train_seq2seq"] > first["train_classifier"] > 0
    assert first["decode_teacher"] == first["train_seq2seq"]
    assert first["sample_images"] == first["train_diffusion"]
    assert first["evaluate_classifier"] == first["evaluate_diffusion"] == 0


@pytest.fixture
def read(monkeypatch):
    """Files of settings that are read, as a set that grows."""
    found, usual = set(), config.read_yaml

    def remembered(path):
        found.add(Path(path))
        return usual(path)

    for module in (config, claims):
        monkeypatch.setattr(module, "read_yaml", remembered)
    return found


@pytest.mark.parametrize("job", ["claims", "tables/audit", "tables/table2", "figures/figure3"])
def test_answers_follow_all_files_of_published_numbers_that_they_read(graph, read, job):
    config.published()
    config.audit()
    assert {file.name for file in read} >= {"artefacts.yaml", "claims.yaml", "published.yaml"}
    assert read <= set(graph.jobs[job].code)


def test_the_report_follows_the_file_whose_authors_it_names(graph, read):
    assert claims._citation()["authors"]
    assert len(read) == 1
    assert read <= set(graph.jobs["report"].code)
