"""settings.toml: what is written there is read back by TOML's own reader, whatever the text."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from san.training import run_settings, runs
from san.training.run_settings import RunData, settings_from, settings_text

TEXTS = {
    "beyond the BMP": "/data/😀",
    "control characters": "".join(map(chr, range(32))) + "\x7f",
    "quotes and backslashes": 'C:\\Users\\"me"\\u0041',
    "line separators": "a\u2028b\u2029c\u0085d\r\ne",
    "empty": "",
}


def read_back(tmp_path, data, provenance):
    """The data of a run, and its provenance, after both were written and read."""
    _, settings = settings_from({})
    path = tmp_path / "settings.toml"
    path.write_bytes(settings_text(data, settings, provenance).encode())
    again, same = settings_from(run_settings.read_settings(path))
    assert same == settings
    assert tomllib.loads(path.read_bytes().decode())["provenance"] == provenance
    return again, run_settings.read_provenance(path)


@pytest.mark.parametrize("kind", TEXTS)
def test_every_text_comes_back(kind, tmp_path):
    data, provenance = RunData(data_dir=TEXTS[kind]), {TEXTS[kind]: TEXTS[kind]}
    assert read_back(tmp_path, data, provenance) == (data, provenance)


_VALUES = st.one_of(
    st.text(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.lists(st.text(max_size=5), max_size=3),
)


@given(st.text(), st.dictionaries(st.text(max_size=9), _VALUES, max_size=4))
def test_any_text_comes_back(tmp_path_factory, folder, provenance):
    data = RunData(data_dir=folder)
    assert read_back(tmp_path_factory.mktemp("run"), data, provenance) == (data, provenance)


def test_half_a_character_is_refused():
    """Python has such texts for names of files that are no UTF-8."""
    _, settings = settings_from({})
    with pytest.raises(ValueError, match=r"a setting has '\\udcff', which is no whole character"):
        settings_text(RunData(data_dir="/data/\udcff"), settings, {})


def test_a_value_that_is_none_of_toml_is_refused():
    _, settings = settings_from({})
    with pytest.raises(TypeError, match=r"settings\.toml cannot hold 1j"):
        settings_text(RunData(), settings, {"odd": 1j})


def test_a_run_in_a_folder_of_any_name_is_resumed(tmp_path):
    folder = tmp_path / "😀"
    folder.mkdir()
    given = {"data_dir": str(folder), "kernel_sizes": "40", "epochs": 1}
    runs.start(*settings_from(given), tmp_path / "run")
    assert runs.resume(tmp_path / "run").data.data_dir == str(folder)
