"""`san warm`: what is printed of the compilation of everything."""

import json
import time

import typer

from san.command.options import (
    Json,
)
from san.command.parts import say


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(warm)


def warm(
    as_json: Json = False,
) -> None:
    """Compile now what the first call of each command would otherwise compile.

    Run it once when you build a container image, or in a job of a CI. Without the packages of the
    networks the codec alone is compiled.
    """
    from san import warming

    begin = time.perf_counter()
    warmed = warming.warm()
    if as_json:
        print(json.dumps(vars(warmed) | {"folder": str(warmed.folder)}, indent=2))
        return
    made = f"compiled {warmed.functions} functions in {time.perf_counter() - begin:.0f} s"
    say(f"{made if warmed.functions else 'everything is compiled already'}; see {warmed.folder}")
    if warmed.missing:
        say(f"networks are left out: {', '.join(warmed.missing)} not installed")
