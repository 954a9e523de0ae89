"""What tests run under: dirty memory, real recordings, the command line, and a browser."""

import importlib.util
import os
import pathlib
import shutil
import signal
import sys

import pytest
import torch
from hypothesis import HealthCheck, settings

# Without this variable Triton 3.9 warns whenever it compiles for a GPU, and a warning is an error
# here. The value is what Triton 3.9 does without it.
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")

# A shell starts what runs in the background with interrupts ignored, and so would be the processes
# that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Processes that tests start import the same package as this one, which was installed, and not the
# folder `san` that lies where they start: what is compiled for one is then there for all.
PACKAGE = importlib.util.find_spec("san").submodule_search_locations[0]
os.environ["PYTHONSAFEPATH"] = "1"
os.environ["PYTHONPATH"] = os.path.dirname(PACKAGE)

settings.register_profile(
    "san", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("san")


NOTEBOOKS = "tests/test_docs.py::test_notebooks_run"  # in one process, apart from their file
EACH_ALONE = (  # long tests that share nothing with the rest of their file
    "tests/test_docs.py::test_readme_python_runs",
    "tests/test_site.py::test_what_a_page_shows_is_run",
)
# These begin first, so that no process works alone at the end; the longest come first. The first
# two compile different code: what one process has compiled by then, the other takes from a cache.
LONG = (
    "tests/test_activations.py",
    "tests/test_codec_core.py",
    "tests/test_codec_trust.py",
    "tests/test_distributed.py",
    "tests/test_activations_gpu.py",
    NOTEBOOKS,
    "tests/test_explore.py",
    "tests/test_cli.py",
    "tests/test_dictionary_bank.py",
    "tests/test_report_page.py",
    "tests/test_runs.py",
    "tests/test_codec.py",
    "tests/test_files.py",
    "tests/test_reproduce.py",
    "tests/test_compilation.py",
    "tests/test_site.py::test_it_is_built",
    "tests/test_archive.py",
    "tests/test_hostile.py",
    "tests/test_docs.py",
    "tests/test_format.py",
    "tests/test_datasets.py",
    "tests/test_packages.py",
    "tests/test_imports.py",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give a file to one process: what its tests compile and prepare is done once, not in each."""
    from xdist.scheduler import LoadScopeScheduling

    config.option.loadscopereorder = False  # by number of tests, which puts long single tests last

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            if nodeid.startswith(NOTEBOOKS):
                return NOTEBOOKS
            file = nodeid.partition("::")[0]
            return nodeid if nodeid.startswith(EACH_ALONE) else file

    return Files(config, log)


def pytest_collection_modifyitems(config, items):
    """Put the long ones first, if several processes share the tests."""
    if config.getoption("numprocesses", None) or hasattr(config, "workerinput"):
        items.sort(key=lambda item: place_of(item.nodeid))


def place_of(nodeid):
    """The place in `LONG` of what the test belongs to, or the place behind all of them."""
    fits = (place for place, beginning in enumerate(LONG) if nodeid.startswith(beginning))
    return next(fits, len(LONG))


@pytest.fixture(autouse=True)
def dirty_memory(monkeypatch):
    """A backend that forgets an element leaves a NaN behind."""
    empty_like = torch.empty_like

    def dirty(*args, **kwargs):
        tensor = empty_like(*args, **kwargs)
        return tensor.fill_(float("nan")) if tensor.is_floating_point() else tensor

    monkeypatch.setattr(torch, "empty_like", dirty)


@pytest.fixture(scope="session")
def recordings():
    """The folder of real recordings; tests that need it are skipped where it is absent."""
    candidates = [os.environ.get("SAN_DATA_DIR"), pathlib.Path(__file__).parents[2] / "shared/data"]
    for folder in candidates:
        if folder and (pathlib.Path(folder) / "mitdb").is_dir():
            return pathlib.Path(folder)
    pytest.skip("the folder of real recordings is not here (set SAN_DATA_DIR)")


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Run `san` in this process, in an empty folder: exit code, standard output and error."""
    from san import cli

    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["san", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return run


@pytest.fixture
def san(command):
    """The same, where the package itself is not imported."""
    return command


BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser of the whole session; tests that need it are skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver_program = shutil.which("chromedriver")
    if program is None or driver_program is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for switch in [*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver_program)
    driver = webdriver.Chrome(options=options, service=service)
    driver.get("about:blank")  # the window's own first page is then behind us
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium):
    """The browser with a window of ordinary size, light, and without messages so far."""
    show(chromium)
    chromium.get_log("browser")
    return chromium


def show(driver, width=1200, height=900, scheme="light"):
    """Give a page a size and a colour scheme."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def painted(driver):
    """Wait until the page has drawn what it was asked for: two frames and what they ask for."""
    driver.execute_async_script(
        "const [done] = arguments; "
        "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))"
    )


def check_page(driver):
    """No message, no request, nothing but the page's own script may run."""
    assert driver.get_log("browser") == []
    assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0
    policy = driver.execute_script(
        "return document.querySelector('meta[http-equiv=Content-Security-Policy]').content"
    )
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe" not in policy
