"""The options that say how a table is written, for commands that read one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from san.command.options import option

if TYPE_CHECKING:
    from san.files.table_layout import TableOptions

PANEL = "Tables (.csv): by default all of it is found out"


def _option(help: str, metavar: str | None = None, *names: str) -> Any:
    return option(PANEL, help, metavar, *names)


Delimiter = Annotated[
    str | None, _option("What separates columns: comma, semicolon, tab, or one character.", "CHAR")
]
Decimal = Annotated[str | None, _option("What separates decimals: point or comma.", "CHAR")]
SkipRows = Annotated[int | None, _option("Lines to leave out before the names.", "N")]
Header = Annotated[
    bool | None, _option("Whether a line of names is there.", None, "--header/--no-header")
]
Missing = Annotated[
    list[str] | None,
    _option("A text that stands for a missing value, besides NA, NaN, - and nothing.", "TEXT"),
]
TimeColumn = Annotated[
    str | None, _option("The column that holds times, or none if all are channels.", "NAME|none")
]
TimeUnit = Annotated[str | None, _option("The unit of the times.", "s|ms|us|ns|date")]


def options(
    delimiter: str | None,
    decimal: str | None,
    skip_rows: int | None,
    header: bool | None,
    missing: Sequence[str] | None,
    time_column: str | None,
    time_unit: str | None,
) -> "TableOptions | None":
    """What these options say of a table; None where none is given.

    Raises
    ------
    ValueError
        If no table can be written in that way.
    """
    from san.files.table_layout import TableOptions

    given = TableOptions(
        delimiter, decimal, skip_rows, header, tuple(missing or ()), time_column, time_unit
    )
    return None if given == TableOptions() else given


def not_for(source: str) -> ValueError:
    """The error of such an option for a file that is no table."""
    return ValueError(f"{source} is no .csv: give no option of tables")
