"""The colours of pages and figures: who sees no red or no green tells them apart."""

import itertools
import re
from importlib import resources

import numpy as np
import pytest

from san import report
from san.paper import figures

# Machado, Oliveira and Fernandes, 2009: what a dichromat sees, of linear red, green and blue.
VISION = {
    "all cones": np.eye(3),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}
XYZ = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])
STYLE = (resources.files("san") / "pages" / "assets" / "base.css").read_text()
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", text))
    for text in STYLE.split("@media (prefers-color-scheme: dark)")
)
KERNELS = [f"kernel-{i}" for i in range(1, 7)]
TOGETHER = ["original", "reconstruction", "error"]
FAR = 20.0  # of CIE Lab, where 2.3 is the smallest difference that an eye sees


def linear(colour):
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def seen(colour, vision):
    """CIE Lab of a colour, to somebody's eyes."""
    xyz = XYZ @ np.clip(VISION[vision] @ linear(colour), 0, 1) / XYZ.sum(1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), (903.3 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def nearest(colours, vision):
    """The distance of the two colours that are the nearest to each other."""
    return min(
        np.linalg.norm(seen(a, vision) - seen(b, vision))
        for a, b in itertools.combinations(colours, 2)
    )


def contrast(one, other):
    low, high = sorted(XYZ[1] @ linear(colour) + 0.05 for colour in (one, other))
    return high / low


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_of_pages_are_told_apart(theme, vision):
    assert nearest([theme[name] for name in KERNELS], vision) > FAR
    assert nearest([theme[name] for name in TOGETHER], vision) > FAR


def test_that_test_can_fail():
    """Red and olive of release 0.4 are one colour to a deuteranope."""
    assert nearest(["#c1121f", "#667300"], "all cones") > FAR
    assert nearest(["#c1121f", "#667300"], "deuteranopia") < 1


@pytest.mark.parametrize("vision", VISION)
def test_colours_of_figures_are_told_apart(vision):
    assert nearest([figures.COLOURS[name] for name in figures.COLOURS], vision) > FAR
    assert nearest([report.COLOURS[name] for name in TOGETHER], vision) > FAR
    assert nearest([report.COLOURS["signal"], report.COLOURS["published"]], vision) > FAR


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_stand_out_from_the_ground(theme):
    ground = theme["surface"]
    for name in [*KERNELS, *TOGETHER, "signal"]:
        assert contrast(theme[name], ground) >= 3, name


def test_pages_and_figures_have_the_same_colours():
    assert tuple(LIGHT[name] for name in KERNELS) == report.KERNEL_COLOURS
    assert {name: LIGHT[name] for name in [*TOGETHER, "signal"]}.items() <= report.COLOURS.items()


def test_twelve_kernels_have_twelve_lines_and_twelve_markers():
    for style in (report.kernel_line, report.kernel_marker):
        assert len({str(style(i)) for i in range(12)}) == 12
        assert style(0) == style(12)
    without_colour = [report.kernel_marker(i) | {"color": "", "full": i < 6} for i in range(12)]
    assert len({(style["marker"], style["full"]) for style in without_colour}) == 12


def test_the_styles_of_the_page_are_those_of_the_figures(browser, tmp_path):
    from san.pages.explore import excerpt, explore_page

    path = tmp_path / "page.html"
    path.write_text(explore_page(excerpt(None, samples=300), kernel_size=30))
    browser.get(path.as_uri())
    found = browser.execute_script(
        "return [...Array(13).keys()].map((i) => [kernelColour(i), kernelDash(i).join(' '), "
        "kernelMarker(i).outline, kernelMarker(i).hollow])"
    )
    lines, markers = ({tuple(row[part]) for row in found} for part in (slice(2), slice(2, 4)))
    assert len(lines) == len(markers) == 12 and found[12] == found[0]
    for i, (name, dash, _, hollow) in enumerate(found):
        line, marker = report.kernel_line(i), report.kernel_marker(i)
        assert LIGHT[name] == line["color"] == marker["color"]
        assert bool(dash) == (line["linestyle"] != "-")
        assert hollow == (marker["markerfacecolor"] == "white")
