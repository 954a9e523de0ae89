"""How the site is built: `sphinx-build docs FOLDER`. It needs no network."""

import gc
import re
import sys
import tomllib
from pathlib import Path

from docutils import nodes
from sphinx.domains.python import PyXRefRole

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import san  # noqa: E402

gc.set_threshold(50_000, 50, 50)  # most of what is made stays: looking for garbage took a fifth

project = "SAN"
author = "The SAN developers"
release = version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
html_title = f"SAN {version}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "commands"]
exclude_patterns = ["_build"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

autodoc_typehints = "none"  # the docstrings say more
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
napoleon_google_docstring = False
napoleon_use_param = False  # one entry for "prdn, max_error", not two
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style")]  # with the look of parameters
python_display_short_literal_types = True
toc_object_entries_show_parents = "hide"

nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!san\.).*")]  # names of other packages lead nowhere

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
pygments_style, pygments_dark_style = "friendly", "monokai"

smartquotes = False
default_role = "name"
HOMES = {
    f"san.{home}.{name}": f"{face.__name__}.{name}"
    for face in (san.networks, san)
    for home, names in face._HOMES.items()
    for name in names
}
PLAIN = {"events", "prdn"}  # parameters, though functions have these names
PLAIN |= {
    "san.networks.bank",
    "san.networks.refit",
    "san.codec.numbers.integers.represent",
    "san.times.agree",
}  # have no page
PAGES = {  # what the files of the repository that are pages here link to
    "results/physionet/tables.md": "paper-physionet.md",
    "results/classified/tables.md": "paper-others.md",
    "results/networks/compression/tables.md": "study-compression.md",
    "results/networks/sparse-activations/tables.md": "study-sparse-activations.md",
}


class NameRole(PyXRefRole):
    """What stands between backticks in a docstring: a link where it is a public name."""

    def run(self):
        if self.target in PLAIN:
            return [nodes.literal(self.rawtext, self.target)], []
        self.name = "py:obj"
        return super().run()

    def process_link(self, env, refnode, has_explicit_title, title, target):
        title, target = super().process_link(env, refnode, has_explicit_title, title, target)
        return title, HOMES.get(target, target)


def escape_stars(app, what, name, obj, options, lines):
    """Let `*size` and `|x - y|` be what they are in docstrings, which know no other markup."""
    in_example = False
    for place, line in enumerate(lines):
        in_example = line.strip().startswith(">>>") or (in_example and line.strip() != "")
        if not in_example:
            lines[place] = re.sub(r"(?<=[ (])\*(?=\w)|\|(?=\w)", r"\\\g<0>", line)


def lead_to_pages(app, relative_path, parent_docname, content):
    """Lead links of included files to pages; those to folders of the repository become text."""
    folder = (ROOT / "docs" / relative_path).resolve().parent

    def found(link):
        text, target = link.groups()
        if target in PAGES:
            return f"[{text}]({PAGES[target]})"
        return text if (folder / target).is_dir() else link[0]

    content[0] = re.sub(r"(?<!!)\[([^\]]+)\]\(([^)#:]+)\)", found, content[0])


def setup(app):
    app.add_role("name", NameRole())
    app.connect("autodoc-process-docstring", escape_stars, priority=100)  # before napoleon's
    app.connect("include-read", lead_to_pages)
