"""How WavPack is used: its two commands, on all channels at once, without loss."""

import io
import shutil
import subprocess
import wave

import numpy as np

SETTINGS = (
    "-hh",
    "-x6",
    "-r",
    "-q",
)  # the smallest files; -r: raw, no header
RATE = 44_100  # only stands in a header


def version() -> str:
    """Of the command, from its first line."""
    if shutil.which("wavpack") is None:
        return "not installed"
    return _run(["wavpack", "--version"], b"").decode().split()[-1]


def encode(x: np.ndarray, tolerance: float, variant: str) -> bytes:
    """A stream of int16 samples, (n,) or (n, channels)."""
    if shutil.which("wavpack") is None:
        raise ValueError("the commands wavpack and wvunpack are not installed")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((x.shape[1] if x.ndim == 2 else 1, 2, RATE, 0, "NONE", ""))
        writer.writeframes(x.astype("<i2").tobytes())
    return _run(["wavpack", *SETTINGS, "-", "-o", "-"], file.getvalue())


def decode(stream: bytes, n: int, tolerance: float, variant: str) -> np.ndarray:
    """The samples of a stream, int16; one column for each channel where there are several."""
    samples = np.frombuffer(_run(["wvunpack", "-q", "-r", "-", "-o", "-"], stream), "<i2")
    return samples if samples.size == n else samples.reshape(n, -1)


def _run(command: list[str], given: bytes) -> bytes:
    """What a command writes of what it is given; an error has the command's last words."""
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(f"{command[0]}: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return done.stdout
