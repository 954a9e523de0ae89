"""The command line: parse, call, print. The only place where a data set's name meets a model.

Wrong use ends with one line and exit code 2, an interrupt with 130. Nothing heavy is imported
before a command runs.
"""

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from san import packages
from san.command import archive, beats, codec, events, pages, parts, recover, warm
from san.training import processes

app = typer.Typer(
    name="san",
    cls=archive.Commands,
    help="Sparsely Activated Networks: a few learned kernels and the sparse events of a signal.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; the entry point `san`."""
    if sys.stderr is None:  # it was closed, and what is said must not go to standard output
        sys.stderr = open(os.devnull, "w")
    warnings.formatwarning = _warning
    _show_log()
    try:
        code = app(prog_name="san", standalone_mode=False)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except (ValueError, TypeError, OSError) as error:
        _fail(_words_of(error), 2)
    except MemoryError:
        _fail("there is not enough memory: take a part, or shorter chunks", 2)
    except ModuleNotFoundError as error:
        if packages.is_about_san(error):
            raise
        _fail(str(packages.explained(error)), 2)
    except Exception as error:
        if not hasattr(error, "format_message"):  # not wrong use, but a fault of ours
            raise
        _fail(_words_of_use(error), 2)
    sys.exit(code or 0)


def _words_of_use(error: Any) -> str:
    """What is wrong with an option or an argument; the value is named."""
    words = str(error.format_message())
    found = getattr(error.__cause__ or error.__context__, "errors", None)
    if found is None:
        return words
    first = found()[0]  # as pydantic, which typer uses, has it
    kind, value = first["type"], first["input"]
    if kind == "value_error" and "error" in first.get("ctx", {}):
        return f"{words.partition(':')[0]}: {str(first['ctx']['error']).rstrip('.')}"
    kinds = {"float_parsing": "a number", "int_parsing": "a whole number"}
    return f"{words.partition(':')[0]}: {value!r} is not {kinds.get(kind, 'possible here')}"


class _Log(logging.Handler):
    """Shows what SAN logs as the other lines of a command."""

    def emit(self, record: logging.LogRecord) -> None:
        parts.say(f"san: {record.getMessage()}", sys.stderr)


def _show_log() -> None:
    """Show what SAN logs; what merely informs, on a terminal only."""
    log = logging.getLogger("san")
    log.handlers = [_Log()]
    log.setLevel(logging.INFO if sys.stderr.isatty() else logging.WARNING)


def _words_of(error: Exception) -> str:
    """An error in one line; what the system says of a file is said as in the rest of SAN."""
    if isinstance(error, OSError) and error.filename is None and error.errno is not None:
        of_system = error.strerror == os.strerror(error.errno)
        return f"{'the output cannot be written: ' * of_system}{error.strerror}"
    if not isinstance(error, OSError) or error.filename is None or error.strerror is None:
        return " ".join(str(error).split())
    if isinstance(error, FileNotFoundError):
        return f"{error.filename} is not there"
    if isinstance(error, IsADirectoryError):
        return f"{error.filename} is a folder: a file is needed here"
    if isinstance(error, PermissionError):
        return f"{error.filename} cannot be used: the system does not permit it"
    return f"{error.filename} cannot be used: {error.strerror}"


def _fail(message: str, code: int) -> None:
    if message and processes.is_first():
        parts.say(f"san: {message}", sys.stderr)
    sys.exit(code)


def _warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """What is shown of a warning: its words, which may name a file."""
    return f"san: {parts.printable(' '.join(str(message).split()))}\n"


def _show_version(show: bool) -> None:
    if show:
        import importlib.metadata

        parts.say(f"san {importlib.metadata.version('sparsely-activated-networks')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def _option(panel: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(help=help, rich_help_panel=panel, metavar=metavar)


DATA, MODEL, TRAINING, RUN = "Data", "Model", "Training", "Run"
OWN = "Files of your own"
BEYOND = "Beyond the paper"
PASSES = "How often extrema are selected, each time from what is left. Default: 1."
REFIT = "Refit all amplitudes of a signal after each selection. Default: no."
COMPETE = "An extremum also suppresses extrema of the other kernels. Default: no."
ANNEAL = """Factor by which the minimum distance is multiplied at the start. It changes linearly to
1 until two thirds of the epochs are trained. Default: 1."""
TOGETHER = """Train one model with kernels of all these sizes, instead of one for each size.
Default: no."""
GROW = "Add the kernels one at a time; each starts from what is left. Default: no."
EXPERIMENT = """physionet, uci-epilepsy, mnist, fashion-mnist; of other networks sparse-experts,
compression, overlaps and sparse-activations; several of them or all. Default: all."""
PROTOCOLS = "published, corrected, or both. Default: both."
SEEDS = "Trainings of each model, with seeds 0, 1, ... Default: 1."
VARIANT = """Also train this improvement beyond the paper with Extrema on PhysioNet; 'all' for each
of them. Can be given several times."""
DATABASE = "Only this PhysioNet database. Can be given several times. Default: all 15."
FOLDER = "Where results are written, and found again. Default: reproduction."
DATASET = "physionet, uci-epilepsy, mnist or fashion-mnist. Default: physionet."
RECORD = """PhysioNet record, such as mitdb/100; a database for its first record; 'all' for the
first of each of the paper's 15. Default: the bundled recording."""
CHANNEL = """Channel of a record of a named data set, from 0. Default: 0. For files of your own,
see --channels."""
RECORDINGS = """Files of your own: WFDB records, .edf, .bdf, .npy, .csv, streams, zarr arrays, and
folders of them. Default: a named data set."""
WINDOW = "Samples per window. Default: 1000."
WINDOW_SECONDS = "Length of a window in seconds."
WINDOWS = """Windows, split 1/2, 1/6, 1/3 into training, validation, test. Default: 12. Of each
recording of your own: at most so many, at even distances. Default: all."""
START = """Where the first window begins, in seconds. Default: 0; for the bundled recording, the
start of a calm stretch."""
START_SAMPLE = "Where the first window begins, in samples."
CHANNELS = """Channels by name or number, with commas: MLII,V1. 'MLII|II' takes the first name that
a recording has; all takes all. Default: the first channel."""
STOP = "Where the last window ends at the latest, in seconds. Default: the end of the recording."
STOP_SAMPLE = "Where the last window ends at the latest, in samples."
STRIDE = (
    "Samples from the start of a window to the start of the next. Default: the window's length."
)
STRIDE_SECONDS = "The same in seconds."
SPLIT = """How windows become training, validation and test: time, within each recording; record,
whole recordings; or a table (.csv) with the columns record and group, or record and split.
Default: time."""
SHARES = "How much each of the three gets, such as 12,4,4. Default: 3,1,1."
STANDARDISE = """Mean 0 and standard deviation 1 of each window, of each record, or none.
Default: window."""
FS = "Sampling rate in Hz, of files that do not state it."
RESAMPLE = "Rate of all windows in Hz. Default: where rates differ, the lowest."
LABELS = """Keep a label of each window: what a channel of this name, or annotations such as atr,
mostly say in it."""
DATA_DIR = "Searched for data before the cache and the network. Default: $SAN_DATA_DIR."
ACTIVATION = "identity, relu, top-k-absolutes, extrema-pool or extrema. Default: extrema."
KERNEL_SIZES = """Sizes m to try, in samples: 74, or 7,10,74, or a range such as 1:250 (up to 249)
or 10:250:10. Default: the data set's."""
KERNELS = "Kernels q, all of one size; with --together, of each size. Default: the data set's."
INIT = """First weights: data (a segment around an extremum) or normal (N(0, 0.1)). Default: data;
published: normal."""
DECODER = "adjoint (transposed convolution) or paper. Default: adjoint; published: paper."
TOLERANCE = "Samples by which extrema may be closer than m. Default: 3; images and UCI: 2."
EPOCHS = "Epochs. Default: 30; images and UCI: 5."
BATCH_SIZE = "Signals per step. Default: 2; files of your own: 8; images and UCI: 64."
LEARNING_RATE = "Step of Adam. Default: 0.01."
SEED = "Seed of the first weights, of the order and of the split. Default: 0."
PROTOCOL = """corrected, or published: every choice as in the paper's experiments, unless given
here. Default: corrected."""
DEVICE = "cpu, cuda, cuda:1. Default: cpu."
SETTINGS = """TOML file of these same settings, such as a run's settings.toml; options given here
come first."""
OUTPUT = "Run folder. Default: a new one in runs."
RESUME = "Continue the run in this folder, with its settings."
JSON = "Print JSON."


@app.command()
def train(
    recordings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RECORDING...]", help=RECORDINGS, show_default=False),
    ] = None,
    dataset: Annotated[str | None, _option(DATA, DATASET)] = None,
    record: Annotated[str | None, _option(DATA, RECORD, "DATABASE/RECORD")] = None,
    channel: Annotated[int | None, _option(DATA, CHANNEL)] = None,
    window: Annotated[int | None, _option(DATA, WINDOW)] = None,
    windows: Annotated[int | None, _option(DATA, WINDOWS)] = None,
    start: Annotated[float | None, _option(DATA, START)] = None,
    start_sample: Annotated[int | None, _option(DATA, START_SAMPLE)] = None,
    data_dir: Annotated[str | None, _option(DATA, DATA_DIR, "FOLDER")] = None,
    channels: Annotated[str | None, _option(OWN, CHANNELS, "NAMES")] = None,
    window_seconds: Annotated[float | None, _option(OWN, WINDOW_SECONDS)] = None,
    stride: Annotated[int | None, _option(OWN, STRIDE)] = None,
    stride_seconds: Annotated[float | None, _option(OWN, STRIDE_SECONDS)] = None,
    stop: Annotated[float | None, _option(OWN, STOP)] = None,
    stop_sample: Annotated[int | None, _option(OWN, STOP_SAMPLE)] = None,
    split: Annotated[str | None, _option(OWN, SPLIT, "time|record|TABLE")] = None,
    shares: Annotated[str | None, _option(OWN, SHARES, "A,B,C")] = None,
    standardise: Annotated[str | None, _option(OWN, STANDARDISE, "window|record|none")] = None,
    fs: Annotated[float | None, _option(OWN, FS, "HZ")] = None,
    resample: Annotated[float | None, _option(OWN, RESAMPLE, "HZ")] = None,
    labels: Annotated[str | None, _option(OWN, LABELS, "NAME")] = None,
    activation: Annotated[str | None, _option(MODEL, ACTIVATION)] = None,
    kernel_sizes: Annotated[str | None, _option(MODEL, KERNEL_SIZES, "SIZES")] = None,
    kernels: Annotated[int | None, _option(MODEL, KERNELS)] = None,
    init: Annotated[str | None, _option(MODEL, INIT)] = None,
    decoder: Annotated[str | None, _option(MODEL, DECODER)] = None,
    border_tolerance: Annotated[int | None, _option(MODEL, TOLERANCE)] = None,
    epochs: Annotated[int | None, _option(TRAINING, EPOCHS)] = None,
    batch_size: Annotated[int | None, _option(TRAINING, BATCH_SIZE)] = None,
    learning_rate: Annotated[float | None, _option(TRAINING, LEARNING_RATE)] = None,
    seed: Annotated[int | None, _option(TRAINING, SEED)] = None,
    protocol: Annotated[str | None, _option(TRAINING, PROTOCOL)] = None,
    device: Annotated[str | None, _option(TRAINING, DEVICE)] = None,
    passes: Annotated[int | None, _option(BEYOND, PASSES)] = None,
    refit: Annotated[bool | None, _option(BEYOND, REFIT)] = None,
    compete: Annotated[bool | None, _option(BEYOND, COMPETE)] = None,
    anneal: Annotated[float | None, _option(BEYOND, ANNEAL)] = None,
    grow: Annotated[bool | None, _option(BEYOND, GROW)] = None,
    together: Annotated[bool | None, _option(BEYOND, TOGETHER)] = None,
    settings: Annotated[Path | None, _option(RUN, SETTINGS, "FILE")] = None,
    output: Annotated[Path | None, _option(RUN, OUTPUT, "FOLDER")] = None,
    resume: Annotated[Path | None, _option(RUN, RESUME, "FOLDER")] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON, rich_help_panel=RUN)] = False,
) -> None:
    """Train a Sparsely Activated Network and choose kernel size and epoch by validation φ.

    It learns from a named data set, or from recordings of your own.

    The run folder holds settings, history, model, test metrics and figures.
    """
    given = {name: value for name, value in locals().items() if value not in (None, [])}
    for name in ("settings", "output", "resume", "as_json"):
        given.pop(name, None)
    for name in ("start", "start_sample", "stop", "stop_sample"):
        given.pop(name, None)
    begin = {"start_seconds": start, "start": start_sample}  # as settings name them
    end = {"stop_seconds": stop, "stop": stop_sample}
    given |= {name: value for name, value in {**begin, **end}.items() if value is not None}
    parts.refuse_both("--start", start, start_sample)
    parts.refuse_both("--stop", stop, stop_sample)
    if processes.is_first():
        parts.say_unit(start=start)
    packages.need(*packages.OF_NETWORKS)
    from san.command import console
    from san.training import run_settings, runs

    if resume is not None:
        if settings or output or given.keys() - {"data_dir"}:
            raise ValueError("--resume takes its settings from the run folder: give no others")
        with processes.joined():
            console.train(runs.resume(resume, data_dir), as_json)
        return
    if "activation" in given:
        given["activation"] = given["activation"].replace("-", "_")
    if settings is not None:
        kept = run_settings.read_settings(settings)
        for name in ("window", "stride", "start", "stop"):  # in samples, or in seconds
            if given.keys() & {name, f"{name}_seconds"}:
                kept = {k: v for k, v in kept.items() if k not in (name, f"{name}_seconds")}
        given = {**kept, **given}
    chosen = run_settings.settings_from(given)
    with processes.joined():
        console.train(runs.start(*chosen, output), as_json)


@app.command()
def reproduce(
    experiments: Annotated[
        list[str] | None, typer.Argument(help=EXPERIMENT, show_default=False)
    ] = None,
    protocol: Annotated[str, typer.Option(help=PROTOCOLS, show_default=False)] = "both",
    seeds: Annotated[int, typer.Option(help=SEEDS, show_default=False)] = 1,
    variant: Annotated[list[str] | None, typer.Option(help=VARIANT)] = None,
    database: Annotated[list[str] | None, typer.Option(help=DATABASE)] = None,
    data_dir: Annotated[str | None, typer.Option(help=DATA_DIR, metavar="FOLDER")] = None,
    output: Annotated[Path, typer.Option(help=FOLDER, metavar="FOLDER", show_default=False)] = Path(
        "reproduction"
    ),
    device: Annotated[str | None, typer.Option(help=DEVICE, show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON)] = False,
) -> None:
    """Run the paper's experiments and write its tables and figures beside the published numbers.

    Also run the studies of other sparsely activated networks, each with a folder of its own.

    It does not repeat what it finished before with the same settings and data.
    """
    if processes.are_several():
        raise ValueError("reproduce runs in one process, start it without torchrun")
    packages.need(*packages.OF_NETWORKS)
    from san.command import reproduction
    from san.paper import studies
    from san.paper.experiments import EXPERIMENTS, VARIANTS, plan

    every = [*EXPERIMENTS, *studies.STUDIES]
    chosen = every if not experiments or "all" in experiments else experiments
    for name in chosen:
        if name not in every:
            raise ValueError(f"experiment must be one of {', '.join(every)} or all, got {name!r}")
    networks = [name for name in chosen if name in studies.STUDIES]
    if chosen is not every and networks:
        for option, is_given in {
            "--protocol": protocol != "both",
            "--variant": variant,
            "--database": database,
            "--device": device,
        }.items():
            if is_given:
                raise ValueError(f"{networks[0]} has no {option}: leave it out")
    protocols = ("published", "corrected") if protocol == "both" else (protocol,)
    added = list(VARIANTS)[1:] if variant == ["all"] else variant or []
    others = [name for name in chosen if name not in studies.STUDIES]
    units = plan(others, protocols, seeds, ["paper", *added], database)
    parts = studies.plan(networks, seeds)
    reproduction.reproduce(units, output, data_dir, as_json, parts, device or "cpu")


@app.command()
def datasets(
    data_dir: Annotated[str | None, typer.Option(help=DATA_DIR, metavar="FOLDER")] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON)] = False,
) -> None:
    """List the data sets: what each is, its licence, and whether it is here."""
    packages.need(*packages.OF_NETWORKS, "platformdirs")
    from san.command import console
    from san.datasets import available

    console.show_datasets(available(data_dir), as_json)


codec.add_to(app)
recover.add_to(app)
archive.add_to(app)
pages.add_to(app)
beats.add_to(app)
events.add_to(app)
warm.add_to(app)
