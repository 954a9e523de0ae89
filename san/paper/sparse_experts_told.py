"""What the study of sparse experts says: its tables, its figures, and what holds of the paper."""

import itertools
from collections.abc import Sequence

import numpy as np

from san.paper.sparse_experts import (
    AROUND,
    DIMENSIONS,
    EPOCHS,
    FITTED,
    IMAGE_ACTIVE,
    IMAGE_DATA,
    MASKED_DIMENSIONS,
    NAME,
    RANDOM,
    RANDOM_TRAIN,
    ROUTED,
    SHARES,
    SUBSPACES,
    TABLES,
    TARGETS,
    TRAIN,
    TRAINED,
    WIDTH,
    Row,
    bucket_slopes,
    make,
    plan,
)
from san.paper.sparse_experts_drawn import MASKS, figures
from san.paper.study import Result, Study, Table, digits, rows_of, spread_of
from san.paper.tables import Spread

#: Table 1 of the paper: test error at each number of FLOPs, without the routing.
PUBLISHED_ERROR = {
    18_432: (0.01015, 0.01014, 0.009655),
    36_864: (0.01009, 0.007438, 0.005054),
    73_728: (0.01046, 0.006115, 0.001799),
}
#: Table 2 of the paper: accuracy on CIFAR-10, in per cent, at each number of active units.
PUBLISHED_ACCURACY = {256: (69.79, 70.74, 69.8), 512: (70.79, 71.33, 71.68)}


def tables(results: Sequence[Result]) -> list[Table]:
    """Errors beside work, published ratios, buckets, subspaces, trained networks, and images."""
    makers = {
        "random features": (_random_table, _published_table),
        "buckets": (_bucket_table, _cell_table),
        "trained": (_trained_table,),
        "subspace": (_subspace_table,),
        "line": (_line_table,),
    }
    made = [
        maker(results)
        for kind, each in makers.items()
        if rows_of(results, kind=kind)
        for maker in each
    ]
    here = [data for data in IMAGE_DATA if rows_of(results, kind=data)]
    return made + [_image_table(results, data) for data in here]


def _work(row: Row) -> list[str]:
    names = ("active", "without_routing", "with_routing", "parameters")
    return [f"{row[name]:,}" for name in names]


_WORK_HEADS = ["active", "multiply-adds", "with routing", "parameters"]


def _random_table(results: Sequence[Result]) -> Table:
    rows = []
    for mask, width, active in RANDOM:
        cells: list[str] = [MASKS[mask], f"{width:,}"]
        own = {"kind": "random features", "mask": mask, "width": width, "active": active}
        cells += _work(rows_of(results, n=MASKED_DIMENSIONS[-1], **own)[0])
        for target, n in itertools.product(TARGETS, MASKED_DIMENSIONS):
            cells.append(digits(spread_of(rows_of(results, target=target, n=n, **own), "error")))
        rows.append(cells)
    heads = [f"{target}, n = {n}" for target, n in itertools.product(TARGETS, MASKED_DIMENSIONS)]
    return Table(
        "A random first layer: error over variance",
        ["network", "width", *_WORK_HEADS, *heads],
        rows,
        f"{RANDOM_TRAIN:,} training inputs. The work is that of n = 8. Top k computes the whole "
        "first layer to choose its units: the paper's count leaves this out.",
    )


def _published_table(results: Sequence[Result]) -> Table:
    rows = [
        ["published", f"{work:,} FLOPs", f"{half / dense:.3f}", f"{quarter / dense:.3f}"]
        for work, (dense, half, quarter) in PUBLISHED_ERROR.items()
    ]
    for target, n in itertools.product(TARGETS, MASKED_DIMENSIONS):
        ratios = (_ratio(results, target, n, 64, 64 * times) for times in (2, 4))
        work = f"{64 * (n + 2):,} multiply-adds"
        rows.append([f"ours, {target}, n = {n}", work, *(f"{ratio:.3f}" for ratio in ratios)])
    return Table(
        "Error of DSM over that of the dense network at equal work without routing",
        ["", "work", "50 % active", "25 % active"],
        rows,
        "Below 1 DSM is better. The published networks are wider than ours.",
    )


def _ratio(results: Sequence[Result], target: str, n: int, active: int, width: int) -> float:
    """Mean error of top k over that of a dense network of as many active units; 0 if not here."""
    own = {"kind": "random features", "target": target, "n": n, "active": active}
    dense = rows_of(results, mask="dense", **own)
    sparse = rows_of(results, mask="top_k", width=width, **own)
    if not dense or not sparse:
        return 0.0
    return spread_of(sparse, "error").mean / spread_of(dense, "error").mean


def _bucket_table(results: Sequence[Result]) -> Table:
    rows = []
    for target, n, degree in itertools.product(TARGETS, DIMENSIONS, (0, 1)):
        for tables_ in TABLES[degree]:
            found = rows_of(
                results, kind="buckets", target=target, n=n, degree=degree, tables=tables_, chosen=1
            )
            if not found:
                continue
            errors, counts = (
                ("error", "largest_error_over_slope"),
                ("buckets", "samples_50", "samples_5"),
            )
            rows.append(
                [f"{target}, n = {n}", "linear" if degree else "constant", str(tables_)]
                + [_cells_chosen(found), f"{found[0]['with_routing']:,}"]
                + [digits(spread_of(found, name)) for name in errors]
                + [f"{spread_of(found, name).mean:,.0f}" for name in counts]
                + [f"{100 * spread_of(found, 'in_empty_bucket').mean:.2g} %"]
            )
    heads = ["target", "expert", "tables", "ε", "multiply-adds", "error over variance"]
    heads += [
        "largest error over L",
        "buckets",
        "samples, median",
        "5th percentile",
        "in empty ones",
    ]
    return Table(
        "An expert in each bucket",
        heads,
        rows,
        f"{TRAIN:,} training inputs. ε is chosen on validation data with one table. There are n "
        "projections. The work is that with routing. An input in an empty bucket gets the mean of "
        "the training targets.",
    )


def _cells_chosen(rows: Sequence[Row]) -> str:
    low, high = (f"{f(row['cell'] for row in rows):g}" for f in (min, max))
    return low if low == high else f"{low} to {high}"


def _cell_table(results: Sequence[Result]) -> Table:
    own = {"kind": "buckets", "target": "polynomial", "n": 8, "degree": 0, "tables": 1, "chosen": 0}
    rows = []
    for width in sorted({row["cell"] for row in rows_of(results, **own)}, reverse=True):
        found = rows_of(results, cell=width, **own)
        known = 100 * (1 - spread_of(found, "in_empty_bucket").mean)
        buckets, error = spread_of(found, "buckets"), spread_of(found, "error")
        rows.append([f"{width:g}", f"{buckets.mean:,.0f}", f"{known:.1f}", digits(error)])
    return Table(
        "Too fine buckets fail: polynomial, n = 8, one table, constants",
        ["ε", "buckets", "test inputs in a known one (%)", "error over variance"],
        rows,
    )


def _trained_table(results: Sequence[Result]) -> Table:
    rows = []
    for model in (*TRAINED, *ROUTED):
        found = rows_of(results, kind="trained", model=model)
        rows.append([model, "hypercube", *_work(found[0]), digits(spread_of(found, "error"))])
    return Table(
        "Both layers trained: hypercube function, n = 8",
        ["network", "target", *_WORK_HEADS, "error over variance"],
        rows,
        f"{TRAIN:,} training inputs, {EPOCHS} epochs of Adam.",
    )


def _subspace_table(results: Sequence[Result]) -> Table:
    rows = []
    for k in SUBSPACES:
        cells = [str(k), "constant, linear"]
        for target, degree in itertools.product(TARGETS, (0, 1)):
            found = rows_of(results, kind="subspace", k=k, target=target, degree=degree)
            best = [
                min(row["error"] for row in found if row["seed"] == seed)
                for seed in sorted({row["seed"] for row in found})
            ]
            cells.append(f"{np.mean(best):.2g}" if best else "")
        for of in AROUND:
            slopes = bucket_slopes(results, k, of) if k in FITTED else []
            cells.append(f"{np.mean(slopes):.2f}" if slopes else "")
        rows.append(cells)
    return Table(
        "Inputs on a subspace of dimension k",
        ["k", "experts"]
        + [f"{t}, {'linear' if d else 'constant'}" for t, d in itertools.product(TARGETS, (0, 1))]
        + [f"growth of the buckets, d = {of}" for of in AROUND],
        rows,
        "Errors over variance in R^10, one table with 2 + 2k projections, at the best ε of those "
        "that were tried. The growth is the slope of log(buckets) against log(1/ε), with 4k "
        "projections.",
    )


def _line_table(results: Sequence[Result]) -> Table:
    rows = [
        [
            str(row["seed"]),
            "polynomial",
            f"{row['largest_error']:.4f}",
            f"{row['slope'] * row['diameter']:.4f}",
        ]
        for row in rows_of(results, kind="line")
    ]
    return Table(
        "One dimension: the largest error is below L times the largest diameter",
        ["seed", "target", "largest error", "bound"],
        rows,
    )


def _image_table(results: Sequence[Result], data: str) -> Table:
    rows = []
    published = dict(zip(SHARES, zip(*PUBLISHED_ACCURACY.values(), strict=True), strict=True))
    for active, model in itertools.product(IMAGE_ACTIVE, SHARES):
        found = rows_of(results, kind=data, model=model, active=active)
        accuracy = spread_of(found, "accuracy")
        known = ", ".join(f"{value:.2f}" for value in published[model])
        rows.append(
            [
                model,
                str(found[0]["width"]),
                *_work(found[0]),
                f"{accuracy.mean:.2f} ± {accuracy.deviation:.2f}",
                known,
            ]
        )
    return Table(
        f"{data}, with as many active units out of more units",
        ["network", "width", *_WORK_HEADS, "test accuracy (%)", "published, CIFAR-10 (%)"],
        rows,
        "The published accuracies are those of a convolutional network on CIFAR-10 with 256 and "
        "512 active units: other data, and another network.",
    )


def conclusion(results: Sequence[Result]) -> str:
    """Say what holds, with the numbers of these results."""
    told = [
        "The paper claims that data-dependent sparse models are better than dense ones of as many "
        "active units, and that hashing reaches an error with a number of buckets that depends on "
        "the dimension of the data and not on that of the space."
    ]
    told += _told_of_masks(results) + _told_of_buckets(results) + _told_of_subspaces(results)
    return "\n\n".join(told + _told_of_training(results))


def _told_of_masks(results: Sequence[Result]) -> list[str]:
    if not rows_of(results, kind="random features"):
        return []
    ratios = [
        _ratio(results, target, n, active, WIDTH)
        for target, n, active in itertools.product(TARGETS, MASKED_DIMENSIONS, (16, 64))
    ]
    own = {"kind": "random features", "target": "polynomial", "n": 8}
    sparse = rows_of(results, mask="top_k", width=WIDTH, active=16, **own)
    dense = rows_of(results, mask="dense", width=256, **own)
    errors = spread_of(sparse, "error").mean, spread_of(dense, "error").mean
    verdict = "loses" if errors[0] > errors[1] else "does not lose"
    hashed = rows_of(results, mask="hash", active=16, **own)
    few = rows_of(results, mask="dense", width=16, **own)
    return [
        f"At 16 and 64 active units, DSM of width {WIDTH:,} has {min(ratios):.2f} to "
        f"{max(ratios):.2f} times the error of the dense network. The uniform hash has "
        f"{spread_of(hashed, 'error').mean / spread_of(few, 'error').mean:.2f} times that of 16 "
        "dense units (polynomial, n = 8). This agrees with the paper.",
        f"It does not hold at equal work. The top 16 of {WIDTH:,} units need "
        f"{sparse[0]['with_routing']:,} multiply-adds with their routing and have the error "
        f"{errors[0]:.3f}; 256 dense units need {dense[0]['with_routing']:,} and have "
        f"{errors[1]:.3f} (polynomial, n = 8). Where the routing is counted, DSM {verdict}.",
    ]


def _told_of_buckets(results: Sequence[Result]) -> list[str]:
    told = []
    for n in MASKED_DIMENSIONS:
        own = {"kind": "buckets", "target": "hypercube", "n": n, "tables": 1, "chosen": 1}
        constant, linear = (rows_of(results, degree=degree, **own) for degree in (0, 1))
        if constant and linear:
            told.append(
                f"{spread_of(constant, 'error').mean:.3f} with constants and "
                f"{spread_of(linear, 'error').mean:.3f} with linear experts (n = {n})"
            )
    if not told:
        return []
    return [
        f"A linear expert is worth far more than a finer constant: {' and '.join(told)}, for the "
        "hypercube function and one table. With too fine buckets the error rises again, because "
        "most inputs fall into buckets that had no training sample."
    ]


def _told_of_subspaces(results: Sequence[Result]) -> list[str]:
    told = []
    for k, of in itertools.product(FITTED, AROUND):
        slopes = bucket_slopes(results, k, of)
        if slopes:
            told.append(f"{np.mean(slopes):.2f} (k = {k}, d = {of})")
    if not told:
        return []
    return [
        f"The buckets that are not empty grow as a power of 1/ε: {', '.join(told)}. The exponent "
        "follows the dimension k of the data and not the dimension d of the space, as the paper's "
        "Lemma 4.2 says."
    ]


def _told_of_training(results: Sequence[Result]) -> list[str]:
    told = []
    by_model = {m: rows_of(results, kind="trained", model=m) for m in (*TRAINED, *ROUTED)}
    if all(by_model.values()):
        error = {model: spread_of(rows, "error") for model, rows in by_model.items()}
        told.append(
            "With both layers trained, and at equal numbers of parameters, the top 64 of 256 units "
            f"have the error {digits(error['top 64 of 256'])}, the top 16 "
            f"{digits(error['top 16 of 256'])}, and all 256 units {digits(error['dense 256'])}: "
            f"{_better(error['top 64 of 256'], error['dense 256'])}. A learned router with 2 of "
            f"64 experts has {digits(error['router, top 2 of 64'])}, and 64 dense units have "
            f"{digits(error['dense 64'])}, at about as many multiply-adds: "
            f"{_better(error['router, top 2 of 64'], error['dense 64'])}."
        )
        told += _told_of_four_tables(results, by_model["dense 64"])
    for data in IMAGE_DATA:
        images = {m: rows_of(results, kind=data, model=m, active=64) for m in SHARES}
        if all(images.values()):
            accuracy = {model: spread_of(rows, "accuracy") for model, rows in images.items()}
            words = [f"{s.mean:.2f} ± {s.deviation:.2f} % ({m})" for m, s in accuracy.items()]
            told.append(f"On {data}, 64 active units reach {', '.join(words)}.")
    return told


def _better(sparse: Spread, dense: Spread) -> str:
    if abs(sparse.mean - dense.mean) <= max(sparse.deviation, dense.deviation):
        return "neither is clearly better"
    return "the sparse model wins" if sparse.mean < dense.mean else "the sparse model loses"


def _told_of_four_tables(results: Sequence[Result], dense: Sequence[Row]) -> list[str]:
    own = {"kind": "buckets", "target": "hypercube", "n": 8, "degree": 1, "tables": 4, "chosen": 1}
    found = rows_of(results, **own)
    if not found:
        return []
    kept = spread_of(found, "parameters").mean
    verdict = _better(spread_of(found, "error"), spread_of(dense, "error"))
    return [
        f"Linear experts in the buckets of four tables need {found[0]['with_routing']} "
        f"multiply-adds with their routing and have the error "
        f"{digits(spread_of(found, 'error'))}. The 64 trained dense units need "
        f"{dense[0]['with_routing']}: in error, {verdict}. But the experts keep {kept:,.0f} "
        f"numbers, and the dense network keeps {dense[0]['parameters']}."
    ]


STUDY = Study(
    name=NAME,
    title="Sparse experts and their routing",
    paper="Baykal, Dikkala, Panigrahy, Rashtchian, Wang, *A Theoretical View on Sparsely Activated "
    "Networks*, NeurIPS 2022, arXiv 2208.04461.",
    plan=plan,
    make=make,
    tables=tables,
    figures=figures,
    conclusion=conclusion,
    revision=2,
)
