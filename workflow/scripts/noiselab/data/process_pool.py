"""A pool of processes that share the work on many files, and what becomes of one that is killed."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context

from noiselab.errors import NoiselabError
from noiselab.processes import follow_parent


def begin() -> None:
    """End this process with its parent, and leave Ctrl-C to it."""
    follow_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def process_pool(
    count: int, begin: Callable[[], None] = begin
) -> Iterator[ProcessPoolExecutor | None]:
    """So many processes, none where one is enough. begin: is called in each. NoiselabError where
    one of them was killed: multiprocessing.Pool would wait for ever for what it had to do."""
    if count == 1:
        yield None
        return
    # Started afresh: forking a process that has threads (torch's, say) can hang.
    pool = ProcessPoolExecutor(count, get_context("spawn"), begin)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise NoiselabError("a process was killed, perhaps for want of memory") from error
    finally:
        pool.shutdown(cancel_futures=True)
