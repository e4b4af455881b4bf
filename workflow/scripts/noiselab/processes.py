"""Processes that end with the one that started them, whatever ends that; and their memory."""

import ctypes
import os
import signal
import sys
from multiprocessing import parent_process
from threading import Thread

_PR_SET_PDEATHSIG = 1  # prctl(2)
# Environment of the workflow's jobs, unless the user has set it: large arrays in huge pages, which
# Linux maps in fewer steps. Read by glibc alone, when a process starts.
MEMORY = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
# Names of glibc's mallopt(3): see its malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


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


def keep_memory() -> None:
    """What this process frees from now on it takes again, instead of giving it back to Linux, which
    fills it with zeros anew: for steps of one shape, of which each needs what the last one freed.
    Other work may end with more and more of it in pieces; `give_back` now and then. Of glibc; with
    another library nothing is done."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        for name, value in ((_M_ARENA_MAX, 1), (_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1)):
            mallopt(name, value)


def give_back() -> None:
    """Give free memory back to Linux, all of it that glibc can."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
