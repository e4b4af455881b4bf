"""Faults on a Slurm cluster: a training goes on, to the results of an undisturbed one.

make test-slurm
"""

import contextlib
import os
import re
import signal
import time
import warnings

import pytest
from harness import ONE_GPU, PATIENCE, active, jobs, planned_runs, set_nodes, slurm, until

from commands import run
from measured_results import differences, results

# A fixture runs whole workflows, and counts to the first test that asks for it.
pytestmark = pytest.mark.timeout(3600 * PATIENCE)

# A checkpoint is due every 0.6 s: when a training has two, it waits at its gate for its fault.
LONG = {"epochs": 100, "checkpoint_minutes": 0.01}
SEEDS = {"scancel": 0, "sigkill": 1, "truncated": 2, "requeue": 3, "full": 4, "drain": 5, "down": 6}
DISTURBED = {
    "only": ["table2", "figure1_runs"],
    "experiments": {
        "table2": {"datasets": ["digits"], "noise_ratios": [0], "seeds": list(SEEDS.values())},
        "figure1_runs": {"noise_ratios": [0], "batch_multiplier": {}},
    },
    "classifier": LONG,
    "language_model": {"steps": 1000, "checkpoint_minutes": 0.01},
    "resources": ONE_GPU | {"train_language_model": {"gpu": 1, "runtime": 1}},
}
NAMES = {fault: f"classifier/digits/clean-s{seed}" for fault, seed in SEEDS.items()}
NAMES["timeout"] = "language_model/docstrings/clean-s0"
RUNS = dict(zip(NAMES, planned_runs(DISTURBED, list(NAMES.values())), strict=True))
WEIGHTS = {fault: f"results/smoke/runs/{run}/weights.safetensors" for fault, run in RUNS.items()}


@pytest.fixture(scope="module")
def undisturbed(workflow):
    """The same trainings on this machine, one after the other and in peace."""
    here = workflow("undisturbed", DISTURBED)
    here.run(*WEIGHTS.values(), slurm=False)
    return here


def cancel(disturbed, run):
    """The job ends when the training has ended, which writes a checkpoint first."""
    job, trainings = disturbed.job(run), disturbed.held(run)
    slurm("scancel", job["JobId"])
    until(lambda: not active(jobs(disturbed.folder)[job["JobId"]]), 60, "end of the job")
    assert not set(trainings) & set(disturbed.training(run))


def kill_training(disturbed, run):
    trainings = disturbed.held(run)
    for process in trainings:
        os.kill(process, signal.SIGKILL)
    disturbed.wait_for_end(run, trainings, 20)


def kill_and_truncate(disturbed, run):
    kill_training(disturbed, run)
    newest = disturbed.checkpoints(run)[0]
    os.truncate(newest, newest.stat().st_size // 2)


def requeue(disturbed, run):
    trainings = disturbed.held(run)
    slurm("scontrol", "requeue", disturbed.job(run)["JobId"])
    disturbed.wait_for_end(run, trainings, 60)


@contextlib.contextmanager
def full_disk(disturbed, run):
    """The file system of a run's checkpoints is full."""
    filler = disturbed.results / "checkpoints" / run / "filler"
    with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    yield
    filler.unlink()


def fill_disk(disturbed, run):
    """Fill the file system of the checkpoints until the training has failed for it."""
    trainings = disturbed.held(run)
    with full_disk(disturbed, run):
        disturbed.open_gate(run)
        disturbed.wait_for_end(run, trainings, 120)


def hang(workflow, run):
    """A training does nothing more until Slurm ends it, for its time limit or a scancel."""
    for process in workflow.held(run):
        os.kill(process, signal.SIGSTOP)
    workflow.open_gate(run)


FAULTS = {"scancel": cancel, "sigkill": kill_training, "truncated": kill_and_truncate}
FAULTS |= {"requeue": requeue, "full": fill_disk}


@pytest.fixture(scope="module")
def disturbed(workflow, undisturbed):
    """After a run through Slurm in which each training had its own fault: when it had two
    checkpoints, at which its gate has held it. `steps`: those of the newest of them."""
    disturbed = workflow("disturbed", DISTURBED)
    disturbed.steps, disturbed.numbers = {}, {}
    with mounted(disturbed.results / "checkpoints" / RUNS["full"]) as disturbed.mounted:
        faults = dict(FAULTS)
        if not disturbed.mounted:
            del faults["full"]
        for fault in faults:
            disturbed.close_gate(RUNS[fault])
        disturbed.start(*(WEIGHTS[fault] for fault in FAULTS))
        end = time.monotonic() + 1200 * PATIENCE
        while faults and not disturbed.ended() and time.monotonic() < end:
            for fault in [fault for fault in faults if disturbed.held(RUNS[fault])]:
                meet(disturbed, fault, faults.pop(fault))
            time.sleep(0.2)
        assert not faults, disturbed.log()[-6000:]
        disturbed.finish(1200)
        yield disturbed


def meet(disturbed, fault, inflict):
    """A training that is held has its fault; the next attempt is not held."""
    run = RUNS[fault]
    disturbed.numbers[fault] = disturbed.job(run)["JobId"]
    disturbed.steps[fault] = [int(path.name.split("-")[1]) for path in disturbed.checkpoints(run)]
    inflict(disturbed, run)
    with contextlib.suppress(FileNotFoundError):  # a fault may have opened it itself
        disturbed.open_gate(run)


@contextlib.contextmanager
def mounted(folder):
    """A folder becomes a small file system of its own; yields whether that is allowed here."""
    folder.mkdir(parents=True)
    done = run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]).returncode == 0
    try:
        yield done
    finally:
        if done:
            run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_training_survives(disturbed, undisturbed, fault):
    """It goes on from its checkpoint and ends with the weights of an undisturbed one."""
    if fault == "full" and not disturbed.mounted:
        pytest.skip("no file system can be mounted here")
    run = RUNS[fault]
    newest, oldest = disturbed.steps[fault]
    went_on(disturbed, undisturbed, run, oldest if fault == "truncated" else newest)


def went_on(disturbed, undisturbed, run, step):
    """A training has gone on from `step` at least, to the results of an undisturbed one."""
    assert disturbed.resumed_at(run) >= step
    ours, theirs = (
        {name: value for name, value in results(one.results).items() if run in name}
        for one in (disturbed, undisturbed)
    )
    assert differences(ours, theirs) == []
    assert any(name.endswith("weights.safetensors") for name in ours)


def accounted(number: str, column: str) -> list[str]:
    """What the accounting says of a job, once for each time it was started."""
    options = ["--duplicates", "--allocations", "--noheader", "--parsable2", f"--format={column}"]
    return slurm("sacct", *options, "--jobs", number).splitlines()


def states(number: str) -> list[str]:
    return [state.split()[0] for state in accounted(number, "State")]


def started_again(workflow, fault, seen) -> None:
    """Slurm has noticed the fault and started the same job again, in states `seen`."""
    assert seen[0] == fault
    assert len(seen) > 1
    if seen[1:] != ["COMPLETED"]:  # then by a retry of Snakemake's
        warnings.warn(f"{seen}\n{workflow.log()[-6000:]}", stacklevel=2)


def test_slurm_has_seen_each_fault(disturbed):
    seen = {fault: states(number) for fault, number in disturbed.numbers.items()}
    assert seen["scancel"] == ["CANCELLED"], seen
    assert seen["sigkill"] == seen["truncated"] == ["FAILED"], seen
    started_again(disturbed, "REQUEUED", seen["requeue"])


def test_a_full_disk_and_a_damaged_checkpoint_are_named(disturbed):
    if disturbed.mounted:
        # Whichever it comes to first, both are in the same folder.
        message = (
            r"noiselab: cannot write .*(step-\d+-\w+\.pt|history\.jsonl): .*No space left on device"
        )
        assert re.search(message, disturbed.log())
    assert "damaged checkpoint, trying the one before" in disturbed.training_log(RUNS["truncated"])


def test_no_checkpoint_is_left(disturbed):
    assert not list(disturbed.results.glob("checkpoints/**/*.pt"))


def test_a_training_survives_the_failure_of_its_node(workflow, undisturbed):
    """Slurm starts the same job again. In a workflow alone: all that the node runs is hit."""
    failing, run = workflow("failing", DISTURBED), RUNS["down"]
    newest = started_and_held(failing, "down")
    job, trainings = failing.job(run), failing.held(run)
    try:
        set_nodes("down", job["NodeList"])
        until(lambda: (failing.job(run) or job)["JobState"] != "RUNNING", 60, "end of the job")
    finally:
        set_nodes("resume", job["NodeList"])
    failing.wait_for_end(run, trainings, 120)
    failing.open_gate(run)
    failing.finish(400)
    started_again(failing, "NODE_FAIL", states(job["JobId"]))
    went_on(failing, undisturbed, run, newest)


def started_and_held(workflow, *faults, checkpoints: int = 2) -> int:
    """Start the trainings of these faults, and wait until their gates hold them; returns the step
    of the newest checkpoint of the last."""
    for fault in faults:
        workflow.close_gate(RUNS[fault], checkpoints)
    workflow.start(*(WEIGHTS[fault] for fault in faults))
    for fault in faults:
        held = lambda fault=fault: workflow.held(RUNS[fault]) or workflow.ended()  # noqa: E731
        until(held, 400, f"training for {fault}")
        assert not workflow.ended(), workflow.log()[-6000:]
    found = workflow.checkpoints(RUNS[faults[-1]])
    return int(found[0].name.split("-")[1]) if found else 0


def test_a_retry_after_a_timeout_goes_on_and_asks_for_more_time(workflow, undisturbed):
    slow, run = workflow("slow", DISTURBED), RUNS["timeout"]
    newest = started_and_held(slow, "timeout")
    hang(slow, run)
    slow.finish(600)
    numbers = re.findall(r"SLURM jobid (\d+) .*/rule_train_language_model/", slow.log())
    seen = [row for number in numbers for row in accounted(number, "State,TimelimitRaw")]
    # On a loaded machine a minute may be too short to come to the gate.
    late = [f"TIMEOUT|{minutes}" for minutes in range(1, len(seen))]
    assert late
    assert seen == [*late, f"COMPLETED|{len(seen)}"]
    went_on(slow, undisturbed, run, newest)


def test_a_drained_node_finishes_its_jobs_and_gets_no_others(workflow, undisturbed):
    drained, run = workflow("drained", DISTURBED), RUNS["drain"]
    started_and_held(drained, "drain", checkpoints=0)
    job = drained.job(run)
    try:
        set_nodes("drain", job["NodeList"])
        where = slurm("srun", "-n1", "--mem=100", "bash", "-c", "echo $SLURMD_NODENAME").strip()
        drained.open_gate(run)
        drained.finish(300)
    finally:
        set_nodes("resume", "node1", "node2")
    assert where != job["NodeList"]
    assert states(job["JobId"]) == ["COMPLETED"]
    weights = [(one.folder / WEIGHTS["drain"]).read_bytes() for one in (drained, undisturbed)]
    assert weights[0] == weights[1]


def test_a_killed_snakemake_is_started_again(workflow, undisturbed):
    """Its jobs, still running, are ended first: two trainings would write the same files."""
    killed = workflow("killed", DISTURBED)
    faults = ("scancel", "sigkill")
    started_and_held(killed, *faults, checkpoints=1)
    for fault in faults:
        hang(killed, RUNS[fault])
    killed.kill()
    left = [number for number, job in jobs(killed.folder).items() if active(job)]
    assert len(left) == 2
    killed.start(*(WEIGHTS[fault] for fault in faults))
    killed.finish(300)
    assert "noiselab: cancelled 2 Slurm job(s) of an earlier Snakemake" in killed.log()
    assert {state for number in left for state in states(number)} == {"CANCELLED"}
    for fault in faults:
        assert killed.resumed_at(RUNS[fault]) > 0
        ours, theirs = ((one.folder / WEIGHTS[fault]) for one in (killed, undisturbed))
        assert ours.read_bytes() == theirs.read_bytes()
