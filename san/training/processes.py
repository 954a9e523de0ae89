"""Which of several processes this one is, and how they agree: what torchrun starts, or one alone.

A process that torchrun started finds its number in the environment and joins the others in
`joined`. Until then, and where there is one process alone, it is the first and agrees with itself.
Every process must ask the same things in the same order.
"""

import contextlib
import gc
import os
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

Answer = TypeVar("Answer")

_starts = 0  # of the processes that this one has joined

_ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def are_several() -> bool:
    """Say whether torchrun, or what sets the same variables, started more than this process."""
    return _started() and int(os.environ["WORLD_SIZE"]) > 1


def is_first() -> bool:
    """Say whether this process speaks and writes for all."""
    return not _started() or os.environ["RANK"] == "0"


def were_restarted() -> bool:
    """Say whether torchrun started these processes again, after one of them failed."""
    return are_joined() and _starts > 1


def are_joined() -> bool:
    """Say whether this process has joined others."""
    import torch.distributed as dist

    return dist.is_available() and dist.is_initialized()


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Join the other processes for as long as the context lasts; alone, do nothing.

    At its end, unless by an error, every process waits for the others.

    Raises
    ------
    ConnectionError
        If another process was lost.

    Examples
    --------
    >>> with joined():
    ...     are_joined(), is_first()
    (False, True)
    """
    if not _started():
        yield
        return
    with talking():
        _join()
    try:
        yield
        from_first(lambda: None)
    finally:
        _leave()


@contextlib.contextmanager
def talking() -> Iterator[None]:
    """Turn what torch raises where another process is lost into one ConnectionError."""
    try:
        yield
    except RuntimeError as error:  # so do gloo and NCCL
        reason = str(error).strip().splitlines()[0].partition(". ")[0]
        raise ConnectionError(f"another process of the training was lost: {reason}") from error


def from_first(ask: Callable[[], Answer]) -> Answer:
    """Call a function in the first process alone; its result, or its error, is everyone's.

    What it returns or raises must be such that pickle takes it.

    Examples
    --------
    >>> from_first(lambda: "a folder")
    'a folder'
    """
    if not are_joined():
        return ask()
    import torch.distributed as dist

    told: list = [None, None]  # what it returned, what it raised
    if is_first():
        try:
            told[0] = ask()
        except (ValueError, TypeError, OSError) as error:
            told[1] = error
    with talking():
        dist.broadcast_object_list(told, src=0)
    if told[1] is not None:
        raise told[1]
    return told[0]


def by_all(do: Callable[[], Answer]) -> Answer:
    """Call a function in every process, on each machine in the first of its processes first.

    Where it fails in one of them, every process raises the error of the first that failed. It
    must not ask anything of the other processes.

    Examples
    --------
    >>> by_all(lambda: "what each has loaded")
    'what each has loaded'
    """
    if not are_joined():
        return do()
    import torch.distributed as dist

    first_here = os.environ["LOCAL_RANK"] == "0"
    answers: list[Answer] = []
    for turn in (True, False):
        failed: Exception | None = None
        if first_here is turn:
            try:
                answers.append(do())
            except (ValueError, TypeError, OSError) as error:
                failed = error
        failures: list[Exception | None] = [None] * dist.get_world_size()
        with talking():
            dist.all_gather_object(failures, failed)
        for failure in failures:
            if failure is not None:
                raise failure
    return answers[0]


def check_same(what: str, value: Any) -> None:
    """Raise ValueError in every process if the value is not the same in all of them.

    Examples
    --------
    >>> check_same("seeds", 7)
    """
    of_first = from_first(lambda: value)

    def compare() -> None:
        if value != of_first:
            rank = os.environ["RANK"]
            raise ValueError(f"the {what} of process {rank} are not those of process 0")

    by_all(compare)


def _join() -> None:
    """Join the group, under a name that no start of these processes had before.

    The store may still hold what processes wrote that are lost, such as where they listened.
    """
    global _starts
    # DistributedDataParallel imports it as well. Imported once there is a group, it holds on to
    # the group, whose threads then outlive the interpreter: now and then the process aborts.
    import torch._dynamo  # noqa: F401
    import torch.distributed as dist

    store, rank, number = next(dist.rendezvous("env://"))
    name = _meet(store, rank, number)
    named = dist.PrefixStore(name, store)
    dist.init_process_group(store=named, rank=rank, world_size=number)
    # On other machines than the one of a lost process torchrun counts no restart.
    restarts = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    _starts = from_first(lambda: max(store.add("san/starts", 1), 1 + restarts))


def _leave() -> None:
    """End the group and its threads, while the interpreter is there for them."""
    import torch.distributed as dist

    dist.destroy_process_group()
    gc.collect()  # what was made with the group, with references in circles, goes with it


def _meet(store: Any, rank: int, number: int) -> str:
    """Agree on a new name: the first process tells it to all that ask, until each has heard it."""
    own = uuid.uuid4().hex
    if rank > 0:
        store.set(f"san/asks/{rank}", own)
        name = store.get(f"san/told/{own}").decode()
        store.set(f"san/heard/{name}/{rank}", "")
        return name
    end = time.monotonic() + store.timeout.total_seconds()
    waiting = set(range(1, number))
    while waiting:
        for other in list(waiting):
            if store.check([f"san/heard/{own}/{other}"]):
                waiting.remove(other)
            elif store.check([f"san/asks/{other}"]):  # perhaps of a process that is lost
                store.set(f"san/told/{store.get(f'san/asks/{other}').decode()}", own)
        if waiting and time.monotonic() > end:
            raise ConnectionError(f"processes {sorted(waiting)} of the training did not come")
        time.sleep(0.02)
    return own


def _started() -> bool:
    return all(name in os.environ for name in _ENVIRONMENT)
