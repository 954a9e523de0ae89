"""What a progress bar shows: what is done, its rate, and the time left; on a terminal only.

Bars go to standard error and vanish at their end, so that results stand alone on standard output.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from san.command import parts

if TYPE_CHECKING:
    from rich.progress import Progress

PREFIXES = ("", "k", "M", "G")


def bar(*columns: str, unit: str, shown: bool = True) -> "Progress":
    """A progress bar with the rate and the time left, and the share or columns of its own.

    Parameters
    ----------
    columns : str
        Texts as rich takes them, of a task's fields; they take the place of the share.
    unit : str
        What is counted: the rate is so many of them per second. Empty for no rate.
    shown : bool
        False for none, even on a terminal.
    """
    from rich import progress
    from rich.console import Console
    from rich.table import Column
    from rich.text import Text

    class Rate(progress.ProgressColumn):
        def get_table_column(self) -> Column:
            return Column(no_wrap=True)

        def render(self, task: progress.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{shortened(speed)} {unit}/s" if speed and unit else "")

    own = [progress.TextColumn(c, markup=False, table_column=Column(no_wrap=True)) for c in columns]
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        progress.BarColumn(6 if columns else 40),
        *(own or [progress.TaskProgressColumn()]),
        Rate(),
        progress.TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(stderr=True),
        transient=True,
        disable=not (shown and sys.stderr.isatty()),
    )


@contextmanager
def shares(what: str, count: int = 0) -> Iterator[Callable[[float], None]]:
    """A bar for work that tells the share of it that is done, 0 ... 1, of so many samples."""
    with bar(unit="samples" if count else "") as drawn:
        task = drawn.add_task(parts.printable(what), total=count or 1)
        yield lambda share: drawn.update(task, completed=share * (count or 1))


def shortened(number: float) -> str:
    """A rate in three digits, with its prefix.

    Examples
    --------
    >>> shortened(4_231_000.0), shortened(999.9), shortened(12.34), shortened(0.5)
    ('4.23 M', '1 k', '12.3', '0.5')
    """
    power = 0
    while number >= 999.5 and power < len(PREFIXES) - 1:
        number, power = number / 1000, power + 1
    return f"{number:.3g} {PREFIXES[power]}".rstrip()
