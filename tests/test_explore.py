"""The exploring page in a browser: its events against the Python code's, and every control."""

import itertools
import json
import re
import time

import numpy as np
import pytest
import torch
from conftest import check_page, painted, show

from san import metrics
from san.networks.san import SAN
from san.pages.explore import excerpt, explore_page
from san.pages.page import assemble, packed

RANDOM = np.random.default_rng(5)
REAL = excerpt(None, start=20.0, samples=1200).x
SIGNALS = {
    "a real one": REAL,
    "white noise": RANDOM.standard_normal(600).astype(np.float32),
    "plateaus": np.round(2 * REAL[:700]) / 2,
    "few integers": RANDOM.integers(-2, 3, 500).astype(np.float32),
    "zeros": np.zeros(40, np.float32),
    "two samples": np.array([1, -1], np.float32),
}
PARAMETERS = {
    "identity": [None],
    "relu": [None],
    "top_k_absolutes": [1, 9, 5000],
    "extrema_pool": [1, 7],
    "extrema": [0, 3, 25],
}
KERNELS = [(1, 1), (2, 2), (1, 17), (3, 40)]  # how many, how long
COMPUTE = """
const [x, kernels, activation, parameters, decoder, compete] = arguments;
const w = kernels.map((text) => numbers(text));
const r = compute(numbers(x), w, activation, parameters, decoder, compete);
return {positions: r.positions, values: r.values.map((v) => Array.from(v)),
  xHat: Array.from(r.xHat), similarity: r.similarities.map((s) => Array.from(s)),
  ratio: r.ratio, loss: r.loss, phi: r.phi,
  gradient: gradient(numbers(x), w, r, decoder).map((g) => Array.from(g))};
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of 800 samples of the bundled recording."""
    path = tmp_path_factory.mktemp("explore") / "explore.html"
    path.write_text(explore_page(excerpt(None, samples=800), kernel_size=60))
    return path


@pytest.fixture
def explore(browser, page):
    """That page, opened anew."""
    browser.get(page.as_uri())
    return browser


def numbers_of(driver):
    return driver.execute_script(
        "return [state.result.phi, state.result.ratio, state.result.loss, state.result.events]"
    )


def press(driver, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(driver).send_keys(*keys).perform()
    painted(driver)


def write(field, text):
    from selenium.webdriver.common.keys import Keys

    field.send_keys(Keys.CONTROL + "a" + Keys.NULL + text)


def focused(driver):
    return driver.execute_script("return document.activeElement.id")


# What is computed


def weights(signal, count, m):
    generator = np.random.default_rng(m)
    if SIGNALS[signal] is REAL or signal == "white noise":
        return [generator.standard_normal(m).astype(np.float32) / 4 for _ in range(count)]
    return [generator.integers(-1, 2, m).astype(np.float32) for _ in range(count)]


def run_both(driver, x, kernels, activation, parameter, decoder, compete):
    sparsity = None if parameter is None else [parameter] * len(kernels)
    model = SAN(
        1, [len(w) for w in kernels], activation, sparsity, decoder=decoder, compete=compete
    )
    for w, values in zip(model.kernels, kernels, strict=True):
        w.data = torch.from_numpy(values)[None]
    given = [packed(w) for w in kernels], activation, sparsity or [0] * len(kernels)
    found = driver.execute_script(COMPUTE, packed(x), *given, decoder, compete)
    return model, model(torch.from_numpy(x)[None, None]), found


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("activation", PARAMETERS)
def test_the_page_computes_what_python_does(activation, signal, explore):
    x = SIGNALS[signal]
    seen = 0
    for (count, m), parameter, decoder in itertools.product(
        KERNELS, PARAMETERS[activation], ("adjoint", "paper")
    ):
        kernels = weights(signal, count, min(m, len(x)))
        for compete in (False, True) if activation == "extrema" else (False,):
            given = x, kernels, activation, parameter, decoder, compete
            _, output, found = run_both(explore, *given)
            alpha = output.activations[0].detach().numpy()
            for a, positions, values in zip(
                alpha, found["positions"], found["values"], strict=True
            ):
                assert np.flatnonzero(a).tolist() == positions
                assert a[positions].tolist() == values
                seen += len(positions)
            similarity = np.array(found["similarity"], np.float32)
            assert np.array_equal(similarity, output.similarities[0].detach().numpy())
            x_hat = output.x_hat[0].detach().numpy()
            assert np.array_equal(np.array([found["xHat"]], np.float32), x_hat)
            sizes = [len(w) for w in kernels]
            ratio = metrics.inverse_compression_ratio(alpha[None], sizes)[0]
            loss = metrics.normalized_loss(x, x_hat[0])
            expected = [ratio, loss, metrics.phi(ratio, loss)]
            assert np.allclose([found[k] for k in ("ratio", "loss", "phi")], expected, rtol=1e-12)
    assert seen > 0 or signal == "zeros"


@pytest.mark.parametrize("decoder", ["adjoint", "paper"])
@pytest.mark.parametrize("activation", ["identity", "extrema_pool", "extrema"])
def test_learning_follows_the_gradient(activation, decoder, explore):
    parameter = PARAMETERS[activation][-1]
    kernels = weights("a real one", 2, 20)
    model, output, found = run_both(explore, REAL, kernels, activation, parameter, decoder, False)
    (output.x_hat - torch.from_numpy(REAL)).abs().mean().backward()
    for w, gradient in zip(model.kernels, found["gradient"], strict=True):
        scale = w.grad.abs().max().item()
        assert scale > 0
        assert np.allclose(w.grad[0].numpy(), gradient, atol=1e-4 * scale)


# What a user sees


def test_the_page_is_whole_and_small(explore, page):
    check_page(explore)
    assert page.stat().st_size < 400_000
    text = page.read_text()
    assert "http:" not in text.replace("http-equiv", "") and "https:" not in text
    markup = text[text.index("<body>") : text.index('<script type="application/json"')]
    assert not re.search(r"\s(style|on\w+)=", markup) and "<link" not in text


def test_a_violation_is_blocked(browser, page, tmp_path):
    hostile = tmp_path / "hostile.html"
    inline = "<script>document.title = 'mine'</script><img src=x onerror=\"document.title='mine'\">"
    hostile.write_text(page.read_text().replace("</body>", f"{inline}</body>"))
    browser.get(hostile.as_uri())
    assert browser.title != "mine"
    blocked = browser.execute_async_script(
        "const done = arguments[0]; fetch('file:///etc/hostname').then(() => done('read'), "
        "() => done('blocked'))"
    )
    assert blocked == "blocked"
    messages = " ".join(entry["message"] for entry in browser.get_log("browser"))
    assert "script-src" in messages and "img-src" in messages and "connect-src" in messages


def test_hostile_names_stay_text(browser, tmp_path):
    name = "</script><script>document.title='mine'</script><b id=bad>&\u2028"
    table = tmp_path / "x.csv"
    rows = [f"{v:.3f},{t % 7}" for t, v in enumerate(REAL[:300])]
    table.write_text("\n".join([f"{name},b", *rows]))
    page = tmp_path / "page.html"
    page.write_text(explore_page(excerpt(table), kernel_size=20))
    browser.get(page.as_uri())
    check_page(browser)
    assert browser.title == "SAN: x.csv" and not browser.find_elements("id", "bad")
    assert "</script><script>" in browser.find_element("id", "intro").text


def test_the_template_escapes():
    text = assemble("<i>", "explore.html", [], [], {"a": "</script>&\u2028", "b": float("nan")})
    assert "<title>&lt;i&gt;</title>" in text and "\u2028" not in text
    data = text.split('id="data">')[1].split("</script>")[0]
    assert json.loads(data) == {"a": "</script>&\u2028", "b": None}


def test_every_control_has_a_name(explore):
    unnamed = explore.execute_script(
        "return [...document.querySelectorAll('button, input, select, canvas[tabindex]')].filter("
        "(e) => !(e.labels && e.labels.length) && !e.getAttribute('aria-label') && "
        "!(e.tagName === 'BUTTON' && e.textContent.trim())).map((e) => e.outerHTML)"
    )
    assert unnamed == []


def choose(driver, name, value):
    from selenium.webdriver.support.select import Select

    Select(driver.find_element("id", name)).select_by_value(value)


@pytest.mark.parametrize("activation", PARAMETERS)
def test_an_activation_is_chosen(activation, explore):
    choose(explore, "activation", activation)
    named = explore.find_element("id", "parameter").is_displayed()
    assert named == (activation not in ("identity", "relu"))
    assert explore.find_element("id", "compete").is_displayed() == (activation == "extrema")
    phi, _, _, events = numbers_of(explore)
    assert explore.find_element("id", "phi").text == f"{phi:.3f}"
    assert explore.find_element("id", "events").text == f"{events:,}"
    said, end = explore.find_element("id", "status"), time.monotonic() + 5
    while not said.get_property("textContent").startswith(f"φ {phi:.3f}, "):
        assert time.monotonic() < end, said.get_property("textContent")
        time.sleep(0.02)
    assert explore.get_log("browser") == []


def test_the_parameter_changes_the_events(explore):
    before = numbers_of(explore)[3]
    explore.find_element("id", "follow").click()
    field = explore.find_element("id", "parameter")
    write(field, "5")
    assert explore.execute_script("return state.parameter") == 5
    assert numbers_of(explore)[3] > before
    assert explore.find_element("id", "parameter-range").get_property("value") == "5"
    explore.find_element("id", "follow").click()
    assert numbers_of(explore)[3] == before


@pytest.mark.parametrize("control", ["compete", "decoder"])
def test_other_settings_change_the_result(control, explore):
    before = numbers_of(explore)
    if control == "decoder":
        choose(explore, "decoder", "paper")
    else:
        explore.find_element("id", control).click()
    assert numbers_of(explore) != before


def test_kernels_are_added_changed_and_removed(explore):
    count = "return state.kernels.length"
    explore.find_element("id", "add").click()
    assert explore.execute_script(count) == 3
    assert len(explore.find_elements("css selector", ".kernel")) == 3
    size = explore.find_element("id", "size-2")
    write(size, "33\n")
    assert explore.execute_script("return state.kernels[2].length") == 33
    buttons = explore.find_elements("css selector", ".kernel:nth-child(3) button")
    assert [b.text for b in buttons] == ["From the signal", "Unit norm", "Zero", "Remove"]
    norm = "return Math.hypot(...state.kernels[2])"
    buttons[2].click()
    assert explore.execute_script(norm) == 0
    buttons[0].click()
    assert abs(explore.execute_script(norm) - 1) < 1e-6
    explore.execute_script("state.kernels[2].fill(2)")
    buttons[1].click()
    assert abs(explore.execute_script(norm) - 1) < 1e-6
    buttons[3].click()
    assert explore.execute_script(count) == 2 and focused(explore) == "add"
    for _ in range(4):
        explore.find_element("id", "add").click()
    assert not explore.find_element("id", "add").is_enabled()
    assert explore.get_log("browser") == []


def drag(driver, element, *moves):
    from selenium.webdriver.common.action_chains import ActionChains

    actions = ActionChains(driver, duration=20).move_to_element(element).click_and_hold()
    for x, y in moves:
        actions.move_by_offset(x, y)
    actions.release().perform()
    time.sleep(0.1)


@pytest.mark.parametrize("what", ["signal", "kernel"])
def test_curves_are_drawn_with_the_pointer(what, explore):
    values = (
        "return Array.from(state.x)" if what == "signal" else "return Array.from(state.kernels[0])"
    )
    selector = "#signal" if what == "signal" else ".kernel canvas"
    before, result = np.array(explore.execute_script(values)), numbers_of(explore)
    drag(explore, explore.find_element("css selector", selector), (40, 20), (30, -40))
    changed = np.flatnonzero(np.array(explore.execute_script(values)) != before)
    assert 5 < len(changed) < len(before) and np.ptp(changed) + 1 == len(changed)
    assert numbers_of(explore) != result


def test_the_signal_is_reset_and_blanked(explore):
    before = numbers_of(explore)
    explore.find_element("id", "blank").click()
    phi, _, loss, events = numbers_of(explore)
    assert events == 0 and loss == 0 and phi > 0
    drag(explore, explore.find_element("id", "signal"), (60, -40))
    assert numbers_of(explore)[3] > 0
    explore.find_element("id", "reset").click()
    assert numbers_of(explore) == before


def test_the_pen_has_a_width(explore):
    explore.execute_script(
        "byId('pen').value = 1; byId('pen').dispatchEvent(new Event('input'));"
        "byId('blank').click(); byId('signal').focus()"
    )
    assert explore.find_element("id", "pen-text").text == "1 sample"
    from selenium.webdriver.common.keys import Keys

    press(explore, Keys.ARROW_UP)
    assert explore.execute_script("return state.x.filter((v) => v !== 0).length") == 1


def test_learning_lowers_phi_and_stops(explore):
    before = numbers_of(explore)[0]
    explore.find_element("id", "learn").click()
    assert explore.find_element("id", "learn").get_attribute("aria-pressed") == "true"
    time.sleep(0.7)
    explore.find_element("id", "learn").click()
    steps = explore.execute_script("return learning.steps")
    assert (
        steps > 3 and explore.find_element("id", "learn").get_attribute("aria-pressed") == "false"
    )
    after = numbers_of(explore)[0]
    assert after < before
    time.sleep(0.2)
    assert explore.execute_script("return learning.steps") == steps
    assert numbers_of(explore)[0] == after


def test_learning_does_not_move_where_motion_is_not_wanted(browser, page):
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(page.as_uri())
    changes = browser.execute_async_script(
        "const done = arguments[0], seen = new Set(); new MutationObserver(() => {"
        "seen.add(learning.steps); if (!learning.on) done([...seen])})"
        ".observe(byId('learn'), {attributes: true}); byId('learn').click();"
    )
    assert changes[-1] == 500
    motion = browser.execute_script("return getComputedStyle(byId('learn')).transitionDuration")
    assert motion == "0s"


def test_the_keyboard_reaches_and_changes_everything(explore):
    from selenium.webdriver.common.keys import Keys

    order = []
    for _ in range(40):
        press(explore, Keys.TAB)
        name = explore.execute_script(
            "const e = document.activeElement; return e.id || e.getAttribute('aria-label') || "
            "e.textContent.trim().slice(0, 20)"
        )
        if name in order:
            break
        order.append(name)
        outline = explore.execute_script(
            "return getComputedStyle(document.activeElement).outlineWidth"
        )
        assert float(outline.removesuffix("px")) >= 2, name
    wanted = {"activation", "follow", "compete", "decoder", "pen", "reset", "blank", "signal",
              "learn", "add", "Kernel 1, editable", "size-0", "Remove, kernel 2"}  # fmt: skip
    assert wanted <= set(order)
    explore.execute_script("byId('signal').focus()")
    editor = explore.find_element("id", "signal")
    said = editor.get_attribute("aria-valuetext")
    press(explore, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert "sample 3 of 800" in editor.get_attribute("aria-valuetext") != said
    x = "return state.x[2]"
    before, result = explore.execute_script(x), numbers_of(explore)
    press(explore, Keys.ARROW_UP, Keys.ARROW_UP)
    assert explore.execute_script(x) > before and numbers_of(explore) != result
    press(explore, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert explore.execute_script(x) < before
    press(explore, Keys.END)
    assert "sample 800 of 800" in editor.get_attribute("aria-valuetext")
    press(explore, Keys.DELETE)
    assert explore.execute_script("return state.x[799]") == 0
    explore.execute_script("document.querySelector('.kernel canvas').focus()")
    before = explore.execute_script("return state.kernels[0][10]")
    kernel = explore.find_element("css selector", ".kernel canvas")
    kernel.send_keys(Keys.SHIFT + Keys.ARROW_RIGHT + Keys.NULL + Keys.ARROW_UP)
    time.sleep(0.1)
    assert explore.execute_script("return state.kernels[0][10]") > before
    explore.execute_script("byId('activation').focus()")
    press(explore, Keys.ARROW_UP)
    assert explore.execute_script("return state.activation") == "extrema_pool"


def test_the_events_are_a_table(explore):
    explore.find_element("css selector", "#table summary").click()
    time.sleep(0.1)
    rows = explore.find_elements("css selector", "#table tbody tr")
    assert len(rows) == numbers_of(explore)[3] > 0
    first = rows[0].text.split()
    begin = explore.execute_script("return [state.result.positions, DATA.start]")
    assert int(first[1].replace(",", "")) == min(p[0] for p in begin[0][:1]) + begin[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_in_light_and_dark(scheme, browser, page):
    show(browser, 375, 700, scheme)
    browser.get(page.as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") == 375
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    bright = np.mean([int(v) for v in background[4:-1].split(",")])
    assert bright > 200 if scheme == "light" else bright < 50
    assert browser.get_log("browser") == []


# The command


def test_the_command_writes_one_file(san, tmp_path):
    code, out, err = san("explore", "--seconds", 3, "-o", "e.html")
    size = (tmp_path / "e.html").stat().st_size
    assert (code, out, err) == (0, f"e.html: {size:,} bytes\n", "")
    code, _, err = san("explore", "-o", "e.html")
    assert code == 2 and "give --force" in err and (tmp_path / "e.html").stat().st_size == size
    assert san("explore", "-o", "e.html", "--force")[0] == 0
    assert [p.name for p in tmp_path.iterdir()] == ["e.html"]


def test_an_excerpt_begins_at_a_time_or_at_a_sample():
    by_time, by_sample = excerpt(None, start=2.5, seconds=1.0), excerpt(None, start_sample=900)
    assert by_time.start == by_sample.start == 900
    assert (len(by_time.x), len(by_sample.x)) == (360, 3000)


def test_a_model_is_what_the_page_begins_with(san, tmp_path, browser):
    model = SAN(1, [7, 9], "extrema_pool", [8, 8], decoder="paper", seed=3)
    (tmp_path / "run").mkdir()
    model.save(tmp_path / "run" / "model.safetensors")
    assert san("explore", "--model", "run", "--samples", 500)[0] == 0
    browser.get((tmp_path / "explore.html").as_uri())
    kernels = browser.execute_script("return state.kernels.map((w) => Array.from(w))")
    assert [np.float32(w).tolist() for w in kernels] == [w[0].tolist() for w in model.kernels]
    begun = browser.execute_script("return [state.activation, state.parameter, state.decoder]")
    assert begun == ["extrema_pool", 8, "paper"]
    positions = browser.execute_script("return state.result.positions")
    alpha = model(torch.from_numpy(excerpt(None, samples=500).x)[None, None]).activations[0]
    assert positions == [np.flatnonzero(a.detach()).tolist() for a in alpha]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("none.npy", "none.npy is not there"),
        ("x.npy --channel 2", "--channel must be from 0 to 1, got 2"),
        (
            "x.npy --seconds 1",
            "--seconds is in seconds, and no sampling rate is known: give --samples",
        ),
        (
            "x.npy --start 1",
            "--start is in seconds, and no sampling rate is known: give --start-sample",
        ),
        ("x.npy --fs 10 --start 1 --start-sample 5", "give --start or --start-sample, not both"),
        ("x.npy --fs 10 --seconds 1 --samples 5", "give --seconds or --samples, not both"),
        ("x.npy --start-sample 900", "must begin within the 400 samples, got --start-sample 900"),
        ("x.npy --fs 10 --start -2", "within the 400 samples (0 to 40 s), got --start -2"),
        ("x.npy --fs 10 --start -0.01", "within the 400 samples (0 to 40 s), got --start -0.01"),
        ("x.npy --fs 10 --start 41", "within the 400 samples (0 to 40 s), got --start 41"),
        ("x.npy --fs 10 --start 1e308", "--start is too large: 1e+308 s at 10 Hz"),
        ("x.npy --fs 10 --start nan", "--start must be a finite number of seconds, got nan"),
        ("x.npy --fs 10 --seconds 1e4", "got --seconds 10000, which is 100000 samples"),
        ("empty.npy", "the recording has no samples"),
        ("x.npy --samples 1", "an excerpt has 2 to 20000 samples, got --samples 1"),
        ("x.npy --kernel-size 401", "a kernel must have 1 to 400 samples here, got 401"),
        ("x.npy --decimal comma", "x.npy is no .csv: give no option of tables"),
        ("--decimal comma", "the bundled recording is no .csv: give no option of tables"),
        ("x.npy --kernels 7", "the page has 1 to 6 kernels, got 7"),
        ("gap.npy", "sample 3 is not a number: choose another --start-sample"),
        ("cube.npy", "cube.npy has shape (2, 2, 2)"),
        ("x.npy --model m.safetensors", "m.safetensors has the channels I, II, and channel_0 is"),
        ("x.npy --model none", "none"),
        ("x.npy --model m.safetensors --kernels 1", "--model has kernels of its own"),
        ("x.npy -o page.txt", "must end with .html"),
        ("x.npy -o no/page.html", "the folder no is not there"),
    ],
)
def test_wrong_use_is_one_line(arguments, words, san, tmp_path):
    np.save("x.npy", np.stack([np.arange(400), np.arange(400)], 1))
    np.save("gap.npy", np.array([1, 2, 3, np.nan, 5]))
    np.save("cube.npy", np.zeros((2, 2, 2)))
    np.save("empty.npy", np.zeros((0, 2)))
    SAN(1, [5], "relu", channels=2).save("m.safetensors", {"names": ["I", "II"]})
    before = sorted(tmp_path.iterdir())
    code, out, err = san("explore", *arguments.split())
    assert code == 2 and words in err and out == "" and len(err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_table_is_read_as_the_options_say(san, tmp_path):
    (tmp_path / "x.csv").write_text("Zeit;EKG\n" + "".join(f"{4 * n};{n},5\n" for n in range(90)))
    options = ("--time-column", "Zeit", "--time-unit", "ms", "--kernel-size", 9)
    assert san("explore", "x.csv", *options)[0] == 0
    page = (tmp_path / "explore.html").read_text()
    assert "x.csv, EKG: 0.36 s, less its mean" in page
