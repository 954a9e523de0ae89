"""Where dictionaries that streams only name are kept: the names of their files, and of the folder.

An archive keeps each of its dictionaries in one file of its folder, named by the SHA-256. Its
streams hold the first digits of that name.
"""

from pathlib import Path

ENDING = ".dictionary"
MANIFEST = "manifest.jsonl"  # the file by which the folder of an archive is known


def dictionary_path(folder: Path, sha256: str) -> Path:
    """The file of a dictionary in a folder; it may be missing.

    The name may be the first digits alone, where one file of the folder begins with them.

    Examples
    --------
    >>> dictionary_path(Path("streams"), "8a7f").name
    '8a7f.dictionary'
    """
    path = folder / f"{sha256}{ENDING}"
    found = [] if path.is_file() else list(folder.glob(f"{sha256}*{ENDING}"))
    return found[0] if len(found) == 1 else path


def archive_of(stream: Path) -> Path | None:
    """The folder of the archive that a stream is part of, if it is part of one."""
    return next((above for above in stream.resolve().parents if (above / MANIFEST).is_file()), None)


def kept_with(stream: Path, sha256: str) -> Path | None:
    """The file of the dictionary that a stream names: beside the stream, or in its archive.

    None if it is in neither of the two folders.
    """
    for folder in (stream.resolve().parent, archive_of(stream)):
        if folder is not None and (path := dictionary_path(folder, sha256)).is_file():
            return path
    return None
