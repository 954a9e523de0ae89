"""Trains the dictionary `ecg-1` that comes with the package, and says its SHA-256.

    SAN_DATA_DIR=FOLDER python benchmarks/train_dictionary.py [OUT]

FOLDER holds `mitdb` (MIT-BIH Arrhythmia Database, ODC-By 1.0) and `leads12` (records of Georgia in
the PhysioNet/CinC Challenge 2021, CC BY 4.0). No release changes a dictionary that it has shipped:
a better one gets another name. Another machine may round otherwise, and train a slightly different
one.
"""

import os
import sys
from pathlib import Path

import numpy as np
import wfdb

from san.codec.modes.transform import Setting
from san.codec.search.excerpts import EXCERPT_PIECES, bin_bits_for, with_excerpt
from san.codec.search.learning import learn_kernels
from san.codec.search.steps import guess_code, step_of

MITDB = ["100", "102", "106", "109", "114", "116", "119", "124", "203", "207", "209", "220", "230"]
GEORGIA = ["E00004", "E00008", "E00793", "E07502", "E07506", "E07511", "E07515", "E07519"]
FS = 500.0  # Hz, of the records of Georgia; those of MIT-BIH are taken as if they had it, too
PRDN = 8.0
LOUDNESS = 200.0  # the standard deviation that every piece is brought to: one step suits them all
STARTS, LENGTH = (20_000, 80_000), 3600  # samples of a record of MIT-BIH
SHORT = 700  # samples of each of them in the excerpt: a longer excerpt taught less
PART = slice(1000, 2000)  # of a record of Georgia in the excerpt


def main() -> None:
    """Train, and write the dictionary where a path is given."""
    folder = Path(os.environ["SAN_DATA_DIR"])
    mitdb = [piece for name in MITDB for piece in pieces_of(folder / "mitdb" / name)]
    georgia = [lead_two(folder / "leads12" / f"{name}.mat") for name in GEORGIA]
    excerpt = joined([x[PART] for x in georgia] + [x[:SHORT] for x in mitdb])
    allowed = (PRDN / 100) ** 2 * float(((excerpt - excerpt.mean()) ** 2).sum())
    code = guess_code([excerpt[:, 0]], allowed)
    steps = np.array([step_of(code)])
    kernels = learn_kernels(joined(georgia[::2] + mitdb[::4]), FS, steps)
    setting, piece = Setting((code,), bin_bits_for(FS)), len(excerpt) // EXCERPT_PIECES
    dictionary = with_excerpt(excerpt, piece, FS, setting, kernels, True)
    print(dictionary, dictionary.sha256)
    if len(sys.argv) > 1:
        dictionary.save(sys.argv[1])


def pieces_of(record: Path) -> list[np.ndarray]:
    """Two pieces of ten seconds of a record's first lead."""
    x = wfdb.rdrecord(str(record), physical=False).d_signal[:, 0]
    return [x[start : start + LENGTH] for start in STARTS]


def lead_two(path: Path) -> np.ndarray:
    """Lead II of a twelve-lead record, whose samples follow 24 bytes."""
    return np.frombuffer(path.read_bytes()[24:], "<i2").reshape(-1, 12)[:, 1]


def joined(pieces: list[np.ndarray]) -> np.ndarray:
    """All pieces one after the other, equally loud: int64 (n, 1)."""
    centred = [x - x.mean() for x in pieces]
    loud = [np.rint(x / x.std() * LOUDNESS).astype(np.int64) for x in centred]
    return np.concatenate(loud)[:, None]


if __name__ == "__main__":
    main()
