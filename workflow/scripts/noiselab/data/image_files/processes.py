"""Processes that share the work on many images."""

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context

from noiselab.data.image_files.source import Item
from noiselab.errors import NoiselabError
from noiselab.processes import follow_parent

_CHUNK = 16  # images that a process gets at once
AHEAD = 4  # chunks under way per process


@contextmanager
def processes(threads: int) -> Iterator[ProcessPoolExecutor | None]:
    """A pool of processes, none where one is enough; NoiselabError where one of them was killed."""
    if threads == 1:
        yield None
        return
    # Started afresh: forking a process that has threads can hang.
    pool = ProcessPoolExecutor(threads, get_context("spawn"), _begin)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise NoiselabError("a process was killed, perhaps for want of memory") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """End this process with its parent, and leave Ctrl-C to it."""
    follow_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def in_order(pool, function: Callable[[Item], bytes], items: Iterable[Item], ahead: int):
    """function(item) of each item, in their order; at most `ahead` chunks are in memory."""
    if pool is None:
        yield from map(function, items)
        return
    items, waiting = iter(items), deque()
    while chunk := list(islice(items, _CHUNK)):
        waiting.append(pool.submit(_each, function, chunk))
        if len(waiting) == ahead:
            yield from waiting.popleft().result()
    for future in waiting:
        yield from future.result()


def _each(function: Callable[[Item], bytes], items: list[Item]) -> list[bytes]:
    return list(map(function, items))
