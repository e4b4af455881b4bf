"""Cost by measurements: throughput, data, benchmarks, and the command that prints it."""

import json
import sys
from dataclasses import replace

import pandas as pd
import pytest

import plan_cost
from cost_samples import by_name, estimate, graph_of, job, named
from noiselab.errors import NoiselabError
from noiselab.planning import config, cost, estimates, measured, project, sizes
from test_workflow import snakemake

# ------------------------------------------------------------------------------ measurements


def run_of(made, run_id):
    return made.graph.plan.runs[run_id]


def finished(folder, run, rate, processes=1, diverged_at=None):
    place = folder / "runs" / run["run_id"]
    place.mkdir(parents=True)
    summary = {"examples_per_second": rate, "processes": processes, "device": "a device"}
    summary["diverged_at"] = diverged_at
    (place / "run.json").write_text(json.dumps(run.content()))
    (place / "training.json").write_text(json.dumps(summary))


def test_measured_throughput_is_preferred_and_is_of_its_own_kind(tmp_path):
    before = estimate()
    digits = ("clean-s0", "uniform_label-r1.00-fixed_clean-s0", "shift_label-r1.00-fixed_clean-s0")
    runs_of = [run_of(before, f"classifier/digits/{name}") for name in digits]
    assumed = {device: before.config["cost"][device]["flops"] for device in ("cpu", "gpu")}
    for run, rate in zip(runs_of, (100, 200, 700), strict=True):
        finished(tmp_path, run, rate)
    other = run_of(before, "classifier/glyphs-10/clean-s0")
    finished(tmp_path, other, 10_000, diverged_at=3)
    rates = measured.measured_rates(before.graph.plan, before.config, tmp_path)
    assert list(rates.values()) == [(200, 3, "a device")]
    after = replace(before, measured=rates)
    assert estimates.speed(after, runs_of[0], gpu=0) == 3 * 1e6 * 200
    assert estimates.speed(after, runs_of[0], gpu=1) == assumed["gpu"]["classifier"]
    assert estimates.speed(after, other, gpu=0) == assumed["cpu"]["classifier"]
    lines = cost.assumptions(after)
    assert any(line.startswith("Measured: classifier on digits") for line in lines)
    assert any(line.startswith("Assumed: classifier on glyphs-10") for line in lines)


def test_throughput_of_several_gpus_is_per_gpu_and_of_another_network_is_not_taken(tmp_path):
    made = estimate(resources={"train_classifier": {"gpu": 2}})
    run, other = (run_of(made, f"classifier/{d}/clean-s0") for d in ("digits", "glyphs-10"))
    finished(tmp_path, run, 1000, processes=2)
    finished(tmp_path, other | {"model": {"name": "resnet", "width": 999}}, 1000)
    rates = measured.measured_rates(made.graph.plan, made.config, tmp_path)
    assert rates == {measured.workload(run): (500, 1, "a device")}


def test_prepared_data_are_measured_instead_of_assumed(tmp_path):
    spec = {"name": "mine", "kind": "text"}
    assumed = {"text": {"train": 1000, "validation": 10}}
    assert sizes.data_size(spec, tmp_path, assumed)[:2] == (1000, 10)
    assert sizes.data_size(spec, tmp_path, assumed).bytes == 2020
    facts = json.dumps({"train_tokens": 5, "validation_tokens": 2})
    (tmp_path / "dataset.json").write_text(facts)
    (tmp_path / "train.npy").write_bytes(bytes(100))
    size = sizes.data_size(spec, tmp_path, assumed)
    assert (size.train, size.validation, size.bytes) == (5, 2, 100 + len(facts))


def benchmark(folder, name, seconds):
    path = folder / "benchmarks" / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t3.3\n")


def test_what_it_took_is_read_from_the_benchmarks(tmp_path):
    jobs = by_name(
        job("train/a", seconds=50, gpus=2),
        job("train/b", seconds=50, gpus=2),
        job("evaluate/a", ["train/a"], 10),
        job("tables/t", ["evaluate/a", "train/b"], 1),
    )
    benchmark(tmp_path, "train/a", 36)
    benchmark(tmp_path, "evaluate/a", 8)
    files = {name: tmp_path / "benchmarks" / f"{name}.tsv" for name in jobs}
    found = {name: measured.benchmark_seconds(file) for name, file in files.items()}
    assert found == {"train/a": 36, "evaluate/a": 8, "train/b": None, "tables/t": None}
    seconds = {name: value for name, value in found.items() if value is not None}
    row = cost.actual_row(jobs, jobs, seconds, ["tables/t"])
    assert row["actual_gpu_hours"] == pytest.approx(72 / 3600)
    assert row["planned_gpu_hours"] == pytest.approx(100 / 3600)
    assert row["actual_core_hours"] == pytest.approx(8 / 3600)
    assert row["outside_training"] == pytest.approx(8 / 80)
    assert (row["jobs"], row["jobs_missing"], row["trainings_missing"]) == (2, 2, 1)


def test_a_broken_benchmark_is_named(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "x.tsv").write_text("nothing\nof use\n")
    with pytest.raises(NoiselabError, match=r"x\.tsv: no benchmark file"):
        measured.benchmark_seconds(tmp_path / "benchmarks" / "x.tsv")


# ---------------------------------------------------------------------------- the commands


def test_the_plan_is_printed_and_nothing_is_trained(tmp_path):
    settings = ("tier=smoke", "warm_start=false", "only=[table1, table2]")
    result = snakemake("--cores", 1, "plan", "--config", *settings, cwd=tmp_path)
    lines = result.stdout.splitlines()
    rows = {line.split()[0]: line.split() for line in lines if line.strip()}
    for artefact in ("table1", "table2", "table12", "rulers", "figure_rulers", "total"):
        assert artefact in rows
    assert rows["table2"][1] == "4"
    assert rows["total"][1] == "6"
    assert "GPU-hours" not in result.stdout
    assert any(line.startswith("- Assumed: classifier on digits") for line in lines)
    assert not list((tmp_path / "results" / "smoke").glob("runs/*"))
    (log,) = (tmp_path / "results" / "smoke").glob("only/*/logs/plan.log")
    assert log.stat().st_size > 1000


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["plan_cost.py", *map(str, arguments)])
    plan_cost.main()


def test_a_missing_folder_of_results_is_named(tmp_path, monkeypatch):
    file = tmp_path / "none" / "config.json"
    with pytest.raises(NoiselabError, match=r"cannot read .*none/config\.json"):
        call(monkeypatch, "--config", file, "--results", tmp_path)


def settings_of(folder, **changes):
    """Options for a folder of results with these settings of tier smoke."""
    (folder / "config.json").write_text(json.dumps(config.load(changes, tier="smoke")))
    return "--config", folder / "config.json", "--results", folder


def test_results_without_a_benchmark_are_named(tmp_path, monkeypatch):
    arguments = settings_of(tmp_path, only=["table2"])
    with pytest.raises(NoiselabError, match="no benchmark of a job of this plan"):
        call(monkeypatch, *arguments, "--out", "cost.csv")


def test_what_it_cost_is_written_beside_the_plan(tmp_path, monkeypatch):
    arguments = settings_of(tmp_path, only=["table2"])
    benchmark(tmp_path, "train/classifier/digits/clean-s0", 7.2)
    out = [tmp_path / f"cost.{suffix}" for suffix in ("csv", "md", "json")]
    call(monkeypatch, *arguments, "--out", *out)
    rows = pd.read_csv(out[0]).set_index("artefact")
    assert rows.index[0] == "published_floors"
    assert rows.index[-1] == "total"
    assert rows.loc["total", "actual_core_hours"] == pytest.approx(0.002)
    assert list(rows.loc[["table2", "total"], "trainings_missing"]) == [3, 3]
    assert "No benchmark of train/classifier/digits/uniform_label" in out[1].read_text()
    assert json.loads(out[2].read_text())["title"] == "Cost of tier smoke"


def test_answers_of_ones_own_have_their_benchmarks_apart_from_runs(tmp_path, monkeypatch):
    arguments = settings_of(tmp_path, only=["table2"], classifier={"epochs": 3}, name="mine")
    graph = graph_of("smoke", tmp_path, only=["table2"], classifier={"epochs": 3}, name="mine")
    training = named(graph.jobs, "train/classifier/digits/clean-s0")
    benchmark(tmp_path, training, 7.2)
    benchmark(tmp_path / "own" / "mine" / "only" / "table2", "tables/table2", 3.6)
    benchmark(tmp_path, "tables/table10", 36)  # of the tier
    assert measured.all_seconds(graph) == {training: 7.2, "tables/table2": 3.6}
    call(monkeypatch, *arguments, "--out", tmp_path / "cost.csv")
    total = pd.read_csv(tmp_path / "cost.csv").set_index("artefact").loc["total"]
    assert (total["jobs"], total["trainings_missing"]) == (2, 3)
    assert total["actual_core_hours"] == pytest.approx(0.003)


def test_a_name_of_ones_own_is_the_same_where_keys_are_sorted():
    settings = config.load({"seeds": [5], "only": ["table2", "table10"]}, tier="smoke")
    settings = config.validate(settings)
    again = json.loads(json.dumps(settings, sort_keys=True))
    folders = [project.plan(s, "results/smoke").graph.places.answers for s in (settings, again)]
    assert folders[0] == folders[1] != "results/smoke"
