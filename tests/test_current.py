"""No call says that nothing is to be done over a result that is not what is planned now."""

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from noiselab import records
from noiselab.data import sources
from project import Project

TIER = "config/studies/low_quality_data/tiers/smoke.yaml"
RATIOS = "table2: {datasets: [digits, glyphs-10], noise_ratios: [0, 1.0]}"
TARGETS = ("table2", "published_floors", "figure3")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project in which some targets were made at tier smoke."""
    project = Project(tmp_path_factory.mktemp("made") / "project")
    project.edit(TIER, RATIOS, RATIOS.replace(", glyphs-10", ""))
    project.make(*TARGETS)
    return project


@pytest.fixture
def project(made, tmp_path):
    """The same, to be changed."""
    return made.copy(tmp_path / "project")


def ratios(project, table="tables/table2.csv"):
    return sorted(set(pd.read_csv(project.results / table)["noise_ratio"]))


@pytest.mark.parametrize("notes", [True, False], ids=["with notes", "without notes"])
def test_a_moved_and_newer_clone_has_nothing_to_do(project, notes):
    if not notes:
        project.forget()
    assert not project.planned(*TARGETS)


@pytest.mark.parametrize("notes", [True, False], ids=["with notes", "without notes"])
def test_other_ratios_make_the_table_again(project, notes):
    project.edit(TIER, "noise_ratios: [0, 1.0]}\n  table10", "noise_ratios: [0, 0.5]}\n  table10")
    if not notes:
        project.forget()
    jobs = project.planned("table2")
    assert jobs["table2"] == jobs["collect_metrics"] == jobs["train_classifier"] == 1
    project.make("table2")
    assert ratios(project) == [0, 0.5]
    assert not project.planned("table2")


def test_a_killed_evaluation_leaves_no_stale_table(project):
    """The settings change, the run is trained again, and its only evaluation is killed."""
    before = (project.results / "tables" / "table2.csv").read_text()
    project.edit(
        "config/tiers/smoke.yaml",
        "  epochs: 2\n  batch_size: 50\n  evaluations: 2",
        "  epochs: 3\n  batch_size: 50\n  evaluations: 2",
    )
    script = project.folder / "workflow" / "scripts" / "score.py"
    whole = script.read_text()
    script.write_text("import os\nos.kill(os.getpid(), 9)\n")
    assert project.make("table2", check=False).returncode
    script.write_text(whole)
    assert project.planned("table2")["table2"] == 1
    project.make("table2")
    assert (project.results / "tables" / "table2.csv").read_text() != before
    run = json.loads((project.results / "runs/classifier/digits/clean-s0/metrics.json").read_text())
    assert run["run"]["training"]["steps"] == 3 * 200 // 50


def test_a_file_changed_by_hand_is_no_result(project):
    """A run.json that says something else than the plan is written again."""
    path = project.results / "runs/classifier/digits/clean-s0/run.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 7'))
    os.utime(path, (0, 0))
    project.forget()
    assert project.planned("table2")["train_classifier"] == 1


@pytest.mark.parametrize("notes", [True, False], ids=["with notes", "without notes"])
@pytest.mark.parametrize(
    ("file", "rule"),
    [
        ("tables/table2.csv", "table2"),
        ("metrics/table2.csv", "collect_metrics"),
        ("runs/classifier/digits/clean-s0/history.jsonl", "train_classifier"),
        ("data/digits/train_x.npy", "prepare_images"),
        ("records/tables/table2", "table2"),
    ],
)
def test_a_file_that_was_cut_off_is_made_again(project, file, rule, notes):
    """As a crash of the machine may leave it: its time is as before."""
    path = project.results / file
    before = path.stat()
    os.truncate(path, before.st_size // 2 if "records" not in file else 5)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    if not notes:
        project.forget()
    assert project.planned("table2")[rule] >= 1


def test_scores_that_are_gone_are_made_again_and_weights_are_not(project):
    """Snakemake does without a file as long as all that is made from it is there. Weights may have
    been removed to save space."""
    folder = project.results / "runs" / "classifier" / "digits" / "clean-s0"
    (folder / "weights.safetensors").unlink()
    assert not project.planned(*TARGETS)
    (folder / "metrics.json").unlink()
    jobs = project.planned(*TARGETS)
    assert jobs["evaluate_classifier"] == 1
    assert jobs["train_classifier"] == 0
    project.make(*TARGETS)
    assert (folder / "metrics.json").exists()
    assert not project.planned(*TARGETS)


def test_files_of_the_future_hold_nothing_up(project):
    """Snakemake refuses what is older than the files that it is made from."""
    then = time.time() + 86_400
    for path in project.results.rglob("*"):
        os.utime(path, (then, then))
    assert not project.planned("table2")
    project.edit(TIER, "noise_ratios: [0, 1.0]}\n  table10", "noise_ratios: [0, 0.5]}\n  table10")
    project.make("table2")
    assert ratios(project) == [0, 0.5]
    assert not project.planned("table2")


def test_records_without_sizes_of_files_are_valid(project):
    """Earlier ones have none."""
    for path in (project.results / "records").rglob("*"):
        if path.is_file():
            path.write_text(path.read_text().splitlines()[0] + "\n")
    project.forget()
    assert not project.planned(*TARGETS)


def test_a_record_has_the_sizes_of_all_that_its_job_has_left(made):
    """Whether a shell writes it or a script that takes the shell's place, as a training does."""
    run = "runs/classifier/digits/clean-s0"
    trained = ("weights.safetensors", "history.jsonl", "training.json", "predictions.npz")
    left = {
        "tables/table2": [f"tables/table2.{suffix}" for suffix in ("csv", "json", "md", "tex")],
        "train/classifier/digits/clean-s0": [f"{run}/{name}" for name in trained],
    }
    for name, files in left.items():
        sizes = records.read(made.results / "records" / name)[1]
        for file in files:
            assert sizes[f"results/smoke/{file}"] == (made.results / file).stat().st_size


@pytest.mark.parametrize(
    ("file", "rules"),
    [
        ("workflow/scripts/noiselab/noise/corruptions/labels.py", {"table2", "published_floors"}),
        ("workflow/scripts/noiselab/noise/theory.py", {"published_floors", "information_loss"}),
        ("workflow/scripts/noiselab/answers/figures/drawing.py", {"figure3"}),
        ("config/studies/low_quality_data/published.yaml", {"table2", "published_floors"}),
    ],
)
def test_what_is_cheap_follows_its_code_and_its_numbers(project, file, rules):
    path = project.folder / file
    path.write_text(path.read_text() + "\n# another line\n")
    jobs = project.planned(*TARGETS)
    assert rules <= set(jobs)
    assert not {"train_classifier", "prepare_images"} & set(jobs)


# --------------------------------------------------------------------------- settings of one's own


def own(project, *config):
    return project.call("--config", "tier=smoke", *config, "--", "table2")


def test_settings_of_ones_own_leave_the_tiers_table_alone(project):
    before = (project.results / "tables" / "table2.csv").read_text()
    done = own(project, "experiments={table2: {noise_ratios: [0, 0.25]}}")
    assert "results/smoke/own/table2/" in done.stderr
    assert ratios(project, "own/table2/tables/table2.csv") == [0, 0.25]
    assert (project.results / "tables" / "table2.csv").read_text() == before
    assert not project.planned(*TARGETS)


def test_runs_that_are_the_same_are_shared_and_others_kept_apart(project):
    jobs = project.planned("table2", config=["experiments={table2: {noise_ratios: [0, 0.25]}}"])
    assert jobs["train_classifier"] == 1
    own(project, "classifier={epochs: 1}", "name=short")
    assert (project.results / "own" / "short" / "tables" / "table2.csv").is_file()
    run = project.results / "runs/classifier/digits/clean-s0/run.json"
    assert json.loads(run.read_text())["training"]["steps"] == 2 * 200 // 50
    assert not project.planned(*TARGETS)


def test_the_report_of_ones_own_experiment_shows_it_alone(project):
    project.call("--config", "tier=smoke", "experiments={table2: {noise_ratios: [0, 0.25]}}")
    report = (project.results / "own" / "table2" / "report.html").read_text()
    assert 'id="table2"' in report
    assert 'id="table10"' not in report
    assert not (project.results / "report.html").exists()


# ------------------------------------------------------------------------------- files of real data

SHAPES = """
datasets:
  shapes: {kind: image_files, stands_in_for: null, classes: 2, channels: 3, size: 12, resize: null,
           train_size: 8, test_size: 4, flip: false}
experiments:
  shapes_noise: {family: vision_transformer, datasets: [shapes], corruption: uniform_label,
                 resample: fixed, budget: fixed_clean, noise_ratios: [0], seeds: [0],
                 protocol: text}
"""


def picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def test_replaced_files_below_the_data_root_are_noticed(tmp_path):
    project = Project(tmp_path / "project")
    for split, count in (("train", 4), ("val", 2)):
        for kind in "ab":
            for i in range(count):
                picture(tmp_path / "data" / "shapes" / split / kind / f"{i}.bmp", i)
    (project.folder / "shapes.yaml").write_text(SHAPES)
    settings = ["--configfile", "shapes.yaml", "--config", "tier=smoke"]
    settings += [f"data={{root: {tmp_path / 'data'}}}", "vision_transformer={model: {patch: 6}}"]
    project.call(*settings, "--", "shapes_noise")
    first = tmp_path / "data" / "shapes" / "train" / "a" / "0.bmp"

    def stale(*options):
        done = project.call("-n", *options, *settings, "--", "shapes_noise")
        return "rule train_vision_transformer:" in done.stdout + done.stderr

    os.utime(first)
    assert not stale()  # the same content at another time
    assert not stale("--cores", "1")  # with other resources
    shutil.rmtree(project.folder / ".snakemake")
    picture(first, 99)  # as large as before
    assert stale()
    project.call(*settings, "--", "shapes_noise")
    assert not stale()


def test_a_link_to_nothing_is_no_file(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link").symlink_to(tmp_path / "gone")
    assert sources.listing(tmp_path, ["set"]) == {}


def test_many_files_are_compared_by_name_and_size(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MANY", 2)
    root, folder = tmp_path / "root", tmp_path / "prepared"
    folder.mkdir()
    for i in range(4):
        (root / "set").mkdir(parents=True, exist_ok=True)
        (root / "set" / f"{i}.txt").write_text("x" * i)
    sources.keep({"name": "set"}, root / "set", folder)
    kept = json.loads((folder / sources.FILE).read_text())
    assert not sources.differ(root, ["set"], kept)
    (root / "set" / "2.txt").write_text("longer")
    assert sources.differ(root, ["set"], kept)


@pytest.mark.parametrize("place", ["set", "tasks/set", "a/b/set"])
def test_files_of_a_folder_at_any_depth_are_kept_and_compared(tmp_path, monkeypatch, place):
    """A task's folder is one of a folder of tasks. Paths are relative to where a job works."""
    monkeypatch.chdir(tmp_path)
    root, spec = Path("root"), {"name": "mine", "source": place}
    (root / place).mkdir(parents=True)
    (root / place / "train.csv").write_text("a,b")
    (root / "other.csv").write_text("c")
    sources.keep(spec, root / place, tmp_path)
    kept = json.loads((tmp_path / sources.FILE).read_text())
    assert list(kept["files"]) == [f"{place}/train.csv"]
    assert not sources.differ(root, sources.folders(spec), kept)
    (root / place / "test.csv").write_text("d")
    assert sources.differ(root, sources.folders(spec), kept)
