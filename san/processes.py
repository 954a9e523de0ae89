"""Which of several processes this one is, and how they agree: what torchrun starts, or one alone.

A process that torchrun started finds its number in the environment and joins the others in
`joined`. Until then, and where there is one process alone, it is the first and agrees with itself.
Every process must ask the same things in the same order.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

Answer = TypeVar("Answer")

_ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def are_several() -> bool:
    """Say whether torchrun, or what sets the same variables, started more than this process."""
    return _started() and int(os.environ["WORLD_SIZE"]) > 1


def is_first() -> bool:
    """Say whether this process speaks and writes for all."""
    return not _started() or os.environ["RANK"] == "0"


def were_restarted() -> bool:
    """Say whether torchrun started these processes again, after one of them failed."""
    return _started() and int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


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
    """
    if not _started():
        yield
        return
    import torch.distributed as dist

    with talking():
        dist.init_process_group()
    try:
        yield
        from_first(lambda: None)
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def talking() -> Iterator[None]:
    """Turn what torch raises where another process is lost into one ConnectionError."""
    try:
        yield
    except RuntimeError as error:  # so do gloo and NCCL
        reason = str(error).strip().splitlines()[0]
        raise ConnectionError(f"another process of the training was lost: {reason}") from error


def from_first(ask: Callable[[], Answer]) -> Answer:
    """Call a function in the first process alone; its result, or its error, is everyone's."""
    if not are_joined():
        return ask()
    import torch.distributed as dist

    told: list = [None, None]
    if is_first():
        try:
            told = [ask(), None]
        except (ValueError, TypeError, OSError) as error:
            told = [None, error]
    with talking():
        dist.broadcast_object_list(told, src=0)
    answer, error = told
    if error is not None:
        raise error
    return answer


def by_all(do: Callable[[], Answer]) -> Answer:
    """Call a function in every process, on each machine in the first of its processes first.

    Where it fails in one of them, every process raises the error of the first that failed.
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
        errors: list[Exception | None] = [None] * dist.get_world_size()
        with talking():
            dist.all_gather_object(errors, failed)
        for error in errors:
            if error is not None:
                raise error
    return answers[0]


def check_same(what: str, value: Any) -> None:
    """Raise ValueError in every process if the value is not the same in all of them."""
    of_first = from_first(lambda: value)

    def compare() -> None:
        if value != of_first:
            rank = os.environ["RANK"]
            raise ValueError(f"the {what} of process {rank} are not those of process 0")

    by_all(compare)


def _started() -> bool:
    return all(name in os.environ for name in _ENVIRONMENT)
