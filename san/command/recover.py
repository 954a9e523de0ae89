"""`san recover`: where it reads and writes, and what is printed of the parts that are lost."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Annotated

import typer

from san.command.files import (
    STANDARD,
    check_free,
    opened,
    refuse_same,
    said_to,
)
from san.command.options import (
    Force,
    Json,
    NeededDictionary,
)
from san.command.parts import say

CUT = "The stream that was cut or damaged; - is standard input."
SAVED = "File to write: NAME.san; - is standard output."


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(recover)


def recover(
    source: Annotated[Path, typer.Argument(metavar="CUT", help=CUT)],
    out: Annotated[Path, typer.Argument(metavar="OUT", help=SAVED)],
    dictionary: NeededDictionary = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Save all whole chunks of a stream that was cut, or is damaged, and say what is lost.

    The writer of such a stream was killed, or a copy of it was not finished. Every chunk that
    agrees with its checksum is copied to OUT. What is lost between such chunks is filled: with NaN,
    or with 0 where the samples are integers. The samples that are saved keep their place.
    """
    refuse_same(out, source, "the stream that is read")
    check_free(out, force)
    from san import storage
    from san.codec.recovery import recover as recovered

    with opened(source) as file:
        if out == STANDARD:
            content = io.BytesIO()
            found = recovered(file, content, dictionary=dictionary)
            storage.write_standard(content.getvalue())
        else:
            with storage.replacing(out) as written:
                found = recovered(file, written, dictionary=dictionary)
    if as_json:
        print(json.dumps(dataclasses.asdict(found), indent=2), file=said_to(out))
        return
    for line in found.lines():
        say(line, said_to(out))
