"""Processes that end with the one that started them, whatever ends that."""

import ctypes
import os
import signal
import sys
from multiprocessing import parent_process
from threading import Thread

_PR_SET_PDEATHSIG = 1  # prctl(2)


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
