"""A process that follows its parent ends with it, however it was started and whenever that is; one
that keeps memory has it mapped once."""

import os
import platform
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


# Prints page faults of eight large arrays, one after the other, and MB in use at the end.
ARRAYS = """
import ctypes, resource, sys
import numpy as np
from noiselab import processes

keep, back = (word in sys.argv for word in ("keep", "back"))
if keep:
    processes.keep_memory()
np.ones(8_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    np.ones(8_000_000)
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
if back:
    processes.give_back()
pages = int(open("/proc/self/statm").read().split()[1])
print(faults, pages * resource.getpagesize() // 1_000_000)
"""


def arrays(*words: str) -> tuple[int, int]:
    """What ARRAYS prints."""
    command = [sys.executable, "-c", ARRAYS, *words]
    environment = {k: v for k, v in os.environ.items() if k != "GLIBC_TUNABLES"}
    environment |= {"PYTHONPATH": str(SCRIPTS), "OPENBLAS_NUM_THREADS": "1"}
    said = subprocess.check_output(command, text=True, timeout=LIMIT, env=environment)
    faults, megabytes = map(int, said.split())
    return faults, megabytes


@pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="memory of glibc"
)
def test_memory_that_is_kept_is_mapped_once_and_can_be_given_back():
    usual, kept, back = arrays(), arrays("keep"), arrays("keep", "back")
    assert 10 * kept[0] < usual[0]
    assert kept[1] > usual[1] + 50  # an array has 64 MB
    assert back[1] < kept[1] - 50
