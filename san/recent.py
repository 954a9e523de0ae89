"""Which decoded arrays stay in memory: those that were used last, within a stated size."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np


class Recent:
    """Keeps the arrays that were used last.

    Several threads may share it. Where they ask for the same array at the same time, one of them
    makes it, and the others wait for it.

    Parameters
    ----------
    megabytes : float
        Memory of all kept arrays together; 0 keeps none. An array that is larger is not kept.
    least : int
        So many arrays are kept whatever their size.

    Raises
    ------
    ValueError
        If megabytes is below 0, or no number.

    Examples
    --------
    >>> recent = Recent(megabytes=1)
    >>> recent.get("a", lambda: np.arange(3))
    array([0, 1, 2])
    >>> recent.get("a", lambda: np.zeros(3))  # it is kept, and not made again
    array([0, 1, 2])
    """

    def __init__(self, megabytes: float, least: int = 0) -> None:
        if not megabytes >= 0:
            raise ValueError(f"a cache has 0 megabytes or more, got {megabytes}")
        self._most, self._least = megabytes * 2**20, least
        self._kept: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes(self) -> int:
        """The memory of all arrays that are kept."""
        return self._bytes

    def get(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the array of this name; `make` makes it where it is not kept.

        A kept array cannot be written to. What `make` raises is passed on, and nothing is kept.
        """
        if not self._most and not self._least:
            return make()
        with self._lock:
            if key in self._kept:
                return self._used(key)
            turn = self._making.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if key in self._kept:
                    return self._used(key)
            try:
                array = make()
                with self._lock:
                    self._keep(key, array)
                return array
            finally:
                with self._lock:
                    self._making.pop(key, None)

    def _used(self, key: Hashable) -> np.ndarray:
        self._kept.move_to_end(key)
        return self._kept[key]

    def _keep(self, key: Hashable, array: np.ndarray) -> None:
        """Keep an array; those that were used longest ago make room."""
        if self._least == 0 and array.nbytes > self._most:
            return
        array.setflags(write=False)
        if key in self._kept:
            self._bytes -= self._kept.pop(key).nbytes
        self._kept[key] = array
        self._bytes += array.nbytes
        while self._bytes > self._most and len(self._kept) > self._least:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= gone.nbytes
