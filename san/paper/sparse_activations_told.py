"""What the study of sparse activations says: tables, figures, and what holds of the paper."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from san.paper.sparse_activations import (
    DIGITS,
    GROUPS,
    HIDDEN,
    KEPT,
    KINDS,
    NAME,
    NOISE,
    SAMPLED,
    SAMPLES,
    SCALES,
    SIGNS,
    TARGETS,
    UNITS,
    WIDTH,
    layer_name,
    make,
    plan,
)
from san.paper.study import Result, Study, Table, digits, rows_of, spread_of
from san.report import KERNEL_COLOURS, kernel_line, kernel_marker

LEARNERS = ("regression", "relu", f"top {KEPT}")


def tables(results: Sequence[Result]) -> list[Table]:
    """Fourier weight, certificates, learning at both scales, complexity, and digits."""
    makers = {
        "weight": [_weight_table],
        "certificates": [_certificate_table],
        "learning": [_absolute_table, _relative_table],
        "complexity": [_complexity_table],
        "digits": [_digits_table],
    }
    return [
        table(results)
        for kind, each in makers.items()
        if rows_of(results, kind=kind)
        for table in each
    ]


def _kind(units: int, active: int | str) -> str:
    if active == "address":
        return f"{units} units, address"
    return f"{units} units, " + ("dense" if active == units else f"{active} active")


def _weight_table(results: Sequence[Result]) -> Table:
    names = ("mean active", "variance", "influence", "bound", "relative influence")
    shares = ("above 2", "above 4", "noise")
    rows = []
    for units, active in KINDS:
        found = rows_of(results, kind="weight", units=units, active=active)
        cells = [digits(spread_of(found, name)) for name in (*names, *shares)]
        rows.append([_kind(units, active), f"{max(r['most'] for r in found)}", *cells])
    heads = ["network", "most active", "mean active", "variance", "influence", "bound 4k²W²"]
    heads += ["influence/variance", "weight above 2", "above 4", f"noise {NOISE:g}"]
    return Table(
        "Functions on the cube of 14 coordinates",
        heads,
        rows,
        "Weights above degree 2 and 4 and the noise sensitivity are shares of the variance.",
    )


def _certificate_table(results: Sequence[Result]) -> Table:
    every = rows_of(results, kind="certificates")
    rows = []
    for what in dict.fromkeys(row["what"] for row in every):
        found = [row for row in every if row["what"] == what]
        cells = [digits(spread_of(found, name)) for name in ("lower", "upper")]
        known = [row["truth"] for row in found if row["truth"] is not None]
        truth = digits(spread_of([{"truth": t} for t in known], "truth")) if known else ""
        rows.append([what, str(found[0]["units"]), *cells, truth])
    return Table(
        "Most active units: the interval of max_active beside the truth",
        ["network", "units", "lower", "upper", "truth"],
        rows,
        "The random networks have 12 coordinates. They are given with 9 more that do not count, so "
        "that not every point is looked at.",
    )


def _learned(results: Sequence[Result], active: int | str, **wanted: Any) -> list[dict[str, Any]]:
    return rows_of(results, kind="learning", active=active, **wanted)


def _absolute_table(results: Sequence[Result]) -> Table:
    rows = []
    for learner in LEARNERS:
        for m in SAMPLES:
            found = [_learned(results, t, learner=learner, m=m, scale=SCALES[0]) for t in TARGETS]
            rows.append([learner, str(m), *(digits(spread_of(f, "error")) for f in found)])
    return Table(
        "Learning at equal weights: mean squared error",
        ["learner", "samples", *(_target(t) for t in TARGETS)],
        rows,
        f"Functions of {UNITS} units on the cube of {SAMPLED} coordinates. The error is over all "
        f"{2**SAMPLED} points.",
    )


def _relative_table(results: Sequence[Result]) -> Table:
    rows = []
    for learner in LEARNERS:
        scale = SCALES[0] if learner == "regression" else SCALES[1]
        for m in SAMPLES:
            found = [_learned(results, t, learner=learner, m=m, scale=scale) for t in TARGETS]
            rows.append([learner, str(m), *(digits(spread_of(f, "relative")) for f in found)])
    return Table(
        "Learning at equal variance: error over the variance",
        ["learner", "samples", *(_target(t) for t in TARGETS)],
        rows,
        "The networks learn functions that are scaled to variance 1. Regression of low degree does "
        "the same at every scale.",
    )


def _target(active: int | str) -> str:
    if active == "address":
        return "address"
    return "dense" if active == UNITS else f"k = {active}"


def _complexity_table(results: Sequence[Result]) -> Table:
    rows = []
    shown = SIGNS[::2]
    for groups in GROUPS:
        cells = []
        for m in shown:
            found = rows_of(results, kind="complexity", ratio=groups, m=m)
            drawn = digits(spread_of(found, "drawn")) if found else ""
            cells.append(f"{found[0]['exact']:.3f} ({drawn})" if found else "")
        rows.append([str(groups), "exact (drawn)", *cells])
    return Table(
        "Complexity of the construction over √(sk/m)",
        ["s/k", "mean", *(f"m = {m}" for m in shown)],
        rows,
        "The exact mean, and in brackets the mean over draws. For m below s/k nothing is said.",
    )


def _digits_table(results: Sequence[Result]) -> Table:
    rows = []
    for layer in HIDDEN:
        found = rows_of(results, kind="digits", layer=layer_name(*layer))
        accuracy = digits(spread_of([{"a": 100 * r["accuracy"]} for r in found], "a"))
        cells = [digits(spread_of(found, name)) for name in ("mean", "p5", "p95", "most", "never")]
        rows.append([layer_name(*layer), str(WIDTH), accuracy, *cells])
    heads = ["hidden layer", "units", "test accuracy (%)", "mean active", "5 %", "95 %", "most"]
    return Table(
        "MNIST: active units of each test digit",
        [*heads, "never active"],
        rows,
        f"Trained on {DIGITS:,} digits. The last column counts units that no test digit activates.",
    )


def figures(results: Sequence[Result]) -> dict[str, Figure]:
    """Learning curves at both scales, Fourier weight, complexity, and active units of digits."""
    drawn = {}
    if rows_of(results, kind="weight"):
        drawn["weight"] = _weight_figure(results)
    if rows_of(results, kind="learning"):
        drawn["learning"] = _learning_figure(results)
    if rows_of(results, kind="complexity"):
        drawn["complexity"] = _complexity_figure(results)
    if rows_of(results, kind="digits"):
        drawn["digits"] = _digits_figure(results)
    return drawn


def _weight_figure(results: Sequence[Result]) -> Figure:
    figure = Figure(figsize=(8.6, 3.6), layout="constrained")
    absolute, relative = figure.subplots(1, 2, sharey=True)
    for place, (units, active) in enumerate(KINDS):
        found = rows_of(results, kind="weight", units=units, active=active)
        above = [np.mean([r[f"above {d}"] * r["variance"] for r in found]) for d in (2, 4)]
        shares = [np.mean([r[f"above {d}"] for r in found]) for d in (2, 4)]
        for ax, values in ((absolute, above), (relative, shares)):
            for k, value in enumerate(values):
                colour = KERNEL_COLOURS[k]
                label = f"above degree {(2, 4)[k]}" if place == 0 and ax is absolute else None
                ax.barh(place + 0.38 * k, value, 0.34, color=colour, label=label)
    names = [_kind(units, active) for units, active in KINDS]
    absolute.set_yticks(np.arange(len(KINDS)) + 0.19, names, fontsize=8)
    absolute.set_xscale("log")
    absolute.set_xlabel("Fourier weight, absolute")
    relative.set_xlabel("share of the variance")
    absolute.invert_yaxis()
    figure.legend(loc="outside upper center", frameon=False, fontsize=8, ncols=2)
    return figure


def _learning_figure(results: Sequence[Result]) -> Figure:
    figure = Figure(figsize=(9, 6), layout="constrained")
    panels = figure.subplots(2, len(LEARNERS), sharex=True, sharey="row")
    for column, learner in enumerate(LEARNERS):
        for row, (scale, value) in enumerate(zip(SCALES, ("error", "relative"), strict=True)):
            ax = panels[row, column]
            known = SCALES[0] if learner == "regression" else scale
            for k, target in enumerate(TARGETS):
                found = [
                    _learned(results, target, m=m, learner=learner, scale=known) for m in SAMPLES
                ]
                means = [np.mean([r[value] for r in rows]) for rows in found]
                style = {**kernel_marker(k), **kernel_line(k), "label": _target(target)}
                ax.loglog(SAMPLES, means, **style)
            ax.set_title(f"{learner}, {scale}", fontsize=9)
        panels[1, column].set_xlabel("samples")
        panels[1, column].set_xticks(SAMPLES, [str(m) for m in SAMPLES])
        panels[1, column].minorticks_off()
    panels[0, 0].set_ylabel("mean squared error")
    panels[1, 0].set_ylabel("error over the variance")
    lines, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside upper center", frameon=False, fontsize=8, ncols=5)
    return figure


def _complexity_figure(results: Sequence[Result]) -> Figure:
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    ax = figure.subplots()
    for i, groups in enumerate(GROUPS):
        known = [m for m in SIGNS if m >= groups]
        found = [rows_of(results, kind="complexity", ratio=groups, m=m) for m in known]
        ax.semilogx(
            known, [f[0]["exact"] for f in found], label=f"s/k = {groups}", **kernel_line(i)
        )
        drawn = [np.mean([row["drawn"] for row in f]) for f in found]
        ax.semilogx(known, drawn, linestyle="", **kernel_marker(i))
    ax.axhline(np.sqrt(2 / np.pi), color="k", linestyle=":", linewidth=1, label="√(2/π)")
    ax.set_ylim(0.5, 1)
    ax.set_xlabel("samples m")
    ax.set_ylabel("complexity over √(sk/m)")
    ax.legend(frameon=False, fontsize=8, ncols=2)
    return figure


def _digits_figure(results: Sequence[Result]) -> Figure:
    figure = Figure(figsize=(6.8, 3.4), layout="constrained")
    ax = figure.subplots()
    own = [result for result in results if result["settings"]["kind"] == "digits"]
    for i, layer in enumerate(HIDDEN):
        name = layer_name(*layer)
        counts = np.sum([result["counts"][name] for result in own], axis=0)
        share = np.cumsum(counts) / counts.sum()
        right = np.mean([r["accuracy"] for r in rows_of(own, layer=name)])
        label = f"{name}: {100 * right:.1f} %"
        ax.step(np.arange(len(share)), share, where="post", label=label, **kernel_line(i))
    ax.set_xlabel(f"active units of {WIDTH}")
    ax.set_ylabel("share of test digits with at most so many")
    ax.legend(frameon=False, fontsize=8, title="test accuracy", title_fontsize=8)
    return figure


def conclusion(results: Sequence[Result]) -> str:
    """What holds of the paper, from the numbers at hand."""
    tellers = {
        "weight": _on_weight,
        "learning": _on_learning,
        "complexity": _on_complexity,
        "digits": _on_digits,
    }
    return "\n\n".join(
        tell(results) for kind, tell in tellers.items() if rows_of(results, kind=kind)
    )


def _share(results: Sequence[Result], units: int, active: int | str, name: str) -> float:
    found = rows_of(results, kind="weight", units=units, active=active)
    return float(np.mean([row[name] for row in found]))


def _on_weight(results: Sequence[Result]) -> str:
    every = rows_of(results, kind="weight")
    tightest = max(row["influence"] / row["bound"] for row in every)
    sparse, dense = (_share(results, 64, active, "above 2") for active in (1, 64))
    return (
        "We read the definitions and the bounds of the paper as Li et al. restate them, and tested "
        "the idea that few active units make a function nearly of low degree. The bound 4k²W² on "
        f"the influence holds for all {len(every)} networks, with much room: the largest influence "
        f"is {100 * tightest:.1f} % of it. But it bounds the absolute weight. Relative to its "
        "variance a sparser random network has more weight at high degrees: above degree 2, "
        f"{100 * sparse:.0f} % with 1 active unit of 64, and {100 * dense:.1f} % where all may be "
        "active."
    )


def _error(results: Sequence[Result], active: int | str, learner: str, name: str) -> float:
    scale = SCALES[0] if learner == "regression" or name == "error" else SCALES[1]
    found = _learned(results, active, learner=learner, m=SAMPLES[-1], scale=scale)
    return float(np.mean([row[name] for row in found]))


def _on_learning(results: Sequence[Result]) -> str:
    absolute = [_error(results, t, "regression", "error") for t in (1, UNITS)]
    relative = [_error(results, t, "regression", "relative") for t in (1, UNITS)]
    better = [
        _target(t)
        for t in TARGETS
        if _error(results, t, LEARNERS[2], "relative") < _error(results, t, "relu", "relative")
    ]
    address = [_error(results, "address", learner, "relative") for learner in LEARNERS]
    return (
        f"The two scales go opposite ways. With {SAMPLES[-1]:,} samples, regression of low degree "
        f"has the error {absolute[0]:.2g} on functions with 1 active unit and {absolute[1]:.2g} on "
        f"dense ones at equal weights, but {relative[0]:.2f} and {relative[1]:.3f} of the "
        "variance. So a sparse function is easy because it is small, and hard to tell from a "
        f"constant. At equal variance, a hidden layer that keeps {KEPT} units learns better than "
        f"ReLU for: {', '.join(better) or 'none of the functions'}. On the address functions the "
        f"error over the variance is {address[0]:.2f} with regression, {address[1]:.2f} with ReLU "
        f"and {address[2]:.2f} with the top {KEPT}."
    )


def _on_complexity(results: Sequence[Result]) -> str:
    exact = [row["exact"] for row in rows_of(results, kind="complexity")]
    return (
        "On the construction of Li et al. the complexity is "
        f"{min(exact):.2f} to {max(exact):.2f} times √(sk/m) wherever m is at least s/k, so the "
        "factor √(sk/m) of their bound is needed."
    )


def _on_digits(results: Sequence[Result]) -> str:
    said = []
    for layer in HIDDEN:
        found = rows_of(results, kind="digits", layer=layer_name(*layer))
        mean, right = (np.mean([row[name] for row in found]) for name in ("mean", "accuracy"))
        said.append(f"{layer_name(*layer)}: {mean:.0f} units, {100 * right:.1f} %")
    return (
        "Networks for digits that are trained with plain ReLU are not very sparse by themselves, "
        "and a penalty or another activation makes them so (mean active units of a test digit, "
        f"test accuracy): {'; '.join(said)}."
    )


STUDY = Study(
    name=NAME,
    title="Sparse activations",
    paper="Awasthi, Dikkala, Kamath & Meka, *Learning Neural Networks with Sparse Activations*, "
    "COLT 2024, arXiv 2406.17989; Li et al., *Nearly Tight Rademacher Bounds for Sparsely "
    "Activated Neural Networks*.",
    plan=plan,
    make=make,
    tables=tables,
    figures=figures,
    conclusion=conclusion,
)
