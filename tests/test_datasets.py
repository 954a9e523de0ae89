"""Data sets: the splits of the paper, checksums, and what happens when data are not here."""

import gzip
import hashlib
import http.server
import pathlib
import shutil
import threading

import numpy as np
import pytest
import wfdb

from san import datasets, signals
from san.dataset_readers import epilepsy, fetch, images
from san.dataset_readers import physionet as datasets_physionet
from san.dataset_readers.fetch import MissingData


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """An empty cache, no data folder, and no host known to be away."""
    monkeypatch.setattr(fetch, "cache", lambda: tmp_path / "cache")
    monkeypatch.delenv("SAN_DATA_DIR", raising=False)
    monkeypatch.setattr(fetch, "_unreachable", set())
    return tmp_path


@pytest.fixture
def record(tmp_path):
    """A small record of two signals, of the MIT-BIH database's first name."""
    folder = tmp_path / "data" / "mitdb"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    write_record(folder, "100", rng.integers(-500, 500, (12_000, 2)))
    return tmp_path / "data"


def write_record(folder, name, samples, names=None, **options):
    channels = samples.shape[1]
    wfdb.wrsamp(
        name,
        fs=360,
        units=["mV"] * channels,
        sig_name=names or [f"lead {c}" for c in range(channels)],
        d_signal=samples,
        fmt=["16"] * channels,
        adc_gain=[200.0] * channels,
        baseline=[0] * channels,
        write_dir=str(folder),
        **options,
    )


@pytest.fixture
def without_known_sha256(monkeypatch):
    """Stand-ins for published files cannot have their SHA-256."""
    manifest = datasets.read_manifest("physionet")
    monkeypatch.delitem(manifest["databases"]["mitdb"], "sha256")


# The bundled record


def test_bundled_record_is_what_its_licence_says():
    recording = signals.read_wfdb(datasets._manifests() / "sample" / "mitdb_208")
    assert recording.x.shape == (108_000, 1)
    assert (recording.fs, recording.units, recording.names) == (
        360,
        ("mV",),
        ("MLII",),
    )
    assert round(float(recording.x[0, 0]), 6) == -0.245
    folder = datasets._manifests() / "sample"
    assert sum(p.stat().st_size for p in folder.glob("mitdb_208.*")) <= 170_000
    assert "Open Data Commons Attribution License" in (folder / "LICENSE.md").read_text()


def test_bundled_record_equals_the_publishers(recordings):
    whole = signals.read_wfdb(recordings / "mitdb" / "208").x[422_820:530_820, 0]
    bundled = signals.read_wfdb(datasets._manifests() / "sample" / "mitdb_208").x[:, 0]
    np.testing.assert_array_equal(bundled, whole)


def test_the_splits_of_the_paper():
    train, validation, test = datasets.load_splits("physionet", start=0)
    assert [s.x.shape for s in (train, validation, test)] == [(n, 1, 1000) for n in (6, 2, 4)]
    assert train.x.dtype == np.float32 and train.y is None
    raw = signals.read_wfdb(datasets._manifests() / "sample" / "mitdb_208").x[:12_000, 0]
    windows = raw.reshape(12, 1000)
    ours = np.concatenate([train.x, validation.x, test.x])[:, 0]
    for window, x in zip(windows, ours, strict=True):
        np.testing.assert_allclose(x, (window - window.mean()) / window.std(ddof=1), atol=1e-5)


@pytest.mark.parametrize("windows, counts", [(6, (3, 1, 2)), (13, (6, 2, 5)), (108, (54, 18, 36))])
def test_a_longer_use_of_the_record(windows, counts):
    splits = datasets.load_splits("physionet", windows=windows, window=900)
    assert tuple(len(split.x) for split in splits) == counts


def test_load_is_one_of_the_splits():
    train = datasets.load("physionet", "train")
    assert train.sha256 == datasets.load_splits("physionet").train.sha256
    assert train.sha256 != datasets.load("physionet", "test").sha256
    assert train.licence == "ODC-By 1.0"


def test_constant_windows_become_zeros():
    data = np.ones((120, 1))
    recording = signals.Recording(data, 360.0, ("mV",), ("a",))
    for part in datasets_physionet.cut_windows(recording, "r", 0, 10, 12, 0):
        assert not part.any()


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(record="nosuchdb/1"), "must be one of bundled, apnea-ecg, .*, got 'nosuchdb'"),
        (dict(record="mitdb/../../etc"), "'database/record'"),
        (dict(record="../etc"), "'database/record'"),
        (dict(channel=1), "channel must be between 0 and 0 in bundled, got 1"),
        (dict(window=1), "window must be at least 2, got 1"),
        (dict(windows=5), "windows must be at least 6, got 5"),
        (dict(start=-1), "start must be at least 0, got -1"),
        (dict(start_seconds=-0.5), "start_seconds must be 0 or above and finite, got -0.5"),
        (dict(start_seconds=float("nan")), "start_seconds must be 0 or above and finite, got nan"),
        (dict(start=5, start_seconds=5.0), "give start or start_seconds, not both"),
        (dict(windows=109), "109 windows of 1000 samples from sample 0 on do not fit bundled"),
        (dict(protocol="best"), "protocol must be one of"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_wrong_use(options, words):
    with pytest.raises(ValueError, match=words):
        datasets.load("physionet", **options)


def test_the_first_window_begins_at_a_time():
    at_a_time = datasets.load("physionet", start_seconds=2.5)
    assert np.array_equal(at_a_time.x, datasets.load("physionet", start=900).x)
    with pytest.raises(ValueError, match="start_seconds is an option of physionet, mnist has none"):
        datasets.load("mnist", start_seconds=2.5)


def test_unknown_names():
    with pytest.raises(ValueError, match=r"dataset must be one of physionet, .*, got 'cifar'"):
        datasets.load("cifar")
    with pytest.raises(ValueError, match="split must be one of train, validation, test, got 'dev'"):
        datasets.load("physionet", "dev")
    with pytest.raises(ValueError, match="record is an option of physionet, mnist has none"):
        datasets.load("mnist", record="mitdb/100")
    with pytest.raises(FileNotFoundError, match="data folder /no/such/folder is not there"):
        datasets.load("physionet", data_dir="/no/such/folder")


# Records on disk


@pytest.mark.parametrize("layout", ["mitdb", "mitdb/1.0.0", "files/mitdb/1.0.0"])
def test_a_record_is_found_in_the_data_folder(layout, alone, record, without_known_sha256):
    folder = alone / "other" / layout
    shutil.copytree(record / "mitdb", folder)
    train = datasets.load("physionet", record="mitdb/100", data_dir=alone / "other")
    assert train.name == "physionet mitdb/100"
    assert train.names == ("lead 0",)
    assert (
        datasets.load("physionet", record="mitdb", data_dir=alone / "other").sha256 == train.sha256
    )


def test_the_environment_names_a_data_folder(alone, record, without_known_sha256, monkeypatch):
    monkeypatch.setenv("SAN_DATA_DIR", str(record))
    assert datasets.load("physionet", record="mitdb/100", channel=1).names == ("lead 1",)


def test_a_known_sha256_is_compared(alone, record):
    with pytest.raises(ValueError, match=r"100\.hea is corrupt: its SHA-256"):
        datasets.load("physionet", record="mitdb/100", data_dir=record)


def test_a_flipped_bit_is_noticed(alone, record, without_known_sha256):
    path = record / "mitdb" / "100.dat"
    content = bytearray(path.read_bytes())
    content[1001] ^= 4
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"corrupt: the checksum of its signal lead 0 is \d+"):
        datasets.load("physionet", record="mitdb/100", data_dir=record)


@pytest.mark.parametrize(
    "header, words",
    [
        ("", "100.hea has no line that says what it is of"),
        ("100 2 360 12000\n../../secret.dat 16 200 16 0 0 0 0 a\n", "names a signal file"),
        (
            "100 1 360 99999999999\n100.dat 16 200 16 0 0 0 0 a\n",
            "cannot be read: 100.dat has 48000 bytes",
        ),
        (
            "100 x y z\nnonsense\n",
            "100.hea begins with '100 x y z', which has no number of signals|not here",
        ),
    ],
    ids=["empty", "path", "length", "nonsense"],
)
def test_a_corrupt_header_ends_in_one_error(header, words, alone, record, without_known_sha256):
    (record / "mitdb" / "100.hea").write_text(header)
    with pytest.raises((ValueError, MissingData), match=words):
        datasets.load("physionet", record="mitdb/100", data_dir=record)


def test_a_truncated_signal_ends_in_one_error(alone, record, without_known_sha256):
    path = record / "mitdb" / "100.dat"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"record .*100"):
        datasets.load("physionet", record="mitdb/100", data_dir=record)


def test_a_gap_is_named(alone, record, without_known_sha256):
    samples = np.random.default_rng(0).integers(-500, 500, (12_000, 1))
    samples[5321] = -32768  # WFDB's mark of an invalid sample in format 16
    write_record(record / "mitdb", "100", samples)
    with pytest.raises(ValueError, match="gap between samples 5000 and 6000"):
        datasets.load("physionet", record="mitdb/100", data_dir=record)


def test_frames_of_several_samples_are_averaged(recordings):
    """As wfdb does unless told otherwise, and as the published experiments had them."""
    recording = signals.read_wfdb(recordings / "drivedb" / "drive17a")
    assert recording.fs == 15
    assert len(recording.units) == 7


@pytest.mark.parametrize("name", ["mitdb/100", "emgdb/emg_healthy", "ctu-uhb-ctgdb/1001"])
def test_first_records_of_the_paper(name, recordings):
    train = datasets.load("physionet", record=name, data_dir=recordings)
    assert train.x.shape == (6, 1, 1000)
    short = datasets.load("physionet", record=name.partition("/")[0], data_dir=recordings)
    assert train.sha256 == short.sha256


# The network, as a server on this machine


class Publisher(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; `faults` says how the next replies go wrong."""

    def do_GET(self):
        type(self).requests.append(self.path)
        fault = type(self).faults.pop(0) if type(self).faults else None
        path = pathlib.Path(self.directory) / self.path.lstrip("/")
        if fault == "error":
            self.send_error(503)
        elif fault in ("truncated", "changed") and path.is_file():
            content = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            half = content[: len(content) // 2]
            self.wfile.write(half if fault == "truncated" else content[::-1])
        else:
            super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def publisher(alone, monkeypatch):
    """A server on loopback that the manifests point to; attempts wait for nothing."""
    site = alone / "site"
    site.mkdir()
    handler = type("Handler", (Publisher,), dict(faults=[], requests=[]))
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *args: handler(*args, directory=str(site))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setitem(datasets.read_manifest("physionet"), "address", address)
    monkeypatch.setitem(datasets.read_manifest("mnist"), "address", address)
    monkeypatch.setitem(
        datasets.read_manifest("uci-epilepsy")["files"][0], "address", f"{address}/uci"
    )
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler.site = site
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def publish(site, record):
    folder = site / "mitdb" / "1.0.0"
    shutil.copytree(record / "mitdb", folder)
    files = sorted(path.name for path in folder.iterdir())
    sums = [f"{hashlib.sha256((folder / f).read_bytes()).hexdigest()} {f}" for f in files]
    (folder / "SHA256SUMS.txt").write_text("\n".join(sums) + "\n")
    (folder / "RECORDS").write_text("100\n101\n")


def test_download_then_cache(publisher, record, without_known_sha256):
    publish(publisher.site, record)
    train = datasets.load("physionet", record="mitdb/100")
    asked = list(publisher.requests)
    assert [path.rpartition("/")[2] for path in asked] == ["SHA256SUMS.txt", "100.hea", "100.dat"]
    assert datasets.load("physionet", record="mitdb/100").sha256 == train.sha256
    assert publisher.requests == asked


def test_the_first_record_is_looked_up(publisher, record, without_known_sha256, monkeypatch):
    publish(publisher.site, record)
    monkeypatch.delitem(datasets.read_manifest("physionet")["databases"]["mitdb"], "record")
    assert datasets.load("physionet", record="mitdb").name == "physionet mitdb/100"


@pytest.mark.parametrize("fault", ["error", "truncated", "changed"])
@pytest.mark.parametrize("file", [1, 2], ids=["header", "signal"])
def test_one_bad_reply_is_healed(fault, file, publisher, record, without_known_sha256):
    publish(publisher.site, record)
    publisher.faults = [None] * file + [fault]
    assert datasets.load("physionet", record="mitdb/100").x.shape == (6, 1, 1000)


@pytest.mark.parametrize(
    "fault, error", [("error", MissingData), ("truncated", MissingData), ("changed", ValueError)]
)
def test_bad_replies_leave_nothing_under_a_final_name(
    fault, error, publisher, record, without_known_sha256, alone
):
    publish(publisher.site, record)
    publisher.faults = [None, None, *[fault] * fetch.ATTEMPTS]
    with pytest.raises(error):
        datasets.load("physionet", record="mitdb/100")
    left = {path.name for path in (alone / "cache").rglob("*") if path.is_file()}
    assert left == {"SHA256SUMS.txt", "100.hea"}
    assert datasets.load("physionet", record="mitdb/100").x.shape == (6, 1, 1000)


def test_a_record_that_was_never_published(publisher, record):
    publish(publisher.site, record)
    with pytest.raises(ValueError, match=r"mitdb 1\.0\.0 has no record 999"):
        datasets.load("physionet", record="mitdb/999")


def test_away_from_the_network_one_line_says_how_to_get_it(alone, monkeypatch):
    monkeypatch.setitem(datasets.read_manifest("physionet"), "address", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(
        MissingData, match=r"slpdb/slp01a is not here, and .* cannot be reached: put"
    ):
        datasets.load("physionet", record="slpdb")
    with pytest.raises(MissingData, match="first stands in the publisher's list"):
        datasets.load("physionet", record="sufhsdb")


def test_the_progress_bar_counts_bytes(publisher, alone, monkeypatch, capsys):
    (publisher.site / "file").write_bytes(b"x" * 100_000)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    address = datasets.read_manifest("physionet")["address"]
    fetch.download(f"{address}/file", alone / "cache" / "file")
    assert (alone / "cache" / "file").stat().st_size == 100_000
    assert "100" in capsys.readouterr().err


# UCI-epilepsy


@pytest.fixture
def table(alone, monkeypatch):
    """A small table with the columns of UCI's: 20 recordings of 5 kinds, 4 windows each."""
    manifest = datasets.read_manifest("uci-epilepsy")
    monkeypatch.setitem(manifest, "rows", 80)
    monkeypatch.setitem(manifest, "split", [56, 12, 12])
    rng = np.random.default_rng(0)
    lines = ["," + ",".join(f"X{i}" for i in range(1, 179)) + ",y"]
    for recording in range(20):
        for chunk in range(1, 5):
            samples = rng.integers(-100, 100, 178) + 10 * recording
            y = recording % 5 + 1
            lines.append(f"X{chunk}.{recording:03d}," + ",".join(map(str, samples)) + f",{y}")
    path = alone / "data" / "uci-epilepsy" / "data.csv"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def test_windows_of_a_recording_stay_together(table, alone):
    splits = datasets.load_splits("uci-epilepsy", data_dir=alone / "data")
    assert [split.x.shape for split in splits] == [(n, 1, 178) for n in (56, 12, 12)]
    recordings, x, labels = epilepsy._read_table(table, datasets.read_manifest("uci-epilepsy"))
    train = splits.train.x[:, 0].astype(np.float64)
    assert train.min() == -1 and train.max() == 1
    groups = [set(recordings[_rows_of(split.x[:, 0], x)]) for split in splits]
    assert not groups[0] & groups[1] and not groups[1] & groups[2] and not groups[0] & groups[2]
    y = {1: 0, 2: 1, 3: 1, 4: 2, 5: 2}
    rows = _rows_of(splits.test.x[:, 0], x)
    assert splits.test.y.tolist() == [y[label] for label in labels[rows]]


def _rows_of(windows, x):
    """The row of the table that each scaled window came from."""
    return [int(np.argmax([np.corrcoef(window, row)[0, 1] for row in x])) for window in windows]


def test_published_protocol_splits_by_row_in_file_order(table, alone):
    splits = datasets.load_splits("uci-epilepsy", protocol="published", data_dir=alone / "data")
    _, x, _ = epilepsy._read_table(table, datasets.read_manifest("uci-epilepsy"))
    scaled = 2 * (x - x.min()) / (x.max() - x.min()) - 1
    whole = np.concatenate([split.x for split in splits])[:, 0]
    np.testing.assert_allclose(whole, scaled, atol=1e-6)


def test_seed_of_the_split(table, alone):
    one, same, other = (
        datasets.load("uci-epilepsy", seed=seed, data_dir=alone / "data").sha256
        for seed in (0, 0, 1)
    )
    assert one == same != other


@pytest.mark.parametrize("fault", ["short", "label", "text", "nan", "binary"])
def test_a_corrupt_table_is_refused(fault, table, alone):
    lines = table.read_text().splitlines()
    if fault == "short":
        lines.pop()
    elif fault == "label":
        lines[5] = lines[5][:-1] + "9"
    elif fault == "text":
        lines[5] = lines[5].replace(",", ",x", 1)
    elif fault == "nan":
        lines[5] = lines[5].split(",", 2)[0] + ",," + lines[5].split(",", 2)[2]
    table.write_bytes(b"\x00\xff\xfe" if fault == "binary" else "\n".join(lines).encode())
    with pytest.raises(ValueError, match=r"data\.csv"):
        datasets.load("uci-epilepsy", data_dir=alone / "data")


def test_the_table_is_downloaded_and_its_identifier_compared(table, publisher, monkeypatch):
    content = table.read_bytes()
    (publisher.site / "uci").write_bytes(content)
    with pytest.raises(ValueError, match="identifier"):
        datasets.load("uci-epilepsy")
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    monkeypatch.setitem(datasets.read_manifest("uci-epilepsy")["files"][0], "git_blob", blob)
    assert datasets.load("uci-epilepsy").x.shape == (56, 1, 178)


def test_the_rebuilt_table(recordings):
    splits = datasets.load_splits("uci-epilepsy", data_dir=recordings)
    assert [split.x.shape for split in splits] == [(n, 1, 178) for n in (8740, 1380, 1380)]
    classes, counts = np.unique(np.concatenate([s.y for s in splits]), return_counts=True)
    assert classes.tolist() == [0, 1, 2] and counts.tolist() == [2300, 4600, 4600]


# Images


def idx(array):
    """An idx file: the format of MNIST."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def digits(alone, monkeypatch):
    """A small MNIST, gzipped, with a manifest of its size."""
    manifest = datasets.read_manifest("mnist")
    monkeypatch.setitem(manifest, "split", [50, 10])
    rng = np.random.default_rng(0)
    folder = alone / "data" / "mnist"
    folder.mkdir(parents=True)
    arrays = [rng.integers(0, 256, (60, 28, 28)), rng.integers(0, 10, 60)]
    arrays += [rng.integers(0, 256, (20, 28, 28)), rng.integers(0, 10, 20)]
    files = []
    for file, array in zip(manifest["files"], arrays, strict=True):
        content = idx(array)
        packed = gzip.compress(content)
        (folder / f"{file['name']}.gz").write_bytes(packed)
        sha256 = hashlib.sha256(content).hexdigest()
        files.append({**file, "sha256": sha256, "md5_gz": hashlib.md5(packed).hexdigest()})
    monkeypatch.setitem(manifest, "files", files)
    return folder, arrays


def test_images_are_read_through_torchvision(digits, alone):
    _, arrays = digits
    splits = datasets.load_splits("mnist", data_dir=alone / "data")
    assert [split.x.shape for split in splits] == [(n, 1, 28, 28) for n in (50, 10, 20)]
    np.testing.assert_array_equal(
        splits.train.x[:, 0], np.float32(arrays[0][:50]) / np.float32(255)
    )
    np.testing.assert_array_equal(splits.validation.y, arrays[1][50:])
    np.testing.assert_array_equal(splits.test.y, arrays[3])


def test_images_unzipped_where_torchvision_puts_them(digits, alone):
    folder, _ = digits
    raw = alone / "other" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in folder.iterdir():
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    one, other = (datasets.load("mnist", data_dir=alone / d).sha256 for d in ("data", "other"))
    assert one == other


def test_images_are_downloaded(digits, publisher, alone):
    folder, _ = digits
    for path in folder.iterdir():
        shutil.copy(path, publisher.site / path.name)
    assert datasets.load("mnist", "test").x.shape == (20, 1, 28, 28)
    assert len(publisher.requests) == 4
    datasets.load("mnist")
    assert len(publisher.requests) == 4


@pytest.mark.parametrize("fault", ["cut", "other", "changed"])
def test_corrupt_images_are_refused(fault, digits, alone):
    path = digits[0] / "train-images-idx3-ubyte.gz"
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif fault == "other":
        path.write_bytes(b"not gzip")
    else:
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-1] + b"\x00"))
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz is corrupt"):
        datasets.load("mnist", data_dir=alone / "data")


def test_fashion_mnist_itself(recordings):
    splits = datasets.load_splits("fashion-mnist", data_dir=recordings)
    assert splits.train.name == "fashion-mnist"  # in full, although a part of it is here as well
    assert [split.x.shape[0] for split in splits] == [50_000, 10_000, 10_000]
    part = datasets.read_manifest("fashion-mnist")["part"]
    with gzip.open(recordings / part["images"], "rb") as file:
        first = np.frombuffer(file.read()[16:], np.uint8).reshape(-1, 28, 28)
    assert (np.rint(splits.train.x[: len(first), 0] * 255) == first).all()


def test_mnist_itself(recordings):
    splits = datasets.load_splits("mnist", data_dir=recordings)
    assert [len(split.x) for split in splits] == [50_000, 10_000, 10_000]
    assert splits.train.y[:5].tolist() == [5, 0, 4, 1, 9]


def test_torchvision_that_needs_no_help(monkeypatch):
    """Nothing is declared where the import works."""
    monkeypatch.setattr(images, "_declare_operators", lambda: pytest.fail("declared"))
    assert images.import_torchvision("json").dumps({}) == "{}"


@pytest.mark.parametrize("operator", ["nms", "qnms"])
def test_torchvision_beside_a_cpu_build_of_torch(operator, monkeypatch):
    """The operators are declared after the failure, and the import is tried once more."""
    done = []

    def import_module(name):
        if not done:
            raise RuntimeError(f"operator torchvision::{operator} does not exist")
        return name

    monkeypatch.setattr("importlib.import_module", import_module)
    monkeypatch.setattr(images, "_declare_operators", lambda: done.append("declared"))
    assert images.import_torchvision("torchvision.datasets") == "torchvision.datasets"
    assert done == ["declared"]


@pytest.mark.parametrize("message", ["operator torchvision::roi_align does not exist", "no CUDA"])
def test_other_failures_of_torchvision_are_not_hidden(message, monkeypatch):
    def import_module(name):
        raise RuntimeError(message)

    monkeypatch.setattr("importlib.import_module", import_module)
    monkeypatch.setattr(images, "_declare_operators", lambda: pytest.fail("declared"))
    with pytest.raises(RuntimeError, match=message):
        images.import_torchvision("torchvision.datasets")


# The list


def test_the_list_names_every_data_set(alone, record):
    entries = {entry.name: entry for entry in datasets.available(record)}
    assert entries["physionet bundled"].here
    assert entries["physionet mitdb/100"].here
    assert not entries["physionet emgdb/emg_healthy"].here
    assert not entries["mnist"].here
    assert len(entries) == 1 + 15 + 3
    assert all(entry.licence and entry.title for entry in entries.values())


def test_manifests_name_the_papers_databases_with_doi():
    databases = datasets.read_manifest("physionet")["databases"]
    assert len(databases) == 15
    assert all(entry["doi"].startswith("10.13026/") for entry in databases.values())


def test_published_results():
    (row,) = datasets.published_results("physionet mitdb/100", "extrema")
    assert (row["kernel_size"], row["phi"]) == (229, 0.45)
    assert datasets.published_results("physionet mitdb/119", "extrema") == []
    assert datasets.published_results("physionet bundled", "extrema") == []
    sizes = [row["kernel_size"] for row in datasets.published_results("mnist", "extrema_pool")]
    assert sorted(sizes) == [1, 2, 3, 4, 5, 6]


# Exports: another file with the samples of a record


@pytest.fixture
def exports(tmp_path):
    """A folder with small exports of bidmc, wrist and drivedb, and their samples."""
    x = np.random.default_rng(0).integers(-500, 500, 12_000)
    for database in ("bidmc", "wrist", "drivedb"):
        (tmp_path / "data" / database).mkdir(parents=True)
    write_text(tmp_path / "data/bidmc/bidmc_01_Signals.csv", x, 125.0, 5, lambda t: f"{t:.3f}")
    path = tmp_path / "data/wrist/s1_high_resistance_bike.csv"
    write_text(path, x, 256.0, 15, lambda t: f"'{t // 60:.0f}:{t % 60:06.3f}'")
    write_record(tmp_path / "data/drivedb", "drive01m", x[:, None], names=["ECG"])
    return tmp_path / "data", x


def write_text(path, x, fs, channels, as_text):
    head = ["'Elapsed time'", *(f"'signal {c}'" for c in range(channels))]
    rows = [f"{as_text(i / fs)}{f',{v / 200:.3f}' * channels}" for i, v in enumerate(x)]
    path.write_text("\n".join([",".join(head), *rows]) + "\n")


EXPORTS = {
    "bidmc": ("bidmc01", 125.0, "pm"),
    "wrist": ("s1_high_resistance_bike", 256.0, "mV"),
    "drivedb": ("drive01", 360.0, "mV"),
}


def test_where_a_record_is_not_here_its_export_is_read_and_named(alone, exports):
    folder, x = exports
    listed = {entry.name: entry for entry in datasets.available(folder)}
    for database, (record, fs, unit) in EXPORTS.items():
        train = datasets.load("physionet", record=database, data_dir=folder)
        assert train.name == f"physionet {database}/{record} (export)"
        assert (train.fs, train.units) == (fs, (unit,))
        first = x[:1000] / 200
        np.testing.assert_allclose(train.x[0, 0], (first - first.mean()) / first.std(ddof=1), 1e-3)
        entry = listed[f"physionet {database}/{record}"]
        assert entry.here and entry.export == datasets.told_of_export(database) != ""
        assert datasets.published_results(train.name, "extrema")
    assert not listed["physionet mitdb/100"].export


def test_an_export_is_not_read_where_the_record_is_here(alone, exports):
    folder, x = exports
    write_record(folder / "drivedb", "drive01", x[::-1, None])
    train = datasets.load("physionet", record="drivedb", data_dir=folder)
    assert train.name == "physionet drivedb/drive01"
    assert train.x[0, 0, 0] > 0 if x[-1] > x[-1000:].mean() else train.x[0, 0, 0] < 0
    listed = {entry.name: entry for entry in datasets.available(folder)}
    assert listed["physionet drivedb/drive01"].here
    assert not listed["physionet drivedb/drive01"].export


@pytest.mark.parametrize(
    ("fs", "channels", "message"),
    [(250.0, 5, "times of .* are not those of 125 Hz"), (125.0, 4, "5 channels, got 4")],
    ids=["rate", "channels"],
)
def test_an_export_that_does_not_fit_is_refused(fs, channels, message, alone):
    (alone / "bidmc").mkdir()
    path = alone / "bidmc" / "bidmc_01_Signals.csv"
    write_text(path, np.arange(20), fs, channels, lambda t: f"{t:.3f}")
    with pytest.raises(ValueError, match=message):
        datasets.load("physionet", record="bidmc", data_dir=alone)


FIRST = {
    "bidmc": ("bidmc/bidmc01 (export)", 125.0, "RESP"),
    "bpssrat": ("bpssrat/ssbn13hs01", 100.0, "BP"),
    "drivedb": ("drivedb/drive01 (export)", 15.5, "ECG"),
    "noneeg": ("noneeg/Subject10_AccTempEDA", 8.0, "ax"),
    "voiced": ("voiced/voice001", 8000.0, "voice"),
    "wrist": ("wrist/s1_high_resistance_bike (export)", 256.0, "chest_ecg"),
}


@pytest.mark.parametrize("database", FIRST)
def test_first_records_and_their_exports(database, recordings):
    name, fs, channel = FIRST[database]
    splits = datasets.load_splits("physionet", record=database, data_dir=recordings)
    assert splits.train.name == f"physionet {name}"
    assert splits.train.x.shape == (6, 1, 1000)
    assert (splits.train.fs, splits.train.names) == (fs, (channel,))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Time, A\n0, x\n", "not a table of numbers"),
        ("Time, A, B\n0, 1, 2\n", "must have times and 1 channels"),
        ("Time, A\n0, 1\n5, 2\n", "times of .* are not those of 2.0 Hz"),
    ],
    ids=["words", "columns", "times"],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, content, message):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        signals.read_table(tmp_path / "a.csv", 2.0, ["mV"])
