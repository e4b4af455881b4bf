"""Work on many images in several processes, in order."""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

from noiselab.data.image_files.source import Item

_CHUNK = 16  # images that a process gets at once
AHEAD = 4  # chunks under way per process


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
