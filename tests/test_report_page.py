"""The page of a stream and of a run folder: what it shows is what the codec and the model say."""

import base64
import csv
import json
import shutil
import time

import edfio
import numpy as np
import pytest
import torch
from conftest import check_page, painted, show

import san
from san.codec.decoder import Decoder
from san.codec.modes import transform
from san.codec.modes.dictionary import quantize
from san.codec.modes.events import QuantizedEvents
from san.codec.modes.payload import payload_events
from san.files import streams
from san.networks.san import SAN
from san.pages import archive as archive_page
from san.pages import report_page, runs_compared, stream_beats, stream_curve
from san.pages import run as report_run
from san.pages import run_signals as report_signals
from san.pages import stream as report_stream
from san.training import run_settings, runs

HOSTILE = "</script><b id=bad>&\u2028"


@pytest.fixture(scope="module")
def x():
    """25 seconds of pulses that come and go like beats, in steps of 1/200 mV."""
    rng = np.random.default_rng(0)
    pulse = np.hanning(200) ** 12
    pulse[60:160] -= 0.3 * np.hanning(100)
    signal, place = 0.01 * rng.standard_normal(9000), 40
    while place < 8700:
        signal[place : place + 200] += rng.uniform(0.8, 1.2) * pulse
        place += int(rng.integers(230, 330))
    return np.round(200 * signal) / 200


@pytest.fixture(scope="module")
def stream(x, tmp_path_factory):
    """It, compressed, with events; beside it the original."""
    folder = tmp_path_factory.mktemp("stream")
    np.save(folder / "x.npy", x)
    blob = san.compress(x, 360, prdn=9.0, units=("mV",), names=("II",))
    (folder / "x.san").write_bytes(blob)
    return folder / "x.san"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of three kernel sizes."""
    folder = tmp_path_factory.mktemp("run") / "sweep"
    given = {"kernel_sizes": [20, 31, 45], "kernels": 2, "epochs": 4}
    runs.finish(runs.start(*run_settings.settings_from(given), folder))
    return folder


@pytest.fixture
def opened(browser, tmp_path):
    """Open the page of what was gathered."""

    def open_page(content):
        path = tmp_path / "page.html"
        path.write_text(report_page.report_page(content))
        browser.get(path.as_uri())
        painted(browser)
        return browser

    return open_page


def unpacked(text, dtype=np.float32):
    return np.frombuffer(base64.b64decode(text), dtype)


def shown(driver):
    """The range of samples that the viewer shows, and its words."""
    script = "const v = Viewer.shown; return v.range"
    painted(driver)
    return driver.execute_script(script), driver.find_element("id", "range").text


# What is gathered


def test_events_of_a_payload_are_those_that_were_encoded():
    rng = np.random.default_rng(0)
    dictionary = quantize(rng.standard_normal((3, 2, 64)))
    positions = np.array([5, 40, 300])
    events = QuantizedEvents(positions, np.array([2, 0, 1]), np.array([[7, -3], [0, 9], [-20, 4]]))
    plan = transform.Plan(transform.Setting((900, 800), 4), events)
    k = transform.synthesize(events, (900, 800), dictionary, 500).T >> 8
    payload, _, _ = transform.encode(k, plan, dictionary)
    found, strengths = payload_events(b"\x02" + payload, 500, 2, dictionary)
    steps = np.array([transform.step_size(900), transform.step_size(800)]) / 256
    assert np.array_equal(strengths, events.amplitudes * steps)
    for name in ("starts", "kernels", "amplitudes"):
        assert np.array_equal(getattr(found, name), getattr(events, name))
    exact = san.compress(k[:, 0].astype(np.int16), lossless=True)
    assert len(Decoder(exact).events().position) == 0


def test_events_of_a_stream_draw_its_signal(x, stream):
    decoder = Decoder(stream.read_bytes())
    events = decoder.events()
    kernels = decoder.dictionary.kernels[:, 0] / 2**14
    before, after = (kernels.shape[1] - 1) // 2, kernels.shape[1] // 2
    drawn = np.zeros(len(x))
    for k, t, a in zip(events.kernel, events.position, events.amplitude[:, 0], strict=True):
        drawn[t - before : t + after + 1] += a * kernels[k]
    beats = drawn > 2 * drawn.std()
    assert len(events) > 20 and beats.sum() > 200
    assert np.corrcoef(drawn[beats], x[beats])[0, 1] > 0.9
    assert 0.85 < np.median(drawn[beats] / x[beats]) < 1.1


def test_events_of_a_part_are_those_that_draw_into_it(x):
    blob = san.compress(x, 360, prdn=9.0, chunk_seconds=10)
    decoder = Decoder(blob)
    every = decoder.events()
    assert decoder.info.chunks == 3 and (np.diff(every.position) >= 0).all()
    length = decoder.dictionary.kernels.shape[2]
    part = decoder.events(3500, 3700)
    first, last = every.position - (length - 1) // 2, every.position + length // 2
    inside = (first < 3700) & (last >= 3500)
    assert np.array_equal(every.start, first)
    assert 0 < len(part) < len(every)
    assert np.array_equal(part.position, every.position[inside])
    assert np.array_equal(part.amplitude, every.amplitude[inside])


def test_a_stream_is_shown_as_it_decodes(x, stream):
    content = report_stream.describe_stream(stream, stream.with_name("x.npy"), curve=False)
    (view,) = content["views"]
    y = san.decompress(stream.read_bytes())
    assert np.array_equal(unpacked(view["decoded"]), y.astype(np.float32))
    assert np.array_equal(unpacked(view["signal"]), x.astype(np.float32))
    assert (view["label"], view["scale"], view["fs"], view["total"]) == ("II", "mV", 360, len(x))
    assert "envelope" not in view
    table = next(rows for caption, _, rows in content["tables"] if "original" in caption)
    assert table[0][-1] == "mV"
    assert np.allclose(table[0][1:-1], [san.prdn(x, y), san.prd(x, y), san.snr(x, y),
                                      san.max_abs_error(x, y)])  # fmt: skip
    assert sum(size for _, size in content["bars"]) == stream.stat().st_size
    position = unpacked(view["events"]["position"], np.int32)
    assert np.array_equal(position, Decoder(stream.read_bytes()).events().position)


def test_a_long_stream_has_minima_and_maxima(x, stream, monkeypatch):
    monkeypatch.setattr(report_stream, "MOST_VALUES", 2000)
    monkeypatch.setattr(report_stream, "MOST_BINS", 700)
    content = report_stream.describe_stream(stream, start=5.0, seconds=2.0)
    (view,) = content["views"]
    assert view["start"] == 1800 and len(unpacked(view["decoded"])) == 720
    by_sample = report_stream.describe_stream(stream, start_sample=1800, samples=720)
    assert by_sample["views"] == [view]
    size = view["envelope"]["size"]
    y = san.decompress(stream.read_bytes()).astype(np.float32)
    bins = [y[t : t + size] for t in range(0, len(y), size)]
    assert size == 13 and len(bins) <= 700
    outside = bins[: -(-1800 // size)] + bins[2520 // size :]
    assert unpacked(view["envelope"]["low"]).tolist() == [part.min() for part in outside]
    assert unpacked(view["envelope"]["high"]).tolist() == [part.max() for part in outside]
    assert f"of every {size} samples" in dict(content["words"])["What is shown"]


CONVERTERS = {
    "200(100)/mV": (100.0, 200.0, "mV"),
    "10.92(-0.5)/uV": (-0.5, 10.92, "uV"),
    "1.5e-05(-2e+06)/V/m": (-2e6, 1.5e-5, "V/m"),
    "1e999(0)/x": (0.0, 1.0, "1e999(0)/x"),
    "2(-1e999)/x": (0.0, 1.0, "2(-1e999)/x"),
    "0(3)/x": (0.0, 1.0, "0(3)/x"),
    "--2(3)/x": (0.0, 1.0, "--2(3)/x"),
    "mV": (0.0, 1.0, "mV"),
}


@pytest.mark.parametrize("unit", CONVERTERS)
def test_units_of_a_converter_become_physical(unit):
    blob = san.compress(np.arange(90, dtype=np.int16), lossless=True, units=(unit,))
    assert report_stream._units(san.inspect(blob), 0) == CONVERTERS[unit]


def test_the_units_of_edf_become_physical(tmp_path):
    signal = edfio.EdfSignal(
        np.linspace(-187.5, 187.5, 500), 100, physical_dimension="uV",
        physical_range=(-187.5, 187.5), digital_range=(-2048, 2047),
    )  # fmt: skip
    edfio.Edf([signal]).write(tmp_path / "a.edf")
    blob = streams.encode_file(tmp_path / "a.edf", lossless=True)
    baseline, gain, unit = report_stream._units(san.inspect(blob), 0)
    assert (baseline, gain, unit) == (-0.5, pytest.approx(10.92), "uV")
    physical = (san.decompress(blob)[:, 0] - baseline) / gain
    assert np.allclose(physical, edfio.read_edf(tmp_path / "a.edf").signals[0].data, atol=1e-6)


def test_the_curve_is_measured(stream, monkeypatch):
    monkeypatch.setattr(stream_curve, "PRDNS", (20.0,))
    monkeypatch.setattr(stream_curve, "BOUNDS", (0.2,))
    monkeypatch.setattr(stream_curve, "VALUES", 4000)
    told = []
    content = report_stream.describe_stream(
        stream, stream.with_name("x.npy"), progress=lambda what, share: told.append((what, share))
    )
    points = content["curve"]["points"]
    part = np.load(stream.with_name("x.npy"))[:4000]
    kernels = Decoder(stream.read_bytes()).dictionary
    bound = content["curve"]["points"][1][2]
    assert [name for name, *_ in points] == ["PRDN 20 %", "within 0.05 mV"] and bound <= 0.05
    for target, (_, prdn, largest, bits, ratio) in zip(
        ({"prdn": 20.0}, {"max_error": 0.05}), points, strict=True
    ):
        info = san.inspect(san.compress(part, 360.0, dictionary=kernels, **target))
        once = info.sections["header"] + info.sections["dictionary"]
        size = once + (info.bytes - once) * 9000 / 4000
        assert (prdn, largest) == (info.prdn, info.largest_error)
        assert bits == pytest.approx(8 * size / 9000) and ratio == pytest.approx(64 / bits)
    _, prdn, _, bits, _ = content["curve"]["own"]
    own = san.inspect(stream.read_bytes())
    assert (prdn, bits) == (own.prdn, pytest.approx(own.bits_per_sample))
    assert "samples 0 to 3999" in content["curve"]["words"]
    assert told[0][0] == "decoding" and told[-1][1] == 1.0


@pytest.mark.parametrize("lossless", [True, False], ids=["without loss", "within a bound"])
def test_integers_are_on_the_page_once(lossless, x, opened, tmp_path):
    counts = np.round(200 * x[:3000]).astype(np.int16) + 40
    np.save(tmp_path / "x.npy", counts)
    target = {"lossless": True} if lossless else {"max_error": 3}
    blob = san.compress(counts, 360, units=("200(40)/mV",), **target)
    (tmp_path / "x.san").write_bytes(blob)
    content = report_stream.describe_stream(
        tmp_path / "x.san", tmp_path / "x.npy", curve=False, beats=False
    )
    (view,) = content["views"]
    decoded = unpacked(view["decoded"]["counts"], np.int16)
    assert np.array_equal(decoded, san.decompress(blob))
    assert (view["more"] is None) == lossless
    if not lossless:
        assert np.array_equal(decoded + unpacked(view["more"]["counts"], np.int8), counts)
    driver = opened(content)
    found = driver.execute_script(
        "return ['decodedValues', 'x'].map((n) => [...Viewer.shown.view[n]])"
    )
    physical = ((np.stack([decoded, counts]) - 40.0) / 200).astype(np.float32)
    assert np.array_equal(np.array(found, np.float32), physical)
    rows = dict(row for _, _, table in content["tables"][:1] for row in table)
    expected = "0 counts, 0 mV" if lossless else "3 counts, 0.015 mV"
    assert rows["largest error"] == expected


def test_heartbeats_are_on_the_page_of_a_stream(x, stream, opened):
    content = report_stream.describe_stream(stream)
    beats = san.beats.find(san.decompress(stream.read_bytes()), 360)
    assert np.array_equal(unpacked(content["beats"]["position"], np.int32), beats.position)
    assert ("beats", f"{len(beats)}") in content["tiles"]
    driver = opened(content)
    check_page(driver)
    driver.find_element("css selector", "#beats-table summary").click()
    driver.find_element("css selector", "#events-table summary").click()
    time.sleep(0.2)
    rows = driver.find_elements("css selector", "#beats-table tbody tr")
    seen = beats.position <= 3600
    assert len(rows) == seen.sum() > 8
    number, position, _, rate, _ = rows[2].text.split()
    assert (number, position) == ("3", f"{beats.position[2]:,}")
    assert float(rate) == pytest.approx(beats.heart_rate[2], rel=1e-4)
    events = [
        row.text.split() for row in driver.find_elements("css selector", "#events-table tbody tr")
    ]
    by_beat = {row[5]: row for row in events if row[5] != "–"}
    assert len(by_beat) > 5
    for number, row in by_beat.items():
        place = int(row[1].replace(",", ""))
        assert abs(beats.position[int(number) - 1] - place) <= 0.15 * 360
    assert driver.find_element("id", "view-rate").is_displayed()


@pytest.mark.parametrize(
    ("names", "fs", "wanted", "found"),
    [(("MLII",), 360, None, True), (("Fp1",), 360, None, False), (("MLII",), 30, None, False),
     ((), 360, True, True), (("MLII",), 360, False, False)],
    ids=["a lead", "no lead", "too slow", "wanted", "not wanted"],
)  # fmt: skip
def test_where_heartbeats_are_looked_for(names, fs, wanted, found, x):
    blob = san.compress(x[:2000], fs, lossless=True, names=names, units="mV")
    assert (stream_beats.beats_of(x[:2000], san.inspect(blob), wanted) is not None) == found


def test_a_run_is_shown_as_its_model_has_it(run):
    content = report_run.describe_run(run)
    scores = json.loads((run / "metrics.json").read_text())
    with open(run / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    (plane,) = content["plane"]
    for ratio, loss, phi, m in plane["points"]:
        of_size = [row for row in rows if int(row["kernel_size"]) == m]
        best = min(of_size, key=lambda row: float(row["phi"]))
        assert [ratio, loss, phi] == [float(v) for v in list(best.values())[3:]]
    assert plane["test"][2] == scores["test"]["phi"] and len(plane["points"]) == 3
    assert content["sweeps"][0]["chosen"] == scores["test"]["kernel_size"]
    model = SAN.load(run / "model.safetensors")
    test = san.datasets.load("physionet", "test")
    events = model.encode(torch.from_numpy(test.x))
    assert len(content["views"]) == 4
    for i, view in enumerate(content["views"]):
        of = events.signal == i
        position = unpacked(view["events"]["position"], np.int32)
        assert np.array_equal(position, events.position[of, 0])
        assert np.array_equal(unpacked(view["events"]["kernel"], np.int32), events.kernel[of])
        assert np.array_equal(unpacked(view["events"]["amplitude"]), events.amplitude[of])


def test_a_run_without_its_data_shows_its_figure(run, tmp_path, opened):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    text = (copy / "settings.toml").read_text()
    digests = text.index("data_sha256")
    (copy / "settings.toml").write_text(text[:digests] + text[digests:].replace("a", "b", 5))
    content = report_run.describe_run(copy)
    assert content["views"] == [] and "not those that" in dict(content["words"])["Test signals"]
    driver = opened(content)
    check_page(driver)
    wide = driver.execute_script("return document.querySelector('#figure img').naturalWidth")
    assert wide > 500


def test_a_run_that_has_begun(tmp_path, opened):
    given = {"kernel_sizes": [20], "epochs": 2}
    runs.start(*run_settings.settings_from(given), tmp_path / "run")
    content = report_run.describe_run(tmp_path / "run")
    assert "not finished" in content["summary"][0]
    check_page(opened(content))


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("metrics.json", "{}", "holds no metrics of a run"),
        ("metrics.json", "[1", "holds no metrics of a run"),
        ("history.csv", "epoch,phi\n1,x\n", "is not the history of a run"),
        ("settings.toml", "=", "is not TOML"),
        ("model.safetensors", "no", "corrupt"),
    ],
)
def test_a_corrupt_run_is_refused(file, text, words, run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / file).write_text(text)
    with pytest.raises(ValueError, match=words):
        report_run.describe_run(copy)


# What a user sees


@pytest.fixture
def stream_page(stream, opened):
    return opened(report_stream.describe_stream(stream, stream.with_name("x.npy"), curve=False))


def test_the_page_of_a_stream_is_whole(stream_page):
    check_page(stream_page)
    visible = [
        section.get_attribute("id")
        for section in stream_page.find_elements("css selector", "body > section")
        if section.is_displayed()
    ]
    assert visible == ["views", "kernels", "bars", "words"]
    assert "25 s" in stream_page.find_element("id", "summary").text
    unnamed = stream_page.execute_script(
        "return [...document.querySelectorAll('canvas')].filter((e) => "
        "e.offsetParent && !e.getAttribute('aria-label') && !e.getAttribute('aria-hidden'))"
        ".map((e) => e.outerHTML)"
    )
    assert unnamed == []


def test_the_viewer_zooms_and_pans_with_buttons(stream_page):
    (low, high), words = shown(stream_page)
    assert (low, high) == (0, 3600) and words == "0 s to 10 s of 25 s"
    for button, expected in [
        ("zoom-in", (900, 2700)), ("later", (1800, 3600)), ("earlier", (900, 2700)),
        ("zoom-out", (0, 3600)), ("all", (0, 8999)), ("later", (0, 8999)),
    ]:  # fmt: skip
        stream_page.find_element("id", button).click()
        assert tuple(shown(stream_page)[0]) == expected, button


def test_the_viewer_answers_the_keyboard(stream_page):
    from selenium.webdriver.common.keys import Keys

    viewer = stream_page.find_element("id", "viewer")
    stream_page.execute_script("arguments[0].focus()", viewer)
    for key, expected in [
        ("+", (900, 2700)), (Keys.ARROW_RIGHT, (1260, 3060)), (Keys.ARROW_LEFT, (900, 2700)),
        (Keys.END, (7199, 8999)), (Keys.HOME, (0, 1800)), ("-", (0, 3600)), ("0", (0, 8999)),
    ]:  # fmt: skip
        viewer.send_keys(key)
        assert np.allclose(shown(stream_page)[0], expected), key
    time.sleep(0.5)
    said = stream_page.find_element("id", "status").get_property("textContent")
    assert said.startswith("0 s to 24.997 s of 25 s") and said.endswith("events")


def test_the_viewer_answers_wheel_and_pointer(stream_page):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    canvas = stream_page.find_element("id", "view-signal")
    origin = ScrollOrigin.from_element(canvas)
    ActionChains(stream_page).scroll_from_origin(origin, 0, -60).perform()
    assert tuple(shown(stream_page)[0]) == (0, 3600)  # the page scrolls until the plot is chosen
    ActionChains(stream_page).click(canvas).perform()
    ActionChains(stream_page).scroll_from_origin(origin, 0, -60).perform()
    (low, high), _ = shown(stream_page)
    assert np.isclose(high - low, 0.8 * 3600) and low > 100
    ActionChains(stream_page).drag_and_drop_by_offset(canvas, -100, 0).perform()
    (later, end), _ = shown(stream_page)
    assert later > low and np.isclose(end - later, high - low)


def test_tables_say_what_plots_show(stream_page, stream):
    for name in ("events-table", "samples-table", "kernels-table"):
        stream_page.find_element("css selector", f"#{name} summary").click()
    time.sleep(0.2)
    decoder = Decoder(stream.read_bytes())
    rows = stream_page.find_elements("css selector", "#events-table tbody tr")
    events = decoder.events(0, 4000)
    seen = events.position <= 3600
    assert len(rows) == seen.sum() > 5
    found = [row.text.split()[:2] for row in rows]
    listed = zip(events.kernel[seen], events.position[seen], strict=True)
    assert found == [[f"w{k + 1}", f"{t:,}"] for k, t in listed]
    samples = stream_page.find_elements("css selector", "#samples-table tbody tr")
    assert len(samples) == 300
    y = decoder.read()
    assert float(samples[7].text.split()[2].replace("−", "-")) == pytest.approx(y[7], rel=1e-4)
    kernels = stream_page.find_elements("css selector", "#kernels-table tbody tr")
    assert len(kernels) == len(decoder.dictionary.kernels)


def test_channels_are_chosen_and_gaps_left_open(x, opened, tmp_path):
    from selenium.webdriver.support.select import Select

    both = np.stack([x[:2000], np.where(np.arange(2000) // 500 == 1, np.nan, -x[:2000])], 1)
    (tmp_path / "two.san").write_bytes(
        san.compress(both, 360, prdn=12.0, names=(HOSTILE, "V1"), units=("mV", HOSTILE))
    )
    driver = opened(report_stream.describe_stream(tmp_path / "two.san"))
    check_page(driver)
    assert not driver.find_elements("id", "bad")
    select = Select(driver.find_element("id", "view"))
    assert [option.text for option in select.options] == [HOSTILE.replace("\u2028", " "), "V1"] or (
        select.options[0].text.startswith("</script><b id=bad>&")
    )
    select.select_by_visible_text("V1")
    label = driver.find_element("id", "view-signal").get_attribute("aria-label")
    assert label.startswith("V1: signal")
    odd = "return [...Viewer.shown.view.decodedValues].filter(Number.isNaN).length"
    assert driver.execute_script(odd) == 500
    check_page(driver)


def test_the_page_of_a_run_is_whole(run, opened):
    driver = opened(report_run.describe_run(run))
    check_page(driver)
    for name in ("views", "kernels", "plane", "sweep", "history", "words"):
        assert driver.find_element("id", name).is_displayed(), name
    driver.execute_script("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    time.sleep(0.2)
    rows = driver.find_elements("css selector", "#plane-table tbody tr")
    assert len(rows) == 4
    assert len(driver.find_elements("css selector", "#history-table tbody tr")) == 4
    assert "Adam" in driver.find_element("id", "words").text
    assert "torch" in driver.find_element("id", "tables").text
    assert driver.get_log("browser") == []


def test_a_model_of_the_plane_is_pointed_at(run, opened):
    from selenium.webdriver.common.action_chains import ActionChains

    driver = opened(report_run.describe_run(run))
    canvas = driver.find_element("id", "plane-plot")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    at = driver.execute_script(
        "const [ratio, loss] = DATA.plane[0].points[0], r = byId('plane-plot');"
        "const f = planeFrame; return [f.toX(ratio) - r.clientWidth / 2, "
        "f.toY(loss) - r.clientHeight / 2]"
    )
    ActionChains(driver).move_to_element_with_offset(canvas, *map(round, at)).perform()
    time.sleep(0.1)
    assert "m = 20, validation: φ" in driver.find_element("id", "plane-note").text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["stream", "run"])
def test_a_phone(kind, scheme, stream, run, browser, opened):
    show(browser, 375, 700, scheme)
    driver = opened(
        report_run.describe_run(run)
        if kind == "run"
        else report_stream.describe_stream(stream, curve=False)
    )
    assert driver.execute_script("return document.documentElement.scrollWidth") == 375
    background = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    bright = np.mean([int(v) for v in background[4:-1].split(",")])
    assert bright > 200 if scheme == "light" else bright < 50
    check_page(driver)


def test_images_are_shown(opened, tmp_path):
    model = SAN(2, [3, 4], "extrema", [1, 2], seed=1)
    x = np.random.default_rng(0).random((5, 1, 9, 7), np.float32)
    part = san.datasets.Dataset("images", "test", x, None, None, (), (), "", "")
    splits = san.datasets.Splits(part, part, part)
    images = report_signals._images(model, splits)
    assert np.allclose(unpacked(images[0]["signal"]), x[0, 0].ravel())
    content = {"title": "images", "images": images, "kernelsNote": "",
               "kernels": report_signals.kernels_of(model)}  # fmt: skip
    driver = opened(content)
    check_page(driver)
    assert len(driver.find_elements("css selector", ".images canvas")) == 15


# Several runs, and an archive


@pytest.fixture(scope="module")
def other_run(run, tmp_path_factory):
    """The same run, as if it had another seed and a lower φ on the test split."""
    folder = tmp_path_factory.mktemp("other") / "again"
    shutil.copytree(run, folder)
    text = (folder / "settings.toml").read_text()
    assert "seed = 0\n" in text
    (folder / "settings.toml").write_text(text.replace("seed = 0\n", "seed = 7\n"))
    scores = json.loads((folder / "metrics.json").read_text())
    scores["test"]["phi"] /= 2
    (folder / "metrics.json").write_text(json.dumps(scores))
    return folder


def test_runs_are_compared(run, other_run, opened):
    content = runs_compared.describe_runs([run, other_run])
    (_, heads, scores), (_, names, settings) = content["tables"]
    assert heads[0] == "run" and [row[0] for row in scores] == ["again", "sweep"]
    assert names == ["setting", "sweep", "again"] and settings == [["seed", "0", "7"]]
    assert [(one["name"], one["style"]) for one in content["plane"]] == [("sweep", 0), ("again", 1)]
    assert [kernel["name"] for kernel in content["kernels"]][1:3] == ["sweep, w2", "again, w1"]
    assert ("of", "again") in content["tiles"]
    driver = opened(content)
    check_page(driver)
    for name in ("tables", "kernels", "plane", "sweep", "history"):
        assert driver.find_element("id", name).is_displayed(), name
    assert not driver.find_element("id", "views").is_displayed()
    keys = driver.find_elements("css selector", "#plane-key li")
    assert [(key.text, key.get_attribute("class")) for key in keys] == [
        ("sweep", "kernel-1"), ("again", "kernel-2"),
    ]  # fmt: skip
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 1200


def test_runs_with_other_data_and_unfinished_runs_are_named(run, tmp_path):
    shutil.copytree(run, tmp_path / "copy")
    (tmp_path / "copy" / "metrics.json").unlink()
    path = tmp_path / "copy" / "settings.toml"
    text = path.read_text()
    digests = text.index("data_sha256")
    path.write_text(text[:digests] + text[digests:].replace("a", "b", 5))
    content = runs_compared.describe_runs([run, tmp_path / "copy"])
    assert "not of the same signals" in dict(content["words"])["Data"]
    assert content["tables"][0][2][1][-1] == "not finished"


@pytest.fixture(scope="module")
def archived(tmp_path_factory):
    """An archive of three records and a broken one; then one of its streams is lost."""
    source, out = (tmp_path_factory.mktemp("archive") / name for name in ("in", "out"))
    (source / "a").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, noise in (("a/quiet", 1), ("a/loud", 30), ("lost", 5)):
        x = 100 * np.sin(np.arange(2000) / 30) + noise * rng.standard_normal(2000)
        np.save(source / f"{name}.npy", np.round(x).astype(np.int16))
    (source / f"{'bad' + HOSTILE[9:17]}.npy").write_bytes(b"no array")
    options = san.archive.Options(max_error=3, events=False, fs=100.0)
    assert len(san.archive.archive(source, out, options, jobs=1).failures) == 1
    (out / "lost.npy.san").unlink()
    return out


def test_an_archive_is_shown_with_its_worst_records_first(archived, opened):
    content = archive_page.describe_archive(archived)
    tables = {caption: rows for caption, _, rows in content["tables"]}
    ((name, reason),) = tables["Failures"]
    assert name.startswith("bad<b id=b") and "not readable as .npy" in reason
    sizes = tables["Most bits a sample first"]
    assert [row[0] for row in sizes] == ["a/loud.npy", "lost.npy", "a/quiet.npy"]
    for row in (sizes[0], sizes[2]):
        info = san.inspect((archived / f"{row[0]}.san").read_bytes())
        assert row[1:5] == [2000, 1, info.bytes, info.bits_per_sample]
        assert row[6:8] == [info.prdn, f"{info.largest_error:g}"]
    assert "No such file" in sizes[1][7]
    errors = [row[6] for row in tables["Largest error first"]]
    assert errors == sorted(errors, reverse=True) and errors[0] > errors[-1] > 0
    assert dict(content["tiles"])["failures"] == "1"
    assert sum(size for _, size in content["bars"]) == sum(row[3] for row in sizes)
    driver = opened(content)
    check_page(driver)
    assert not driver.find_elements("id", "bad")
    assert driver.find_element("id", "records").is_displayed()
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 1200


def test_a_record_of_an_archive_is_pointed_at(archived, opened):
    from selenium.webdriver.common.action_chains import ActionChains

    driver = opened(archive_page.describe_archive(archived))
    canvas = driver.find_element("id", "records-plot")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    at = driver.execute_script(
        "const c = byId('records-plot'), f = recordsFrame, d = DATA.records;"
        "return [f.toX(Math.log10(d.bits[0])) - c.clientWidth / 2, "
        "f.toY(d.prdn[0]) - c.clientHeight / 2]"
    )
    ActionChains(driver).move_to_element_with_offset(canvas, *map(round, at)).perform()
    time.sleep(0.1)
    assert driver.find_element("id", "records-note").text.startswith("a/loud.npy: ")


# The command


@pytest.mark.parametrize("kind", ["stream", "run", "runs", "archive"])
def test_the_command_writes_one_file(kind, command, stream, run, other_run, archived, tmp_path):
    sources = {"stream": [stream], "run": [run], "runs": [run, other_run], "archive": [archived]}
    code, out, err = command("report", *sources[kind], "-o", "r.html")
    size = (tmp_path / "r.html").stat().st_size
    assert (code, out, err) == (0, f"r.html: {size:,} bytes\n", "")
    assert command("report", *sources[kind], "-o", "r.html")[0] == 2
    assert command("report", *sources[kind], "-o", "r.html", "--force")[0] == 0
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_a_dictionary_that_is_only_named(command, x, tmp_path):
    dictionary = san.learn_dictionary(x, fs=360)
    dictionary.save(tmp_path / "d")
    blob = san.compress(x, 360, prdn=9.0, dictionary=dictionary, embed_dictionary=False)
    (tmp_path / "named.san").write_bytes(blob)
    code, _, err = command("report", "named.san")
    assert code == 2 and "none was given" in err
    assert command("report", "named.san", "--dictionary", "d")[0] == 0


def test_every_record_of_a_collection(command, recordings, tmp_path, browser, monkeypatch):
    manifest = san.datasets.read_manifest("physionet")
    two = {name: manifest["databases"][name] for name in ("mitdb", "bpssrat")}
    monkeypatch.setitem(manifest, "databases", two)
    arguments = "train --record all --kernel-sizes 20,40 --epochs 1 --output all --data-dir".split()
    assert command(*arguments, recordings)[0] == 0
    assert command("report", "all", "--data-dir", recordings)[0] == 0
    browser.get((tmp_path / "report.html").as_uri())
    check_page(browser)
    names = browser.execute_script("return DATA.plane.map((of) => of.name)")
    assert "physionet mitdb/100" in names and len(names) == 2
    options = browser.find_elements("css selector", "#view option")
    assert len(options) == 4 * len(names)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("none.san", "none.san"),
        ("x.npy", "no SAN stream"),
        (".", "it is not a run folder"),
        ("z.san --channel 1", "--channel must be from 0 to 0, got 1"),
        ("z.san --start-sample 5000", "within the 900 samples, got --start-sample 5000"),
        ("timed.san --start -2", "within the 900 samples (0 to 90 s), got --start -2"),
        ("timed.san --seconds 0.01", "got --seconds 0.01, which is 0 samples"),
        (
            "z.san --start 5",
            "--start is in seconds, and no sampling rate is known: give --start-sample",
        ),
        ("z.san --start 5 --start-sample 5", "give --start or --start-sample, not both"),
        (
            "z.san --seconds 5",
            "--seconds is in seconds, and no sampling rate is known: give --samples",
        ),
        ("z.san --seconds 5 --samples 5", "give --seconds or --samples, not both"),
        ("z.san --samples 0", "samples one by one, got --samples 0"),
        (". --start-sample 1", ". is a run folder, and --start-sample is for streams"),
        ("z.san --original x.npy", "x.npy has shape (5,), z.san has (900,)"),
        ("z.san --data-dir .", "z.san is not a run folder, and --data-dir"),
        ("z.san --beats", "--beats needs a sampling rate, and the stream states none"),
        ("z.san timed.san", "z.san is not a run folder: only run folders are compared"),
        (". . --data-dir .", "--data-dir is for one run folder: runs are compared without"),
        (". . --channel 0", ". is a run folder, and --channel is for streams"),
        (". --channel 0", ". is a run folder, and --channel is for streams"),
        ("z.san -o r.txt", "must end with .html"),
    ],
)
def test_wrong_use_is_one_line(arguments, words, command, tmp_path):
    x = np.arange(900, dtype=np.int16)
    (tmp_path / "z.san").write_bytes(san.compress(x, lossless=True))
    (tmp_path / "timed.san").write_bytes(san.compress(x, fs=10, lossless=True))
    np.save("x.npy", np.arange(5, dtype=np.int16))
    before = sorted(tmp_path.iterdir())
    code, out, err = command("report", *arguments.split())
    assert code == 2 and words in err and out == "" and len(err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before
