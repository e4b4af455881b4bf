"""The workflow as its users call it: the whole smoke tier, reruns, planning, bad input."""

import html
import json
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from snakemake.profiles import ProfileConfigFileParser

import commands
from commands import run
from test_crate import faults

ROOT = Path(__file__).resolve().parents[1]


def snakemake(*arguments, cwd, check=True):
    files = ["--snakefile", ROOT / "Snakefile"]
    files += ["--workflow-profile", ROOT / "profiles" / "default"]
    return commands.snakemake(*files, *arguments, check=check, cwd=cwd)


def planned(*arguments, cwd):
    """Jobs that a dry run would execute: rule -> number."""
    text = snakemake("-n", *arguments, cwd=cwd)
    lines = re.findall(r"^(?:local)?rule (\w+):", text.stdout + text.stderr, re.MULTILINE)
    return Counter(lines)


SMOKE = ("--config", "tier=smoke")


@pytest.fixture(scope="module")
def folder(smoke, tmp_path_factory):
    """A folder in which the smoke tier has run from data to report."""
    folder = tmp_path_factory.mktemp("workflow") / "smoke"
    shutil.copytree(smoke.folder, folder, symlinks=True)
    return folder


@pytest.fixture(scope="module")
def results(folder):
    return folder / "results" / "smoke"


MEASURED = ["ours", "ci_low", "ci_high", "floor", "excess"]
TABLES = {"table2": MEASURED, "table10": MEASURED, "table13": MEASURED, "table7": MEASURED}
TABLES |= {"table1": ["ours"], "table12": ["ours"], "rulers": MEASURED}
TABLES |= {"table3": ["ours"], "table6": ["ours"], "table8": ["ours"], "scale": MEASURED}
TABLES |= {"batch_ablation": ["ours"], "batch_ablation_text": MEASURED}
TABLES |= {"table9": ["ours"], "context_ablation": MEASURED, "teacher": ["ours"]}
TABLES |= {"spectrum": ["ours", "floor", "excess"]}
TABLES |= {"table4": ["ours"], "table5": ["ours"], "table11": ["ours", "ci_low", "ci_high"]}


# Tables that the paper does not have, and that of another distance than its FID.
OWN_TABLES = {"context_ablation", "teacher", "rulers", "table12", "scale"}
OWN_TABLES |= {"batch_ablation", "batch_ablation_text"}


@pytest.mark.parametrize("table", TABLES)
def test_every_cell_of_every_table_comes_from_a_run(results, table):
    cells = pd.read_csv(results / "tables" / f"{table}.csv")
    assert cells[TABLES[table]].notna().all().all()
    assert cells["published"].notna().any() == (table not in OWN_TABLES)
    assert cells["reason"].isna().all()
    for suffix in ("md", "tex", "json"):
        assert (results / "tables" / f"{table}.{suffix}").stat().st_size > 300


def test_figure_and_report_are_there_and_need_no_network(results):
    for figure in (
        "figure_spectrum",
        "figure3",
        "figure4",
        "figure_rulers",
        "figure_samples",
        "figure_scale",
        "figure_batch",
        "figure_classifier",
        "figure1",
        "figure2",
        "figure_context",
    ):
        assert (results / "figures" / f"{figure}.png").stat().st_size > 10_000
        alt = json.loads((results / "figures" / f"{figure}.json").read_text())["alt"]
        for form in (".svg", "_narrow.svg"):
            svg = (results / "figures" / f"{figure}{form}").read_text(encoding="utf-8")
            assert html.escape(alt) in svg
        assert len(pd.read_csv(results / "figures" / f"{figure}.csv")) > 0
    for name in ("report", "workflow_report"):
        report = (results / f"{name}.html").read_text(encoding="utf-8")
        assert "How much does a model lose" in report
        assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"https?://", report)
    report = (results / "report.html").read_text(encoding="utf-8")
    shown = [*TABLES, *(path.stem for path in results.glob("figures/*.png"))]
    assert [name for name in shown if f'id="{name}"' not in report] == []
    assert "workflow_report.html" in report


def test_clean_runs_are_trained_once(results):
    runs = sorted(p.parent.name for p in results.glob("runs/classifier/digits/*/run.json"))
    assert [r for r in runs if re.fullmatch("clean-s\\d", r)] == ["clean-s0"]
    assert len(runs) == 3 + 2  # those of the audit: another schedule, another batch


def test_floors_are_computed_from_the_clean_runs(results):
    """By the definitions, from the files that the clean runs left."""
    runs, e = results / "runs", 0.5
    cells = pd.concat(pd.read_csv(results / "tables" / f"table{n}.csv") for n in (1, 2, 10))
    cells = cells[(cells["dataset"] == "digits") & (cells["noise_ratio"] == 1.0)]
    floors = cells.set_index(["metric", "corruption"])["floor"]
    labels = np.load(results / "data" / "digits" / "test_y.npy")
    p = np.load(runs / "classifier" / "digits" / "clean-s0" / "predictions.npz")["test"]
    wrong = {"uniform_label": (1 - p) / 9, "shift_label": np.roll(p, 1, axis=1)}
    for corruption, other in wrong.items():
        q = (1 - e) * p + e * other
        gap = np.diff(
            np.sort(p, axis=1)[:, -2:], axis=1
        )  # a thousandth of it is a tie, shared alike
        best = q >= q.max(1, keepdims=True) - 1e-3 * gap
        accuracy = 100 * np.mean(best[np.arange(len(labels)), labels] / best.sum(1))
        assert floors["accuracy", corruption] == pytest.approx(accuracy)
    decided = np.load(runs / "diffusion" / "digits" / "clean-s0" / "measured.npz")["decided"]
    a = np.mean(decided == np.arange(len(decided)) % 10)
    consistency = 100 * ((1 - e) * a + e * (1 - a) / 9)
    assert floors["consistency", "uniform_label"] == pytest.approx(consistency)


def test_claims_say_what_was_run(results):
    claims = json.loads((results / "claims.json").read_text())["claims"]
    assert len(claims) == 41
    closed = [claim for claim in claims if claim["name"].startswith("information")]
    assert [claim["verdict"] for claim in closed] == ["holds", "does not hold"]
    others = [claim for claim in claims if claim not in closed]
    assert {claim["verdict"] for claim in others} == {"not decidable here"}
    tests = [test for claim in others for test in claim["tests"]]
    assert {test["where"].split(", tier ")[1] for test in tests} == {"smoke, one training"}
    missing = {claim["name"] for claim in claims if not claim["tests"]}
    assert {"diffusion_collapses_more", "rich_conditions_protect"} <= missing
    assert (
        not {"diffusion_collapses", "training_accuracy_falls", "noisy_loss_is_steadier"} & missing
    )


def test_the_audit_compares_the_papers_text_with_its_code(results):
    table = pd.read_csv(results / "tables" / "audit.csv")
    assert set(table["number"]) == {1, 2, 6, 8, 12, 15, 16}
    assert list(table["reason"].dropna()) == ["not run: audit_pairs"]
    assert (table["effect"] - (table["released"] - table["text"])).abs().max() < 1e-9


def test_with_only_table_2_built_report_and_claims_say_what_is_missing(tmp_path):
    settings = (*SMOKE, "seeds=[0,1]", "name=two")
    snakemake("--cores", 2, *settings, "--", "table2", cwd=tmp_path)
    jobs = planned("--cores", 2, *settings, "only=built", "--", "all", "claims", cwd=tmp_path)
    assert not [rule for rule in jobs if rule.startswith("train")]
    snakemake("--cores", 2, *settings, "only=built", "--", "all", "claims", cwd=tmp_path)
    results = tmp_path / "results" / "smoke" / "own" / "two" / "only" / "built"
    claims = json.loads((results / "claims.json").read_text())["claims"]
    tested = {claim["name"]: claim["tests"] for claim in claims if claim["tests"]}
    closed = ["information_maximum", "information_falls_with_classes"]
    assert list(tested) == ["classifiers_decline", "classifiers_decline_cifar100", *closed]
    assert "2 seeds" in tested["classifiers_decline"][0]["where"]
    report = (results / "report.html").read_text(encoding="utf-8")
    assert "nothing that it rests on was run" in report
    for name in ("table1", "table7", "table9"):
        assert name in report  # among those not planned
    # Two seeds: means with t-intervals, and losses paired with the clean run of the same seed.
    cells = pd.read_csv(results / "tables" / "table2.csv").set_index(["dataset", "metric"])
    assert (cells["n_seeds"] == 2).all()
    assert set(cells["interval"]) == {"t_seeds"}
    metrics = pd.read_csv(results / "metrics" / "table2.csv")
    metrics = metrics[(metrics["dataset"] == "digits") & (metrics["metric"] == "accuracy")]
    by_seed = metrics.pivot_table(index="seed", columns="noise_ratio", values="value")
    drops = cells.loc[("digits", "accuracy_drop")].set_index("noise_ratio")["ours"]
    assert drops[1.0] == pytest.approx((by_seed[0.0] - by_seed[1.0]).mean())


def test_measured_error_rate_is_recorded(results):
    metrics = json.loads(next(results.glob("runs/*/digits/uniform*/metrics.json")).read_text())
    training = metrics["training"]
    assert training["measured_error_rate"] == pytest.approx(0.5, abs=0.08)
    assert training["revision"]


def test_logs_and_benchmarks_are_where_the_readme_says(results):
    assert list(results.glob("logs/train/classifier/digits/clean-s0.log"))
    assert list(results.glob("benchmarks/train/classifier/digits/clean-s0.tsv"))
    assert not list(results.glob("checkpoints/**/*.pt"))


def test_a_finished_tier_is_packed_into_one_archive(folder, results, tmp_path):
    snakemake("--cores", 2, *SMOKE, "--", "bundle", cwd=folder)
    with zipfile.ZipFile(results / "bundle.zip") as archive:
        archive.extractall(tmp_path)
    metadata = json.loads((tmp_path / "ro-crate-metadata.json").read_text())
    assert faults(metadata, tmp_path) == []
    assert faults(json.loads((results / "ro-crate-metadata.json").read_text()), results) == []
    run(["sha256sum", "--check", "--quiet", "sha256sums.txt"], check=True, cwd=tmp_path)
    assert not planned("--cores", 2, *SMOKE, "--", "bundle", cwd=folder)


def test_a_second_run_does_nothing(folder):
    assert not planned("--cores", 2, *SMOKE, cwd=folder)


def test_a_changed_setting_of_table_10_retrains_its_runs_only(folder):
    change = "experiments={table10: {training: {optimizer: {learning_rate: 0.05}}}}"
    text = snakemake("-n", "--cores", 2, *SMOKE, change, "--", "all", cwd=folder).stdout
    trained = re.findall(r"^rule train_classifier:(.*?)^\s*wildcards: run=(\S+)", text, re.M | re.S)
    runs = [run for _, run in trained]
    assert len(runs) == 4
    assert all(re.search(r"/(clean|shift_label).*-x[0-9a-f]{6}$", run) for run in runs)
    rules = planned("--cores", 2, *SMOKE, change, "--", "all", cwd=folder)
    assert rules["table10"] == 1
    assert rules["table2"] == rules["table13"] == rules["prepare_images"] == 0


def test_a_changed_recipe_retrains_every_run_of_the_family(folder):
    change = "classifier={epochs: 3}"
    assert planned("--cores", 2, *SMOKE, change, cwd=folder)["train_classifier"] == 8


def test_a_deleted_table_is_made_again_alone(folder, results):
    table = results / "tables" / "table2.csv"
    content = table.read_text()
    table.unlink()
    assert planned("--cores", 2, *SMOKE, "--", "table2", cwd=folder) == {"table2": 1}
    snakemake("--cores", 2, *SMOKE, "--", "table2", cwd=folder)
    assert table.read_text() == content


TARGETS = {
    "table2": "train_classifier",
    "table10": "train_classifier",
    "table13": "train_classifier",
    "figure_classifier": "train_classifier",
    "table3": "train_vision_transformer",
    "table6": "run_config",
    "table8": "train_vision_transformer",
    "scale": "train_vision_transformer",
    "figure_scale": "train_vision_transformer",
    "batch_ablation": "train_vision_transformer",
    "batch_ablation_text": "train_language_model",
    "figure_batch": "train_vision_transformer",
    "table1": "train_diffusion",
    "table12": "measure_training_set",
    "rulers": "measure_generated",
    "figure_rulers": "measure_generated",
    "figure_samples": "sample_images",
    "figure_spectrum": "train_language_model",
    "published_floors": "published_floors",
    "spectrum": "train_seq2seq",
    "claims": "loss_stability",
    "audit": "decode_teacher",
    "figure3": "figure3",
    "figure4": "gradient_projection",
    "figure1": "train_language_model",
    "table4": "gradients",
    "table5": "run_config",
    "table7": "train_language_model",
    "table11": "loss_stability",
    "table9": "decode_teacher",
    "figure2": "train_seq2seq",
    "context_ablation": "train_seq2seq",
    "figure_context": "train_seq2seq",
    "teacher": "decode_teacher",
    "report": "train_language_model",
}


def test_single_targets_have_names(folder):
    jobs = planned("--cores", 2, "--forceall", *SMOKE, "--", *TARGETS, cwd=folder)
    for target, needed in TARGETS.items():
        assert jobs[target] == 1
        assert jobs[needed] > 0


# ------------------------------------------------------------------------------ planning

GPU_RULES = {
    "train_classifier",
    "train_vision_transformer",
    "train_language_model",
    "evaluate_language_model",
    "gradients",
    "loss_stability",
    "train_seq2seq",
    "decode_teacher",
    "train_diffusion",
    "sample_images",
    "measure_generated",
    "measure_training_set",
}


def resources(text):
    """(rule, resources) of each job in a dry run."""
    blocks = re.split(r"\n(?=(?:local)?rule \w+:)", text)
    for block in blocks:
        rule = re.match(r"(?:local)?rule (\w+):", block)
        found = re.search(r"resources: (.*)", block)
        if rule and found:
            pairs = (part.split("=", 1) for part in found.group(1).split(", ") if "=" in part)
            yield rule.group(1), dict(pairs)


def test_the_paper_tier_is_planned_whole(tmp_path):
    overlay = ROOT / "config" / "tiers" / "paper.yaml"
    jobs = planned("--cores", 2, "--configfile", overlay, cwd=tmp_path)
    assert jobs["train_classifier"] == 27
    assert jobs["train_vision_transformer"] == 19
    assert jobs["download_image_files"] == 1  # for three subsets
    assert jobs["prepare_image_files"] == 3
    assert jobs["train_language_model"] == 9
    assert jobs["train_seq2seq"] == 18
    assert jobs["train_diffusion"] == jobs["sample_images"] == jobs["measure_generated"] == 10
    assert jobs["measure_training_set"] == 2
    assert jobs["download_inception"] == 1
    assert jobs["download_text"] == jobs["prepare_text"] == 1
    assert jobs["download_pairs"] == jobs["prepare_pairs"] == 2
    assert jobs["decode_teacher"] == 4  # one without begin and end symbols, one with a larger batch
    assert jobs["download_images"] == jobs["prepare_images"] == 2


def test_the_slurm_profile_plans_the_paper_tier_with_resources():
    text = snakemake("--profile", "slurm", "-n", cwd=ROOT).stdout
    jobs = list(resources(text))
    rules = Counter(rule for rule, _ in jobs)
    assert rules["train_classifier"] == 27
    assert set(rules) >= GPU_RULES
    for rule, asked in jobs:
        assert not {"slurm_partition", "slurm_account"} & set(asked)
        if rule in GPU_RULES:
            assert int(asked["gpu"]) >= 1
            assert asked["nodes"] == "1"
            assert int(asked["mem_mb"]) >= 8000
            assert int(asked["runtime"]) >= 60


def test_a_clusters_account_partition_and_settings_come_from_outside(tmp_path, monkeypatch):
    def profile():
        with open(ROOT / "slurm" / "config.yaml") as file:
            return ProfileConfigFileParser().parse(file)

    (tmp_path / "slurm").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("SBATCH_ACCOUNT", "SBATCH_PARTITION"):
        monkeypatch.delenv(name, raising=False)
    assert profile()["configfile"] == ["config/tiers/paper.yaml"]
    assert profile()["default-resources"] == ["mem_mb=4000", "runtime=30m"]
    monkeypatch.setenv("SBATCH_ACCOUNT", "12")
    monkeypatch.setenv("SBATCH_PARTITION", "max")  # not Python's
    (tmp_path / "slurm" / "local.yaml").touch()
    assert profile()["configfile"] == ["config/tiers/paper.yaml", "slurm/local.yaml"]
    asked = ["slurm_account='12'", "slurm_partition='max'"]
    assert profile()["default-resources"][2:] == asked


@pytest.mark.parametrize(("longest", "asked"), [("null", [30, 60, 90]), (40, [30, 40, 40])])
def test_retries_ask_for_more_time_up_to_the_longest(tmp_path, longest, asked):
    """A job that cannot succeed: its data set is broken."""
    folder = tmp_path / "data" / "cifar10"
    folder.mkdir(parents=True)
    (folder / "train-0.parquet").write_bytes(b"PAR1 and nothing more")
    settings = ["tier=smoke", f"data={{root: {tmp_path / 'data'}}}", f"max_runtime={longest}"]
    settings += ["experiments={table2: {datasets: [cifar10]}}"]
    settings += ["resources={prepare_images: {runtime: 30}}"]
    target = ("--retries", 2, "--", "results/smoke/data/cifar10/dataset.json")
    said = snakemake("--cores", 2, "--config", *settings, *target, cwd=tmp_path, check=False)
    assert said.returncode != 0
    runtimes = re.findall(r"resources: .*\bruntime=(\d+)", said.stdout + said.stderr)
    assert [int(runtime) for runtime in runtimes] == asked


# ------------------------------------------------------------------------------ bad input

BAD = [
    (["tier=huge"], "config key tier: no tier 'huge'"),
    (
        ["tier=smoke", "experiments={table2: {noise_ratios: [-0.1]}}"],
        "config key experiments.table2.noise_ratios[0]: -0.1 is less than the minimum",
    ),
    (["tier=smoke", "data={root: /no/such}"], "config key data.root: no folder /no/such"),
]


@pytest.mark.parametrize(("settings", "message"), BAD)
def test_bad_configuration_is_one_line_before_any_job(tmp_path, settings, message):
    result = snakemake("--cores", 2, "--config", *settings, cwd=tmp_path, check=False)
    assert result.returncode != 0
    errors = [line for line in (result.stdout + result.stderr).splitlines() if "noiselab:" in line]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "results").exists()


def test_a_truncated_file_of_a_local_data_set_is_named_and_leaves_nothing(tmp_path):
    folder = tmp_path / "data" / "cifar10"
    folder.mkdir(parents=True)
    (folder / "train-0.parquet").write_bytes(b"PAR1 and nothing more")
    settings = [f"data={{root: {tmp_path / 'data'}}}", "tier=smoke"]
    target = "results/smoke/data/cifar10/dataset.json"
    change = "experiments={table2: {datasets: [cifar10]}}"
    result = snakemake(
        "--cores", 2, "--config", *settings, change, "--", target, cwd=tmp_path, check=False
    )
    assert result.returncode != 0
    assert (
        f"noiselab: {folder / 'train-0.parquet'}: cannot be read" in result.stdout + result.stderr
    )
    assert not list((tmp_path / "results" / "smoke" / "data").rglob("*.npy"))
