"""Which files the commands of beats and events write, by the ending of their names."""

from pathlib import Path
from typing import Any, Protocol

from san.command.files import check_free

TABLES = (".csv", ".json", ".parquet")


class Table(Protocol):
    """What can be written."""

    def to_csv(self) -> str: ...
    def to_json(self) -> str: ...
    def to_dataframe(self) -> Any: ...
    def to_annotations(self) -> bytes: ...


def check(files: list[Path], force: bool) -> None:
    """Refuse names with endings of other files, and files that are there."""
    from san.files.wfdb_reading import is_annotations

    for file in files:
        ending = file.suffix.lower()
        if ending not in TABLES and not is_annotations(ending[1:]):
            raise ValueError(
                f"{file} must end with .csv, .json or .parquet, or with the name of an annotator "
                "such as .qrs"
            )
        check_free(file, force)


def write(table: Table, files: list[Path]) -> None:
    """Write a table to each file, whole or not at all."""
    from san import storage

    for file in files:
        storage.write(file, _content(table, file.suffix.lower()))


def _content(table: Table, ending: str) -> bytes:
    if ending == ".csv":
        return table.to_csv().encode()
    if ending == ".json":
        return (table.to_json() + "\n").encode()
    if ending == ".parquet":
        from san.packages import need

        need("pandas", "pyarrow")
        content: bytes = table.to_dataframe().to_parquet(index=False)
        return content
    return table.to_annotations()
