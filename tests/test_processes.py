"""A process that follows its parent ends with it, however it was started and whenever that is."""

import os
import subprocess
import sys
import time
from multiprocessing import get_all_start_methods
from pathlib import Path

import psutil
import pytest

from commands import LIMIT, started

SCRIPTS = Path(__file__).resolve().parents[1] / "workflow" / "scripts"
# A child that follows its parent at once or after its parent's end; on Linux, or as elsewhere.
CODE = """
import multiprocessing, os, sys, time
from noiselab import processes

def child(late, elsewhere):
    if elsewhere:
        processes._killed_with_parent = lambda: False
    parent = multiprocessing.parent_process()
    if late:
        print(os.getpid(), flush=True)
        parent.join()
    processes.follow_parent()
    if not late:
        print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    arguments = [argument == "yes" for argument in sys.argv[2:]]
    process = context.Process(target=child, args=arguments)
    process.start()
    time.sleep(600)
"""


@pytest.mark.parametrize("method", get_all_start_methods())
@pytest.mark.parametrize("late", ["no", "yes"])
@pytest.mark.parametrize("elsewhere", ["no", "yes"])
def test_a_process_ends_with_its_killed_parent(tmp_path, method, late, elsewhere):
    script = tmp_path / "script.py"
    script.write_text(CODE)
    options = {"env": os.environ | {"PYTHONPATH": str(SCRIPTS)}, "stdout": subprocess.PIPE}
    with started([sys.executable, script, method, late, elsewhere], **options) as parent:
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.kill()
        parent.communicate(timeout=LIMIT)  # ends when nobody has the pipe any more
        deadline = time.monotonic() + 300
        while alive(child):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process does anything; what has ended may wait for its parent to notice."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
