"""What is wrong with an archive: every stream is read, decoded, and compared with its record."""

import hashlib
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from san.archives import manifest as manifest_file
from san.archives import workers
from san.archives.failures import in_words
from san.archives.manifest import Manifest, Row
from san.archives.records import STREAM

Progress = Callable[[int, int, float], None]
UNFINISHED = "the run that wrote it did not end: run the same command again"
FOREIGN = "no record of the manifest has this stream"


@dataclass
class Verification:
    """What was found in an archive.

    Attributes
    ----------
    streams : int
        Number of streams that were checked.
    compared : int
        How many of them were compared with their records.
    problems : dict of str to str
        What is wrong, by the path of the stream, or of the record without a stream.
    seconds : float
        How long it took.
    """

    streams: int = 0
    compared: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def verify(
    out: str | Path,
    data: str | Path | None = None,
    *,
    jobs: int | None = None,
    client: Any = None,
    progress: Progress | None = None,
) -> Verification:
    """Check every stream of an archive.

    Each stream must be there, have its SHA-256, and decode. If its record is there too, the errors
    are measured and compared with what the stream promises, and the files are written again: what
    comes back must be what the manifest says.

    Parameters
    ----------
    out : str or Path
        The folder that `archive` wrote.
    data : str or Path, optional
        The folder of the records; by default the one that was archived, if it is still there.
    jobs, client, progress
        As `archive` takes them.

    Returns
    -------
    Verification
        Without problems, the archive is as it should be.

    Raises
    ------
    FileNotFoundError
        If there is no manifest, or no such folder of records.
    ValueError
        If the manifest cannot be read.
    BlockingIOError
        If a run writes to the archive.

    Examples
    --------
    >>> import tempfile
    >>> from san.archive import Options, archive
    >>> with tempfile.TemporaryDirectory() as out:
    ...     _ = archive("datasets/sample", out, Options(max_error=5, events=False), jobs=1)
    ...     good = verify(out, jobs=1)
    ...     _ = Path(out, "mitdb_208.san").write_bytes(b"no stream")
    ...     bad = verify(out, jobs=1)
    >>> good.streams, good.compared, good.problems
    (1, 1, {})
    >>> bad.problems
    {'mitdb_208.san': 'its SHA-256 is not that of the manifest'}
    """
    begin = time.perf_counter()
    out, jobs = Path(out).resolve(), workers.processes(jobs)
    manifest = manifest_file.read(out)
    if manifest is None:
        raise FileNotFoundError(f"{out} has no {manifest_file.NAME}: it is not an archive")
    folder = Path(manifest.source if data is None else data).resolve()
    if data is not None and not folder.is_dir():
        raise FileNotFoundError(f"the folder {folder} is not there")
    with manifest_file.unchanging(out):
        found = Verification(problems=_problems_of_the_whole(manifest, out))
        rows = [row for row in manifest.rows.values() if "failure" not in row]
        work = partial(check_stream, out, folder)
        total, done = sum(map(_size, rows)) or 1, 0
        with closing(workers.run(work, rows, _size, jobs, client)) as answers:
            for row, answer in answers:
                if isinstance(answer, workers.Killed):
                    answer = (False, str(answer))
                compared, problem = answer
                found.streams, found.compared = found.streams + 1, found.compared + compared
                if problem:
                    found.problems[row["stream"]] = problem
                done += _size(row)
                if progress is not None:
                    progress(found.streams, len(rows), done / total)
    found.problems = dict(sorted(found.problems.items()))
    found.seconds = time.perf_counter() - begin
    return found


def check_stream(out: Path, folder: Path, row: Row) -> tuple[bool, str]:
    """Check one stream: whether it was compared with its record, and what is wrong with it."""
    path, record, compared = out / row["stream"], folder / row["source"], False
    try:
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != row["sha256"]:
                return False, "its SHA-256 is not that of the manifest"
            file.seek(0)
            compared = record.is_file()
            problem = _problem_of(file, record if compared else None, row)
    except Exception as error:
        problem = in_words(error)
    if problem and compared and not _is_same(folder, row):
        problem += "; the record has changed since"
    return compared, problem


def _problem_of(file: Any, record: Path | None, row: Row) -> str:
    from san.codec.decoder import Decoder
    from san.files import streams

    decoder = Decoder(file)  # it finds the dictionaries of an archive
    if record is None:
        samples = sum(len(part) for part in decoder)
        return "" if samples == row["samples"] else f"it has {samples} samples"
    found = streams.compare_file(record, decoder)
    if found.broken:
        return f"it exceeds the error it promises: {'; '.join(found.broken)}"
    restored, said = streams.restored(record, decoder, found.array, True), row.get("comes_back_as")
    if restored is None or said is None or restored.as_json == said:
        return ""
    return f"it comes back as {restored}, and the manifest says {said['outcome']}"


def _problems_of_the_whole(manifest: Manifest, out: Path) -> dict[str, str]:
    """The problems that show without reading a stream."""
    problems = {} if manifest.finished else {manifest_file.NAME: UNFINISHED}
    if manifest.damaged and manifest.finished:
        lines = ", ".join(map(str, manifest.damaged[:10]))
        problems[manifest_file.NAME] = f"damaged in line {lines}"
    known = {row["stream"] for row in manifest.rows.values() if "stream" in row}
    for path in out.rglob(f"*{STREAM}"):
        name = path.relative_to(out).as_posix()
        if name not in known and not path.name.startswith("."):
            problems[name] = FOREIGN
    for row in manifest.rows.values():
        if "failure" in row and not row.get("no_signal"):
            problems[row["source"]] = f"it has no stream: {row['failure']}"
    return problems


def _is_same(folder: Path, row: Row) -> bool:
    """Whether the files of a record still have the same size and time of change."""
    for name, known in row["files"].items():
        try:
            stat = (folder / name).stat()
        except OSError:
            return False
        if known != [stat.st_size, stat.st_mtime_ns]:
            return False
    return True


def _size(row: Row) -> int:
    return int(row["bytes"])
