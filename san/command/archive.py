"""The commands of archives: `san archive DIR OUT`, and `san archive verify OUT`.

Exit code 1 means that records failed or that streams are wrong; each of them is named.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from san.codec.target import Target
from san.command import codec, parts, progress, tables
from san.command.options import (
    CODING,
    BitsPerSample,
    ChunkSeconds,
    EffortLevel,
    GivenFs,
    Lossless,
    MaxError,
    NoAnnotations,
    NoEvents,
    Physical,
    Prdn,
    option,
)

DIR = "Folder of records: WFDB, .edf, .bdf, .npy and .csv files, in any folders below it."
OUT = "Folder of the streams and of manifest.jsonl. Streams of an earlier run are kept."
ARCHIVE = "Folder that `san archive` wrote."
JOBS = "Number of processes, each with one thread. Default: one for each core."
SCHEDULER = "Let the workers of this dask scheduler do the work: tcp://HOST:8786."
FORCE = """Continue although OUT has other options or is the archive of another folder. Records that
differ are coded again."""
DATA = "Folder of the records, to measure the errors. Default: the folder that was archived."
SUMMARY = "Print the summary as JSON."
INCLUDE = """Code only records that fit this pattern, such as '*.edf' or 'night/*'. Can be given
several times."""
EXCLUDE = (
    "Pass over records that fit this pattern, or all below a folder. Can be given several times."
)
BESIDE = "Write each stream beside its record, where OUT is DIR."
MOST_NAMED = 5  # files of one kind that are named on a terminal; --json names all
WORK = "Work"
DICTIONARY = """Kernels to use: a saved dictionary, a run folder, a model.safetensors, or ecg, which
comes with the package and is used where it saves bytes. By default they are learned from
each record."""
EXACT = """With --lossless, let a record fail whose files would not come back with the same bytes,
such as FLAC files of another encoder."""
NAME_ONLY = "Store that dictionary once, in OUT, instead of in every stream."

DICTIONARIES = """Dictionaries that OUT keeps for its records: `learn` learns one for each kind of
record, and a folder holds saved ones. A record uses one where it saves bytes."""


class Commands(TyperGroup):
    """Commands of one word, and of two."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        both = " ".join(args[:2])
        if len(args) > 1 and both in self.commands:
            return both, self.commands[both], args[2:]
        return super().resolve_command(ctx, args)


def add_to(app: typer.Typer) -> None:
    """Add the commands to an application, whose class is `Commands`."""
    app.command("archive")(archive)
    app.command("archive verify")(verify)


def archive(
    source: Annotated[Path, typer.Argument(metavar="DIR", help=DIR)],
    out: Annotated[Path, typer.Argument(metavar="OUT", help=OUT)],
    prdn: Prdn = None,
    max_error: MaxError = None,
    lossless: Lossless = False,
    bits_per_sample: BitsPerSample = None,
    dictionary: Annotated[Path | None, option(CODING, DICTIONARY, "PATH")] = None,
    name_only: Annotated[bool, option(CODING, NAME_ONLY, None, "--name-only")] = False,
    dictionaries: Annotated[str | None, option(CODING, DICTIONARIES, "learn|FOLDER")] = None,
    no_events: NoEvents = False,
    effort: EffortLevel = "normal",
    chunk_seconds: ChunkSeconds = None,
    fs: GivenFs = None,
    delimiter: tables.Delimiter = None,
    decimal: tables.Decimal = None,
    skip_rows: tables.SkipRows = None,
    header: tables.Header = None,
    missing: tables.Missing = None,
    time_column: tables.TimeColumn = None,
    time_unit: tables.TimeUnit = None,
    physical: Physical = False,
    no_annotations: NoAnnotations = False,
    exact: Annotated[bool, option(CODING, EXACT, None, "--exact")] = False,
    jobs: Annotated[int | None, option(WORK, JOBS, "N")] = None,
    scheduler: Annotated[str | None, option(WORK, SCHEDULER, "ADDRESS")] = None,
    force: Annotated[bool, option(WORK, FORCE, None, "--force")] = False,
    include: Annotated[list[str] | None, option(WORK, INCLUDE, "PATTERN")] = None,
    exclude: Annotated[list[str] | None, option(WORK, EXCLUDE, "PATTERN")] = None,
    beside: Annotated[bool, option(WORK, BESIDE, None, "--beside")] = False,
    as_json: Annotated[bool, option(WORK, SUMMARY, None, "--json")] = False,
) -> None:
    """Compress every record below a folder; run it again to continue where a run ended.

    A run codes only records whose stream is missing or damaged, that have changed, or that failed
    before. `san archive verify OUT` checks the result. Exit code 1: some records failed and are
    named; all others are done.
    """
    target = Target.of(
        max_error=max_error,
        prdn=prdn,
        lossless=lossless,
        bits_per_sample=bits_per_sample,
        spell=codec.spell_option,
    )
    codec.check_exact(exact, target)
    from san.archive import Options
    from san.archive import archive as run

    options = Options(
        **target.arguments,
        dictionary=dictionary,
        dictionaries=dictionaries,
        events=not no_events,
        effort=effort,
        chunk_seconds=chunk_seconds,
        embed_dictionary=not name_only,
        fs=fs,
        physical=physical,
        annotations=not no_annotations,
        exact=exact,
        table=tables.options(
            delimiter, decimal, skip_rows, header, missing, time_column, time_unit
        ),
    )
    with _client(scheduler) as client, _progress("archiving") as report:
        summary = run(
            source,
            out,
            options,
            jobs=jobs,
            client=client,
            force=force,
            include=include or (),
            exclude=exclude or (),
            beside=beside,
            progress=report,
        )
    if as_json:
        derived = {
            "ratio": summary.ratio,
            "records_per_second": summary.records_per_second,
        }
        print(json.dumps(dataclasses.asdict(summary) | derived, indent=2))
    else:
        rate = f"; {summary.records_per_second:.1f} records/s" if summary.records_per_second else ""
        parts.say(
            f"{out}: {summary.records} records, {summary.coded} now and {summary.kept} before; "
            f"{summary.bytes_before} bytes → {summary.bytes_after}, {summary.ratio:.2f} times "
            f"smaller{rate}"
        )
        for outcome, count in summary.comes_back_as.items():
            parts.say(f"come back as {outcome}: {count}")
        _say(summary.notes, "tables; the manifest says how each was read")
        _say(summary.other_bytes, "records with other bytes; the manifest names them")
    _say(summary.left_out, "records", len(summary.left_out))
    _name_passed_over(summary.passed_over)
    _name(summary.failures, "failed; the same command tries them again")


def verify(
    out: Annotated[Path, typer.Argument(metavar="OUT", help=ARCHIVE)],
    data: Annotated[Path | None, option(WORK, DATA, "DIR")] = None,
    jobs: Annotated[int | None, option(WORK, JOBS, "N")] = None,
    scheduler: Annotated[str | None, option(WORK, SCHEDULER, "ADDRESS")] = None,
    as_json: Annotated[bool, option(WORK, SUMMARY, None, "--json")] = False,
) -> None:
    """Check every stream of an archive: its SHA-256, that it decodes, and its errors.

    Errors are measured if the records are there. Exit code 1: something is wrong and is named.
    """
    from san.archive import verify as run

    with _client(scheduler) as client, _progress("verifying") as report:
        found = run(out, data, jobs=jobs, client=client, progress=report)
    if as_json:
        print(json.dumps(dataclasses.asdict(found), indent=2))
    else:
        parts.say(f"{out}: {found.streams} streams, {found.compared} compared with their records")
    _name(found.problems, "wrong")


def _say(said: dict[str, list[str]], what: str, most: int = MOST_NAMED) -> None:
    """Print what is said of the first records, and how many others there are."""
    for name in list(said)[:most]:
        for line in said[name]:
            words = line.removeprefix(f"{PurePosixPath(name).name}: ")
            parts.say(f"san: {name}: {words}", sys.stderr)
    if len(said) > most:
        parts.say(f"san: and {len(said) - most} more {what}", sys.stderr)


def _name_passed_over(passed_over: dict[str, str]) -> None:
    """Name the files that have no stream, those with one reason in one line."""
    reasons: dict[str, list[str]] = {}
    for name, why in passed_over.items():
        reasons.setdefault(why, []).append(name)
    for why, names in reasons.items():
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        line = f"san: left out, {why}: {', '.join(names[:MOST_NAMED])}{more}"
        parts.say(line, sys.stderr)


def _name(problems: dict[str, str], what: str) -> None:
    """Name each problem, and end with exit code 1 if there are any."""
    if problems:
        parts.say(f"san: {len(problems)} {what}:", sys.stderr)
        for name, words in problems.items():
            parts.say(f"san: {name}: {words}", sys.stderr)
        raise typer.Exit(1)


@contextmanager
def _client(address: str | None) -> Iterator[Any]:
    """The client of a scheduler, if one is wanted."""
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        raise ValueError(
            "--scheduler needs dask.distributed: pip install 'sparsely-activated-networks[archive]'"
        ) from None
    with Client(address) as client:
        yield client


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int, float], None]]:
    """A bar on a terminal, nothing elsewhere; what an interrupt means."""
    drawn = progress.bar("{task.fields[records]}", unit="records")
    task = drawn.add_task(what, total=1.0, records="")

    def report(done: int, records: int, share: float) -> None:
        drawn.update(task, total=records, completed=share * records)
        drawn.update(task, records=f"{done} of {records} records")

    try:
        with drawn:
            yield report
    except KeyboardInterrupt:
        parts.say(f"san: {what} stopped; the same command goes on", sys.stderr)
        raise typer.Exit(130) from None
