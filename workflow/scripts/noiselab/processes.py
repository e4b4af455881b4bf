"""Processes that end with the one that started them, whatever ends that; and their memory."""

import ctypes
import os
import signal
import sys
from multiprocessing import parent_process
from threading import Thread

_PR_SET_PDEATHSIG = 1  # prctl(2)
# Environment of the workflow's jobs, unless the user has set it. What a training step frees, the
# next one takes again: kept by the process, in huge pages, instead of given back to Linux, which
# fills it with zeros anew. Read by glibc alone, when a process starts.
MEMORY = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.arena_max=1"
    ":glibc.malloc.trim_threshold=8589934592"
}


def follow_parent() -> None:
    """End this process, which `multiprocessing` has started, with its parent: to be called first.

    Otherwise it may outlive a parent that is killed, and keep its pipes open. On Linux, the system
    kills it: with the thread, to be exact, that started it. Elsewhere, and where the parent has
    gone already or a fork server stands in between, a thread watches the parent.
    """
    parent = parent_process()
    # In this order: a parent that ends after the first step is noticed by the system, one that
    # has ended before by the second.
    if not (_killed_with_parent() and os.getppid() == parent.pid):
        Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _killed_with_parent() -> bool:
    """Have the system kill this process when its parent ends; False where it cannot."""
    if sys.platform != "linux":
        return False
    return ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) == 0
