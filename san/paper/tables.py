"""What a reproduction says in rows: ours beside the published numbers, over seeds.

Results of units (see `experiments`) come in; rows, Markdown, LaTeX and CSV go out.
"""

import csv
import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from san import datasets

Result = Mapping[str, Any]

NAMES = {
    "identity": "Identity",
    "relu": "ReLU",
    "top_k_absolutes": "top-k absolutes",
    "extrema_pool": "Extrema-Pool indices",
    "extrema": "Extrema",
}
SCORES = (
    "validation_phi",
    "inverse_compression_ratio",
    "normalized_loss",
    "phi",
    "phi_deviation",
    "accuracy",
    "baseline",
)
COLUMNS = (
    "experiment",
    "dataset",
    "activation",
    "variant",
    "protocol",
    "seed",
    "chosen",
    "kernel_size",
    "epoch",
    *SCORES,
    "data_sha256",
    "settings",
    "versions",
)


class Spread(NamedTuple):
    """Mean and standard deviation over seeds."""

    mean: float
    deviation: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.deviation:.3f}" if self.deviation else f"{self.mean:.3f}"


class Line(NamedTuple):
    """A line of a table: one data set, activation and kernel size, over seeds."""

    dataset: str
    activation: str
    kernel_sizes: tuple[int, ...]  # one for each seed
    ratio: Spread  # CR⁻¹
    loss: Spread
    phi: Spread
    accuracy: Spread | None  # per cent, less the baseline
    published: Mapping[str, float]  # empty where nothing was


def spread(values: Iterable[float]) -> Spread:
    """Mean and standard deviation (of the sample) of numbers.

    Examples
    --------
    >>> str(spread([0.4, 0.5, 0.6]))
    '0.500 ± 0.100'
    """
    numbers = np.array(list(values))
    return Spread(float(numbers.mean()), float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0)


def all_rows(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Every kernel size of every result as a flat row of `COLUMNS`."""
    flat = []
    for result in results:
        settings = {k: v for k, v in result["settings"].items() if k != "kernel_sizes"}
        shared = {
            **{name: result[name] for name in ("experiment", "activation", "variant", "protocol")},
            "dataset": result["data"],
            "seed": result["seed"],
            "data_sha256": result["data_sha256"][0][:16],
            "settings": " ".join(f"{k}={v}" for k, v in settings.items()),
            "versions": " ".join(f"{k}={v}" for k, v in result["versions"].items()),
        }
        for row in result["rows"]:
            flat.append({**shared, **row, "chosen": int(row["kernel_size"] == result["chosen"])})
    return flat


def to_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV, numbers with five significant digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items() if v is not None}
        )
    return text.getvalue()


def best_lines(results: Sequence[Result]) -> list[Line]:
    """A line for each data set and activation: the chosen kernel size of each seed.

    With it stands the published line: of PhysioNet the only one, else that of the kernel size
    which the first seed chose.
    """
    lines = []
    for _, group in _groups(results, ("data", "activation")):
        chosen = [_row(result, result["chosen"]) for result in group]
        lines.append(_line(group[0], chosen, chosen[0]["kernel_size"]))
    return lines


def size_lines(results: Sequence[Result]) -> list[Line]:
    """A line for each data set, activation and kernel size."""
    lines = []
    for _, group in _groups(results, ("data", "activation")):
        for row in group[0]["rows"]:
            m = row["kernel_size"]
            lines.append(_line(group[0], [_row(result, m) for result in group], m))
    return lines


def _groups(
    results: Sequence[Result], names: Sequence[str]
) -> list[tuple[tuple[Any, ...], list[Result]]]:
    groups: dict[tuple[Any, ...], list[Result]] = {}
    for result in results:
        groups.setdefault(tuple(result[name] for name in names), []).append(result)
    return list(groups.items())


def _row(result: Result, m: int) -> dict[str, Any]:
    return next(row for row in result["rows"] if row["kernel_size"] == m)


def _line(result: Result, rows: Sequence[Mapping[str, Any]], m: int) -> Line:
    known = datasets.published_results(result["data"], result["activation"])
    if len(known) > 1:
        known = [line for line in known if line["kernel_size"] == m]
    accuracy = None
    if "accuracy" in rows[0]:
        accuracy = spread(100 * (row["accuracy"] - row["baseline"]) for row in rows)
    return Line(
        result["data"],
        result["activation"],
        tuple(row["kernel_size"] for row in rows),
        spread(row["inverse_compression_ratio"] for row in rows),
        spread(row["normalized_loss"] for row in rows),
        spread(row["phi"] for row in rows),
        accuracy,
        known[0] if known else {},
    )


def to_markdown(lines: Sequence[Line]) -> str:
    """Lines as a Markdown table, the published value and the difference beside ours."""
    return markdown(*_cells(lines))


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells as a Markdown table.

    Examples
    --------
    >>> print(markdown(["n", "φ"], [["4", "0.5"]]), end="")
    | n | φ |
    | --- | --- |
    | 4 | 0.5 |
    """
    text = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in text) + "\n"


def to_latex(lines: Sequence[Line]) -> str:
    """Lines as a LaTeX tabular."""
    return latex(*_cells(lines))


_LATEX = str.maketrans(
    {
        "&": r"\&",
        "#": r"\#",
        "%": r"\%",
        "_": r"\_",
        "±": r"$\pm$",
        "−": "$-$",
        "×": r"$\times$",
        "≤": r"$\le$",
        "≥": r"$\ge$",
        "√": r"$\surd$",
        "²": "$^2$",
        "φ": r"$\varphi$",
        "ε": r"$\varepsilon$",
        "ρ": r"$\rho$",
        "κ": r"$\kappa$",
    }
)


def latex(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells as a LaTeX tabular, the first two columns to the left, the others to the right.

    Examples
    --------
    >>> print(latex(["n", "k", "φ"], [["4", "1", "0.5 ± 0.1"]]).splitlines()[4])
    4 & 1 & 0.5 $\\pm$ 0.1 \\\\
    """
    cells = [[cell.translate(_LATEX).replace("⁻¹", "$^{-1}$") for cell in row] for row in rows]
    head = [cell.translate(_LATEX).replace("⁻¹", "$^{-1}$") for cell in heads]
    body = [" & ".join(row) + r" \\" for row in (head, *cells)]
    body.insert(1, r"\midrule")
    begin = rf"\begin{{tabular}}{{{'l' * 2 + 'r' * (len(heads) - 2)}}}"
    return "\n".join([begin, r"\toprule", *body, r"\bottomrule", r"\end{tabular}", ""])


def _cells(lines: Sequence[Line]) -> tuple[list[str], list[list[str]]]:
    heads = ["data", "activation", "m", "CR⁻¹", "loss", "φ", "φ published", "difference"]
    classified = any(line.accuracy for line in lines)
    if classified:
        heads += ["accuracy − baseline (%)", "published"]
    rows = []
    for line in lines:
        known = line.published
        own = _sizes(line.kernel_sizes)
        if known and set(line.kernel_sizes) != {int(known["kernel_size"])}:
            own += f" (published {known['kernel_size']:.0f})"
        cells = [line.dataset.removeprefix("physionet "), NAMES[line.activation], own]
        cells += [str(line.ratio), str(line.loss), str(line.phi)]
        cells += (
            [f"{known['phi']:.2f}", f"{line.phi.mean - known['phi']:+.3f}"] if known else ["", ""]
        )
        if classified and line.accuracy is not None:
            accuracy, deviation = line.accuracy
            cells.append(f"{accuracy:+.1f}" + (f" ± {deviation:.1f}" if deviation else ""))
            percent = known.get("accuracy_percent")
            base = datasets.published_baseline(line.dataset)
            cells.append("" if percent is None or base is None else f"{percent - base:+.1f}")
        rows.append([cell.replace("-", "−") if cell[:1] in "+-" else cell for cell in cells])
    return heads, rows


def _sizes(kernel_sizes: Sequence[int]) -> str:
    low, high = min(kernel_sizes), max(kernel_sizes)
    return str(low) if low == high else f"{low}...{high}"


class Curve(NamedTuple):
    """How a curve of φ over the kernel size follows the published one."""

    database: str
    activation: str
    median_difference: float  # of |φ - published φ| over the kernel sizes
    difference_of_seeds: float  # the same between our own seeds, NaN for a single one
    rank_correlation: float  # Spearman's
    correlation_of_seeds: float
    exact_ratios: float  # share of kernel sizes with the same CR⁻¹, to 0.0005


def compare_curves(results: Sequence[Result]) -> list[Curve]:
    """Compare each PhysioNet record's curves of every seed with the published ones.

    Differences, correlations and shares are means over the seeds.
    """
    from scipy.stats import spearmanr

    curves = []
    for _, group in _groups(results, ("record", "activation")):
        published = datasets.published_curve(group[0]["record"], group[0]["activation"])
        line_of = {int(line[0]): line[1:] for line in published}
        sizes = [row["kernel_size"] for row in group[0]["rows"] if row["kernel_size"] in line_of]
        known = np.array([line_of[m] for m in sizes])
        kept = [[_row(result, m) for m in sizes] for result in group]
        phi = np.array([[row["phi"] for row in rows] for rows in kept])
        ratio = np.array([[row["inverse_compression_ratio"] for row in rows] for rows in kept])
        difference = np.median(np.abs(phi - np.hypot(known[:, 0], known[:, 1])), axis=1)
        with_known = [spearmanr(each, np.hypot(*known.T)).statistic for each in phi]
        pairs = list(itertools.combinations(phi, 2)) or [(phi[0] * np.nan, phi[0])]
        curves.append(
            Curve(
                group[0]["record"],
                group[0]["activation"],
                float(difference.mean()),
                float(np.mean([np.median(np.abs(a - b)) for a, b in pairs])),
                float(np.mean(with_known)),
                float(np.mean([spearmanr(a, b).statistic for a, b in pairs])),
                float((np.abs(ratio - known[:, 0]) < 0.0005).mean()),
            )
        )
    return curves


def curves_to_markdown(curves: Sequence[Curve]) -> str:
    """The comparison as a Markdown table."""
    lines = [
        "| data | activation | median difference of φ | between our seeds "
        "| rank correlation | between our seeds | same CR⁻¹ |",
        "|---|---|---|---|---|---|---|",
    ]
    for c in curves:
        lines.append(
            f"| {c.database} | {NAMES[c.activation]} "
            f"| {c.median_difference:.4f} | {_between(c.difference_of_seeds, 4)} "
            f"| {c.rank_correlation:.3f} | {_between(c.correlation_of_seeds, 3)} "
            f"| {100 * c.exact_ratios:.0f} % |"
        )
    return "\n".join(lines) + "\n"


def _between(value: float, decimals: int) -> str:
    """What two seeds have in common, where there are two."""
    return "one seed" if np.isnan(value) else f"{value:.{decimals}f}"


def variant_tables(results: Sequence[Result]) -> str:
    """A variant table of the records with the same variants and seeds, for each kind of record.

    Where records differ in this, the first table has all records, with what all of them have.
    """
    kinds: dict[frozenset[tuple[str, int]], list[str]] = {}
    for record in sorted({result["record"] for result in results}):
        made = frozenset((r["variant"], r["seed"]) for r in results if r["record"] == record)
        kinds.setdefault(made, []).append(record)
    shared = frozenset.intersection(*kinds)
    every = [record for records in kinds.values() for record in records]
    parts = [(shared, every)] if len(kinds) > 1 else []
    texts = []
    for made, records in [*parts, *kinds.items()]:
        own = [r for r in results if r["record"] in records and (r["variant"], r["seed"]) in made]
        if len({result["variant"] for result in own}) > 1:
            texts.append(variant_table(own))
    return "\n".join(texts)


def variant_table(results: Sequence[Result]) -> str:
    """Mean test φ of each variant over the records at hand, kernel size chosen on validation.

    Every record has each variant with the same seeds.
    """
    by_variant = _groups(results, ("variant",))
    records = sorted({result["record"] for result in results})
    base = None
    lines = [
        f"| variant | seeds | {' | '.join(records)} | mean φ | against the paper's "
        "| mean validation φ |",
        "|---" * (len(records) + 5) + "|",
    ]
    for (variant,), group in by_variant:
        of_record = {
            record: [_row(r, r["chosen"])["phi"] for r in group if r["record"] == record]
            for record in records
        }
        if any(not values for values in of_record.values()):
            continue
        means = spread(np.mean(list(of_record.values()), axis=0))
        base = means.mean if base is None else base
        cells = [str(len({result["seed"] for result in group}))]
        cells += [str(spread(values)) for values in of_record.values()]
        change = 100 * (means.mean / base - 1)
        validation = np.mean([_row(r, r["chosen"])["validation_phi"] for r in group])
        cells += [str(means), f"{change:+.1f} %".replace("-", "−"), f"{validation:.3f}"]
        lines.append(f"| {' | '.join([variant, *cells])} |")
    return "\n".join(lines) + "\n"
