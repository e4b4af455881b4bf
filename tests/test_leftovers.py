"""Slurm jobs left over by a killed Snakemake are ended, and no others."""

import pytest

from noiselab import leftovers
from noiselab.errors import NoiselabError

QUEUE = """
7 rule_train_classifier_wildcards_classifier_digits_clean-s0 {folder}
8 rule_train_classifier_wildcards_classifier_digits_clean-s1 {folder}
9 rule_train_classifier_wildcards_classifier_digits_clean-s0 {folder}/elsewhere
10 (null) {folder}
11
"""
OURS = leftovers.comment("train_classifier", ["classifier/digits/clean-s0"])


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
    monkeypatch.setattr(leftovers.time, "sleep", lambda seconds: None)
    return tmp_path


def test_jobs_that_are_about_to_be_submitted_again_are_ended(queue):
    assert leftovers.end({OURS, "rule_all"}, str(queue)) == 1
    left = [line.split()[0] for line in (queue / "queue").read_text().splitlines()]
    assert left == ["8", "9", "10", "11"]
    assert leftovers.end({OURS}, str(queue)) == 0


def test_jobs_that_do_not_end_are_named(queue, monkeypatch):
    (queue / "bin" / "scancel").write_text("#!/bin/sh\n")
    monkeypatch.setattr(leftovers, "PATIENCE", 0)
    with pytest.raises(NoiselabError, match=r"do not end: \['7'\]"):
        leftovers.end({OURS}, str(queue))


def test_a_slurm_that_does_not_answer_is_one_line(queue):
    (queue / "bin" / "squeue").write_text(
        "#!/bin/sh\necho 'squeue: error: no controller' >&2\nexit 1"
    )
    with pytest.raises(NoiselabError, match=r"squeue .*: squeue: error: no controller"):
        leftovers.end({OURS}, str(queue))


def test_comments_are_those_of_the_plugin():
    from snakemake_executor_plugin_slurm.utils import get_job_wildcards

    class Job:
        wildcards = ("seq2seq/code2doc/clean-s0", "judge")

    expected = f"rule_measure_wildcards_{get_job_wildcards(Job)}"
    assert leftovers.comment("measure", Job.wildcards) == expected
    assert leftovers.comment("all", []) == "rule_all"


def test_a_failed_node_without_a_name_is_not_excluded():
    seen = []

    class Plugin:
        @staticmethod
        def get_submit_command(job, params, failed_nodes=None):
            seen.append(failed_nodes)

    for _ in range(2):  # Snakemake reads the Snakefile anew
        leftovers.mend_exclusions(Plugin)
    Plugin.get_submit_command("job", {}, failed_nodes={"None assigned", "node1"})
    Plugin.get_submit_command("job", {})
    leftovers.mend_exclusions(None)
    assert seen == [{"node1"}, set()]
