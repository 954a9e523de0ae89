"""How the tables of README.md say what was measured, and their numbers."""

from collections.abc import Sequence


def described(provenance: dict[str, str]) -> str:
    """What the numbers depend on, as a sentence."""
    versions = ", ".join(
        f"{name} {value}" for name, value in provenance.items() if name not in ("commit", "device")
    )
    return f"{provenance['device']}, commit {provenance['commit']}, {versions}."


def number(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def line(cells: Sequence[str]) -> str:
    """A line of a table."""
    return "| " + " | ".join(cells) + " |"
