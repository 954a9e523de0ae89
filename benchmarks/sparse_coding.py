"""Compare SAN with convolutional sparse coding: φ, error against events, and time.

    SAN_DATA_DIR=FOLDER python benchmarks/sparse_coding.py --rows F --peer-python PYTHON
    python benchmarks/sparse_coding.py --rows F --output benchmarks/results/sparse_coding.json

    python -m venv peers && peers/bin/pip install 'numpy<2' scipy alphacsc==0.4.1 sporco

PYTHON is the interpreter of an environment with alphacsc and SPORCO. A model that is in F is not
trained again; without PYTHON the peers are not run. `--output` writes what was chosen, and the
picture beside it.

The windows are those of the paper, on the four databases that are named below. All methods begin
with the same segments of the data (the paper's version of SAN begins at random), have the same
kernel sizes, and may put the middle of a kernel at any sample. Kernel size, number of kernels and
both regularisations of a peer (when it learns, and when it encodes) are those with the lowest φ on
the validation windows. Refitted amplitudes are those of `san.networks`, for all methods alike.
Seconds are those of the processor: to learn the chosen model, and to encode one test window.
"""

import argparse
import dataclasses
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from provenance import provenance

import san
from san.networks.first_kernels import kernels_from_data
from san.networks.refit import refit_amplitudes
from san.paper.experiments import VARIANTS

RECORDS = ("mitdb", "emgdb", "ctu-uhb-ctgdb", "bidmc")
SIZES = (8, 16, 32, 64, 128, 180)
METHODS = {
    "SAN, paper": VARIANTS["paper"],
    "SAN, best variant": VARIANTS["three passes, refitted, two kernels that compete"],
}
PEERS = ("alphacsc", "sporco")
KERNELS = (1, 2)  # of the peers
LEARN = (0.1, 0.3)
ENCODE = (0.02, 0.04, 0.08, 0.16, 0.32)
SPLITS = ("validation", "test")
LONG_ENOUGH = 0.2  # s, what takes less is repeated


def score(x, alpha, kernels, decoder="adjoint"):
    """φ and its parts, the means of windows (n, samples) with maps (n, kernels, samples)."""
    drawn = [san.reconstruction(alpha[:, i], w, decoder) for i, w in enumerate(kernels)]
    x_hat = sum(drawn)[:, 0].numpy()
    events = alpha.count_nonzero((1, 2)).numpy()
    weights = sum(kernel.numel() for kernel in kernels)
    ratio = (weights + 2 * events) / x.shape[1]
    loss = san.normalized_loss(x, x_hat)
    means = {"phi": np.hypot(ratio, loss), "ratio": ratio, "loss": loss, "events": events}
    return {name: float(np.mean(values)) for name, values in means.items()}


def scored(row, windows, maps, kernels, decoder="adjoint", refitted=(False, True)):
    """A row as the amplitudes are, and one with refitted amplitudes."""
    kernels = [torch.as_tensor(kernel, dtype=torch.float32) for kernel in kernels]
    for refit in refitted:
        found = {"refit": refit}
        for split in SPLITS:
            x, alpha = windows[split], maps[split]
            if refit:
                signals = torch.from_numpy(x[:, None])
                alpha = refit_amplitudes(signals, alpha, kernels, decoder)
            found[split] = score(x, alpha, kernels, decoder)
        yield row | found


def of_san(windows, row, variant):
    """Train one model of SAN, and score it."""
    settings = san.Settings(kernel_sizes=(row["size"],), **variant)
    given = [windows[name][:, None] for name in ("train", *SPLITS)]
    san.fit(dataclasses.replace(settings, epochs=1), *given)  # so that compiling is not timed
    begin = time.process_time()
    model = san.fit(settings, *given).model
    row["learn_cpu_seconds"] = time.process_time() - begin
    x = torch.from_numpy(windows["test"][:, None])
    model.encode(x)
    runs, begin = 0, time.process_time()
    while time.process_time() - begin < LONG_ENOUGH:
        model.encode(x)
        runs += 1
    row["encode_cpu_seconds"] = (time.process_time() - begin) / runs / len(x)
    with torch.no_grad():
        maps = {s: model(torch.from_numpy(windows[s][:, None])).activations for s in SPLITS}
    kernels = [kernel.detach() for kernel in model.kernels]
    ways = (True,) if settings.refit else (False, True)
    yield from scored(row, windows, maps, kernels, settings.decoder, ways)


class Peer:
    """The process of the other environment, which is asked line by line."""

    def __init__(self, python):
        script = Path(__file__).with_name("sparse_coding_peer.py")
        self.process = subprocess.Popen(
            [python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.versions = self._answer()

    def ask(self, **task):
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the peers' process has ended; its error is above")
        return json.loads(line)


def of_peer(windows, row, peer, folder):
    """Let a peer learn and encode; score each of its regularisations."""
    given, output = folder / "windows.npz", folder / "codes.npz"
    np.savez(given, **windows)
    x = torch.from_numpy(windows["train"][:, None])
    shapes = [(1, row["size"])] * row["kernels"]
    start = [k[0].tolist() for k in kernels_from_data(x, shapes, torch.Generator().manual_seed(0))]
    told = peer.ask(
        peer=row["method"],
        windows=str(given),
        start=start,
        learn=row["learn"],
        encode=ENCODE,
        output=str(output),
    )
    with np.load(output) as file:
        codes = dict(file)
    kernels = codes["kernels"][:, None]
    for share in ENCODE:
        maps = {s: as_maps(codes[f"{s}-{share}"], windows[s].shape, *kernels.shape) for s in SPLITS}
        times = {
            "learn_cpu_seconds": told["learn_cpu_seconds"],
            "encode_cpu_seconds": told["encode_cpu_seconds"][str(share)],
        }
        versions = {"versions": peer.versions}
        yield from scored(row | {"encode": share} | times | versions, windows, maps, kernels)


def as_maps(events, shape, kernels, _, size):
    """Events with their first sample as activation maps, which have the middle of the kernel."""
    maps = torch.zeros(shape[0], kernels, shape[1])
    window, kernel, first = torch.from_numpy(events[:, :3].astype(np.int64)).T
    maps[window, kernel, first + (size - 1) // 2] = torch.from_numpy(events[:, 3]).float()
    return maps


def identity(row):
    return tuple(row.get(key) for key in ("record", "method", "size", "kernels", "learn"))


def plan():
    """What is trained, the quick ones first."""
    for record in RECORDS:
        for method in METHODS:
            for size in SIZES:
                yield {"record": record, "method": method, "size": size}
    for method in reversed(PEERS):
        for kernels in KERNELS:
            for learn in LEARN:
                for record in RECORDS:
                    for size in SIZES:
                        yield {
                            "record": record,
                            "method": method,
                            "size": size,
                            "kernels": kernels,
                            "learn": learn,
                        }


def measure(path, python):
    """Add to the file of rows what is not yet in it."""
    done = {identity(row) for row in read(path)}
    peer = Peer(python) if python else None
    loaded = {}
    for row in plan():
        if identity(row) in done or (row["method"] in PEERS and not peer):
            continue
        record = row["record"]
        if record not in loaded:
            splits = san.datasets.load_splits("physionet", record=record)
            names = ("train", *SPLITS)
            loaded[record] = {n: s.x[:, 0] for n, s in zip(names, splits, strict=True)}
        with tempfile.TemporaryDirectory() as folder:
            if row["method"] in PEERS:
                rows = [*of_peer(loaded[record], row, peer, Path(folder))]
            else:
                rows = [*of_san(loaded[record], row, METHODS[row["method"]])]
        with open(path, "a") as file:
            file.writelines(json.dumps(each) + "\n" for each in rows)
        print(record, row["method"], row["size"], flush=True)


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def counted(rows):
    """How many models of each method were trained on each record."""
    models = {identity(row) for row in rows}
    return {
        method: {record: sum(m[:2] == (record, method) for m in models) for record in RECORDS}
        for method in (*METHODS, *PEERS)
    }


def chosen(rows):
    """For each record, method and way of amplitudes the row with the lowest validation φ."""
    best = {}
    for row in rows:
        key = row["record"], row["method"], row["refit"]
        if key not in best or row["validation"]["phi"] < best[key]["validation"]["phi"]:
            best[key] = row
    return [best[key] for key in sorted(best, key=lambda key: [*map(str, key)])]


def front(rows):
    """The rows that no other one beats on the validation windows in both events and error."""
    kept, least = [], np.inf
    for row in sorted(
        rows, key=lambda row: (row["validation"]["events"], row["validation"]["loss"])
    ):
        if row["validation"]["loss"] < least and row["validation"]["events"] > 0:
            least = row["validation"]["loss"]
            kept.append({"events": row["test"]["events"], "loss": row["test"]["loss"]})
    return kept


def curves(rows):
    """For each record and method the front of its models with refitted amplitudes."""
    found = []
    for record in RECORDS:
        for method in (*METHODS, *PEERS):
            these = [
                row
                for row in rows
                if (row["record"], row["method"], row["refit"]) == (record, method, True)
            ]
            found.append({"record": record, "method": method, "points": front(these)})
    return found


def draw(content, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    styles = {  # a colour and a marker for each method
        "SAN, paper": ("#56b4e9", "o", "--"),
        "SAN, best variant": ("#0072b2", "o", "-"),
        "alphacsc": ("#d55e00", "s", "-"),
        "sporco": ("#222222", "^", ":"),
    }
    figure, axes = pyplot.subplots(2, 2, figsize=(9, 6.5), layout="constrained")
    for ax, record in zip(axes.flat, RECORDS, strict=True):
        for curve in content["curves"]:
            if curve["record"] == record and curve["points"]:
                colour, marker, dash = styles[curve["method"]]
                events = [point["events"] for point in curve["points"]]
                loss = [point["loss"] for point in curve["points"]]
                name = {"sporco": "SPORCO"}.get(curve["method"], curve["method"])
                ax.plot(events, loss, dash, color=colour, marker=marker, markersize=4, label=name)
        ax.set(title=record, xscale="log", ylim=(0, 1))
        ax.set(xlabel="events in a window of 1,000 samples", ylabel="error / error of nothing")
        ax.grid(alpha=0.3)
    axes[0, 0].legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--peer-python")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.output:
        measure(arguments.rows, arguments.peer_python)
        return
    rows = read(arguments.rows)
    content = {"provenance": provenance("cpu"), "sizes": SIZES, "models": counted(rows)}
    content["chosen"], content["curves"] = chosen(rows), curves(rows)
    arguments.output.write_text(json.dumps(content) + "\n")
    draw(content, arguments.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
