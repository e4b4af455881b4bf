"""Some minutes of a device: the order of what is wanted, what fits, the stop, and the table."""

import importlib.util
import os
import sys
import time

import numpy as np
import pandas as pd
import pytest

from commands import run
from noiselab.errors import NoiselabError
from noiselab.planning import burst, config, runs
from noiselab.planning.burst import Slot
from noiselab.training import throughput
from project import ROOT, Project

SCRIPT = ROOT / "workflow" / "scripts" / "burst.py"


def script():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("burst_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plan(**experiments):
    return runs.plan(config.load({"experiments": experiments}, tier="smoke"), "r")


def test_a_seed_of_everything_comes_before_the_next():
    planned = plan(table2={"seeds": [1, 0]}, table10={"seeds": [0]})
    order = burst.wanted(planned, ["table10", "table2", "table99"])
    assert sorted(order) == sorted(
        {*planned.experiments["table2"], *planned.experiments["table10"]}
    )
    places = {run: place for place, run in enumerate(order)}
    by_noise = [
        f"classifier/digits/{kind}-r1.00-fixed_clean-s0"
        for kind in ("shift_label", "uniform_label")
    ]
    assert places[by_noise[0]] < places[by_noise[1]]
    second = {place for run, place in places.items() if planned.runs[run].seed == 1}
    assert min(second) > max(set(places.values()) - second)


def test_what_a_run_needs_comes_before_it():
    planned = plan()
    order = burst.wanted(planned, ["table1", "table9"])
    for place, name in enumerate(order):
        for parent in planned.runs[name].parents.values():
            assert parent == name or parent in order[:place]


def test_what_fits_takes_the_first_free_place():
    seconds = {"a": 4.0, "b": 3.0, "c": 3.0, "d": 9.0, "e": 2.0}
    slots = burst.schedule("abcde", seconds.__getitem__, at_once=2, limit=7.0)
    expected = [Slot("a", 0, 4), Slot("b", 0, 3), Slot("c", 3, 6), Slot("e", 4, 6)]
    assert slots == expected  # d is too long
    assert burst.schedule("abcde", seconds.__getitem__, 2, 0.0) == []


def test_a_run_waits_for_its_parents():
    """And is left out where one of them is."""
    parents = {"clean": [], "noisy": ["clean"], "other": []}.__getitem__
    seconds = {"clean": 50.0, "noisy": 40.0, "other": 30.0}.__getitem__
    runs = ["clean", "noisy", "other"]
    beside = [Slot("clean", 0, 50), Slot("other", 0, 30)]
    assert burst.schedule(runs, seconds, 2, 60.0, parents) == beside
    after = [Slot("clean", 0, 50), Slot("noisy", 50, 90), Slot("other", 0, 30)]
    assert burst.schedule(runs, seconds, 2, 90.0, parents) == after
    assert burst.schedule(runs, seconds, 1, 45.0, parents) == [Slot("other", 0, 30)]
    seconds = {"clean": 50.0, "noisy": 40.0, "other": 30.0, "second": 20.0}.__getitem__
    needed = {"clean": [], "noisy": ["clean"], "second": ["clean"], "other": []}.__getitem__
    full = burst.schedule(["clean", "noisy", "second", "other"], seconds, 2, 90.0, needed)
    # What is wanted less fills the time in which others wait.
    assert full == [*after[:2], Slot("second", 50, 70), Slot("other", 0, 30)]


@pytest.mark.parametrize("at_once", [1, 2, 3, 12])
def test_no_schedule_breaks_its_rules(at_once):
    """Families at random: parents end first, places are not shared, and the limit holds."""
    draw = np.random.default_rng(at_once)
    for _ in range(200):
        count = int(draw.integers(1, 12))
        length = draw.integers(1, 9, count).astype(float)
        above = {i: [p for p in range(i) if draw.random() < 0.3] for i in range(count)}
        limit = float(draw.integers(5, 30))
        slots = burst.schedule(range(count), length.__getitem__, at_once, limit, above.__getitem__)
        ends = {slot.run: slot.ends for slot in slots}
        for name, begins, end in slots:
            assert end == begins + length[name] <= limit
            assert all(ends[parent] <= begins for parent in above[name])
            assert sum(slot.begins <= begins < slot.ends for slot in slots) <= at_once
        if at_once >= count:  # nothing waits but for its parents
            longest: dict[int, float] = {}
            for name in range(count):
                longest[name] = length[name] + max((longest[p] for p in above[name]), default=0.0)
            assert ends == {name: end for name, end in longest.items() if end <= limit}


def test_parents_that_are_there_are_not_waited_for():
    planned = plan(table2={"seeds": [0]})
    noisy = planned.experiments["table2"][-1]
    clean = planned.runs[noisy].parents["clean"]
    assert burst.parents(planned, [clean, noisy])(noisy) == [clean]
    assert burst.parents(planned, [noisy])(noisy) == []
    assert burst.parents(planned, [clean, noisy])(clean) == []


def test_a_training_that_is_stopped_can_save_before_it_ends(tmp_path):
    """And what does not end is killed."""
    module = script()
    saves = "import signal, sys, time, pathlib\n"
    saves += "def save(*_):\n    pathlib.Path(sys.argv[1]).write_text('saved'); sys.exit()\n"
    saves += "signal.signal(signal.SIGTERM, save)\n"
    saves += "pathlib.Path(sys.argv[1] + '.ready').touch()\ntime.sleep(600)\n"
    marker = tmp_path / "state"
    process = module.subprocess.Popen(
        [sys.executable, "-c", saves, str(marker)], start_new_session=True
    )
    begun = time.monotonic()
    while not marker.with_name("state.ready").exists():
        assert time.monotonic() - begun < 60
        time.sleep(0.05)
    module._stop(process)
    assert marker.read_text() == "saved"
    assert process.returncode is not None


def test_a_child_may_save_though_its_parent_has_ended(tmp_path):
    """Snakemake ends at once, its trainings when their checkpoints are written."""
    module, marker = script(), tmp_path / "state"
    saves = "import pathlib, signal, sys, time\n"
    saves += "def save(*_):\n    time.sleep(1); pathlib.Path(sys.argv[1]).write_text('saved')\n"
    saves += "    sys.exit()\n"
    saves += "signal.signal(signal.SIGTERM, save)\n"
    saves += "pathlib.Path(sys.argv[1] + '.ready').touch()\ntime.sleep(600)\n"
    parent = "import subprocess, sys, time\n"
    parent += "subprocess.Popen([sys.executable, '-c', *sys.argv[1:]])\ntime.sleep(600)\n"
    command = [sys.executable, "-c", parent, saves, str(marker)]
    process = module.subprocess.Popen(command, start_new_session=True)
    begun = time.monotonic()
    while not marker.with_name("state.ready").exists():
        assert time.monotonic() - begun < 60
        time.sleep(0.05)
    module._stop(process)
    assert marker.read_text() == "saved"


def test_what_does_not_end_is_killed(tmp_path):
    module = script()
    module.STOPPING = 1
    deaf = "import signal, time, sys, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    deaf += "pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
    command = [sys.executable, "-c", deaf, str(tmp_path / "ready")]
    process = module.subprocess.Popen(command, start_new_session=True)
    begun = time.monotonic()
    while not (tmp_path / "ready").exists():
        assert time.monotonic() - begun < 60
        time.sleep(0.05)
    module._stop(process)
    assert process.returncode == -9


TOY = """
burst: {minutes: 8, at_once: 2, order: [table2], peak_flops: 1.0e+12}
experiments:
  table2: {datasets: [digits], seeds: [0, 1]}
"""


def test_burst_measures_trains_and_writes_its_table(tmp_path):
    project = Project(tmp_path)
    (tmp_path / "toy.yaml").write_text(TOY)
    command = [sys.executable, "workflow/scripts/burst.py", "--tier", "smoke"]
    command += ["--configfile", "toy.yaml", "--measuring", "0.1"]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    first = run(command, cwd=project.folder, env=environment, check=True).stdout
    assert "Measured, 2 trainings at once:" in first
    assert "classifier resnet on digits" in first
    assert "table2: 0 there, 4 fit, 4 wanted" in first
    assert "4 of 4 trainings" in first
    table = pd.read_csv(tmp_path / "results/smoke/burst/all.csv")
    assert set(table["n_seeds"]) == {2}
    again = run(command, cwd=project.folder, env=environment, check=True).stdout
    assert "Measured" not in again  # nothing is left to do
    assert "4 of 4 trainings" in again
    none = run([*command, "--minutes", "0.1"], cwd=project.folder, env=environment, check=True)
    assert "4 of 4 trainings" in none.stdout


def test_a_tier_without_a_burst_is_refused(monkeypatch):
    module = script()
    monkeypatch.setattr(sys, "argv", ["burst.py", "--tier", "smoke"])
    with pytest.raises(NoiselabError, match="config key burst: missing"):
        module.main()


def test_a_process_that_fails_ends_the_measurement(tmp_path):
    """Its data are not there; nobody waits for it."""
    planned = plan()
    run_there = planned.runs["classifier/digits/clean-s0"] | {"data": str(tmp_path)}
    assert throughput.together([run_there], 2, 0.1) == [0.0]
