"""The directive `commands`: every command of `san` with its arguments and options."""

import typer
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from san.cli import app as application


class Commands(SphinxDirective):
    """A section for each command, with what `san COMMAND --help` says."""

    def run(self):
        commands = typer.main.get_command(application).commands
        return [self._section(f"san {name}", command) for name, command in commands.items()]

    def _section(self, title, command):
        anchor = nodes.make_id(title)
        section = nodes.section(ids=[anchor], names=[title])
        labels = self.env.get_domain("std")
        labels.note_hyperlink_target(anchor, self.env.docname, anchor, title)
        section += nodes.title("", "", nodes.literal("", title))
        for text in (command.help or "").split("\n\n"):
            section += _paragraph(text)
        context = typer.Context(command, info_name=title)
        panels = {}
        for parameter in command.get_params(context):
            record = parameter.get_help_record(context)
            if record is None or record[0] == "--help":
                continue
            usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
            panel = getattr(parameter, "rich_help_panel", None) or usual
            panels.setdefault(panel, []).append(record)
        for panel, records in panels.items():
            section += nodes.rubric("", panel)
            section += nodes.definition_list("", *map(_item, records))
        return section


def _item(record):
    names, words = record
    term = nodes.term("", "", nodes.literal("", names.replace(" <path>", "")))
    return nodes.definition_list_item(
        "", term, nodes.definition("", _paragraph(words.replace("  [required]", "")))
    )


def _paragraph(text):
    """Plain text, in which backticks set off what is typed."""
    paragraph = nodes.paragraph()
    for place, part in enumerate(" ".join(text.split()).split("`")):
        if part:
            paragraph += nodes.literal("", part) if place % 2 else nodes.Text(part)
    return paragraph


def setup(app):
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True}
