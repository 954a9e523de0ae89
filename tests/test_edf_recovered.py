"""A recovered stream of an EDF file becomes a file of whole data records, and is read."""

import warnings

import edfio
import numpy as np
import pytest
from test_wfdb_recovered import cut, damaged, saved

import san
from san.codec.decoder import Decoder
from san.files import streams

FS, RECORDS = 100, 30
RATES = {"one rate": (FS,), "several rates": (FS, 20)}


def write(path, rates, annotations=False):
    t = [np.arange(RECORDS * fs) / fs for fs in rates]
    signals = [
        edfio.EdfSignal(900 * np.sin(t_ * 3), fs, label=f"at {fs}", physical_range=(-1000, 1000))
        for t_, fs in zip(t, rates, strict=True)
    ]
    notes = [edfio.EdfAnnotation(float(i), None, f"note {i}") for i in range(0, RECORDS, 5)]
    edfio.Edf(signals, annotations=notes if annotations else ()).write(path)


def harmed(path, harm, **options):
    blob = streams.encode_file(
        path, **(options or {"lossless": True}), chunk_seconds=2.5, events=False
    )
    return saved(harm(blob))


@pytest.mark.parametrize("annotations", [False, True], ids=["EDF", "EDF+"])
@pytest.mark.parametrize("rates", RATES)
def test_a_cut_stream_becomes_its_whole_records(rates, annotations, tmp_path):
    write(tmp_path / "n.edf", RATES[rates], annotations)
    (tmp_path / "cut.san").write_bytes(harmed(tmp_path / "n.edf", cut))
    left = 50 + (len(RATES[rates]) - 1) * 3 * 20
    with (
        open(tmp_path / "cut.san", "rb") as file,
        pytest.warns(
            UserWarning,
            match=rf"ends with the last whole data record: {left} saved samples .*\.npy or",
        ),
    ):
        streams.write_file(Decoder(file), tmp_path / "b.edf")
    before, after = san.read(tmp_path / "n.edf"), san.read(tmp_path / "b.edf")
    for one, other in zip((before, *before.others), (after, *after.others), strict=True):
        assert np.array_equal(other.x, one.x[: round(27 * one.fs)])
    assert edfio.read_edf(tmp_path / "b.edf").num_data_records == 27
    stream = san.read(tmp_path / "cut.san")
    assert np.array_equal(stream.x, before.x[: 27 * FS + 50])
    assert [len(part.x) for part in stream.others] == [len(part.x) for part in before.others]
    assert streams.encode_file(tmp_path / "b.edf", lossless=True)


@pytest.mark.parametrize("rates", RATES)
def test_lost_samples_that_edf_cannot_mark_are_named(rates, tmp_path):
    write(tmp_path / "n.edf", RATES[rates])
    blob = harmed(tmp_path / "n.edf", lambda blob: damaged(blob, 2))
    with pytest.warns(UserWarning, match="has 250 samples that were lost, from sample 500 on, and"):
        streams.write_file(Decoder(blob), tmp_path / "b.edf")
    one, other = san.read(tmp_path / "n.edf").x, san.read(tmp_path / "b.edf").x
    kept = np.r_[0:500, 750 : len(one)]
    assert other.shape == one.shape and np.array_equal(other[kept], one[kept])


def test_a_cut_stream_of_a_discontinuous_file_keeps_its_gaps(tmp_path):
    write(tmp_path / "n.edf", (FS,), annotations=True)
    content = bytearray((tmp_path / "n.edf").read_bytes())
    content[192:197] = b"EDF+D"
    for second in range(29, 19, -1):
        at = content.index(f"+{second}\x14\x14".encode())
        content[at : at + 3] = f"+{second + 5}".encode()
    (tmp_path / "n.edf").write_bytes(content)
    whole = san.read(tmp_path / "n.edf")
    (tmp_path / "cut.san").write_bytes(harmed(tmp_path / "n.edf", cut))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = san.read(tmp_path / "cut.san")
    assert np.array_equal(found.x, whole.x[: 32 * FS + 50], equal_nan=True)
    assert np.isnan(found.x).sum() == 5 * FS


@pytest.mark.parametrize(
    "rates, words",
    [
        ((FS, 20), r"samples of 1 rates, and the attached header has 2. `san decompress` to \.npy"),
        (
            (FS,),
            r"samples \[\(50, 1\)\] are not those of the attached header: \[\(3000, 1\)\]. `san",
        ),
    ],
    ids=["of fewer rates", "fewer samples"],
)
def test_other_samples_than_the_header_has_are_refused_with_a_way_round(tmp_path, rates, words):
    write(tmp_path / "n.edf", rates)
    header = (tmp_path / "n.edf").read_bytes()
    blob = san.compress(
        np.zeros((50, 1), np.int16),
        lossless=True,
        attachments={"edf/header": header[: int(header[184:192])]},
    )
    with pytest.raises(ValueError, match=words):
        streams.write_file(Decoder(blob), tmp_path / "b.edf")
