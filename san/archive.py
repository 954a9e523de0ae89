"""How a folder of records becomes a folder of streams, in one run or in several.

A stream has the place of its record: `a/100.hea` becomes `a/100.san`, `a/x.npy` becomes
`a/x.npy.san`. A run writes the streams that are missing, damaged, failed before, or whose record
has changed, and no others.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from san.archives import manifest as manifest_file
from san.archives import workers
from san.archives.kinds import bank_of, is_kept
from san.archives.manifest import Manifest, Row
from san.archives.options import Options
from san.archives.record_to_stream import NO_ROOM, store_record
from san.archives.records import STREAM, Record, survey
from san.archives.verify import Verification, verify
from san.codec.dictionary_files import dictionary_path

__all__ = ["Options", "Summary", "Verification", "archive", "verify"]

Progress = Callable[[int, int, float], None]
GONE = "its stream is missing or damaged, and the record is gone"
GONE_NAMING = "its stream or its dictionary is missing or damaged, and the record is gone"


@dataclass
class Summary:
    """What an archive holds after a run.

    Attributes
    ----------
    records : int
        Number of records that have a stream.
    coded, kept : int
        How many of these this run coded, and how many an earlier run had coded.
    failures : dict of str to str
        The records without a stream, and why. The manifest has the traceback of an error that no
        reader raises on purpose.
    left_out : dict of str to list of str
        The records beside which there are files that their streams do not hold, and why: a line
        for each file.
    passed_over : dict of str to str
        Other files below the folder, such as notes and hidden ones, and why they have no stream.
        Files that hold no signal, such as annotations alone or a table of patients, are here too.
    comes_back_as : dict of str to int
        Outcomes of restoring, such as "same files", and how many records have each: every record
        that is coded is written again and compared. Records in
        physical units are not among them.
    other_bytes : dict of str to list of str
        The records of which a file comes back with other bytes: each of these files, and why.
    notes : dict of str to list of str
        How each table was read, and what is doubtful about it.
    bytes_before, bytes_after : int
        Bytes of the files of all records that have a stream (for a WFDB record: all files of its
        name), and bytes of the streams.
    seconds : float
        How long this run took.
    """

    records: int = 0
    coded: int = 0
    kept: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    passed_over: dict[str, str] = field(default_factory=dict)
    comes_back_as: dict[str, int] = field(default_factory=dict)
    other_bytes: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    bytes_before: int = 0
    bytes_after: int = 0
    seconds: float = 0.0

    @property
    def ratio(self) -> float:
        """Bytes before for each byte after."""
        return self.bytes_before / self.bytes_after if self.bytes_after else 0.0

    @property
    def records_per_second(self) -> float:
        """Records that this run coded, in each of its seconds."""
        return self.coded / self.seconds if self.seconds > 0 else 0.0  # a clock may jump


def archive(
    source: str | Path,
    out: str | Path,
    options: Options,
    *,
    jobs: int | None = None,
    client: Any = None,
    force: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    beside: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Compress every record below a folder, each into a stream of its own.

    Parameters
    ----------
    source : str or Path
        Folder of WFDB records, .edf, .bdf, .npy and .csv files, in any folders below it.
    out : str or Path
        Folder of the streams and of `manifest.jsonl`; made if it is missing. Streams that an
        earlier run with these options wrote are kept; missing ones are written.
    options : Options
        How records are coded.
    jobs : int, optional
        Number of processes; by default one for each core that this process may use. Each imports
        the script that started it, so a script must call this below
        `if __name__ == "__main__":`.
    client : dask.distributed.Client, optional
        If given, the workers of its cluster do the work. They must see both folders under the
        same paths.
    force : bool
        Continue an archive that was written with other options or from another folder. Records
        that differ are coded again.
    include, exclude : sequence of str
        Patterns such as `*.edf` or `night/*`, of paths below the folder, names, or folders. Only
        records that fit one of `include` are coded, if there are any, and none that fits one of
        `exclude`.
    beside : bool
        Allow `out` to be the folder of the records itself: each stream stands beside its record.
    progress : callable, optional
        Called with the number of records that are done, the number of records to do, and the
        share of their bytes that is done, 0 ... 1.

    Returns
    -------
    Summary
        Its failures name the records that could not be coded. All others are coded.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If no record is below it, an option is wrong, or out is an archive of other options.
    BlockingIOError
        If another run is at work in out.
    OSError
        If the disk is full. Finished streams stay, and another run continues from there.

    Notes
    -----
    If a process is killed, another one codes its records again. If two processes die while they
    work on the same record, that record is a failure. A run that is killed leaves only whole
    streams; the next run writes the rest, and the archive has the same bytes as after one
    undisturbed run.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     summary = archive("datasets/sample", folder, Options(max_error=5, events=False), jobs=1)
    ...     sorted(path.name for path in Path(folder).glob("[!.]*"))
    ['manifest.jsonl', 'mitdb_208.san']
    >>> summary.records, summary.failures, summary.ratio > 4
    (1, {}, True)
    """
    from san.codec.dictionaries import find_dictionary
    from san.codec.warming import compile_codec

    begin = time.perf_counter()
    source, out = Path(source).resolve(), Path(out).resolve()
    jobs, settings = workers.processes(jobs), options.settings()
    dictionary = None if options.dictionary is None else find_dictionary(options.dictionary)
    options = replace(options, dictionary=dictionary)  # read once
    if not source.is_dir():
        raise FileNotFoundError(f"the folder {source} is not there")
    if source == out and not beside:
        raise ValueError(
            f"{out} is the folder of the records: take another folder, or ask for streams beside "
            "their records (--beside)"
        )
    records, passed_over = survey(source, out, include, exclude)
    if not records:
        raise ValueError(
            f"no WFDB header, .edf, .bdf, .npy or .csv is below {source}"
            + (" that --include and --exclude ask for" if include or exclude else "")
        )
    out.mkdir(parents=True, exist_ok=True)
    with manifest_file.locked(out), _without_leftovers(out):
        manifest, same = _begun(out, source, settings, force)
        if not same:
            manifest.dictionaries = None
            for record in records:
                manifest.rows.pop(record.path, None)
        waiting = _prune(manifest, records, out, jobs)
        kept = sum("failure" not in row for row in manifest.rows.values())
        if waiting:
            manifest.finished = False
            if client is None and min(jobs, len(waiting)) > 1:
                # once here, instead of in each process
                compile_codec((options.target,), (options.effort,))
            if options.dictionaries is not None:
                known = manifest.dictionaries
                bank = bank_of(source, out, options, records, known, jobs, client)
                manifest.dictionaries = [each.sha256 for each in bank]
                options = replace(options, dictionaries=bank)
            manifest.write(out)
            if dictionary is not None and not options.embed_dictionary:
                dictionary.save(dictionary_path(out, dictionary.sha256))
            work = partial(store_record, source, out, options)
            _do(waiting, work, manifest, out, jobs, client, progress)
        manifest.finished = True
        manifest.write(out)
    return _summed_up(manifest, kept, passed_over, time.perf_counter() - begin)


def _begun(out: Path, source: Path, settings: dict[str, Any], force: bool) -> tuple[Manifest, bool]:
    """Return the manifest of an earlier run or a new one, and whether its settings are these."""
    manifest = manifest_file.read(out)
    if manifest is None:
        return Manifest(str(source), settings), True
    before, same = manifest.settings, manifest.settings == settings
    if not same and not force:
        names = [n for n in (settings | before) if before.get(n) != settings.get(n)]
        differences = ", ".join(f"{n} {before.get(n)} (now {settings.get(n)})" for n in names)
        raise ValueError(
            f"{out} was written with other settings: {differences}; take another folder, or "
            "use force to code all records again"
        )
    if manifest.source != str(source) and not force:
        raise ValueError(
            f"{out} is the archive of {manifest.source}, not of {source}: take another folder, or "
            "use force if that folder has moved"
        )
    manifest.source, manifest.settings = str(source), settings
    return manifest, same


def _prune(manifest: Manifest, records: list[Record], out: Path, jobs: int) -> list[Record]:
    """Keep the lines of a manifest that still hold, and return the records to do."""
    present = {record.path: record for record in records}
    claimed = [
        row
        for path, row in manifest.rows.items()
        if "stream" in row and (path not in present or _is_same(row, present[path]))
    ]
    manifest.rows = {}
    with ThreadPoolExecutor(jobs) as pool:
        for row, whole in zip(claimed, pool.map(partial(_is_whole, out), claimed), strict=True):
            if whole:
                manifest.rows[row["source"]] = {
                    k: v for k, v in row.items() if k not in ("failure", "no_signal")
                }
            elif row["source"] not in present:
                manifest.rows[row["source"]] = row | {
                    "failure": GONE_NAMING if "dictionary" in row else GONE
                }
    return [record for record in records if record.path not in manifest.rows]


def _is_same(row: Row, record: Record) -> bool:
    """Whether the record is as it was when its line was written."""
    return (row["stream"], row["files"]) == (record.stream, record.files)


def _is_whole(out: Path, row: Row) -> bool:
    """Whether a stream, and the dictionary that it names, are there as they were written."""
    if "dictionary" in row and not is_kept(out, row["dictionary"]):
        return False
    try:
        with open(out / row["stream"], "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == row["sha256"]
    except OSError:
        return False


def _size(record: Record) -> int:
    return record.bytes


def _do(
    waiting: list[Record],
    work: Callable[[Record], Row],
    manifest: Manifest,
    out: Path,
    jobs: int,
    client: Any,
    progress: Progress | None,
) -> None:
    """Have records coded, and add a line to the manifest as soon as each is done."""
    total, done, count = sum(map(_size, waiting)) or 1, 0, 0
    answers = workers.run(work, waiting, _size, jobs, client)
    with manifest_file.appending(out) as append, closing(answers):
        for record, answer in answers:
            if isinstance(answer, workers.Killed):
                answer = {"source": record.path, "files": record.files, "failure": str(answer)}
            append(answer)
            manifest.rows[record.path] = answer
            count, done = count + 1, done + record.bytes
            if progress is not None:
                progress(count, len(waiting), done / total)


@contextmanager
def _without_leftovers(out: Path) -> Iterator[None]:
    """Remove half-written files of killed processes, before and after the work."""
    _remove_leftovers(out)
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise OSError(
            error.errno,
            f"{error.strerror} in {out}: make room and run the same command again; finished "
            "streams are kept",
        ) from error
    finally:
        _remove_leftovers(out)


def _remove_leftovers(out: Path) -> None:
    for pattern in (f".*{STREAM}.*.tmp", f".{manifest_file.NAME}.*.tmp"):
        for leftover in out.rglob(pattern):
            leftover.unlink(missing_ok=True)


def _summed_up(
    manifest: Manifest, kept: int, passed_over: dict[str, str], seconds: float
) -> Summary:
    rows = [manifest.rows[name] for name in sorted(manifest.rows)]
    held = [row for row in rows if "failure" not in row]
    tried = {row["source"]: row["comes_back_as"] for row in held if row.get("comes_back_as")}
    return Summary(
        records=len(held),
        coded=len(held) - kept,
        kept=kept,
        failures={
            row["source"]: row["failure"]
            for row in rows
            if "failure" in row and not row.get("no_signal")
        },
        passed_over=passed_over
        | {row["source"]: row["failure"] for row in rows if row.get("no_signal")},
        left_out={row["source"]: row["left_out"] for row in held if row.get("left_out")},
        comes_back_as=dict(Counter(found["outcome"] for found in tried.values())),
        other_bytes={n: each["differences"] for n, each in tried.items() if each["differences"]},
        notes={row["source"]: row["notes"] for row in held if row.get("notes")},
        bytes_before=sum(known[0] for row in held for known in row["files"].values() if known),
        bytes_after=sum(row["bytes"] for row in held),
        seconds=seconds,
    )
