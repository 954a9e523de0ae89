"""Whether the files that a stream was made of come back from it: tried, and never assumed.

The files are written again, into memory or a folder of their own, and compared with the originals.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from san.files import arrays, edf, wfdb_reading, wfdb_writing
from san.signals import Array
from san.wfdb_records.record import file_of

SAME, SAME_BUT_SAMPLES = "same files", "same files but for the samples"
OTHER_BYTES, OTHER_FILES = "same samples, other bytes", "other bytes besides the samples"
_BLOCK = 1 << 20  # bytes that are compared at once
_MOST_NAMED = 20  # files in one line


@dataclass(frozen=True)
class Restoration:
    """What decompressing gives of the files that were compressed.

    Attributes
    ----------
    outcome : str
        "same files"; "same samples, other bytes"; within an error "same files but for the samples"
        or "other bytes besides the samples".
    differences : tuple of str
        Each file that has other bytes, and why, in words.
    not_held : tuple of str
        Annotation files of a WFDB record that are there, and that the stream does not hold: it was
        made without them, or before them.
    """

    outcome: str
    differences: tuple[str, ...] = ()
    not_held: tuple[str, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether nothing of what the stream holds differs, but for samples within an error."""
        return not self.differences

    @property
    def as_json(self) -> dict[str, Any]:
        """What comes back, as JSON holds it."""
        return {"outcome": self.outcome, "differences": list(self.differences)}

    def refuse_other_bytes(self, path: Path) -> None:
        """Raise ValueError if anything differs; the error says what."""
        if not self.is_same:
            raise ValueError(f"{path} would not come back as it is: {self}")

    def __str__(self) -> str:
        said = ": ".join(filter(None, [self.outcome, "; ".join(self.differences)]))
        if not self.not_held:
            return said
        more = len(self.not_held) - _MOST_NAMED
        names = ", ".join(self.not_held[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        return f"{said}; not in the stream: {names}"


def try_restoring(path: Path, array: Array, exact: bool) -> Restoration | None:
    """Write the files that an array came from again, and compare them with the originals.

    Parameters
    ----------
    path : Path
        What was read, as `arrays.read` takes it.
    array : Array
        What was read of it, or what a stream of it decodes to.
    exact : bool
        Whether the samples are those that were read. Otherwise files of samples are not compared.

    Returns
    -------
    Restoration or None
        None of standard input, and of physical units, which come back as .npy or .csv only.

    Raises
    ------
    ValueError
        If the files cannot be written again.
    """
    known = wfdb_reading.is_record(array) or edf.HEADER in array.attachments
    if path == arrays.STANDARD or not (known or path.suffix.lower() in (".npy", ".csv")):
        return None
    name = path.name if path.suffix.lower() not in (".hea", ".dat") else path.stem
    not_held: tuple[str, ...] = ()
    if wfdb_reading.is_record(array):  # its files are in memory before they are written
        written = wfdb_writing.files_of(name, array, exact)
        compared = [n for n in sorted(written) if exact or not _holds_samples(n, array)]
        differences = tuple(
            f"{n} {_why(n, written[n][:4])}"
            for n in compared
            if not _holds(file_of(path.parent / n), written[n])
        )
        beside = wfdb_reading.annotation_files(path.with_name(name), array.attachments)
        not_held = tuple(file for file in beside if file not in written)
    else:
        differences = _differences(path, array, name, exact)
    same, other = (SAME, OTHER_BYTES) if exact else (SAME_BUT_SAMPLES, OTHER_FILES)
    return Restoration(other if differences else same, differences, not_held)


def _differences(path: Path, array: Array, name: str, exact: bool) -> tuple[str, ...]:
    """What is other about a file that is no WFDB record's: written again into a folder of its own.

    Within an error such a file has other samples, and is not compared.
    """
    with tempfile.TemporaryDirectory() as folder:
        arrays.write(Path(folder) / name, array, exact)
        files = sorted(Path(folder).iterdir(), key=lambda file: file.name) if exact else []
        return tuple(
            f"{file.name} {_why(file.name, _beginning(file))}"
            for file in files
            if not _are_equal(file, file_of(path.parent / file.name))
        )


def _holds_samples(name: str, array: Array) -> bool:
    headers = wfdb_reading.attached_headers(array.attachments).headers.values()
    return name in {file for header in headers for file in header.files}


def _beginning(file: Path) -> bytes:
    with open(file, "rb") as written:
        return written.read(4)


def _why(name: str, beginning: bytes) -> str:
    """What is other about a file that was written again."""
    if beginning == b"fLaC":
        return "is FLAC of another encoder"
    ending = Path(name).suffix.lower()
    if ending == ".csv":
        return "has its numbers or names in another spelling"
    if ending == ".npy":
        return "has bytes after its samples, or a header that NumPy does not write"
    if ending == ".hea":
        return "says another format, name or checksum"
    return "has other bytes"


def _holds(file: Path, content: bytes) -> bool:
    """Whether a file has these bytes; a file that is not there has none."""
    if not file.is_file() or file.stat().st_size != len(content):
        return False
    with open(file, "rb") as there:
        blocks = range(0, len(content), _BLOCK)
        return all(there.read(_BLOCK) == content[i : i + _BLOCK] for i in blocks)


def _are_equal(one: Path, other: Path) -> bool:
    """Whether two files have the same bytes; a file that is not there equals none."""
    if not other.is_file() or one.stat().st_size != other.stat().st_size:
        return False
    with open(one, "rb") as first, open(other, "rb") as second:
        while block := first.read(_BLOCK):
            if block != second.read(_BLOCK):
                return False
    return True
