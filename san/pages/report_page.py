"""What is reported on, a stream or a run folder, and the page that shows it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from san.packages import OF_NETWORKS, need
from san.pages import page
from san.pages.archive import describe_archive, is_archive

STYLES = ("base.css", "report.css")
SCRIPTS = ("styles.js", "plot.js", "document.js", "viewer.js", "report.js")
PARTS = (
    "summary", "tiles", "views", "images", "kernels", "bars", "plane", "histories", "sweeps",
    "tables", "words", "records",
)  # fmt: skip


def describe(
    *sources: Path,
    data_dir: str | None = None,
    progress: Callable[[float], None] | None = None,
    curve: bool = True,
    **options: Any,
) -> str:
    """Make the page of a stream, of a run folder, of several run folders, or of an archive.

    `data_dir` is for one run folder, `curve` and options are for streams; see `describe_run` and
    `describe_stream`. `progress` is told the share that is done, 0 ... 1.

    Raises
    ------
    FileNotFoundError
        If nothing is there.
    ValueError
        If it cannot be read, or what it is compared with does not fit.

    Examples
    --------
    >>> import tempfile, numpy as np, san
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "z.san"
    ...     _ = path.write_bytes(san.compress(np.arange(500, dtype=np.int16), lossless=True))
    ...     "500 samples, stored in" in describe(path)
    True
    """
    source = sources[0]
    if len(sources) > 1:
        need(*OF_NETWORKS)
        from san.pages.runs_compared import describe_runs

        return report_page(describe_runs(sources))
    if is_archive(source):
        return report_page(describe_archive(source))
    if source.is_dir():
        need(*OF_NETWORKS)
        from san.pages.run import describe_run

        return report_page(describe_run(source, data_dir))
    from san.pages.stream import describe_stream

    given = {name: value for name, value in options.items() if value is not None}
    with_curve = curve and "original" in given

    def on_part(what: str, share: float) -> None:
        decoded = 0.1 if with_curve else 1.0
        if progress is not None:
            progress(share * decoded if what == "decoding" else decoded + share * (1 - decoded))

    return report_page(describe_stream(source, curve=curve, progress=on_part, **given))


def report_page(content: dict[str, Any]) -> str:
    """Make the page of what `describe_stream` or `describe_run` gathered.

    Examples
    --------
    >>> page = report_page({"title": "z.san", "summary": ["5 samples."]})
    >>> "<title>SAN report: z.san</title>" in page
    True
    """
    empty: dict[str, Any] = dict.fromkeys(PARTS, ())
    title = f"SAN report: {content['title']}"
    images = "figure" in content
    data = {**empty, **content}
    return page.assemble(title, "report.html", STYLES, SCRIPTS, data, images=images)
