"""How several threads share the chunks of a signal: the results come in the order of the chunks.

Compiled loops run without the GIL, so threads of one process are enough. What a chunk becomes does
not depend on who does it: the bytes are the same with any number of threads.
"""

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def checked_threads(threads: int) -> int:
    """The number of threads, if there can be so many.

    Examples
    --------
    >>> checked_threads(0)
    Traceback (most recent call last):
    ...
    ValueError: threads must be a whole number from 1 on, got 0
    """
    if isinstance(threads, bool) or not hasattr(threads, "__index__") or threads < 1:
        raise ValueError(f"threads must be a whole number from 1 on, got {threads!r}")
    return int(threads)


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Iterator[Result]:
    """The result of each item, in their order; at most `threads` are made ahead of the reader.

    Examples
    --------
    >>> list(in_order(abs, [3, -4, 5], threads=2))
    [3, 4, 5]
    """
    if threads == 1:
        yield from map(work, items)
        return
    rest, waiting = iter(items), collections.deque[Future[Result]]()
    pool = ThreadPoolExecutor(threads)
    try:
        waiting.extend(pool.submit(work, item) for item in itertools.islice(rest, threads))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(work, item) for item in itertools.islice(rest, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
