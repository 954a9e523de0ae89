"""Give SAN hostile streams and damaged files: each must be read, or refused in one sentence.

    python benchmarks/fuzz.py --streams 10000                    mutated streams, checksums right
    NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=/tmp/checked \\
        python benchmarks/fuzz.py --streams 10000                the same with checked bounds
    python benchmarks/fuzz.py --files 1000                       damaged recordings
    python benchmarks/fuzz.py --streams 1000 --seed 7            others

A try fails if another error than the reader's own comes out, if an error has several lines, if it
takes more than 2 s of CPU time, or more than 16 MB of memory. A recording that is read is also
compressed without loss, and restored: its samples must be the same. --failures (a folder, by
default ./failures) gets the bytes of what failed, with the reason beside them. A summary is printed
as JSON. The exit code is 1 if something failed.

`fuzz_streams.py` and `fuzz_files.py` say what is changed.
"""

import argparse
import contextlib
import hashlib
import itertools
import json
import resource
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import fuzz_files
import fuzz_streams

import san

SECONDS, MEGABYTES = 2.0, 16.0  # what one try may take
LITTLE = 2**11  # values: what declares more may take longer, and is not decoded here
RARE = 64  # one try in so many may have as large a dictionary as SAN allows
TOGETHER = 100  # tries between two looks at the memory, each of which costs as much as a try
EVERY = 10_000  # tries between two lines that say how far it is
_PEAK, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Try:
    """One hostile input."""

    name: str
    content: dict[str, bytes]  #: by file name
    act: Callable[[], str]  #: gives a word for the outcome, raises AssertionError if it is wrong
    own: tuple[type[Exception], ...]  #: the errors that are a refusal


@dataclass
class Tally:
    """What happened so far."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0  #: CPU seconds of a try
    most_memory: float = 0.0  #: MB of a try, where several tries together took more than 16


def peak() -> float:
    """The most memory that the process had since `begin_peak`, in MB."""
    if _PEAK.exists():
        line = next(x for x in _PEAK.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def begin_peak() -> float:
    """Forget the peak so far, where the system allows that."""
    if _RESET.exists():
        _RESET.write_text("5")
    return peak()


def outcome_of(one: Try) -> tuple[str, str]:
    """How a try ends, and what is wrong with that; empty if nothing is."""
    try:
        return one.act(), ""
    except one.own as error:
        said = str(error)
        problem = "" if said.strip() and "\n" not in said else f"not one line: {error!r}"
        return type(error).__name__, problem
    except KeyboardInterrupt:
        raise
    except BaseException:
        return "failed", traceback.format_exc()


def run(tries: Iterator[Try], folder: Path) -> Tally:
    """Try all, and keep the bytes of what fails."""
    tally, done = Tally(), 0
    while several := list(itertools.islice(tries, TOGETHER)):
        before = begin_peak()
        for one in several:
            begin = time.perf_counter()
            outcome, problem = outcome_of(one)
            if time.perf_counter() - begin > SECONDS:  # of CPU time it may be less
                problem += _cost(one, tally)
            tally.outcomes[outcome] += 1
            if problem:
                tally.failures.append(keep(folder, one, problem))
        if peak() - before > MEGABYTES:
            for one in several:
                if problem := _cost(one, tally):
                    tally.failures.append(keep(folder, one, problem))
        done += len(several)
        if done % EVERY < TOGETHER:
            say(done, tally)
    return tally


def _cost(one: Try, tally: Tally) -> str:
    """Try once more, and say whether it takes too much."""
    before, begin = begin_peak(), time.process_time()
    outcome_of(one)
    seconds, memory = time.process_time() - begin, peak() - before
    tally.slowest = max(tally.slowest, seconds)
    tally.most_memory = max(tally.most_memory, memory)
    long = f"\nit took {seconds:.1f} s" if seconds > SECONDS else ""
    return long + (f"\nit took {memory:.0f} MB" if memory > MEGABYTES else "")


def keep(folder: Path, one: Try, problem: str) -> str:
    """Keep the bytes of a failure, and why it is one; give the folder they are in."""
    digest = hashlib.sha256(b"".join(one.content.values())).hexdigest()[:12]
    place = folder / f"{one.name}-{digest}"
    place.mkdir(parents=True, exist_ok=True)
    for file, data in one.content.items():
        (place / file).write_bytes(data)
    (place / "why.txt").write_text(problem)
    return str(place)


def say(count: int, tally: Tally) -> None:
    """One line that says how far it is."""
    print(
        f"{count} tries, {len(tally.failures)} failures, {dict(tally.outcomes)}",
        file=sys.stderr,
        flush=True,
    )


def decode(blob: bytes, number: int) -> str:
    """Decode a stream in one of the ways that there are."""
    if number % 8 == 0:
        san.inspect(blob)
    most = None if number % RARE == 0 else LITTLE
    limits = san.Limits(samples=LITTLE, chunk_values=LITTLE, dictionary_values=most)
    decoder = san.Decoder(blob, limits=limits)
    info = decoder.info
    if number % 4 == 0:
        for name in info.attachments:
            assert len(decoder.attachment(name)) == info.attachments[name]
        decoder.events()
    if number % 4 == 1:
        shapes = [part.shape[1:] for part in decoder]
        assert all(shape == info.shape[1:] for shape in shapes)
        return "decoded"
    x = decoder.read()
    assert (x.shape, x.dtype) == (info.shape, info.dtype), "shape or dtype is not that of inspect"
    return "decoded"


def mutated_streams(count: int, seed: int) -> Iterator[Try]:
    """So many hostile streams."""
    for number, stream in enumerate(fuzz_streams.streams()):  # compiles what they may lead to
        with contextlib.suppress(san.CodecError):  # a sound one may be beyond the limits here
            decode(stream, number)
    mutations = fuzz_streams.Mutations(seed)
    for number in range(count):
        blob = mutations.next()
        yield Try(
            "stream",
            {"x.san": blob},
            lambda blob=blob, number=number: decode(blob, number),
            (san.CodecError,),
        )


def damaged_files(count: int, seed: int) -> Iterator[Try]:
    """So many damaged recordings."""
    mutations = fuzz_files.Mutations(seed)
    for _ in range(count):
        name, files = mutations.next()
        yield Try(
            name,
            files,
            lambda name=name, files=files: fuzz_files.attempt(name, files),
            fuzz_files.OWN,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--streams", type=int, default=0, metavar="N")
    parser.add_argument("--files", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--failures", type=Path, default=Path("failures"), metavar="FOLDER")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    summary = {}
    for kind, count, tries in (
        ("streams", options.streams, mutated_streams),
        ("files", options.files, damaged_files),
    ):
        if count:
            tally = run(tries(count, options.seed), options.failures)
            summary[kind] = {"tries": count, "seed": options.seed}
            summary[kind] |= {"outcomes": dict(tally.outcomes.most_common())}
            summary[kind] |= {"failures": tally.failures}
    print(json.dumps(summary, indent=1))
    return int(any(each["failures"] for each in summary.values()))


if __name__ == "__main__":
    sys.exit(main())
