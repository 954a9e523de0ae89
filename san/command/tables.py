"""The options that say how a table is written, for commands that read one."""

from typing import Annotated, Any

import typer

PANEL = "Tables (.csv): by default all of it is found out"


def _option(help: str, metavar: str | None = None, *names: str) -> Any:
    return typer.Option(
        *names, help=help, rich_help_panel=PANEL, metavar=metavar, show_default=False
    )


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
