"""Ctrl-C cancels the jobs of a cluster, whatever Snakemake is doing just then."""

import threading
from types import SimpleNamespace

import pytest
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from noiselab.planning import executors

PATIENCE = 60  # seconds


class Executor(RemoteExecutor):
    """Snakemake's own, whose scheduler answers when it is told to."""

    def __init__(self, jobs):
        self.workflow = SimpleNamespace(
            executor_plugin=SimpleNamespace(
                common_settings=SimpleNamespace(init_seconds_before_status_checks=0)
            ),
            remote_execution_settings=SimpleNamespace(immediate_submit=True),
            scheduler=None,
        )
        self.active_jobs, self.cancelled = list(jobs), []
        self.lock, self.wait = threading.Lock(), True
        self.asked, self.answer = threading.Event(), threading.Event()
        self.wait_thread = threading.Thread(target=self._wait_thread, daemon=True)
        self.wait_thread.start()

    async def check_active_jobs(self, active_jobs):
        self.asked.set()
        assert self.answer.wait(PATIENCE)
        for job in active_jobs:
            if "ended" not in job:
                yield job

    async def sleep(self):
        self.wait = False  # one look is enough

    def cancel_jobs(self, active_jobs):
        self.cancelled += active_jobs
        self.answer.set()

    def run_job(self, job):
        raise AssertionError


@pytest.fixture
def executor():
    class Own(Executor):  # so that each test has one that is as Snakemake has it
        pass

    return Own


def cancelled(executor) -> list[str]:
    """Jobs that Ctrl-C cancels while the scheduler is asked about two, one of which has ended."""
    made = executor(["waits", "has ended"])
    assert made.asked.wait(PATIENCE)
    made.cancel()
    return made.cancelled


def test_snakemake_itself_cancels_none_of_the_jobs_that_it_asks_about(executor):
    """Where this fails, it has been mended there, and ours can go."""
    assert cancelled(executor) == []


def test_jobs_that_it_asks_about_are_cancelled(executor):
    for _ in range(2):  # Snakemake reads the Snakefile anew
        executors.mend(SimpleNamespace(Executor=executor))
    executors.mend(None)
    assert cancelled(executor) == ["waits", "has ended"]


def test_after_the_answer_those_are_cancelled_that_are_left(executor):
    executors.mend(SimpleNamespace(Executor=executor))
    made = executor(["waits", "has ended"])
    made.answer.set()
    made.wait_thread.join(PATIENCE)
    made.active_jobs.append("is new")
    made.cancel()
    assert made.cancelled == ["waits", "is new"]
