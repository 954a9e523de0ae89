"""What `fuzz.py` changes in recordings: small WFDB records, EDF, BDF, tables and arrays.

Bytes are changed anywhere, and words of headers and cells of tables become other words, so that
readers meet fields that nobody would write. A file that is still read must also come back.
"""

import io
import itertools
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from fuzz_streams import changed

import san
from san.codec.decoder import Decoder
from san.files import streams
from san.files.restoring import try_restoring
from san.wfdb_records.formats import pack
from san.wfdb_records.header import FLAC

Files = dict[str, bytes]
OWN = (ValueError, OSError)
MOST_VALUES = 20_000  # of a recording that is also compressed
FRAMES = 30
WEIGHTS = (5, 2, 2, 3, 1)  # of WFDB records, those of segments, EDF, tables, arrays
WORDS = (
    "0 1 -1 2 7 8 16 24 80 212 310 311 508 516 65536 2147483648 4294967296 9223372036854775808 "
    "99999999999999999999 1e308 -1e308 1e-320 1e999 nan inf -inf 0.0 -0 .5 5. 1,5 0x10 1_000 +3 "
    "٣ ² ~ / # 16x0 16x2 16x99999999 16:3 16:999999999 16+5 16+99999999999 0/0 1/0 200(1)/mV 0(0) "
    "-200(-5)/ 200(99999999999999999999)/mV r.dat r.hea ../r.dat . .. r/2 r s é \x00 \x1b[2J "
    '12:30:00 99:99:99 29/02/1900 [12:30:00 time t ms date "a "" \'b; " - NA'
).split()
_CLOCK_AND_DATE = "12:30:00 01/02/2003"


def recordings() -> list[list[tuple[str, Files]]]:
    """For every kind of recording: the name of what is read, and the files of it."""
    return [[*kind()] for kind in (_records, _of_segments, _edf, _tables, _arrays)]


def _beats(counts: tuple[int, ...], largest: int) -> list[np.ndarray]:
    x = largest * np.sin(np.arange(FRAMES * sum(counts)) / 5.0)
    found, begin = [], 0
    for count in counts:
        found.append(np.rint(x[begin : begin + FRAMES * count]).astype(np.int64))
        begin += FRAMES * count
    return found


def _record(
    name: str, code: str, counts: tuple[int, ...] = (1, 1), extra: str = "", checked: bool = True
) -> Files:
    """A record of one signal file, with checksums that are right, or without any."""
    x = _beats(counts, 100)
    columns = []
    for each, count in zip(x, counts, strict=True):
        steps = np.diff(each, prepend=each[0]) if code == "8" else each
        columns.append(steps.reshape(-1, count))
    if code in FLAC:
        from san.wfdb_records.flac import write_flac

        body = write_flac(np.stack(x, axis=1), code)
    else:
        body = pack(np.concatenate(columns, axis=1).reshape(-1), code)
    lines = [f"{name} {len(counts)} 250 {FRAMES} {_CLOCK_AND_DATE}"]
    for c, (each, count) in enumerate(zip(x, counts, strict=True)):
        how = code + (f"x{count}" if count > 1 else "") + extra
        total = int(each.sum()) & 0xFFFF
        fields = f" 12 0 {each[0]} {total} 0 lead {c}" if checked else f" 12 0 {each[0]}"
        lines.append(f"{name}.dat {how} 200(3)/mV{fields}")
    before = bytes(int(extra.partition("+")[2] or 0))
    header = "\n".join([*lines, "# a comment", ""]).encode()
    return {f"{name}.hea": header, f"{name}.dat": before + body}


def _records() -> Iterator[tuple[str, Files]]:
    notes = {"r.atr": bytes.fromhex("010401080a04fc03016e000408280000")}
    for code in ("8", "16", "24", "32", "61", "80", "160", "212", "310", "311"):
        yield "r", _record("r", code) | notes
        yield "r", _record("r", code, checked=False)
    try:
        import soundfile  # noqa: F401
    except ImportError:
        print("FLAC files are not tried: soundfile is not installed", file=sys.stderr)
    else:
        for code in FLAC:
            yield "r", _record("r", code)
            yield "r", _record("r", code, checked=False)
    yield "r", _record("r", "16", (2, 1, 3))
    yield "r", _record("r", "212", (1,), "+24")
    yield "r", _record("r", "16", (1, 1), ":3")
    two = _record("r", "80", (1,)), _record("s", "212", (1,))
    head = f"r 2 250 {FRAMES}\n".encode()
    lines = [each[f"{name}.hea"].split(b"\n")[1] for each, name in zip(two, "rs", strict=True)]
    yield "r", two[0] | two[1] | {"r.hea": head + b"\n".join(lines) + b"\n"}


def _of_segments() -> Iterator[tuple[str, Files]]:
    parts = _record("a", "16") | _record("b", "80")
    head = f"r/2 2 250 {2 * FRAMES} {_CLOCK_AND_DATE}\na {FRAMES}\nb {FRAMES}\n".encode()
    yield "r", parts | {"r.hea": head, "r.atr": b"\x0a\x04\x00\x00"}
    layout = b"l 2 250 0\n~ 0 200/mV 12 0 0 0 0 lead 0\n~ 0 200/mV 12 0 0 0 0 lead 1\n"
    one = _record("a", "16", (1,))
    head = f"r/3 2 250 {2 * FRAMES}\nl 0\na {FRAMES}\n~ {FRAMES}\n".encode()
    yield "r", one | {"r.hea": head, "l.hea": layout}


def _edf() -> Iterator[tuple[str, Files]]:
    for bdf in (False, True):
        for rates in ((20,), (20, 10)):
            yield "r.bdf" if bdf else "r.edf", {"r.bdf" if bdf else "r.edf": _edf_file(rates, bdf)}


def _edf_file(rates: tuple[int, ...], bdf: bool) -> bytes:
    """Three data records with annotations."""
    width, records = 3 if bdf else 2, 3
    labels = [f"EEG {c}" for c in range(len(rates))] + [f"{'BDF' if bdf else 'EDF'} Annotations"]
    samples, half = [*rates, 20], 1 << (8 * width - 1)
    count = len(labels)
    head = (b"\xffBIOSEMI" if bdf else b"0".ljust(8)) + b"X X X X".ljust(80)
    head += (
        b"Startdate X X X X".ljust(80)
        + b"01.01.2010.00.00"
        + str(256 * (count + 1)).encode().ljust(8)
    )
    head += (b"BDF+C" if bdf else b"EDF+C").ljust(44)
    head += str(records).encode().ljust(8) + b"1".ljust(8) + str(count).encode().ljust(4)
    columns = [
        (labels, 16),
        ([""] * count, 80),
        (["uV"] * len(rates) + [""], 8),
        (["-100"] * count, 8),
    ]
    columns += [(["100"] * count, 8), ([str(-half)] * count, 8), ([str(half - 1)] * count, 8)]
    columns += [([""] * count, 80), ([str(n) for n in samples], 8), ([""] * count, 32)]
    for texts, size in columns:
        head += b"".join(text.encode().ljust(size) for text in texts)
    body = b""
    for number in range(records):
        for n in rates:
            x = np.rint(900 * np.sin(np.arange(n) / 3)).astype("<i4")
            body += x.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
        note = f"+{number}\x14\x14\0+{number}.5\x151\x14wörd\x14\0".encode()
        body += note.ljust(samples[-1] * width, b"\0")
    return head + body


def _tables() -> Iterator[tuple[str, Files]]:
    rows = [(k / 250, np.sin(k / 5.0), k % 7) for k in range(40)]
    plain = "".join(f"{t:.3f},{a:.4f},{b}\n" for t, a, b in rows)
    texts = {
        "times": "time,a,b\n" + plain,
        "no names": plain,
        "semicolons": "t;a;b\n" + plain.replace(",", ";").replace(".", ","),
        "tabs and units": "'Elapsed time'\t'a'\n'(seconds)'\t'(mV)'\n"
        + "".join(f"0:{t:06.3f}\t{a:.3f}\n" for t, a, _ in rows),
        "missing": "a,b\n" + "".join(f"{'NA' if b == 3 else f'{a:.3f}'},{b}\n" for _, a, b in rows),
        "quoted": 'a,b\n' + "".join(f'"{a:.3f}","{b}"\n' for _, a, b in rows),
        "milliseconds": "time_ms,a\n" + "".join(f"{1000 * t:.0f},{a:.6g}\n" for t, a, _ in rows),
        "dates": "date,a\n"
        + "".join(f"2020-01-01T00:00:{t:06.3f}Z,{a:.3f}\n" for t, a, _ in rows),
    }  # fmt: skip
    for text in texts.values():
        yield "r.csv", {"r.csv": text.encode()}
    yield "r.csv", {"r.csv": b"\xef\xbb\xbf" + texts["times"].replace("\n", "\r\n").encode()}
    yield "r.csv", {"r.csv": texts["times"].encode("utf-16")}


def _arrays() -> Iterator[tuple[str, Files]]:
    x = np.sin(np.arange(60.0)).reshape(30, 2)
    for dtype in ("int8", ">i2", "uint16", "int64", "float16", "float32", "float64", "bool"):
        for order in "CF":
            content = io.BytesIO()
            np.save(content, np.asarray(100 * x, dtype, order=order))
            yield "r.npy", {"r.npy": content.getvalue()}


class Mutations:
    """An endless source of damaged recordings.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        self._source = random.Random(seed)
        self._all = recordings()
        for name, files in itertools.chain(*self._all):
            outcome = attempt(name, files)
            assert outcome in ("read", "read, other bytes"), (name, outcome)

    def next(self) -> tuple[str, Files]:
        """The name of what is to be read, and its files."""
        source = self._source
        name, files = source.choice(source.choices(self._all, WEIGHTS)[0])
        files = dict(files)
        for _ in range(source.choice((1, 1, 2, 3))):
            file = source.choice([f for f in files if f.endswith(".hea")] or [*files])
            if source.random() < 0.3:
                file = source.choice([*files])
            is_text = file.endswith((".hea", ".csv", ".edf", ".bdf"))
            change = _other_words if is_text and source.random() < 0.7 else changed
            files[file] = change(files[file], source)
        if source.random() < 0.02 and len(files) > 1:
            del files[source.choice([*files])]
        return name, files


def _other_words(data: bytes, source: random.Random) -> bytes:
    """One to three words of a text become others, are doubled, or are taken away."""
    text = data.decode("latin-1")
    for _ in range(source.randint(1, 3)):
        found = [*re.finditer(r"[^\s,;]+", text[:4000])]
        if not found:
            break
        word = source.choice(found)
        new = source.choice(WORDS).encode().decode("latin-1")
        kind = source.randrange(6)
        if kind == 0:
            new = ""
        elif kind == 1:
            new = f"{word[0]} {word[0]}"
        elif kind == 2:
            new = re.sub(r"\d+", lambda _: str(source.choice((0, 3, 2**16, 2**31, 2**63))), word[0])
        elif kind == 3:
            new = source.choice(found)[0]
        if source.random() < 0.7 and data[:1] in (b"0", b"\xff"):  # EDF: fields keep their places
            new = new.ljust(len(word[0]))[: max(8, len(word[0]))]
            text = text[: word.start()] + new + text[word.start() + len(new) :]
        else:
            text = text[: word.start()] + new + text[word.end() :]
    return text.encode("latin-1")


def attempt(name: str, files: Files) -> str:
    """Read a recording, compress it without loss, and restore it; say how it ended.

    Raises
    ------
    ValueError, OSError
        In the words of SAN, if the recording is refused.
    AssertionError
        If another package raised the error, or other samples came back.
    """
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    try:
        for file, data in files.items():
            (folder / file).write_bytes(data)
        return _read_and_restore(folder / name, folder / "back")
    except OWN as error:
        _check_words(error, folder)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _read_and_restore(path: Path, back: Path) -> str:
    array = streams.read_file(path, exact=True)
    parts = (array, *array.others)
    values = sum(part.x.size for part in parts)
    if values > MOST_VALUES:
        return "read, large"
    try:
        san.read(path)
    except ValueError as error:
        assert "read each segment by itself" in str(error), error
    decoder = Decoder(streams.encode_array(array, lossless=True, events=False))
    back.mkdir()
    streams.write_file(decoder, back / path.name)
    again = streams.read_file(back / path.name, exact=True)
    for one, other in zip(parts, (again, *again.others), strict=True):
        assert np.array_equal(one.x, other.x, equal_nan=one.x.dtype.kind == "f"), "other samples"
    restored = try_restoring(path, streams.decode(decoder), True)
    assert restored is not None
    if restored.is_same:
        same = [
            file
            for file in back.iterdir()
            if file.read_bytes() != (path.parent / file.name).read_bytes()
        ]
        assert not same, f"said to be the same: {same}"
    return "read" if restored.is_same else "read, other bytes"


def _check_words(error: Exception, folder: Path) -> None:
    """SAN itself must raise an error: the words of another package name neither file nor field."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    where = last.tb_frame.f_code.co_filename if last is not None else ""
    package = str(Path(san.__file__).parent)
    assert where.startswith(package) or isinstance(error, OSError), f"raised in {where}: {error!r}"
