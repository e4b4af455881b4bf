"""The campaign of faults: a short one, and whether it would see what it looks for."""

import random
import sys
from pathlib import Path

import pandas as pd
import pytest

from campaign import faults
from campaign.run import sequence
from campaign.workflow import Workflow, faults_of
from commands import run

SCRIPT = Path(__file__).parent / "campaign" / "run.py"
SHORT = ("SIGKILL of Snakemake alone", "a truncated file of the same time", "a read-only folder")


def test_a_short_campaign_ends_with_the_tables_of_a_workflow_in_peace(tmp_path):
    command = [sys.executable, SCRIPT, "--faults", 3, "--seed", 1, "--targets", "grokking"]
    done = run([*command, "--kinds", *SHORT, "--out", tmp_path], check=True)
    assert "nothing lost" in done.stdout
    log = pd.read_csv(tmp_path / "faults.csv")
    counts = pd.read_csv(tmp_path / "summary.csv").set_index("what")
    assert set(log["kind"]) <= set(SHORT)
    assert len(log) == counts.loc["faults", "count"] >= 2
    assert counts.loc["lost, stale or different", "count"] == 0
    assert counts.loc["finished workflows compared", "count"] >= 1
    memory = pd.read_csv(tmp_path / "memory.csv")
    assert (memory["rss_mib"] > 10).all()
    assert (memory["descriptors"] > 2).all()


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A workflow that seems finished, with its answers and measurements."""
    workflow = Workflow(tmp_path, tmp_path / "tmp")
    table = workflow.results / "own" / "campaign" / "only" / "x" / "tables" / "table2.csv"
    score = workflow.results / "runs" / "a" / "metrics.json"
    for path, text in ((table, "a,b\n1,2\n"), (score, '{"nll": 1, "seconds": 3}')):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    monkeypatch.setattr(workflow, "planned", list)
    return workflow, table, score


def test_what_is_lost_stale_or_different_is_seen(finished):
    workflow, table, score = finished
    expected = workflow.answers(), workflow.measured()
    assert faults_of(workflow, *expected) == []
    score.write_text('{"nll": 1, "seconds": 9}')  # another time of the same training
    assert faults_of(workflow, *expected) == []
    score.write_text('{"nll": 2, "seconds": 3}')
    table.unlink()
    workflow.planned = lambda: ["table2"]
    lost, different, stale = faults_of(workflow, *expected)
    assert (lost.split("/")[-1], different) == ("table2.csv differs", "runs/a/metrics.json differs")
    assert stale == "table2 is planned again"


def test_a_seed_gives_the_same_faults_of_all_kinds():
    kinds = list(faults.FAULTS)
    first, again, other = (sequence(kinds, 100, random.Random(seed)) for seed in (0, 0, 1))
    assert first == again != other
    assert len(first) == 100
    assert set(first) == set(kinds)


def test_damage_is_done_to_results_alone(finished):
    workflow, table, score = finished
    scene = faults.Scene(workflow, random.Random(0))
    log = workflow.results / "logs" / "a.log"
    log.parent.mkdir()
    log.write_text("kept")
    before = {path: path.stat() for path in (table, score)}
    while all(path.stat().st_size == before[path].st_size for path in before):
        assert faults.truncate_unseen(scene)
    assert {p: p.stat().st_mtime_ns for p in before} == {
        p: s.st_mtime_ns for p, s in before.items()
    }
    assert faults.ahead(scene)
    assert any(path.stat().st_mtime > before[path].st_mtime + 80_000 for path in [*before, log])
    while table.exists() or score.exists():
        assert faults.remove(scene)
    assert log.read_text() == "kept"
