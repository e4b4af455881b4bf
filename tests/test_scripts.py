"""The scripts as commands: stopped at any time, on two processes, with bad input."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import commands
from helpers import small_run
from noiselab.data import prepared
from noiselab.data.embedded import digits
from noiselab.files import write_json
from noiselab.planning import config, runs

SCRIPTS = Path(__file__).resolve().parents[1] / "workflow" / "scripts"
GATE = Path(__file__).resolve().parent / "gate"  # makes trainings last
SPEC = {"name": "digits", "kind": "digits", "classes": 10, "channels": 1, "size": 8}
SPEC |= {"train_size": 400, "test_size": 200}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A prepared data set and the run.json of a training of 400 steps on it."""
    folder = tmp_path_factory.mktemp("scripts")
    prepared.write(folder / "data", SPEC, *digits(SPEC))
    run = small_run(noise_ratio=1.0) | {"data": str(folder / "data")}
    run |= {"training": run["training"] | {"steps": 400, "schedule_steps": 400, "batch_size": 32}}
    run |= {"training": run["training"] | {"evaluate_every": 100}}
    write_json(folder / "run.json", run.content())
    return folder


TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone")
TORCHRUN += ("--nproc-per-node", "2", "--")


def command(folder, name, run="run.json", launcher=(sys.executable,), predictions=True):
    out = folder / name
    files = {
        "weights": "weights.safetensors",
        "history": "history.jsonl",
        "summary": "training.json",
    }
    if predictions:
        files["predictions"] = "predictions.npz"
    outputs = [part for key, file in files.items() for part in (f"--{key}", str(out / file))]
    return [
        *launcher,
        str(SCRIPTS / "train.py"),
        *("--run", str(folder / run), "--checkpoints", str(out / "checkpoints")),
        *outputs,
    ]


def train(folder, name, **options):
    commands.run(command(folder, name, **options), check=True)
    return load_file(folder / name / "weights.safetensors"), rows(folder / name)


def rows(out):
    lines = (out / "history.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if "loss" in row]


@pytest.fixture(scope="module")
def reference(folder):
    return train(folder, "reference")


def progress(folder) -> int:
    """Length of the history that the training so far has."""
    found = list((folder / "stopped" / "checkpoints").glob("*/history.jsonl"))
    return found[0].stat().st_size if found else 0


def test_stopped_at_random_times_equals_not_stopped(folder, reference):
    # On no machine does a training of 100 rows end meanwhile.
    environment = os.environ | {"PYTHONPATH": str(GATE), "NOISELAB_PACE": "0.2"}
    options = {"env": environment, "stderr": subprocess.DEVNULL}
    for _ in range(2):
        before = progress(folder)
        with commands.started(command(folder, "stopped"), **options) as process:
            while progress(folder) <= before:
                assert process.poll() is None
                time.sleep(0.02)
            time.sleep(random.uniform(0, 0.5))
            process.terminate()
            assert process.wait(commands.LIMIT) == 128 + signal.SIGTERM
    weights, history = train(folder, "stopped")
    assert all(torch.equal(weights[name], tensor) for name, tensor in reference[0].items())
    for ours, expected in zip(history, reference[1], strict=True):
        assert ours["loss"] == expected["loss"]
    assert not list((folder / "stopped" / "checkpoints").rglob("*.pt"))  # tidied up


def test_a_second_training_of_a_run_leaves_it_to_the_first(folder, reference):
    """As a second Snakemake without a lock would have it, or jobs that one killed left behind."""
    record = ("--record", str(folder / "beside" / "record"), "--digest", "of what it is made from")
    words = [*command(folder, "beside"), *record]
    environment = os.environ | {"PYTHONPATH": str(GATE), "NOISELAB_PACE": "0.02"}
    checkpoints = folder / "beside" / "checkpoints"
    with commands.started(words, env=environment) as first:
        while not list(checkpoints.glob("*/history.jsonl")):
            assert first.poll() is None
            time.sleep(0.02)
        second = commands.run(words, check=True)
        assert first.wait(commands.LIMIT) == 0
    assert "another process trains this" in second.stdout
    assert "another process has made this run" in second.stdout
    assert [row["loss"] for row in rows(folder / "beside")] == [row["loss"] for row in reference[1]]
    assert not list(checkpoints.iterdir())


def test_two_processes_equal_one(folder, reference):
    _, history = train(folder, "two", launcher=TORCHRUN)
    summary = json.loads((folder / "two" / "training.json").read_text())
    assert (summary["processes"], summary["threads"]) == (2, 1)  # torchrun gives each one
    # Noise is the same to the last label; losses agree until rounding has grown chaotically.
    for ours, expected in zip(history, reference[1], strict=True):
        assert ours["error_rate"] == expected["error_rate"]
    for ours, expected in zip(history[:10], reference[1][:10], strict=True):
        assert ours["loss"] == pytest.approx(expected["loss"], abs=1e-4)


BROKEN = {
    "no run file": ("missing.json", "cannot read"),
    "no data": ("nodata.json", "cannot read"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_bad_input_is_one_line_and_leaves_nothing(folder, case):
    file, message = BROKEN[case]
    run = json.loads((folder / "run.json").read_text())
    write_json(folder / "nodata.json", run | {"data": str(folder / "nothing")})
    result = commands.run(command(folder, "bad", run=file))
    assert result.returncode == 1
    assert result.stderr.startswith("noiselab: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert not (folder / "bad").exists()


def test_accumulated_steps_on_two_processes_equal_one_for_a_language_model(tmp_path):
    settings = config.load(tier="smoke")
    plan = runs.plan(settings, "r")
    run = plan.runs[plan.experiments["table7"][-1]] | {"data": str(tmp_path / "data")}
    (tmp_path / "data").mkdir()
    for split, length in (("train", 4000), ("validation", 500)):
        tokens = np.random.default_rng(0).integers(0, run["vocabulary"], length)
        np.save(tmp_path / "data" / f"{split}.npy", tokens.astype(np.uint16))
    write_json(tmp_path / "data" / "dataset.json", {"vocabulary": run["vocabulary"]})
    write_json(tmp_path / "one.json", run.content())
    accumulated = run | {"training": run["training"] | {"micro_batch_size": 2}}
    write_json(tmp_path / "two.json", accumulated.content())
    _, one = train(tmp_path, "one", run="one.json", predictions=False)
    _, two = train(tmp_path, "two", run="two.json", predictions=False, launcher=TORCHRUN)
    for ours, expected in zip(two, one, strict=True):
        assert ours["error_rate"] == expected["error_rate"]
        assert ours["loss"] == pytest.approx(expected["loss"], abs=1e-5)
