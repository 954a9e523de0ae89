"""Which data and settings a run has, and how `settings.toml` is written and read.

What `settings_text` writes, every TOML reader reads, and `read_settings` gives it back.
"""

import dataclasses
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import Field

from san import datasets
from san.training.settings import Settings, first_problem

ALL = "all"  # the record that stands for each database's first
LARGEST_FILE = 1 << 17  # characters of a settings file; those of a run have about 1000
# A key of many parts, which takes its reader minutes: a.b.c.d ...
_LONG_KEY = re.compile(r"""(?<![\w"'-])(?:(?:"[^"\n]*"|'[^'\n]*'|[\w-]++)[ \t]*+\.[ \t]*+){16}""")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


# For recordings of your own: sizes from a short wave to a heartbeat.
RECORDING_DEFAULTS: dict[str, Any] = {"kernel_sizes": "10:200:30", "batch_size": 8}
# What only recordings of your own have, and what only named data sets have.
OF_RECORDINGS = (
    "recordings", "channels", "window_seconds", "stride", "stride_seconds", "stop", "stop_seconds",
    "split", "shares", "standardise", "fs", "resample", "labels",
)  # fmt: skip
_OF_NAMED = ("record", "channel")
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _split_at_commas(value: Any) -> Any:
    """A text with commas as its parts; anything else as it is."""
    return tuple(value.split(",")) if isinstance(value, str) else value


@pydantic.dataclasses.dataclass(frozen=True, config=pydantic.ConfigDict(extra="forbid"))
class RunData:
    """The signals that a run is trained on.

    See `san.datasets.load_splits`, and `san.datasets.from_files` for recordings of your own.
    """

    dataset: str = "physionet"
    recordings: tuple[str, ...] | None = None  # paths of files of your own
    channels: Annotated[tuple[str, ...] | None, pydantic.BeforeValidator(_split_at_commas)] = None
    record: str | None = None
    channel: Annotated[int, Field(ge=0)] | None = None
    window: Annotated[int, Field(ge=2)] | None = None  # samples
    window_seconds: _Positive | None = None
    stride: Annotated[int, Field(ge=1)] | None = None  # samples
    stride_seconds: _Positive | None = None
    windows: Annotated[int, Field(ge=1)] | None = None
    start: Annotated[int, Field(ge=0)] | None = None  # sample
    start_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    stop: Annotated[int, Field(ge=1)] | None = None  # sample
    stop_seconds: _Positive | None = None
    split: str | None = None
    shares: Annotated[
        tuple[float, float, float] | None, pydantic.BeforeValidator(_split_at_commas)
    ] = None
    standardise: str | None = None
    fs: _Positive | None = None  # Hz
    resample: _Positive | None = None  # Hz
    labels: str | None = None
    data_dir: str | None = None


def settings_from(given: dict[str, Any], where: str = "the settings") -> tuple[RunData, Settings]:
    """Complete what a user gave with the protocol's defaults on that data set, and check it.

    Parameters
    ----------
    given : dict
        Fields of `RunData` and `Settings`, by name.
    where : str
        What an error calls the place they come from.

    Raises
    ------
    ValueError
        If a name is not known or a value does not fit: one line that names both.

    Examples
    --------
    >>> data, settings = settings_from({"record": "mitdb/100", "protocol": "published"})
    >>> settings.init, settings.decoder, len(settings.kernel_sizes)
    ('normal', 'paper', 249)
    """
    of_data = {field.name for field in dataclasses.fields(RunData)}
    names = of_data | {field.name for field in dataclasses.fields(Settings)}
    for name in given:
        if name not in names:
            raise ValueError(f"{where}: there is no setting {name!r}")
    try:
        data = _data_from({k: v for k, v in given.items() if k in of_data}, where)
        own = {k: v for k, v in given.items() if k not in of_data}
        protocol = own.get("protocol", "corrected")
        if data.recordings is None:
            defaults = datasets.training_defaults(data.dataset, data.record, protocol)
        else:
            defaults = RECORDING_DEFAULTS
        if protocol == "published":
            defaults = {"init": "normal", "decoder": "paper", **defaults}
        return data, Settings(**{**defaults, **own})
    except pydantic.ValidationError as error:
        raise ValueError(f"{where}: {first_problem(error)}") from error


def _data_from(given: dict[str, Any], where: str) -> RunData:
    """Check that what is given is of a named data set, or of recordings of your own."""
    data = RunData(**given)
    if data.recordings is None:
        for name in OF_RECORDINGS:
            if getattr(data, name) is not None:
                raise ValueError(f"{where}: {name} is for files of your own, and none is named")
        known = {*datasets.NAMES, *datasets.databases(), datasets.BUNDLED, ALL}
        for name in ("dataset", "record"):
            text = str(getattr(data, name))
            is_file = os.path.exists(text) or os.path.exists(f"{text}.hea")
            if is_file and text.partition("/")[0] not in known:
                raise ValueError(
                    f"{where}: {text} is a recording of your own: train on it with "
                    f"san train {text}, without --{name}"
                )
        return data
    if given.get("dataset", datasets.RECORDINGS) != datasets.RECORDINGS:
        raise ValueError(f"{where}: give files of your own, or dataset {data.dataset}, not both")
    for name in _OF_NAMED:
        if getattr(data, name) is not None:
            raise ValueError(
                f"{where}: {name} is for named data sets: files of your own have channels"
            )
    table = data.split if data.split and data.split.lower().endswith(".csv") else None
    return dataclasses.replace(
        data,
        dataset=datasets.RECORDINGS,
        recordings=tuple(map(os.path.abspath, data.recordings)),  # to continue from elsewhere
        split=os.path.abspath(table) if table else data.split,
    )


def read_settings(path: Path) -> dict[str, Any]:
    """Read the settings in a TOML file, such as a run's; its provenance is left out.

    Raises
    ------
    ValueError
        If the file is not TOML.
    """
    given = _read(path)
    given.pop("provenance", None)
    return given


def read_provenance(path: Path) -> dict[str, Any]:
    """Read what `settings.toml` says of versions and data; nothing where it says nothing."""
    found = _read(path).get("provenance", {})
    return found if isinstance(found, dict) else {}


def settings_text(data: RunData, settings: Settings, provenance: dict[str, Any]) -> str:
    """Write data, settings and provenance as TOML; what is None is left out.

    Raises
    ------
    ValueError
        If a text has a part of a character, which no file of text can hold.
    """
    given = {**dataclasses.asdict(data), **dataclasses.asdict(settings)}
    lines = [f"{name} = {_value(value)}" for name, value in given.items() if value is not None]
    lines += ["", "[provenance]"]
    lines += [f"{_value(name)} = {_value(value)}" for name, value in provenance.items()]
    text = "\n".join(lines) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"a setting has {error.object[error.start]!r}, which is no whole character: "
            "give a path without it"
        ) from error
    return text


def _read(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            text = file.read(LARGEST_FILE + 1).decode()
        if len(text) > LARGEST_FILE or _LONG_KEY.search(text):
            raise ValueError(f"it has over {LARGEST_FILE} characters, or a key of 16 parts")
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"{path} is not TOML for settings: its lists are too deep") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path} is not TOML for settings: {error}") from None


def _value(value: Any) -> str:
    """A text, a number, true, false, or a list of them, as TOML."""
    if isinstance(value, str):
        return f'"{"".join(map(_character, value))}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"settings.toml cannot hold {value!r}")


def _character(one: str) -> str:
    """A character in a TOML text: control characters and DEL must be escaped."""
    if one in _ESCAPES:
        return _ESCAPES[one]
    return f"\\u{ord(one):04X}" if ord(one) < 32 or ord(one) == 127 else one
