"""snakemake --profile slurm on a Slurm cluster: results are those of one machine.

make test-slurm
"""

import json
import re
import time
from collections import Counter

import pytest
from harness import ONE_GPU, PATIENCE, ROOT, TRAININGS, jobs, slurm, until

from measured_results import differences, results

# A fixture runs whole workflows, and counts to the first test that asks for it.
pytestmark = pytest.mark.timeout(3600 * PATIENCE)

GPUS = 4  # of both nodes

# --------------------------------------------------------------- all families, undisturbed

FAMILIES = {
    "only": ["table2", "table3", "table1", "figure1_runs", "table9"],
    "experiments": {"table2": {"datasets": ["digits"]}, "table3": {"datasets": ["glyphs-12"]}},
}


@pytest.fixture(scope="module")
def smoke(workflow):
    """The smoke tier, all families, after a run through Slurm; `seen`: its jobs as they ran, and
    `in_use`: GPUs that ran jobs had, each time we looked."""
    smoke = workflow("smoke", FAMILIES | {"resources": ONE_GPU})
    smoke.start()
    smoke.seen, smoke.in_use = {}, []
    end = time.monotonic() + 1200 * PATIENCE
    while not smoke.ended() and time.monotonic() < end:
        # Slurm keeps those that have ended for minutes: none is too short to be seen.
        begun = [job for job in jobs(smoke.folder).values() if job["JobState"] != "PENDING"]
        smoke.seen |= {job["JobId"]: job for job in begun}
        smoke.in_use.append(sum(gpus(job) for job in begun if job["JobState"] == "RUNNING"))
        time.sleep(1)
    smoke.finish(1)
    return smoke


def gpus(job) -> int:
    found = re.search(r"gres/gpu=(\d+)", job.get("TRES", ""))
    return int(found.group(1)) if found else 0


def test_results_are_those_of_a_local_run_bit_for_bit(smoke, workflow):
    here = workflow("here", FAMILIES)
    here.run(slurm=False)
    ours = results(smoke.results)
    trained = {name.split("/")[1] for name in ours if name.endswith("metrics.json")}
    assert trained == set(TRAININGS)
    assert differences(ours, results(here.results)) == []
    for table in ("table1", "table2", "table3", "table9", "figure1_runs"):
        tables = [next(one.results.rglob(f"tables/{table}.csv")) for one in (smoke, here)]
        assert tables[0].read_text() == tables[1].read_text()


def test_jobs_ask_for_gpus_and_never_have_more_than_there_are(smoke):
    trainings = [job for job in smoke.seen.values() if "rule_train_" in job["Comment"]]
    assert len(trainings) == 11
    assert {gpus(job) for job in trainings} == {1}
    assert 2 <= max(smoke.in_use) <= GPUS


def test_resources_arrive(smoke):
    job = next(j for j in smoke.seen.values() if "train_classifier" in j["Comment"])
    assert job["TimeLimit"] == "00:10:00"
    assert job["NumNodes"] == job["NumCPUs"] == "1"
    assert job["MinMemoryNode"] in ("2000M", "2G")
    job = next(j for j in smoke.seen.values() if "prepare_text" in j["Comment"])
    assert (job["TimeLimit"], job["NumCPUs"], gpus(job)) == ("01:00:00", "2", 0)
    assert {job["Requeue"] for job in smoke.seen.values()} == {"1"}


def test_what_is_cheap_does_not_queue(smoke):
    rules = Counter(
        re.match("rule_([a-z0-9_]+?)(?:_wildcards|$)", j["Comment"])[1] for j in smoke.seen.values()
    )
    heavy = {f"train_{family}" for family in TRAININGS} | {"decode_teacher", "sample_images"}
    heavy |= {"measure_generated", "measure_training_set", "evaluate_language_model"}
    heavy |= {"loss_stability", "prepare_images", "prepare_text", "prepare_pairs"}
    assert set(rules) <= heavy


def test_logs_are_where_the_readme_says(smoke):
    for family in TRAININGS:
        assert list(smoke.results.glob(f"logs/train/{family}/**/*.log"))
        assert list(smoke.results.glob(f"benchmarks/train/{family}/**/*.tsv"))
    assert not list(smoke.folder.glob(".snakemake/slurm_logs/**/*.log"))  # all went well
    assert not list(smoke.results.glob("checkpoints/**/*.pt"))


def test_in_a_job_scripts_start_without_the_server_of_warm_starts(smoke, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import os; print(os.getppid())")
    code = f"exec {ROOT}/.venv/bin/python {ROOT}/workflow/scripts/warm_start.py {script}"
    command = ["srun", "-n1", "--mem=500", "bash", "-c", f"echo $PPID; {code}"]
    shell, parent = slurm(*command).split()
    assert shell == parent  # the script replaced the client: no fork of a server


# ---------------------------------------------------------------------------- several GPUs


def test_a_training_on_two_gpus_is_one_task_of_two_processes(workflow):
    """It sees the data and the noise that one process sees; sums are rounded otherwise."""
    settings = {"only": ["table2"], "experiments": {"table2": FAMILIES["experiments"]["table2"]}}
    run = "classifier/digits/uniform_label-r1.00-fixed_clean-s0"
    target = f"results/smoke/runs/{run}/training.json"
    two = {"train_classifier": {"gpu": 2, "threads": 2}}
    parallel = workflow("parallel", settings | {"resources": two})
    parallel.close_gate(run, checkpoints=0)
    parallel.start(target)
    until(lambda: parallel.held(run), 400, "training")
    job = parallel.job(run)
    parallel.open_gate(run)
    parallel.finish(300)
    single = workflow("single", settings)
    single.run(target, slurm=False)
    assert (gpus(job), job["NumCPUs"], job["NumTasks"], job["NumNodes"]) == (2, "2", "1", "1")
    summaries = [json.loads((one.folder / target).read_text()) for one in (parallel, single)]
    assert [summary["processes"] for summary in summaries] == [2, 1]
    ours, theirs = (losses(one.run_folder(run)) for one in (parallel, single))
    assert [row["error_rate"] for row in ours] == [row["error_rate"] for row in theirs]
    assert [row["loss"] for row in ours] == pytest.approx([r["loss"] for r in theirs], rel=1e-3)


def losses(folder):
    """The rows of a history that tell of training."""
    rows = map(json.loads, (folder / "history.jsonl").read_text().splitlines())
    return [row for row in rows if "loss" in row]
