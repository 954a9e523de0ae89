"""Where a command reads and writes: files, standard input and output; what is never replaced."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from san.codec.errors import CodecError

STANDARD = Path("-")  # standard input or output
_NO_FILES = ("/dev/", "/proc/")  # a name there may lead to a file that another process writes


@contextmanager
def opened(source: Path) -> Iterator[BinaryIO]:
    """The file of a stream; standard input is read whole, because a stream is read from its end."""
    with naming(source):
        if source == STANDARD:
            if sys.stdin is None:
                raise OSError("standard input is closed: give the name of a file")
            yield io.BytesIO(sys.stdin.buffer.read())
        else:
            with open(source, "rb") as file:
                yield file


@contextmanager
def naming(source: Path | None) -> Iterator[None]:
    """Let the error that says why a stream cannot be decoded name its file."""
    try:
        yield
    except CodecError as error:
        name = "standard input" if source == STANDARD else source
        raise CodecError(f"{name} cannot be decoded: {error}") from error


def write_stream(out: Path, blob: bytes) -> None:
    """Write a whole stream to a file, which is there in full or not at all, or to the output."""
    from san import storage

    if out == STANDARD:
        storage.write_standard(blob)
    else:
        storage.write(out, blob)


def refuse_same(out: Path, source: Path, what: str) -> None:
    """Refuse to write over what is read, also with --force."""
    if STANDARD not in (out, source) and out.exists() and source.exists() and out.samefile(source):
        raise ValueError(f"{out} is {what}: give another name")


def check_free(out: Path, force: bool) -> None:
    """Refuse to replace a file without --force, and to write into a folder that does not exist."""
    if out == STANDARD:
        return
    if out.is_dir():
        raise ValueError(f"{out} is a folder: name a file")
    if out.exists() and (not out.is_file() or str(out.absolute()).startswith(_NO_FILES)):
        raise ValueError(f"{out} is a device and no file: - is standard output")
    if out.exists() and not force:
        raise FileExistsError(f"{out} is there: give --force to replace it")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"the folder {out.parent} is not there")


def said_to(out: Path) -> TextIO:
    """Where the report goes: not to standard output if the file goes there."""
    return sys.stderr if out == STANDARD else sys.stdout
