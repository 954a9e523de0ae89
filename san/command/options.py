"""The options that several commands have: each is written once, with its help."""

from pathlib import Path
from typing import Annotated, Any

import typer

from san.codec.effort import Effort

TARGET = "Target: one, or --prdn with --max-error"
CODING = "Coding"
PRDN = "Largest error of a channel, in per cent of its standard deviation."
MAX_ERROR = """Largest error of any sample, in the units of what is coded: counts of the converter
for a WFDB record or EDF (physical units with --physical), otherwise the numbers of the file."""
LOSSLESS = "Every bit comes back."
BITS = "Largest size, in bits for each sample of each channel."
NO_EVENTS = "Use no kernels."
EFFORT = """How much time to spend on few bytes: fast, normal or best. Every reader reads streams of
all levels. Default: normal."""
CHUNK = """Length of a chunk, the smallest part that can be decoded alone. Default: 2**20 samples,
fewer with more than four channels."""
GIVEN_FS = "Sampling rate, if the file does not state it. It wins over the times of a table."
PHYSICAL = "Code a WFDB record or EDF in physical units, as floats, without its header."
NO_ANNOTATIONS = "Do not store the annotation files of a WFDB record."
FORCE = "Replace OUT if it is there."
NEEDED = """The dictionary, if the stream stores only its SHA-256: its file, a run folder, or a
model.safetensors."""
JSON = "Print JSON."
FS = "Sampling rate, where the file does not say."


def option(panel: str | None, help: str, metavar: str | None = None, *names: str) -> Any:
    """An option of typer whose default is told by its help alone."""
    return typer.Option(
        *names, help=help, rich_help_panel=panel, metavar=metavar, show_default=False
    )


Prdn = Annotated[float | None, option(TARGET, PRDN, "PERCENT")]
MaxError = Annotated[float | None, option(TARGET, MAX_ERROR, "ERROR")]
Lossless = Annotated[bool, option(TARGET, LOSSLESS, None, "--lossless")]
BitsPerSample = Annotated[float | None, option(TARGET, BITS, "BITS")]
NoEvents = Annotated[bool, option(CODING, NO_EVENTS, None, "--no-events")]
EffortLevel = Annotated[Effort, option(CODING, EFFORT, "LEVEL")]
ChunkSeconds = Annotated[float | None, option(CODING, CHUNK, "SECONDS")]
GivenFs = Annotated[float | None, option(CODING, GIVEN_FS, "HZ")]
Physical = Annotated[bool, option(CODING, PHYSICAL, None, "--physical")]
NoAnnotations = Annotated[bool, option(CODING, NO_ANNOTATIONS, None, "--no-annotations")]
UnstatedFs = Annotated[float | None, option(None, FS, "HZ")]
NeededDictionary = Annotated[Path | None, option(None, NEEDED, "PATH")]
Force = Annotated[bool, option(None, FORCE, None, "--force")]
Json = Annotated[bool, option(None, JSON, None, "--json")]
