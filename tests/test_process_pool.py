"""Processes that share the work on files: one that is killed ends the work, and says so."""

import os
import signal

import pytest

from noiselab.data import text_sources
from noiselab.errors import NoiselabError


def deadly(path):
    """As the system kills a process for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def size(path):
    return [path.stat().st_size]


@pytest.mark.parametrize("cores", [1, 2])
def test_results_come_in_the_order_of_the_files(cores, monkeypatch):
    monkeypatch.setattr(text_sources, "_cores", lambda: cores)
    found = list(text_sources.map_sources(size, ["tqdm", "yaml"]))
    files = [*text_sources._source_files("tqdm"), *text_sources._source_files("yaml")]
    assert found == [[file.stat().st_size] for file in files]


def test_a_process_that_is_killed_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(text_sources, "_cores", lambda: 2)
    with pytest.raises(NoiselabError, match="a process was killed"):
        list(text_sources.map_sources(deadly, ["tqdm"]))


def test_who_wants_no_more_need_not_wait_for_the_rest(monkeypatch):
    monkeypatch.setattr(text_sources, "_cores", lambda: 2)
    found = text_sources.map_sources(size, ["torch"])
    next(found)
    found.close()
