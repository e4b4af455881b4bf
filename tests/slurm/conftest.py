"""The cluster of the tests, and workflows on it."""

import pytest
from harness import CLUSTER, Workflow, is_up, start_cluster

from commands import run


@pytest.fixture(scope="session", autouse=True)
def cluster():
    """The cluster is up; it ends with the tests if it began with them."""
    before = is_up()
    if reason := start_cluster():
        pytest.skip(reason)
    yield
    if not before:
        run([CLUSTER, "stop"], check=True)


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    """Makes workflows, which end with the module."""
    made = []

    def make(name, settings):
        made.append(Workflow(tmp_path_factory.mktemp(name), settings))
        return made[-1]

    yield make
    for one in made:
        one.stop()
