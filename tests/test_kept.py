"""Runs go from one computer to another without their weights, and are not trained again."""

import json
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import commands
from noiselab.answers import kept
from noiselab.errors import NoiselabError
from project import Project

SCRIPTS = commands.ROOT / "workflow" / "scripts"
TIER = "config/studies/low_quality_data/tiers/smoke.yaml"
ONE = "table2: {datasets: [digits, glyphs-10], noise_ratios: [0, 1.0]}"
MADE, MORE = (
    ONE.replace(", glyphs-10", ""),
    ONE.replace(", glyphs-10", "").replace("0, ", "0, 0.5, "),
)
DATA = "results/smoke/data/digits/dataset.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A table that was made from its trainings."""
    project = Project(tmp_path_factory.mktemp("made") / "project")
    project.edit(TIER, ONE, MADE)
    project.make("table2")
    return project


@pytest.fixture(scope="module")
def archive(made):
    """What is kept of its runs."""
    (archive,) = kept.keep(made.results, made.folder / "kept")
    return archive


@pytest.fixture(scope="module")
def prepared(made, archive, tmp_path_factory):
    """The same project on a computer where only the data were prepared."""
    project = made.copy(tmp_path_factory.mktemp("prepared") / "project")
    shutil.rmtree(project.results)
    project.forget()
    project.make("datasets")
    return project


@pytest.fixture
def bare(prepared, tmp_path):
    """A copy of it, for a test to change."""
    return prepared.copy(tmp_path / "project")


def test_a_table_is_made_again_without_a_training(made, archive, bare):
    restored, other = kept.restore(archive, bare.results)
    assert restored
    assert not other
    assert not list(bare.results.rglob("*.safetensors"))
    jobs = bare.planned("table2")
    assert jobs["table2"] == jobs["collect_metrics"] == 1
    assert not jobs["train_classifier"]
    assert not jobs["evaluate_classifier"]
    bare.make("table2")
    table = "tables/table2.csv"
    assert (bare.results / table).read_bytes() == (made.results / table).read_bytes()
    assert not bare.planned("table2")


def test_a_plan_goes_on_with_what_is_new(archive, bare):
    kept.restore(archive, bare.results)
    bare.edit(TIER, MADE, MORE)
    before = dict(bare.planned("table2"))
    assert before["train_classifier"] == before["evaluate_classifier"] == 1
    bare.make("table2")
    assert not bare.planned("table2")


def test_settings_that_are_others_now_are_trained_again(archive, bare):
    archived = kept.restore(archive, bare.results)[0]
    tier = bare.folder / "config" / "tiers" / "smoke.yaml"
    tier.write_text(tier.read_text().replace("epochs: 2", "epochs: 3", 1), encoding="utf-8")
    assert bare.planned("table2")["train_classifier"] == len(archived)


def test_scores_of_earlier_code_stay_where_only_a_training_could_make_them_anew(
    made, archive, bare, tmp_path
):
    kept.restore(archive, bare.results)
    whole = made.copy(tmp_path / "whole")
    for project in (bare, whole):
        scoring = project.folder / "workflow/scripts/noiselab/measures/metrics.py"
        scoring.write_text(scoring.read_text() + "\nADDED = 1\n", encoding="utf-8")
    assert whole.planned("table2")["evaluate_classifier"]
    assert not whole.planned("table2")["train_classifier"]
    jobs = bare.planned("table2")
    assert jobs["table2"] == 1
    assert not jobs["train_classifier"]
    assert jobs["evaluate_classifier"] == 1  # the clean run, whose predictions are kept
    (scored,) = (bare.results / "records/evaluate").rglob("uniform_label*")
    told = scored.read_text()
    scored.unlink()  # nothing says what these scores were made from
    assert bare.planned("table2")["train_classifier"] == 1
    scored.write_text(told, encoding="utf-8")
    (scores,) = (bare.results / "runs").rglob("uniform_label*/metrics.json")
    scores.write_text(scores.read_text()[:-2], encoding="utf-8")  # cut off: that is another matter
    assert bare.planned("table2")["train_classifier"] == 1


def test_an_archive_grows_and_is_the_same_for_the_same_runs(made, archive, tmp_path):
    (again,) = kept.keep(made.results, tmp_path / "kept").items()
    with open(archive, "rb") as first, open(again[0], "rb") as second:
        assert first.read() == second.read()
    few = tmp_path / "few"
    run = next((made.results / "runs").rglob("metrics.json")).parent
    name = run.relative_to(made.results)
    shutil.copytree(run, few / name)
    assert kept.keep(few, tmp_path / "kept") == {again[0]: again[1]}


def test_large_predictions_are_left_out(made, tmp_path, monkeypatch):
    """As of thousands of test cases with a hundred classes each, in hundreds of runs."""
    (small,) = kept.keep(made.results, tmp_path / "small")
    monkeypatch.setattr(kept, "LARGEST_PREDICTIONS", 10)
    (large,) = kept.keep(made.results, tmp_path / "large")
    names = [set(zipfile.ZipFile(archive).namelist()) for archive in (small, large)]
    left_out = names[0] - names[1]
    assert names[1] < names[0]
    assert {name.rpartition("/")[2] for name in left_out} == {"predictions.npz"}


def test_runs_of_other_data_are_left_out(archive, bare):
    described = bare.folder / DATA
    described.write_text(json.dumps(json.loads(described.read_text()) | {"changed": 1}))
    restored, other = kept.restore(archive, bare.results)
    assert not restored
    assert other
    described.unlink()
    with pytest.raises(NoiselabError, match=r"first prepare the data.* -- datasets"):
        kept.restore(archive, bare.results)


def test_archives_of_other_data_do_not_keep_runs_from_being_restored(archive, bare, tmp_path):
    other, run = tmp_path / "a.zip", "runs/classifier/elsewhere/clean-s0"
    texts = {
        "run.json": {"data": "results/smoke/data/elsewhere"},
        "training.json": {"digests": {"data": ""}},
        "metrics.json": {},
    }
    with zipfile.ZipFile(other, "w") as file:
        for name, text in texts.items():
            file.writestr(f"{run}/{name}", json.dumps(text))
    command = [sys.executable, SCRIPTS / "restore_runs.py", "--results", bare.results]
    done = commands.run([*command, other, archive], check=True)
    assert f"{archive}: 2 runs restored" in done.stdout
    assert f"left out: {other}: there is no {bare.results}/data/elsewhere" in done.stdout
    assert commands.run([*command, other]).returncode == 1


def test_a_run_that_was_trained_here_stays(archive, bare):
    """Its weights are not those that the archive's scores are of."""
    (mine, *_) = (p for p in zipfile.ZipFile(archive).namelist() if p.endswith("/training.json"))
    weights = (bare.results / mine).with_name("weights.safetensors")
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"")
    restored, other = kept.restore(archive, bare.results)
    assert mine.rpartition("/")[0] in other
    assert restored
    assert list(weights.parent.iterdir()) == [weights]


def test_a_stopped_restore_is_taken_up(archive, bare, monkeypatch):
    whole, written = kept.whole_file, []

    def stopped(path):
        if len(written) == 6:
            raise KeyboardInterrupt
        written.append(path)
        return whole(path)

    monkeypatch.setattr(kept, "whole_file", stopped)
    with pytest.raises(KeyboardInterrupt):
        kept.restore(archive, bare.results)
    monkeypatch.undo()
    assert not list(bare.results.rglob("metrics.json"))
    assert len(list(bare.results.rglob("runs/**/*.*"))) > 1
    restored, other = kept.restore(archive, bare.results)
    assert len(restored) == 2
    assert not other


@pytest.mark.parametrize(
    "place",
    [
        "../runs/a/b/metrics.json",
        "runs/classifier/digits/../metrics.json",
        "/runs/classifier/digits/metrics.json",
        "runs/classifier/digits/clean-s0/weights.pt",
        "runs/..\\..\\x/y/z/metrics.json",
        "other/classifier/digits/clean-s0/metrics.json",
        "records/../../../x",
    ],
)
def test_an_archive_writes_nowhere_else(place, tmp_path):
    archive = tmp_path / "runs.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(place, b"{}")
    with pytest.raises(NoiselabError, match="is no file of a run"):
        kept.restore(archive, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_an_archive_that_could_not_be_restored_is_not_written(made, tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "LARGEST", 10_000)
    with pytest.raises(NoiselabError, match="more than 10,000"):
        kept.keep(made.results, tmp_path)
    assert not list(tmp_path.rglob("*.zip"))


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_archive_is_a_line(archive, tmp_path, seed):
    rng = np.random.default_rng(seed)
    content = bytearray(Path(archive).read_bytes())
    for place in rng.integers(0, len(content), 20):
        content[place] = rng.integers(256)
    (tmp_path / "runs.zip").write_bytes(content)
    with pytest.raises(NoiselabError):
        kept.restore(tmp_path / "runs.zip", tmp_path / "results")


def test_a_broken_archive_is_a_line(tmp_path):
    archive = tmp_path / "runs.zip"
    archive.write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(NoiselabError, match="no archive of runs"):
        kept.restore(archive, tmp_path / "results")
