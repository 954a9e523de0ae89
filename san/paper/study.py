"""What a study of other networks is: its parts, what is kept of each, its tables and figures.

A study answers the questions of one paper. It is a list of parts, and a part is what is done at
once and kept in one file.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from san import datasets
from san.paper import tables

Result = Mapping[str, Any]
Load = Callable[[str], datasets.Splits]
Done = Callable[[float], None]


@dataclass(frozen=True)
class Part:
    """What is done at once: one setting with one seed."""

    study: str
    name: str  # in words, for the progress and the file
    seed: int
    settings: Mapping[str, Any]  # JSON; all that the result depends on, but the seed and the data
    cost: float = 1.0  # about how many seconds it takes
    data: tuple[str, ...] = ()  # "mnist", "physionet mitdb": what `load` is called with

    @property
    def dataset(self) -> str:
        """What is named where it is not here."""
        return ", ".join(self.data)

    @property
    def label(self) -> str:
        """What the progress bar shows."""
        return f"{self.study} {self.name}, seed {self.seed}"


class Table(NamedTuple):
    """A table of a study: texts. The first two columns are words, the others numbers."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""  # below it


@dataclass(frozen=True)
class Study:
    """How a study is planned, made and told."""

    name: str  # as the command takes it
    title: str
    paper: str
    plan: Callable[[int], list[Part]]  # from the number of seeds
    make: Callable[[Part, Load, Done], dict[str, Any]]  # {"rows": [{...}, ...], ...}, JSON
    tables: Callable[[Sequence[Result]], list[Table]]
    figures: Callable[[Sequence[Result]], dict[str, Figure]]
    conclusion: Callable[[Sequence[Result]], str]  # paragraphs; what holds and what does not
    revision: int = field(default=1)  # another number makes every part anew


def rows_of(results: Iterable[Result], **wanted: Any) -> list[dict[str, Any]]:
    """List the rows of results, each with the settings and the seed of its part.

    Parameters
    ----------
    results : iterable of results
    **wanted : Any
        Only rows that have these values.

    Examples
    --------
    >>> result = {"seed": 3, "settings": {"n": 4}, "rows": [{"active": 1}, {"active": 2}]}
    >>> rows_of([result], active=2)
    [{'n': 4, 'seed': 3, 'active': 2}]
    """
    every = [
        {**result["settings"], "seed": result["seed"], **row}
        for result in results
        for row in result["rows"]
    ]
    return [row for row in every if all(row.get(name) == v for name, v in wanted.items())]


def spread_of(rows: Iterable[Mapping[str, Any]], name: str) -> tables.Spread:
    """Mean and standard deviation of a column.

    Examples
    --------
    >>> spread_of([{"loss": 1.0}, {"loss": 3.0}], "loss").mean
    2.0
    """
    return tables.spread(row[name] for row in rows)


def digits(spread: tables.Spread) -> str:
    """Write a mean with three significant digits, and the deviation with as many decimals.

    Examples
    --------
    >>> digits(tables.Spread(0.012345, 0.00042)), digits(tables.Spread(9.0, 0.0))
    ('0.0123 ± 0.0004', '9')
    """
    mean = f"{spread.mean:.3g}"
    if not spread.deviation:
        return mean
    if "e" in mean:
        return f"{mean} ± {spread.deviation:.1g}"
    decimals = len(mean.partition(".")[2])
    return f"{spread.mean:.{decimals}f} ± {spread.deviation:.{decimals}f}"
