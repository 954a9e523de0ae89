"""What the study of sparse activations makes: Fourier weight, certificates, samples, and digits.

The paper is Awasthi et al., arXiv 2406.17989, on networks of which at most k of s hidden units are
active at every input; Li et al. bound their Rademacher complexity.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from san import activations
from san.networks import cube
from san.networks.certificates import max_active
from san.networks.closed_forms import Floats
from san.networks.sparse_mlp import SparseMLP
from san.paper.study import Done, Load, Part

NAME = "sparse-activations"
COORDINATES = 14
#: (units, most active units): the last but one is dense, and the last selects by an address.
KINDS = ((64, 1), (64, 4), (64, 8), (256, 16), (64, 64), (256, "address"))
_REST = 0.9  # sum of the sizes of an address unit's other weights: below 1, so that one is active
NOISE = 0.1
SAMPLED, UNITS = 12, 32  # coordinates and units where functions are learned from samples
TARGETS: tuple[int | str, ...] = (1, 4, 8, UNITS, "address")
SAMPLES = (300, 1000, 3000)
DEGREES, PENALTIES = (1, 2, 3), (0.1, 3.0, 100.0)
STEPS, BATCH, RATE, KEPT = 400, 128, 0.005, 4
SCALES = ("equal weights", "equal variance")
GROUPS = (4, 16, 64, 256)  # s/k
SIGNS = tuple(2**power for power in range(4, 15))
DRAWS = 100
WIDTH, DIGITS, EPOCHS = 256, 20_000, 4
DATA = "mnist"
#: How networks for digits are trained: activation, its parameter, and weight of the L1 penalty.
HIDDEN: tuple[tuple[str, int, float], ...] = (
    ("relu", 0, 0.0),
    ("relu, L1", 0, 1e-4),
    ("relu, L1", 0, 1e-3),
    ("top k", 32, 0.0),
    ("top k", 8, 0.0),
    ("extrema-pool", 8, 0.0),
    ("extrema", 8, 0.0),
)


def plan(seeds: int) -> list[Part]:
    """List the parts: functions on the cube, certificates, learning, complexity, digits."""
    return [
        Part(NAME, name, seed, settings, cost, (DATA,) if settings["kind"] == "digits" else ())
        for seed in range(seeds)
        for name, cost, settings in _settings()
    ]


def _settings() -> Iterator[tuple[str, float, dict[str, Any]]]:
    """Name, cost and settings of each part of a seed."""
    for units, active in KINDS:
        kind = {"kind": "weight", "n": COORDINATES, "units": units, "active": active}
        yield f"weight of {units}, {active}", 0.2, kind
    yield "certificates", 0.2, {"kind": "certificates"}
    training = {"steps": STEPS, "batch": BATCH, "rate": RATE, "kept": KEPT}
    for active in TARGETS:
        kind = {"kind": "learning", "n": SAMPLED, "units": UNITS, "active": active}
        yield f"learning of {active}", 6.0, {**kind, "samples": list(SAMPLES), **training}
    yield "complexity", 1.0, {"kind": "complexity", "groups": list(GROUPS), "draws": DRAWS}
    layers = [list(layer) for layer in HIDDEN]
    kind = {"kind": "digits", "width": WIDTH, "digits": DIGITS, "epochs": EPOCHS}
    yield "digits", 15.0, {**kind, "layers": layers}


def make(part: Part, load: Load, done: Done) -> dict[str, Any]:
    """Make a part."""
    kind, settings = part.settings["kind"], part.settings
    generator = np.random.default_rng([part.seed, 2406])
    if kind == "weight":
        return {"rows": [_weight(settings["units"], settings["active"], generator)]}
    if kind == "certificates":
        return {"rows": _certificates(generator, part.seed)}
    if kind == "learning":
        return {"rows": _learning(settings["active"], part.seed, done)}
    if kind == "complexity":
        return {"rows": _complexity(generator)}
    return _digits(part.seed, load, done)


class Target:
    """A network h(x) = Σ u_j max(0, w_j·x − b_j) on the cube, with |u_j| = 1."""

    def __init__(self, weights: Floats, thresholds: Floats, second: Floats) -> None:
        self.weights, self.thresholds, self.second = weights, thresholds, second
        x = cube.points(weights.shape[1])
        self.hidden = np.maximum(x @ weights.T - thresholds, 0)
        self.values = self.hidden @ second


def random_target(n: int, units: int, active: int, generator: np.random.Generator) -> Target:
    """Unit weights and one threshold, the smallest at which at most `active` units are active."""
    weights = generator.standard_normal((units, n))
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    second = generator.choice([-1.0, 1.0], units)
    threshold = 0.0
    if active < units:
        products = cube.points(n) @ weights.T
        threshold = float(np.partition(products, units - active - 1)[:, units - active - 1].max())
    return Target(weights, np.full(units, threshold), second)


def address_target(n: int, units: int, generator: np.random.Generator) -> Target:
    """The first coordinates are the address of the one unit that is active, at every input."""
    bits = units.bit_length() - 1
    rest = generator.standard_normal((units, n - bits))
    rest *= _REST / np.abs(rest).sum(1, keepdims=True)
    # At its own address a product is at least bits − _REST, elsewhere at most bits − 2 + _REST.
    weights = np.concatenate([cube.points(bits), rest], axis=1)
    return Target(weights, np.full(units, bits - 1.0), generator.choice([-1.0, 1.0], units))


def _target(n: int, units: int, active: int | str, generator: np.random.Generator) -> Target:
    if isinstance(active, str):
        return address_target(n, units, generator)
    return random_target(n, units, active, generator)


def _weight(units: int, active: int | str, generator: np.random.Generator) -> dict[str, Any]:
    """Influence, its bound, and the Fourier weight of one function."""
    target = _target(COORDINATES, units, active, generator)
    weight = cube.fourier_weight(target.values)
    variance = float(weight[1:].sum())
    on = (target.hidden > 0).sum(1)
    most = int(on.max())
    length = float(np.linalg.norm(target.weights, axis=1).max())
    return {
        "most": most,
        "mean active": float(on.mean()),
        "variance": variance,
        "influence": cube.influence(target.values),
        "bound": cube.influence_bound(most, length),
        "relative influence": cube.influence(target.values) / variance,
        "above 2": float(weight[3:].sum()) / variance,
        "above 4": float(weight[5:].sum()) / variance,
        "noise": cube.noise_sensitivity(weight, NOISE) / variance,
    }


def _certificates(generator: np.random.Generator, seed: int) -> list[dict[str, Any]]:
    """Constructions of which the answer is known, and random networks with the interval beside."""
    rows: list[dict[str, Any]] = []

    def add(what: str, truth: int | None, layer: tuple[Floats, Floats], **options: Any) -> None:
        found = max_active(layer, seed=seed, **options)
        row = {"what": what, "lower": found.lower, "upper": found.upper, "truth": truth}
        rows.append({**row, "units": len(layer[0])})

    for copies in (1, 4):
        caps = np.repeat(_caps(8, 30, generator), copies, axis=0)
        thresholds = np.full(len(caps), math.sqrt(3) / 2)
        add(f"{copies} on each of 30 caps", copies, (caps, thresholds), domain="ball")
    zero = (generator.standard_normal((40, 10)), np.zeros(40))
    add("40 without thresholds, ball", None, zero, domain="ball")
    for threshold in (1.0, 2.0, 3.0):
        weights = generator.standard_normal((32, 12))
        weights /= np.linalg.norm(weights, axis=1, keepdims=True)
        layer = (weights, np.full(32, threshold))
        exact = max_active(layer).lower
        wide = (np.pad(weights, ((0, 0), (0, 9))), layer[1])  # too many coordinates to look at all
        add(f"32 random, threshold {threshold:g}, cube", exact, wide)
    return rows


def _caps(n: int, many: int, generator: np.random.Generator) -> Floats:
    """Directions of which any two have a product of less than ½."""
    kept: list[Floats] = []
    while len(kept) < many:
        v = generator.standard_normal(n)
        v /= np.linalg.norm(v)
        if all(v @ other < 0.5 - 1e-9 for other in kept):
            kept.append(v)
    return np.array(kept)


def _learning(active: int | str, seed: int, done: Done) -> list[dict[str, Any]]:
    """Errors over the whole cube after learning from samples, over the variance and absolute."""
    generator = np.random.default_rng([seed, 12])
    target = _target(SAMPLED, UNITS, active, generator)
    every, variance = cube.points(SAMPLED), float(target.values.var())
    rows = []
    for m in SAMPLES:
        places = generator.integers(0, len(every), m)
        for scale in SCALES:
            values = target.values / (math.sqrt(variance) if scale == "equal variance" else 1.0)
            learners: dict[str, Callable[[Floats, Floats], Floats]] = {
                "relu": partial(_learned, every, None, seed),
                f"top {KEPT}": partial(_learned, every, KEPT, seed),
            }
            if scale == "equal weights":  # regression takes any scale alike
                learners = {"regression": partial(_regressed, every, generator)} | learners
            for learner, learn in learners.items():
                said = learn(every[places], values[places])
                error = float(np.mean((said - values) ** 2))
                row = {"m": m, "scale": scale, "learner": learner, "error": error}
                rows.append(row | {"relative": error / float(values.var())})
        done(1 / len(SAMPLES))
    return rows


def _regressed(every: Floats, generator: np.random.Generator, x: Floats, y: Floats) -> Floats:
    """Regression of low degree; degree and penalty are chosen on a fifth of the sample."""
    order = generator.permutation(len(x))
    test, train = order[: len(x) // 5], order[len(x) // 5 :]

    def error(degree: int, penalty: float) -> float:
        fitted = cube.LowDegreeRegression(degree, penalty).fit(x[train], y[train])
        return float(np.mean((fitted.predict(x[test]) - y[test]) ** 2))

    tried = [(error(degree, p), degree, p) for degree in DEGREES for p in PENALTIES]
    _, degree, penalty = min(tried)
    return cube.LowDegreeRegression(degree, penalty).fit(x, y).predict(every)


def _learned(every: Floats, active: int | None, seed: int, x: Floats, y: Floats) -> Floats:
    """A network of twice the units, trained with Adam."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SparseMLP(x.shape[1], 2 * UNITS, active=active)
    inputs, values = torch.from_numpy(x).float(), torch.from_numpy(y).float()
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(STEPS):
        rows = torch.randint(len(x), (BATCH,), generator=generator)
        optimiser.zero_grad()
        (network(inputs[rows])[:, 0] - values[rows]).square().mean().backward()
        optimiser.step()
    with torch.no_grad():
        said = network.eval()(torch.from_numpy(every).float())[:, 0]
    return np.asarray(said.double().numpy())


def expected_sum(q: int) -> float:
    """Return E |ε_1 + ... + ε_q| of random signs.

    Examples
    --------
    >>> [round(expected_sum(q), 9) for q in (0, 1, 2, 3)]
    [0.0, 1.0, 1.0, 1.5]
    """
    if q == 0:
        return 0.0
    half = (q - 1) // 2
    choices = math.lgamma(q) - math.lgamma(half + 1) - math.lgamma(q - half)
    return math.exp(math.log(q) + choices - (q - 1) * math.log(2))


def exact_ratio(groups: int, m: int) -> float:
    """Return the mean complexity of the construction over √(sk/m): an exact sum.

    There are s/k groups of k units. Each of m random inputs is the direction of one group.

    Examples
    --------
    >>> round(exact_ratio(groups=4, m=16384), 3)  # towards √(2/π)
    0.798
    """
    share, total = 1 / groups, 0.0
    for q in range(1, m + 1):
        log = math.lgamma(m + 1) - math.lgamma(q + 1) - math.lgamma(m - q + 1)
        log += q * math.log(share) + (m - q) * math.log1p(-share)
        total += math.exp(log) * expected_sum(q)
    return math.sqrt(groups / m) * total


def _complexity(generator: np.random.Generator) -> list[dict[str, Any]]:
    """Exact means beside draws of inputs and signs."""
    rows = []
    for groups in GROUPS:
        for m in SIGNS:
            if m < groups:
                continue
            drawn = []
            for _ in range(DRAWS):
                owner = generator.integers(0, groups, m)
                sums = np.bincount(owner, weights=generator.choice([-1.0, 1.0], m))
                drawn.append(math.sqrt(groups / m) * np.abs(sums).sum() / groups)
            row = {"ratio": groups, "m": m, "exact": exact_ratio(groups, m)}
            rows.append(row | {"drawn": float(np.mean(drawn))})
    return rows


def _digits(seed: int, load: Load, done: Done) -> dict[str, Any]:
    """Accuracy and active units of each test digit, for several hidden layers."""
    train, _, test = load(DATA)
    x, x_test = (torch.from_numpy(split.x).flatten(1) for split in (train, test))
    assert train.y is not None
    assert test.y is not None
    y, y_test = torch.from_numpy(train.y).long()[:DIGITS], torch.from_numpy(test.y).long()
    rows, counts = [], {}
    for name, parameter, penalty in HIDDEN:
        network = _trained(x[:DIGITS], y, name, parameter, penalty, seed)
        with torch.no_grad():
            right = float((network(x_test).argmax(1) == y_test).float().mean())
            kept = network.kept(x_test) != 0
        on = kept.sum(1).numpy()
        label = layer_name(name, parameter, penalty)
        low, high = np.percentile(on, [5, 95])
        row = {"layer": label, "accuracy": right, "mean": float(on.mean()), "most": int(on.max())}
        rows.append(row | {"p5": low, "p95": high, "never": int((~kept.any(0)).sum())})
        counts[label] = np.bincount(on, minlength=WIDTH + 1).tolist()
        done(1 / len(HIDDEN))
    return {"rows": rows, "counts": counts}


def layer_name(name: str, parameter: int, penalty: float) -> str:
    """How tables and figures name a hidden layer."""
    if penalty:
        return f"{name} × {penalty:g}"
    return f"{name}, {parameter}" if parameter else name


def _activation(name: str, parameter: int) -> Callable[[Tensor], Tensor] | None:
    if name == "extrema-pool":
        return partial(activations.extrema_pool, pool_size=parameter)
    if name == "extrema":
        return partial(activations.extrema, min_distance=parameter)
    return None


def _trained(
    x: Tensor, y: Tensor, name: str, parameter: int, penalty: float, seed: int
) -> SparseMLP:
    """A network trained on labels; the penalty is of the sum of a digit's kept values."""
    active = parameter if name == "top k" else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SparseMLP(
            x.shape[1], WIDTH, 10, active=active, activation=_activation(name, parameter)
        )
    optimiser = torch.optim.Adam(network.parameters(), lr=0.001)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x), generator=generator).split(64):
            optimiser.zero_grad()
            if penalty:
                kept = network.kept(x[rows])
                said = network.outputs(kept)
                size = penalty * kept.abs().sum(1).mean()
            else:
                said, size = network(x[rows]), torch.zeros(())
            (nn.functional.cross_entropy(said, y[rows]) + size).backward()
            optimiser.step()
    return network
