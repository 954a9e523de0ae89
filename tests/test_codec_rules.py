"""Integers of which few occur: their rule is found, they come back, and they need fewer bytes."""

import io
import struct
import zlib

import numpy as np
import plain_decoder
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import san
from san.codec import encoder
from san.codec.entropy.varints import Fields, write_varint
from san.codec.errors import CorruptStream
from san.codec.numbers.rule_search import distinct, find_grids
from san.codec.numbers.rules import LIST, ROUND, TRUNC, Rule, pack_rules, unpack_rules

INT16 = np.dtype("int16")
CODES = {"int8": "b", "int16": "h", "int32": "i", "uint8": "B", "uint16": "H"}


def counts(n=600, channels=1, size=40, seed=0):
    """A wave and noise, int64 (n, channels)."""
    rng = np.random.default_rng(seed)
    wave = size * np.sin(np.arange(n)[:, None] / 9 + np.arange(channels))
    return np.rint(wave + rng.normal(0, 2, (n, channels))).astype(np.int64)


def occurring(dtype, seed=0):
    """A signal of the dtype whose values have distances of no rule."""
    limits = np.iinfo(dtype)
    room = min(limits.max - limits.min, 2000)
    values = np.cumsum(np.random.default_rng(seed).integers(2, max(3, room // 50), 40))
    values = values[values < room] + max(limits.min, -room // 2)
    k = counts(500, size=len(values) / 2 - 4)
    return values[np.clip(k + len(values) // 2, 0, len(values) - 1)].astype(dtype)


SIGNALS = {
    "rounded": (np.rint(counts(channels=3) * 4.88).astype("i2"), ROUND),
    "truncated": (np.trunc(counts(channels=2) * 4.88).astype("i2"), TRUNC),
    "thirds": (np.rint(counts() * 50 / 3).astype("i4"), ROUND),
    "with an offset": (np.rint(counts() * 7.31 + 1000.4).astype("u2"), ROUND),
    "a list of int8": (occurring("i1"), LIST),
    "a list of uint8": (occurring("u1"), LIST),
    "a list of int16": (occurring("i2"), LIST),
    "a list of uint16": (occurring("u2"), LIST),
    "a list of int32": (occurring("i4"), LIST),
}


def plain_size(x, monkeypatch, **options):
    """Bytes of the stream without a rule."""
    with monkeypatch.context() as patch:
        patch.setattr(encoder, "by_rules", lambda *_: None)
        return len(san.compress(x, **options))


def assert_plain_decoder_agrees(blob, y):
    values, shape, dtype = plain_decoder.decode(blob)
    assert (shape, dtype) == (y.shape, y.dtype.name)
    assert struct.pack(f"<{len(values)}{CODES[dtype]}", *values) == y.tobytes()


@pytest.mark.parametrize("name", SIGNALS)
def test_integers_with_a_rule_come_back_from_fewer_bytes(name, monkeypatch):
    x, kind = SIGNALS[name]
    blob = san.compress(x, fs=250, lossless=True)
    assert san.inspect(blob).version == 4
    assert {rule.kind for rule in san.Decoder(blob).header.representation.rules} == {kind}
    assert len(blob) < 0.95 * plain_size(x, monkeypatch, fs=250, lossless=True)
    y = san.decompress(blob)
    assert y.dtype == x.dtype and np.array_equal(y, x)
    assert_plain_decoder_agrees(blob, y)


@pytest.mark.parametrize("bound", [1, 4, 5, 9, 12])
@pytest.mark.parametrize("name", ["rounded", "truncated", "a list of int16", "a list of uint8"])
def test_a_bound_holds_with_a_rule(name, bound, monkeypatch):
    x, _ = SIGNALS[name]
    blob = san.compress(x, fs=250, max_error=bound)
    y = san.decompress(blob)
    largest = np.abs(y.astype(int) - x).max()
    assert largest <= bound and san.inspect(blob).largest_error == largest
    assert len(blob) <= plain_size(x, monkeypatch, fs=250, max_error=bound)
    assert_plain_decoder_agrees(blob, y)


def test_inspect_says_which_values_a_stream_has(command, tmp_path):
    x = np.stack([SIGNALS["thirds"][0][:, 0], counts(size=300)[:, 0]], 1)
    (tmp_path / "a.san").write_bytes(san.compress(x, lossless=True))
    rules = ("a whole number · 16.67, rounded", "")
    assert san.inspect((tmp_path / "a.san").read_bytes()).rules == rules
    _, out, _ = command("inspect", "a.san")
    assert "values        a whole number · 16.67, rounded\n" in out
    assert str(Rule(LIST, listed=(1, 9))) == "one of 2 values"
    assert str(Rule(ROUND, 7.5, -0.25)) == "a whole number · 7.5 -0.25, rounded"


def test_values_that_share_a_place_in_a_list_stay_within_the_bound():
    x, _ = SIGNALS["a list of int32"]
    blob = san.compress(x, max_error=20)
    (rule,) = san.Decoder(blob).header.representation.rules
    assert 1 < len(rule.listed) < len(np.unique(x))


def test_a_channel_with_few_values_has_the_grid_of_another():
    k = counts(channels=2)
    k[:, 1] = np.where(np.arange(len(k)) % 40 == 0, 37, 0) - np.where(k[:, 0] > 30, 91, 0)
    x = np.rint(k * 4.88).astype("i2")
    rules = find_grids([distinct(x[:, c])[0] for c in range(2)], INT16)
    assert rules == [Rule(ROUND, 4.88)] * 2


@pytest.mark.parametrize(
    "x",
    [counts(size=300), np.arange(500) % 90, counts() // 30, np.full((500, 1), 9), counts(40) * 9],
    ids=["noise", "all of a range", "few", "constant", "short"],
)
def test_where_a_rule_saves_nothing_the_stream_is_that_of_older_versions(x):
    blob = san.compress(x.astype("i2"), lossless=True)
    assert np.array_equal(san.decompress(blob), x)
    assert not by_rules_of(blob)


def test_a_long_signal_is_decided_by_a_part_of_it(monkeypatch):
    monkeypatch.setattr(encoder, "TRIED_VALUES", 256)
    x, _ = SIGNALS["rounded"]
    assert san.Decoder(san.compress(x, lossless=True)).header.representation.rules
    assert not by_rules_of(san.compress(counts(2000, size=900).astype("i2"), lossless=True))


def by_rules_of(blob):
    return san.Decoder(blob).header.representation.rules


def test_chunks_and_attachments_beside_rules():
    x, _ = SIGNALS["truncated"]
    blob = san.compress(x, fs=100, lossless=True, chunk_seconds=2, attachments={"note": b"at rest"})
    decoder = san.Decoder(blob)
    assert by_rules_of(blob) and decoder.info.version == 4 and decoder.info.chunks == 3
    assert np.array_equal(decoder.read(150, 350), x[150:350])
    assert decoder.attachment("note") == b"at rest"
    assert_plain_decoder_agrees(blob, x)


def test_an_encoder_takes_values_that_were_not_on_the_first_grid():
    x = np.rint(counts(400)[:, 0] * 4.88).astype("i2")
    x[300:] += np.arange(100, dtype="i2")
    file = io.BytesIO()
    with san.Encoder(file, x.dtype, fs=100, lossless=True, chunk_seconds=1) as each:
        each.write(x)
    assert np.array_equal(san.decompress(file.getvalue()), x)


def test_the_events_of_a_stream_with_rules_are_in_the_units_of_the_signal():
    beats = np.zeros(9000)
    beats[150:-300:300] = 60.0
    x = np.rint(np.rint(np.convolve(beats, np.hanning(40), "same")) * 4.88).astype("i2")
    blob = san.compress(x, fs=360, max_error=6)
    if by_rules_of(blob):
        found = san.Decoder(blob).events()
        assert np.all(np.abs(found.amplitude) < 10 * np.abs(x).max() * np.sqrt(40))


# Bytes

rounded = st.builds(
    Rule,
    st.just(ROUND),
    st.floats(1, 2.0**32),
    st.floats(-1e9, 1e9).map(lambda b: b or 0.0),
)
truncated = st.builds(Rule, st.just(TRUNC), st.floats(1, 2.0**32))
listed = st.sets(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=60).map(
    lambda values: Rule(LIST, listed=tuple(sorted(values)))
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | rounded | truncated | listed, min_size=1, max_size=6))
def test_rules_become_bytes_and_back(rules):
    if not any(rules):
        rules[0] = Rule(ROUND, 2.5)
    data = pack_rules(tuple(rules))
    fields = Fields(data)
    assert unpack_rules(fields, INT16, len(rules)) == tuple(rules)
    fields.end()
    assert plain_decoder.read_rules(plain_decoder.Reader(data), "int16", len(rules)) == [
        None if r is None else plain_decoder.Rule(r.kind, r.factor, r.baseline, r.listed)
        for r in rules
    ]


@settings(max_examples=60, deadline=None)
@given(rounded | truncated | listed, st.integers(-(2**62), 2**62))
def test_both_decoders_give_a_rule_the_same_values(rule, k):
    own = plain_decoder.Rule(rule.kind, rule.factor, rule.baseline, rule.listed)
    for near in (k, k % 97, -(k % 97)):
        value = int(rule.values(np.array([near]), INT16)[0])
        assert plain_decoder.from_rule("int16", own, near) == value


def deflated(data, more=b""):
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    small = deflater.compress(data) + deflater.flush() + more
    return write_varint(len(small)) + small


FACTOR = struct.pack("<d", 4.88)
WRONG = {
    "no rule": b"\0\0",
    "more rules than channels": b"\2" + (b"\1" + FACTOR) * 2 + b"\1",
    "a rule that is not used": b"\1\1" + FACTOR + b"\0",
    "a number without a rule": b"\1\1" + FACTOR + b"\2",
    "an unknown kind": b"\1\3" + FACTOR + b"\1",
    "a baseline of a truncated grid": b"\1\5" + FACTOR * 2 + b"\1",
    "a baseline of 0": b"\1\4" + FACTOR + bytes(8) + b"\1",
    "a baseline that is infinite": b"\1\4" + FACTOR + struct.pack("<d", np.inf) + b"\1",
    "a factor below 1": b"\1\0" + struct.pack("<d", 0.5) + b"\1",
    "a factor that is no number": b"\1\0" + struct.pack("<d", np.nan) + b"\1",
    "an empty list": b"\1\2\0\0\1",
    "a list that begins outside": b"\1\2\1" + write_varint(2**16) + b"\1",
    "a list that ends outside": b"\1\2\2\0" + deflated(write_varint(2**15 - 1)) + b"\1",
    "a list with a gap of 8 bytes": b"\1\2\2\0" + deflated(write_varint(2**50)) + b"\1",
    "a list that is too short": b"\1\2\3\0" + deflated(b"\0") + b"\1",
    "a list that is too long": b"\1\2\2\0" + deflated(b"\0\0") + b"\1",
    "a list that does not inflate": b"\1\2\2\0\4\xff\xff\xff\xff\1",
    "bytes after a deflated list": b"\1\2\2\0" + deflated(b"\0", b"x") + b"\1",
    "a list beyond all": b"\1\2" + write_varint(2**17 + 1) + b"\0" + deflated(bytes(2**17)) + b"\1",
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_rules_that_are_none_are_refused_by_both_decoders(data):
    with pytest.raises(CorruptStream):
        unpack_rules(Fields(data), INT16, 1)
    with pytest.raises(plain_decoder.Refused):
        plain_decoder.read_rules(plain_decoder.Reader(data), "int16", 1)


def test_equal_rules_and_rules_out_of_order_are_refused():
    one, two = b"\0" + FACTOR, b"\1" + FACTOR
    for data in (b"\2" + one + one + b"\1\2", b"\2" + one + two + b"\2\1"):
        with pytest.raises(CorruptStream, match="numbers of their rules"):
            unpack_rules(Fields(data), INT16, 2)
        with pytest.raises(plain_decoder.Refused):
            plain_decoder.read_rules(plain_decoder.Reader(data), "int16", 2)
