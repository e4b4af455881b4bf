"""The campaign of faults: a short one, and whether it would see what it looks for."""

import random
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from campaign import faults, memory
from campaign import run as campaign_run
from campaign.run import Campaign, ended, sequence
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


# ----------------------------------------------------------------- a workflow of three small files

# Instead of Snakemake: each file is made by a process of its own if what is there is not right. The
# careless takes any file for right; the stubborn does nothing more where one is not.
TOY = """
import subprocess, sys
from pathlib import Path

manner, options = sys.argv[1], sys.argv[2:]
folder = Path("results/smoke")
files = {
    folder / "data" / "d.txt": "data of some length",
    folder / "runs" / "a" / "metrics.json": '{"nll": 1.5, "seconds": 3}',
    folder / "own" / "campaign" / "only" / "x" / "tables" / "t.csv": "a,b,c,d,e",
}

def right(path, text):
    return path.is_file() and (manner == "careless" or path.read_text() == text)

missing = [path for path, text in files.items() if not right(path, text)]
if "--dry-run" in options:
    print(*(f"rule {path.stem}:" for path in missing), sep=chr(10))
    sys.exit()
locks = Path(".snakemake/locks")
locks.mkdir(parents=True, exist_ok=True)
try:
    (locks / "0").touch(exist_ok=False)
except FileExistsError:
    sys.exit("the folder is locked")
try:
    for path, text in files.items():
        if not right(path, text):
            if manner == "stubborn" and path.is_file():
                sys.exit(1)
            path.parent.mkdir(parents=True, exist_ok=True)
            made = 'sleep 0.7; printf %s "$1" > "$2.tmp" && mv "$2.tmp" "$2"'
            subprocess.run(["sh", "-c", made, "sh", text, path], check=True)
finally:
    (locks / "0").unlink()
"""


class Toy(Workflow):
    """A folder in which the toy is called."""

    manner = "careful"

    def command(self, *options):
        return [sys.executable, "-S", "-c", TOY, self.manner, *options]


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A campaign in such a workflow, with short waits."""
    monkeypatch.setattr(campaign_run, "WAITS", (0.0, 0.3))
    monkeypatch.setattr(faults, "HELD", (0.1, 0.4))
    peace, workflow = (Toy(tmp_path / name, tmp_path / "tmp") for name in ("peace", "disturbed"))
    with ended(workflow):
        expected = campaign_run.in_peace(peace)
        yield Campaign(faults.Scene(workflow, random.Random(0)), expected, {})


def test_growth_is_that_of_one_process_after_its_start():
    def rows(pid, *sizes):
        return [{"process": "p", "pid": pid, "rss_mib": s, "descriptors": 7} for s in sizes]

    found = memory.growth(rows(1, 10, 200, 210, 204) + rows(2, 150, 160, 163))
    assert found["p: MiB, at most"] == 210
    assert found["p: MiB, growth at most"] == 3
    assert found["p: descriptors, growth at most"] == 0


def test_the_trend_is_that_of_the_longest_life_after_its_start():
    def rows(pid, name, *sizes):
        each = [{"process": name, "pid": pid, "second": 600 * i} for i in range(len(sizes))]
        return [
            r | {"rss_mib": s, "descriptors": s // 10} for r, s in zip(each, sizes, strict=True)
        ]

    looks = (
        rows(1, "p", 10, 20, 200, 210, 200, 900, 205, 207) + rows(2, "p", 1, 2) + rows(3, "q", 5)
    )
    q, p = memory.trends(looks)
    assert (q["process"], q["minutes"], p["process"], p["minutes"]) == ("q", 0, "p", 70)
    assert (p["mib_second_quarter"], p["mib_last_quarter"]) == (205, 206)
    assert (p["descriptors_second_quarter"], p["descriptors_last_quarter"]) == (21, 20)


def test_processes_of_a_folder_are_watched(tmp_path):
    """A training that holds some memory, and another process that is none."""
    script = tmp_path / "train.py"
    script.write_text("import time; kept = bytearray(30_000_000); time.sleep(60)")
    (tmp_path / "other.py").write_text(script.read_text())
    started = [
        subprocess.Popen([sys.executable, n], cwd=tmp_path) for n in ("train.py", "other.py")
    ]
    try:
        found = memory.watch(tmp_path, minutes=0.05, every=0.2)
    finally:
        for process in started:
            process.kill()
            process.wait(10)
    own = [row for row in found if row["process"] == "training"]
    assert {row["pid"] for row in own} == {started[0].pid}
    assert own[-1]["rss_mib"] > 28
    assert started[1].pid not in {row["pid"] for row in found}


# What the toy has nothing of: a server, notes.
KINDS = [kind for kind in faults.FAULTS if "server" not in kind and "note" not in kind]


def test_a_workflow_that_looks_at_its_files_survives_all_faults(toy, tmp_path):
    toy.out = tmp_path / "out"
    kinds = [kind for kind in KINDS if "read-only" not in kind or faults.obeys_modes(tmp_path)]
    toy.run(sequence(kinds, len(kinds), random.Random(0)))
    assert toy.wrong == []
    assert len(toy.log) > len(kinds) / 2  # the workflow may be faster than a fault
    assert {row["moment"] for row in toy.log} == {"running", "at rest"}
    counts = pd.read_csv(toy.out / "summary.csv").set_index("what")["count"]
    assert counts["faults"] == len(toy.log)
    assert counts["finished workflows compared"] == toy.checks > 1
    assert len(pd.read_csv(toy.out / "faults.csv")) == len(toy.log)


def test_a_workflow_that_does_not_look_is_found_out(toy):
    toy.workflow.manner = "careless"
    toy.run(["a truncated file of the same time"] * 3)
    assert any("differs" in text or "cannot be read" in text for text in toy.wrong)


def test_a_workflow_that_needs_help_is_found_out(toy):
    toy.workflow.manner = "stubborn"
    toy.run(["a truncated file"] * 3)
    assert any("stuck" in text for text in toy.wrong)
