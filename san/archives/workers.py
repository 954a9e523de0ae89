"""Who does the work on many records: processes of this machine, or those of a dask cluster.

Each process has one thread. Large pieces of work come first and small batches last, so that all
end together. A process that dies loses nothing: its unanswered items go to another process.
"""

import collections
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

Item = TypeVar("Item")
Work = Callable[[Any], Any]
Answers = Generator[tuple[Any, Any], None, None]

OVERHEAD = 1 << 14  # bytes whose coding takes as long as the fixed work for a record
SMALL, LARGE = 16, 512  # most records in a batch: for a process, for a task on a cluster
SHARE = 4  # a batch is at most a quarter of a worker's share of the bytes that are left
DEATHS = 2  # workers that may die at a record before it is given up
STARTS = 5  # workers in a row that may die before their first answer
_environment = threading.Lock()  # who changes os.environ
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Killed:
    """The answer to an item if two processes died while they worked on it."""

    def __str__(self) -> str:
        return "the process that worked on it died, twice"


def run(
    work: Work,
    items: Iterable[Item],
    size: Callable[[Item], int],
    jobs: int,
    client: Any = None,
) -> Generator[tuple[Item, Any], None, None]:
    """Give each item to a worker, and yield the answers in the order in which they come.

    Parameters
    ----------
    work : callable
        Takes an item and returns the answer. Both must be picklable. An exception ends all work.
    items : iterable
    size : callable
        Takes an item and returns its size in bytes.
    jobs : int
        The largest number of processes on this machine.
    client : dask.distributed.Client, optional
        If given, the workers of its cluster do the work.

    Yields
    ------
    item, answer
        The answer is `Killed()` if two processes died while they worked on this item.

    Raises
    ------
    RuntimeError
        If processes do not start.
    """
    queue = _Queue(items, size)
    if client is not None:
        return _on_cluster(work, queue, client)
    return _in_processes(work, queue, jobs)


def processes(jobs: int | None) -> int:
    """How many processes work: `jobs`, or else one for each core that this process may use.

    Raises
    ------
    ValueError
        If `jobs` is below 1.
    """
    if jobs is not None:
        if jobs < 1:
            raise ValueError(f"jobs must be at least 1, got {jobs}")
        return jobs
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Queue:
    """Items that wait for a worker, large ones first; they leave in batches."""

    def __init__(self, items: Iterable[Any], size: Callable[[Any], int]) -> None:
        sized = sorted(((size(item) + OVERHEAD, item) for item in items), key=lambda e: -e[0])
        self._waiting = collections.deque(sized)
        self._size = size
        self._left = sum(cost for cost, _ in sized)

    def __len__(self) -> int:
        return len(self._waiting)

    def batch(self, workers: int, longest: int) -> list[Any]:
        """Take at least one item, if one is left."""
        share = self._left / (SHARE * workers)
        taken: list[Any] = []
        while self._waiting and len(taken) < longest:
            cost = self._waiting[0][0]
            if taken and cost > share:
                break
            taken.append(self._waiting.popleft()[1])
            self._left -= cost
            share -= cost
        return taken

    def put_back(self, items: Iterable[Any]) -> None:
        """Put items that were taken but not done at the front."""
        for item in reversed(list(items)):
            cost = self._size(item) + OVERHEAD
            self._waiting.appendleft((cost, item))
            self._left += cost


class _Worker:
    """A process, and the items that it has not yet answered."""

    def __init__(self, work: Work) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_serve, args=(theirs, work), daemon=True
        )
        with _one_thread():
            self.process.start()
        theirs.close()  # so that `recv` fails when the process dies
        self.items: collections.deque[Any] = collections.deque()
        self.started = False

    def give(self, batch: list[Any]) -> None:
        self.items.extend(batch)
        with suppress(OSError):  # the process died: `recv` will fail and say so
            self.connection.send(batch)

    def stop(self) -> None:
        """End the process at once."""
        self.connection.close()
        self.process.kill()
        self.process.join()
        self.process.close()


def _in_processes(work: Work, queue: _Queue, jobs: int) -> Answers:
    deaths: collections.Counter[int] = collections.Counter()  # by the item's identity
    workers: list[_Worker] = []
    stillborn = 0
    try:
        while queue or any(worker.items for worker in workers):
            while len(workers) < min(jobs, len(workers) + len(queue)):
                workers.append(_Worker(work))
            for worker in workers:
                if not worker.items and queue:
                    worker.give(queue.batch(jobs, SMALL))
            for ready in connection.wait([worker.connection for worker in workers]):
                worker = next(w for w in workers if w.connection is ready)
                try:
                    answer = worker.connection.recv()
                except (EOFError, OSError):
                    workers.remove(worker)
                    worker.stop()
                    stillborn = 0 if worker.started else stillborn + 1
                    yield from _after_death(worker, queue, deaths, stillborn)
                    continue
                if isinstance(answer, BaseException):
                    raise answer
                if worker.started:
                    yield worker.items.popleft(), answer
                worker.started = True
    finally:
        for worker in workers:
            worker.stop()


def _after_death(
    worker: _Worker, queue: _Queue, deaths: "collections.Counter[int]", stillborn: int
) -> Iterator[tuple[Any, Any]]:
    """Put back the items of a dead worker. The item at which it died gets one more try."""
    if stillborn >= STARTS:
        raise RuntimeError(
            f"{STARTS} processes ended as they started: in a script, call this below "
            '`if __name__ == "__main__":`'
        )
    if worker.items and worker.started:
        first = worker.items[0]
        deaths[id(first)] += 1
        if deaths[id(first)] >= DEATHS:
            worker.items.popleft()
            yield first, Killed()
    queue.put_back(worker.items)


def _serve(theirs: "connection.Connection", work: Work) -> None:
    """Answer items until the other end closes; the whole life of a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):
        theirs.send(None)
        while True:
            for item in theirs.recv():
                theirs.send(_answer(work, item))


def _answer(work: Work, item: Any) -> Any:
    try:
        return work(item)
    except Exception as error:
        return error


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Have processes that start here use one thread each, unless the user set another number.

    The variables stand in the environment of this process for as long as a process starts. No
    other way is open: multiprocessing gives a new process the environment of its parent, and the
    libraries read it when they are loaded, before any code of `_serve` runs. One lock for all
    threads, so that none removes the variables while another starts a process.
    """
    with _environment:
        missing = [name for name in THREADS if name not in os.environ]
        os.environ.update(dict.fromkeys(missing, "1"))
        try:
            yield
        finally:
            for name in missing:
                os.environ.pop(name, None)


def _on_cluster(work: Work, queue: _Queue, client: Any) -> Answers:
    from distributed import KilledWorker, as_completed

    workers = max(1, sum(client.nthreads().values()))
    futures = {}
    suspects = []

    def submit(batch: list[Any]) -> Any:
        future = client.submit(_work_on, work, batch, pure=False)
        futures[future] = batch
        return future

    try:
        while queue:
            submit(queue.batch(workers, LARGE))
        arriving = as_completed(list(futures))
        for future in arriving:
            batch = futures.pop(future)
            try:
                answers = future.result()
            except KilledWorker:
                # A worker's death also ends the batches that only waited for it.
                if len(batch) == 1:
                    suspects += batch
                else:
                    for item in batch:
                        arriving.add(submit([item]))
                continue
            yield from zip(batch, answers, strict=True)
        for item in suspects:  # nothing else runs now: whoever ends a worker does it alone
            try:
                yield item, submit([item]).result()[0]
            except KilledWorker:
                yield item, Killed()
    finally:
        client.cancel(list(futures))


def _work_on(work: Work, batch: list[Any]) -> list[Any]:
    """A task of a cluster."""
    return [work(item) for item in batch]
