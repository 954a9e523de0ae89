"""The study of sparse experts: active units against error, and what the routing of them costs.

After Baykal et al., arXiv 2208.04461. Each row has the error on test inputs and the work of one
prediction, with and without routing.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from san.networks.experts import BucketedRegression
from san.networks.mixtures import RoutedExperts
from san.networks.random_features import Mask, RandomFeatures
from san.networks.sparse_mlp import SparseMLP
from san.networks.targets import HypercubeFunction, RandomPolynomial, cube, subspace
from san.networks.work import Work, two_layers
from san.paper.study import Done, Load, Part, Result, rows_of
from san.routing import EuclideanLSH

Row = dict[str, Any]


def hypercube_of(n: int, seed: int) -> HypercubeFunction:
    """Take the first of the seeds `seed`, `seed` + 1000 ... whose function is not constant.

    The error over the variance of a constant function would be 0 / 0. In two dimensions one seed of
    eight has equal signs at all corners.

    Examples
    --------
    >>> [hypercube_of(2, seed).seed for seed in range(5)]
    [0, 1, 2, 3, 1004]
    """
    targets = (HypercubeFunction(n, each) for each in itertools.count(seed, 1000))
    return next(target for target in targets if np.ptp(target.signs))


NAME = "sparse-experts"
TRAIN, VALIDATION, TEST = 20_000, 5_000, 10_000
SLOPES = 2_000  # test inputs whose gradients estimate the Lipschitz constant
TARGETS: dict[str, Callable[[int, int], Any]] = {
    "polynomial": lambda n, seed: RandomPolynomial(n, 4, seed),
    "hypercube": hypercube_of,
}
DIMENSIONS = (2, 4, 8, 10)
MASKED_DIMENSIONS = (4, 8)
CELLS = (0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # widths ε of the hashing
TABLES = {0: (1, 4, 16), 1: (1, 4, 16)}

WIDTH = 1024
#: Mask, width and active units of the networks with a random first layer.
RANDOM: tuple[tuple[Mask, int, int], ...] = (
    ("dense", 16, 16),
    ("dense", 64, 64),
    ("dense", 256, 256),
    ("top_k", 128, 64),
    ("top_k", 256, 64),
    ("top_k", WIDTH, 16),
    ("top_k", WIDTH, 64),
    ("hash", WIDTH, 16),
)
RANDOM_TRAIN = 6_000  # the wide ones take most of the study's time
_RIDGE = 1e-7

TRAINED_DIMENSION, EPOCHS, BATCH, RATE = 8, 5, 128, 0.005
TRAINED = {
    "dense 16": (16, None),
    "dense 64": (64, None),
    "dense 256": (256, None),
    "top 16 of 256": (256, 16),
    "top 64 of 256": (256, 64),
}
ROUTED = {"router, top 1 of 64": 1, "router, top 2 of 64": 2}
EXPERTS = 64

IMAGES, IMAGE_EPOCHS, IMAGE_BATCH, IMAGE_RATE, CLASSES = 50_000, 1, 128, 0.002, 10
SHARES = {"dense": 1, "DSM 50 %": 2, "DSM 25 %": 4}  # width over active units
IMAGE_ACTIVE = (64,)
IMAGE_DATA = ("mnist", "cifar-10")  # the second one only where it is at hand

SUBSPACES = (1, 2, 3, 4)
AROUND = (10, 40)  # dimensions of the space around
NUMBER = 60_000  # inputs whose buckets are counted
#: ε between which the slope is fitted: finer cells would hold fewer inputs than there are cells.
FITTED = {1: (0.35, 0.25, 0.18, 0.125), 2: (1.4, 1.0, 0.7, 0.5)}
HASHES = 3  # for each seed and ε
SUBSPACE_CELLS = (4.0, 2.8, 2.0, 1.4, 1.0, 0.7, 0.5)
SUBSPACE_TRAIN = 16_000
LINE = (3000, 4, 0.2)  # inputs, projections and ε of the one-dimensional model
DRAWN = 400  # points of its figure


def plan(seeds: int) -> list[Part]:
    """List the parts, for each seed."""
    sizes = {"train": TRAIN, "test": TEST}
    parts = []
    for seed in range(seeds):
        parts.append(Part(NAME, "line", seed, {"inputs": LINE[0], "lines": LINE[1]}, cost=0.3))
        for n in DIMENSIONS:
            parts.append(Part(NAME, f"buckets n={n}", seed, {"n": n, **sizes}, cost=8.0))
        for n in MASKED_DIMENSIONS:
            settings = {"n": n, "width": WIDTH, "train": RANDOM_TRAIN, "test": TEST}
            parts.append(Part(NAME, f"random features n={n}", seed, settings, cost=10.0))
        for k in SUBSPACES:
            parts.append(Part(NAME, f"subspace k={k}", seed, {"k": k}, cost=3.0))
        settings = {"n": TRAINED_DIMENSION, "epochs": EPOCHS, "batch": BATCH, **sizes}
        parts.append(Part(NAME, "trained", seed, settings, cost=25.0))
        settings = {"images": IMAGES, "epochs": IMAGE_EPOCHS}
        parts += [Part(NAME, data, seed, settings, 12.0, (data,)) for data in IMAGE_DATA]
    return parts


def make(part: Part, load: Load, done: Done) -> dict[str, Any]:
    """Measure one part."""
    kind = part.name.partition(" n=")[0].partition(" k=")[0]
    makers: dict[str, Callable[[], Row]] = {
        "line": lambda: _line(part.seed),
        "buckets": lambda: {"rows": _buckets(part.settings["n"], part.seed, done)},
        "random features": lambda: {"rows": _random(part.settings["n"], part.seed, done)},
        "subspace": lambda: {"rows": _subspace(part.settings["k"], part.seed)},
        "trained": lambda: {"rows": _trained(part.seed, done)},
    } | {name: lambda: {"rows": _images(load, part.name, part.seed, done)} for name in IMAGE_DATA}
    made = makers[kind]()
    return {**made, "rows": [{"kind": kind, **row} for row in made["rows"]]}


def inputs_of(n: int, seed: int) -> list[np.ndarray]:
    """Draw training, validation and test inputs: each (number, n).

    Examples
    --------
    >>> [x.shape for x in inputs_of(2, seed=0)]
    [(20000, 2), (5000, 2), (10000, 2)]
    """
    x = cube(TRAIN + VALIDATION + TEST, n, seed=1000 + seed)
    return [*np.split(x, [TRAIN, TRAIN + VALIDATION])]


def _told(work: Work) -> dict[str, int]:
    return work._asdict()


def _error(predicted: np.ndarray, y: np.ndarray) -> float:
    """Mean-square error over the variance."""
    return float(((predicted - y) ** 2).mean() / y.var())


def _buckets(n: int, seed: int, done: Done) -> list[Row]:
    """Experts in buckets: every ε with one table, and more tables at the ε that is best."""
    train, validation, test = inputs_of(n, seed)
    rows = []
    for name, make_target in TARGETS.items():
        target = make_target(n, seed)
        ys = [target(x) for x in (train, validation, test)]
        slope = float(np.linalg.norm(target.gradient(test[:SLOPES]), axis=1).max())
        for degree in (0, 1):
            tried = []
            for width in CELLS:
                model = _fitted(n, width, 1, degree, seed, train, ys[0])
                score = _error(model.predict(validation), ys[1])
                tried.append((score, width))
                rows.append(
                    {"target": name, "degree": degree, "tables": 1, "cell": width, "chosen": 0}
                    | {"validation_error": score, "lipschitz": slope}
                    | _measured(model, test, ys[2], slope)
                )
            best = min(tried)[1]
            rows += [row | {"chosen": 1} for row in rows[-len(CELLS) :] if row["cell"] == best]
            for tables in TABLES[degree][1:]:
                model = _fitted(n, best, tables, degree, seed, train, ys[0])
                rows.append(
                    {"target": name, "degree": degree, "tables": tables, "cell": best, "chosen": 1}
                    | {"validation_error": _error(model.predict(validation), ys[1])}
                    | {"lipschitz": slope}
                    | _measured(model, test, ys[2], slope)
                )
            done(0.24)
    return rows


def _fitted(
    n: int, width: float, tables: int, degree: int, seed: int, x: np.ndarray, y: np.ndarray
) -> BucketedRegression:
    return BucketedRegression(EuclideanLSH(n, n, width, tables, seed), degree).fit(x, y)


def _measured(
    model: BucketedRegression, x: np.ndarray, y: np.ndarray, slope: float
) -> dict[str, Any]:
    predicted = model.predict(x)
    samples = np.concatenate(model.samples_)
    return {
        "error": _error(predicted, y),
        "largest_error_over_slope": float(np.abs(predicted - y).max() / slope),
        "buckets": sum(model.buckets_),
        "in_empty_bucket": float(1 - model.is_known(x).any(1).mean()),
        "samples_5": float(np.percentile(samples, 5)),
        "samples_50": float(np.median(samples)),
        **_told(model.work()),
    }


def _random(n: int, seed: int, done: Done) -> list[Row]:
    """Networks with a random first layer; one fit gives the second layers of both targets."""
    train, _, test = inputs_of(n, seed)
    train = train[:RANDOM_TRAIN]
    targets = [make_target(n, seed) for make_target in TARGETS.values()]
    y, y_test = (np.stack([target(x) for target in targets], axis=1) for x in (train, test))
    scale = y.std(0)
    rows = []
    for mask, width, active in RANDOM:
        model = RandomFeatures(n, width, active, mask, ridge=_RIDGE, seed=seed)
        predicted = model.fit(train, y / scale).predict(test) * scale
        for i, name in enumerate(TARGETS):
            error = _error(predicted[:, i], y_test[:, i])
            rows.append({"target": name, "mask": mask, "width": width, "error": error})
            rows[-1] |= _told(model.work())
        done(0.95 / len(RANDOM))
    return rows


def _trained(seed: int, done: Done) -> list[Row]:
    """Networks with both layers trained, and mixtures with a learned router."""
    n = TRAINED_DIMENSION
    train, _, test = inputs_of(n, seed)
    target = TARGETS["hypercube"](n, seed)
    y, y_test = target(train), target(test)
    data = [torch.from_numpy(v.astype(np.float32)) for v in (train, y[:, None] / y.std(), test)]
    makers: dict[str, Callable[[], nn.Module]] = {
        name: lambda w=width, a=active: SparseMLP(n, w, 1, active=a)
        for name, (width, active) in TRAINED.items()
    } | {
        name: lambda a=active: RoutedExperts(n, EXPERTS, a)  # type: ignore[misc]
        for name, active in ROUTED.items()
    }
    rows = []
    for name, maker in makers.items():
        model = _learned(maker, data[0], data[1], F.mse_loss, EPOCHS, BATCH, RATE, seed)
        with torch.no_grad():
            predicted = model(data[2])[:, 0].numpy() * y.std()
        rows.append({"target": "hypercube", "model": name, "error": _error(predicted, y_test)})
        rows[-1] |= _told(_work_of(model, n, 1))
        done(0.95 / len(makers))
    return rows


def _work_of(model: Any, inputs: int, outputs: int) -> Work:
    if isinstance(model, RoutedExperts):
        return model.work()
    width = model.hidden.out_features
    return two_layers(inputs, width, model.active or width, outputs, True)


def _learned(
    maker: Callable[[], nn.Module],
    x: Tensor,
    y: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    epochs: int,
    batch_size: int,
    rate: float,
    seed: int,
) -> nn.Module:
    """Train with Adam, whose step falls to zero along a cosine."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = maker()
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    steps = epochs * -(-len(x) // batch_size)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=generator).split(batch_size):
            optimiser.zero_grad()
            loss(model(x[batch]), y[batch]).backward()
            optimiser.step()
            falling.step()
    return model.eval()


def _images(load: Load, data: str, seed: int, done: Done) -> list[Row]:
    """Classify images with as many active units out of more and more units."""
    splits = load(data)
    x, test = (torch.from_numpy(s.x.reshape(len(s.x), -1)) for s in (splits.train, splits.test))
    y = torch.from_numpy(splits.train.y)
    rows = []
    for active, (name, times) in itertools.product(IMAGE_ACTIVE, SHARES.items()):
        width, kept = active * times, None if times == 1 else active
        model = _learned(
            lambda w=width, a=kept: SparseMLP(x.shape[1], w, CLASSES, active=a),  # type: ignore[misc]
            x[:IMAGES],
            y[:IMAGES],
            F.cross_entropy,
            IMAGE_EPOCHS,
            IMAGE_BATCH,
            IMAGE_RATE,
            seed,
        )
        with torch.no_grad():
            right = (torch.cat([model(part) for part in test.split(1000)]).argmax(1)).numpy()
        accuracy = 100 * float((right == splits.test.y).mean())
        rows.append({"model": name, "width": width, "accuracy": accuracy})
        rows[-1] |= _told(_work_of(model, x.shape[1], CLASSES))
        done(0.95 / (len(SHARES) * len(IMAGE_ACTIVE)))
    return rows


def _subspace(k: int, seed: int) -> list[Row]:
    """Inputs on a subspace: how many buckets it meets, and the error there."""
    rows: list[Row] = []
    for of in AROUND if k in FITTED else ():
        x = subspace(NUMBER, k, of, seed)
        for width in FITTED[k]:
            counts = _bucket_counts(x, 4 * k, width, seed)
            rows.append({"around": of, "cell": width, "buckets": float(np.mean(counts))})
    of = AROUND[0]
    x, test = np.split(subspace(SUBSPACE_TRAIN + TEST // 2, k, of, seed), [SUBSPACE_TRAIN])
    for name, make_target in TARGETS.items():
        target = make_target(of, seed)
        y, y_test = target(x), target(test)
        for degree, width in itertools.product((0, 1), SUBSPACE_CELLS):
            router = EuclideanLSH(of, 2 + 2 * k, width, 1, seed)
            model = BucketedRegression(router, degree).fit(x, y)
            error = _error(model.predict(test), y_test)
            row = {"target": name, "degree": degree, "cell": width, "error": error, "around": of}
            rows.append(row | {"buckets": model.buckets_[0]})
    return rows


def _bucket_counts(x: np.ndarray, lines: int, width: float, seed: int) -> list[int]:
    routers = [
        EuclideanLSH(x.shape[1], lines, width, seed=HASHES * seed + table)
        for table in range(HASHES)
    ]
    return [len(np.unique(router.buckets(x))) for router in routers]


def _line(seed: int) -> dict[str, Any]:
    """In one dimension: the largest error beside the bound from the slope and the diameter."""
    number, lines, width = LINE
    target = RandomPolynomial(1, 4, seed)
    x, test = cube(number, 1, seed), cube(number, 1, seed + 10_000)
    model = BucketedRegression(EuclideanLSH(1, lines, width, seed=seed)).fit(x, target(x))
    keys = model.router.buckets(np.concatenate([x, test]))[:, 0]
    points = np.concatenate([x, test])[:, 0]
    diameter = max(float(np.ptp(points[keys == key])) for key in np.unique(keys))
    slope = float(np.abs(target.gradient(np.linspace(-1, 1, 2001)[:, None])).max())
    known = model.is_known(test)[:, 0]
    largest = float(np.abs(model.predict(test) - target(test))[known].max())
    drawn = np.linspace(-1, 1, DRAWN)[:, None]
    own = np.unique(model.router.buckets(drawn)[:, 0], return_inverse=True)[1]
    return {
        "rows": [{"largest_error": largest, "slope": slope, "diameter": diameter}],
        "target": np.round(target(drawn), 6).tolist(),
        "model": np.round(model.predict(drawn), 6).tolist(),
        "bucket": own.tolist(),
    }


def bucket_slopes(results: Sequence[Result], k: int, of: int) -> list[float]:
    """How the number of buckets grows with 1/ε: the slope on log axes, for each seed."""
    slopes = []
    for seed in sorted({result["seed"] for result in results}):
        found = [
            row
            for row in rows_of(results, kind="subspace", k=k, around=of, seed=seed)
            if "target" not in row
        ]
        if found:
            cells, counts = ([row[name] for row in found] for name in ("cell", "buckets"))
            slopes.append(float(np.polyfit(-np.log(cells), np.log(counts), 1)[0]))
    return slopes
