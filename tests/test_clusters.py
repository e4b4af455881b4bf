"""Jobs on PBS, LSF and SGE, whose commands stand-ins have: processes of this computer."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import standin
from commands import run, started
from noiselab.errors import NoiselabError
from noiselab.planning import clusters
from noiselab.planning.schedulers import SCHEDULERS, Asked

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 600  # seconds; a loaded machine is slow
PROPERTIES = {"rule": "train", "threads": 1, "resources": {"mem_mb": 100, "runtime": 5}}


def until(condition, what: str):
    """Wait for a true value of `condition` and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"no {what} within {PATIENCE} s"
        time.sleep(0.2)
    return value


@pytest.fixture(params=list(SCHEDULERS))
def cluster(request, tmp_path, monkeypatch):
    """The folder of a scheduler, which is called like it, and an empty one to work in."""
    folder, work = tmp_path / request.param, tmp_path / "work"
    work.mkdir()
    monkeypatch.setenv("PATH", str(standin.install(folder, request.param)), prepend=os.pathsep)
    monkeypatch.chdir(work)
    monkeypatch.setattr(clusters, "ASK", 0)
    yield folder
    for job in standin.jobs(folder).values():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job["pid"], signal.SIGKILL)


def submitted(cluster: Path, body: str) -> str:
    """A script in the form of Snakemake's is submitted; number@name."""
    script = Path("job.sh")
    script.write_text(f"#!/bin/sh\n# properties = {json.dumps(PROPERTIES)}\n{body}\n")
    return clusters.submit(cluster.name, str(script))


def ended(job: str) -> str:
    """How a job has ended."""
    return until(lambda: (s := clusters.status(job)) != clusters.RUNNING and s, "end")


def files() -> set[str]:
    return {path.suffix for path in clusters.FOLDER.iterdir()}


# ------------------------------------------------------------------------------------ one job


def test_a_job_that_ends_well_leaves_no_file(cluster):
    job = submitted(cluster, 'echo "$NOISELAB_CLUSTER" > made && exit 0 || exit 1')
    assert ended(job) == clusters.SUCCESS
    assert Path("made").read_text() == f"{cluster.name}\n"
    assert files() == set()


def test_a_job_that_fails_leaves_its_log(cluster):
    job = submitted(cluster, "echo it broke >&2; false && exit 0 || exit 1")
    assert ended(job) == clusters.FAILED
    assert [path.read_text() for path in clusters.FOLDER.iterdir()] == ["it broke\n"]


def test_a_job_that_was_killed_is_lost_after_the_second_look(cluster):
    job = submitted(cluster, "sleep 3000")
    assert clusters.status(job) == clusters.RUNNING
    (process,) = standin.jobs(cluster).values()
    standin.end(process, signal.SIGKILL)
    assert [clusters.status(job) for _ in range(2)] == [clusters.RUNNING, clusters.FAILED]


def test_a_scheduler_that_does_not_answer_says_nothing_of_its_jobs(cluster):
    job = submitted(cluster, "sleep 3000")
    (cluster / "down").touch()
    assert {clusters.status(job) for _ in range(4)} == {clusters.RUNNING}
    with pytest.raises(NoiselabError, match="cannot connect to server"):
        submitted(cluster, "true")


def test_a_running_job_is_asked_for_once_a_while(cluster, monkeypatch):
    monkeypatch.setattr(clusters, "ASK", 3600)
    job = submitted(cluster, "sleep 3000")
    (process,) = standin.jobs(cluster).values()
    standin.end(process, signal.SIGKILL)
    assert {clusters.status(job) for _ in range(4)} == {clusters.RUNNING}


def test_cancelled_jobs_end_and_others_go_on(cluster):
    names = [submitted(cluster, "sleep 3000") for _ in range(3)]
    clusters.cancel([*names[:2], "99@unknown"])
    assert [standin.alive(job) for job in standin.jobs(cluster).values()] == [False, False, True]


def test_a_signal_to_all_of_a_job_leaves_time_for_a_checkpoint(cluster):
    save = (
        'trap "sleep 1; echo saved > saved; exit 7" TERM; touch ready; while :; do sleep 0.1; done'
    )
    job = submitted(cluster, f"sh -c '{save}' && exit 0 || exit 1")
    until(Path("ready").exists, "start")
    clusters.cancel([job])
    assert Path("saved").exists()
    assert ended(job) == clusters.FAILED


def test_jobs_of_a_killed_snakemake_are_ended(cluster):
    submitted(cluster, "sleep 3000")
    done = submitted(cluster, "true && exit 0 || exit 1")
    name = done.partition("@")[2]
    until((clusters.FOLDER / f"{name}.code").exists, "end")
    assert clusters.end_jobs() == 1
    assert not any(map(standin.alive, standin.jobs(cluster).values()))
    assert files() == {".log"}
    assert clusters.end_jobs() == 0


def test_jobs_that_do_not_end_are_named(cluster, monkeypatch):
    submitted(cluster, "sleep 3000")
    (cluster / "down").touch()
    monkeypatch.setattr(clusters, "PATIENCE", 0)
    with pytest.raises(NoiselabError, match=r"do not end: \['train-"):
        clusters.end_jobs()


# ----------------------------------------------------------------------- what is asked and said

LARGE = Asked("train_language_model", threads=4, gpu=2, mem_mb=16000, runtime=90)
SMALL = Asked("score", threads=1, gpu=0, mem_mb=2000, runtime=5)


@pytest.mark.parametrize(
    ("scheduler", "asked", "options"),
    [
        ("pbs", LARGE, ["-l select=1:ncpus=4:mem=16000mb:ngpus=2", "-l walltime=1:30:00"]),
        ("pbs", LARGE, ["-N train_language_"]),  # older ones take no more than 15 characters
        ("pbs", SMALL, ["-l select=1:ncpus=1:mem=2000mb -l walltime=0:05:00"]),
        ("lsf", LARGE, ["-n 4", "-W 90", "-M 16000MB", "-R rusage[mem=16000MB]", "-gpu num=2"]),
        ("sge", LARGE, ["-l h_rt=1:30:00", "-l mem_free=4000M", "-pe smp 4", "-l gpu=2"]),
    ],
)
def test_resources_have_the_names_of_the_scheduler(scheduler, asked, options):
    words = " ".join(SCHEDULERS[scheduler].submit(asked))
    assert [option for option in options if f"{option} " not in f"{words} "] == []


def test_nothing_is_asked_for_gpus_and_slots_where_there_is_one_core():
    assert "-gpu" not in SCHEDULERS["lsf"].submit(SMALL)
    assert not {"-pe", "gpu=0"} & set(SCHEDULERS["sge"].submit(SMALL))


def test_names_of_a_site_and_more_options_come_from_outside(cluster, monkeypatch):
    monkeypatch.setenv("NOISELAB_SGE_SLOTS", "orte")
    monkeypatch.setenv("NOISELAB_SUBMIT", "-q 'my queue'")
    assert "-pe orte 4" in " ".join(SCHEDULERS["sge"].submit(LARGE))
    submitted(cluster, "true")
    (job,) = standin.jobs(cluster).values()
    assert job["words"][-2:] == ["-q", "my queue"]


def test_a_group_of_jobs_has_a_name(tmp_path):
    said = {"groupid": "a-b", "threads": 2, "resources": {"mem_mb": 7, "runtime": 61, "gpu": 1}}
    asked = Asked.read(f"#!/bin/sh\n# properties = {json.dumps(said)}\ncd x\n")
    assert asked == Asked("groupa_b", 2, 1, 7, 61)
    assert asked.clock == "1:01:00"


SGE = "job-ID prior name user state\n------\n  7 0.5 train me {} 01/01/2026 00:00:00 all.q 1\n"


@pytest.mark.parametrize(
    ("scheduler", "code", "text", "there"),
    [
        ("pbs", 0, "Job Id: 7.s\n    job_state = Q\n", True),
        ("pbs", 0, "Job Id: 7.s\n    job_state = C\n", False),
        ("pbs", 153, "qstat: Unknown Job Id 7.s", False),
        ("pbs", 35, "qstat: 7.s Job has finished, use -x or -H to obtain history", False),
        ("pbs", 1, "qstat: cannot connect to server", None),
        ("lsf", 0, "PEND\n", True),
        ("lsf", 0, "UNKWN\n", True),
        ("lsf", 0, "DONE\n", False),
        ("lsf", 255, "Job <7> is not found", False),
        ("lsf", 255, "LSF is down. Please wait ...", None),
        ("sge", 0, SGE.format("qw"), True),
        ("sge", 0, SGE.format("Eqw"), False),
        ("sge", 0, SGE.format("r").replace("  7", " 17"), False),
        ("sge", 0, "", False),
        ("sge", 1, "error: commlib error: got select error", None),
    ],
)
def test_answers_are_understood(scheduler, code, text, there):
    assert SCHEDULERS[scheduler].there(code, text, "7") is there


def test_a_status_that_cannot_be_had_ends_no_workflow(tmp_path):
    folder = tmp_path / ".snakemake" / "cluster"
    folder.mkdir(parents=True)
    (folder / "train-1.json").write_text("half of a fi")
    command = [sys.executable, ROOT / "workflow" / "scripts" / "cluster.py", "status", "7@train-1"]
    done = run(command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "running\n")
    assert "train-1" in done.stderr


# -------------------------------------------------------------------------- through Snakemake

WHOLE, BROKEN = (f"results/smoke/data/{name}/dataset.json" for name in ("digits", "cifar10"))


def command(cluster: Path, *targets: str) -> list:
    """Snakemake with the profile of a cluster: the preparation of data sets, seconds each."""
    place = Path.cwd() / "data" / "cifar10"
    place.mkdir(parents=True, exist_ok=True)
    (place / "train-0.parquet").write_bytes(b"PAR1 and nothing more")
    overlay = {"tier": "smoke", "data": {"root": "data"}}
    overlay["experiments"] = {"table2": {"datasets": ["digits", "cifar10"]}}
    Path("own.json").write_text(json.dumps(overlay))
    words = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--profile"]
    words += [ROOT / "profiles" / cluster.name, "--configfile", "own.json", "--retries", 0]
    words += ["--seconds-between-status-checks", 1, "--latency-wait", 60]
    return [*words, "--", *targets]


@pytest.mark.parametrize("cluster", list(SCHEDULERS), indirect=True)
def test_snakemake_goes_on_where_one_of_two_jobs_fails(cluster):
    done = run(command(cluster, WHOLE, BROKEN))
    assert done.returncode == 1, done.stdout + done.stderr
    assert Path(WHOLE).is_file()
    assert not Path(BROKEN).exists()
    assert "Error in rule prepare_images" in done.stderr
    words = [" ".join(job["words"]) for job in standin.jobs(cluster).values()]
    assert len(words) == 2
    assert all("prepare_images" in line for line in words)
    (log,) = clusters.FOLDER.glob("*.log")
    assert "cifar10" in log.read_text()


@pytest.mark.parametrize("cluster", ["lsf"], indirect=True)
def test_jobs_end_with_a_snakemake_that_is_interrupted_and_are_done_by_the_next(cluster):
    (cluster / "hold").touch()
    files = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    free = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    with started(command(cluster, WHOLE), preexec_fn=free, **files) as snakemake:
        (job,) = until(lambda: standin.jobs(cluster).values(), "job")
        until(lambda: list(clusters.FOLDER.glob("*.json")), "note of the job")
        assert standin.alive(job)
        time.sleep(2)  # Snakemake has to read the number
        snakemake.send_signal(signal.SIGINT)
        assert snakemake.wait(PATIENCE) == 1
        until(lambda: not standin.alive(job), "end of the job")
    (cluster / "hold").unlink()
    run(command(cluster, WHOLE), check=True)
    assert Path(WHOLE).is_file()
    assert list(clusters.FOLDER.glob("*.json")) == []
