"""Slurm jobs left over by a killed Snakemake are ended, and no others; the plugin's faults."""

import asyncio
import logging

import pytest

from noiselab.errors import NoiselabError
from noiselab.planning import slurm

QUEUE = """
7 rule_train_classifier_wildcards_classifier_digits_clean-s0 {folder}
8 rule_train_classifier_wildcards_classifier_digits_clean-s1 {folder}
9 rule_train_classifier_wildcards_classifier_digits_clean-s0 {folder}/elsewhere
10 (null) {folder}
11
"""
OURS = slurm.comment("train_classifier", ["classifier/digits/clean-s0"])


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A folder whose file `queue` is what squeue shows; scancel removes lines of it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "queue").write_text(QUEUE.lstrip().format(folder=tmp_path))
    scripts = {"squeue": f"cat {tmp_path}/queue", "scancel": f"sed -i /^$1/d {tmp_path}/queue"}
    for name, line in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setattr(slurm.time, "sleep", lambda seconds: None)
    return tmp_path


def test_jobs_that_are_about_to_be_submitted_again_are_ended(queue):
    assert slurm.end_jobs({OURS, "rule_all"}, str(queue)) == 1
    left = [line.split()[0] for line in (queue / "queue").read_text().splitlines()]
    assert left == ["8", "9", "10", "11"]
    assert slurm.end_jobs({OURS}, str(queue)) == 0


def test_jobs_that_do_not_end_are_named(queue, monkeypatch):
    (queue / "bin" / "scancel").write_text("#!/bin/sh\n")
    monkeypatch.setattr(slurm, "PATIENCE", 0)
    with pytest.raises(NoiselabError, match=r"do not end: \['7'\]"):
        slurm.end_jobs({OURS}, str(queue))


def test_a_slurm_that_does_not_answer_is_one_line(queue):
    (queue / "bin" / "squeue").write_text(
        "#!/bin/sh\necho 'squeue: error: no controller' >&2\nexit 1"
    )
    with pytest.raises(NoiselabError, match=r"squeue .*: squeue: error: no controller"):
        slurm.end_jobs({OURS}, str(queue))


def test_comments_are_those_of_the_plugin():
    from snakemake_executor_plugin_slurm.utils import get_job_wildcards

    class Job:
        wildcards = ("seq2seq/code2doc/clean-s0", "judge")

    expected = f"rule_measure_wildcards_{get_job_wildcards(Job)}"
    assert slurm.comment("measure", Job.wildcards) == expected
    assert slurm.comment("all", []) == "rule_all"


@pytest.fixture
def plugin(monkeypatch):
    """The Slurm plugin, mended, with `excluded`: nodes for sbatch to exclude, per submission."""
    import snakemake_executor_plugin_slurm as plugin

    excluded = []

    def get_submit_command(job, params, failed_nodes=None):
        excluded.append(failed_nodes)

    monkeypatch.setattr(plugin, "query_job_status", plugin.query_job_status)
    monkeypatch.setattr(plugin, "get_submit_command", get_submit_command)
    monkeypatch.setattr(plugin, "excluded", excluded, raising=False)
    monkeypatch.delattr(plugin, "mended", raising=False)
    for _ in range(2):  # Snakemake reads the Snakefile anew
        slurm.mend(plugin)
    yield plugin
    del plugin.mended


def test_a_failed_node_without_a_name_is_not_excluded(plugin):
    plugin.get_submit_command("job", {}, failed_nodes={"None assigned", "node1"})
    plugin.get_submit_command("job", {})
    assert plugin.excluded == [{"node1"}, set()]
    slurm.mend(None)


def test_a_job_that_somebody_cancelled_has_ended(plugin):
    sacct = "printf '17|CANCELLED by 1000\\n18|NODE_FAIL\\n19|RUNNING\\n'"
    states, _ = asyncio.run(plugin.query_job_status(sacct, logging.getLogger()))
    assert states == {"17": "CANCELLED", "18": "NODE_FAIL", "19": "RUNNING"}
    states, _ = asyncio.run(plugin.query_job_status("false", logging.getLogger()))
    assert states is None
