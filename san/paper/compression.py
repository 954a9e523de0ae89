"""What the study of compression makes: searches, networks of many nodes, and a network for digits.

The paper is Amani et al., arXiv 2205.08199. Its questions are for Gaussian inputs and no biases,
where every loss is a closed form; the digits are the practical side.
"""

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from san.networks import closed_forms, compression, frames
from san.networks.closed_forms import Floats, Nodes, nodes_of
from san.networks.node_choice import Products, select
from san.networks.two_layers import layers_of, part_of
from san.paper.study import Done, Load, Part

NAME = "compression"
SIZES = (  # (nodes, dimension): up to d + 1 nodes, equiangular tight frames, and others
    (3, 5),
    (4, 3),
    (5, 10),
    (8, 10),
    (11, 10),
    (50, 49),
    (10, 5),
    (16, 6),
    (6, 3),
    (5, 3),
    (12, 10),
    (40, 10),
)
RESTARTS = 4  # with each seed: 20 with five seeds
FINITE = ((5, 4), (10, 8))  # (dimension, nodes)
COUNTS = (50, 200, 800, 3200)  # nodes of the large network
CORNERS = (4, 6, 8, 10, 12)  # dimensions in which all 2^d weights of -1 and 1 are nodes
AGAINST = (2, 4, 6, 8, 11, 16, 24)  # nodes beside each other, for one large network
DIMENSION, LARGE = 10, 800
WIDTH, SMALL = 512, (32, 16)
TEACHER = {"epochs": 4, "batch": 128, "rate": 1e-3}
STUDENT = {"epochs": 3, "batch": 64, "rate": 3e-3}  # the rate falls to zero, as in `match`
DATA = "mnist"


def plan(seeds: int) -> list[Part]:
    """List the parts: searches for the limit, finite networks, and the digits."""
    parts = []
    for seed in range(seeds):
        for m, d in SIZES:
            settings: dict[str, Any] = {"kind": "search", "nodes": m, "dimension": d}
            settings["restarts"] = RESTARTS
            parts.append(Part(NAME, f"search {m} in {d}", seed, settings, 4 if m == 40 else 0.3))
        for d, m in FINITE:
            for weights in ("gaussian", "signs"):
                for n in COUNTS:
                    settings = {"kind": "finite", "dimension": d, "nodes": m, "weights": weights}
                    settings["large"] = n
                    cost = n / 800 * d / 5
                    parts.append(Part(NAME, f"{weights} {n} in {d}", seed, settings, cost))
        for d in CORNERS:
            settings = {"kind": "corners", "dimension": d, "nodes": 4}
            parts.append(Part(NAME, f"corners in {d}", seed, settings, 2**d / 2000))
        for m in AGAINST:
            settings = {"kind": "nodes", "nodes": m, "dimension": DIMENSION, "large": LARGE}
            parts.append(Part(NAME, f"{m} of {LARGE}", seed, settings, 0.2 * m))
        settings = {"kind": "digits", "width": WIDTH, "small": list(SMALL)}
        settings |= {"teacher": TEACHER, "student": STUDENT}
        parts.append(Part(NAME, "digits", seed, settings, 60.0, (DATA,)))
    return parts


def make(part: Part, load: Load, done: Done) -> dict[str, Any]:
    """Make a part."""
    settings = part.settings
    if settings["kind"] == "search":
        return _search(settings["nodes"], settings["dimension"], settings["restarts"], part.seed)
    if settings["kind"] == "finite":
        return {"rows": [_finite(part)]}
    if settings["kind"] == "corners":
        return {"rows": [_corners(settings["dimension"], settings["nodes"], part.seed)]}
    if settings["kind"] == "nodes":
        return {"rows": [_against(part)]}
    return _digits(part.seed, load, done)


def _search(m: int, d: int, restarts: int, seed: int) -> dict[str, Any]:
    """Each search's loss and frame, and the products of the best one."""
    found = frames.best_frames(m, d, restarts=restarts, seed=seed)
    smallest, least = closed_forms.smallest_form(m, d), closed_forms.optimal_loss(m, d)
    rows = []
    for frame in found:
        products = frame.directions @ frame.directions.T
        others = products[~np.eye(m, dtype=bool)]
        form = smallest * (1 - least) / (1 - frame.loss)
        rows.append(
            {
                "loss": frame.loss,
                "bound": least,
                "gap": form / smallest - 1,
                "from_simplex": float(np.abs(others + 1 / (m - 1)).max()),
                "coherence": closed_forms.coherence(frame.directions),
                "least": float(np.abs(others).min()),
                "welch": closed_forms.welch_bound(m, d),
            }
        )
    best = found[0].directions
    return {"rows": rows, "products": np.round(best @ best.T, 4).tolist()}


def _large_network(d: int, n: int, weights: str, generator: np.random.Generator) -> Nodes:
    w = generator.standard_normal((n, d))
    return nodes_of(np.sign(w) if weights == "signs" else w, np.ones(n))


def _finite(part: Part) -> dict[str, Any]:
    """The best nodes for one network, beside the best and any rotation of the simplex."""
    d, m, n = (part.settings[name] for name in ("dimension", "nodes", "large"))
    generator = np.random.default_rng([part.seed, d, n])
    target = _large_network(d, n, part.settings["weights"], generator)
    energy = closed_forms.mean_square(target)
    simplex = frames.simplex(m, d)
    turned = _best_turned(target, simplex, energy, 3)
    chance, _ = np.linalg.qr(generator.standard_normal((d, d)))
    means = _means(target, m, generator, energy)
    starts = [turned.directions, means, *generator.standard_normal((2, m, d))]
    return {
        "optimum": _optimum(target, starts, energy),
        "turned": turned.loss,
        "any rotation": frames.relative_loss(target, simplex @ chance, energy),
        "k-means": frames.relative_loss(target, means, energy),
        "prune": frames.relative_loss(target, _longest(target, m), energy),
        "limit": closed_forms.optimal_loss(m, d),
    }


def _corners(d: int, m: int, seed: int) -> dict[str, Any]:
    """The mean over all weights of -1 and 1: a target without chance."""
    generator = np.random.default_rng([seed, d])
    places = np.arange(2**d)
    corners = 1.0 - 2.0 * (places[:, None] >> np.arange(d) & 1)
    target = nodes_of(corners, np.full(2**d, 0.5**d))
    energy = closed_forms.mean_square(target)
    turned = _best_turned(target, frames.simplex(m, d), energy, 3)
    starts = [turned.directions, *generator.standard_normal((2, m, d))]
    best = min(
        (frames.best_directions(target, start, energy=energy) for start in starts),
        key=lambda frame: frame.loss,
    )
    products = best.directions @ best.directions.T
    others = products[~np.eye(m, dtype=bool)]
    return {
        "optimum": best.loss,
        "turned": turned.loss,
        "limit": closed_forms.optimal_loss(m, d),
        "from_simplex": float(np.abs(others + 1 / (m - 1)).max()),
    }


def _against(part: Part) -> dict[str, Any]:
    """Ways to choose M nodes for one network of Gaussian weights, side by side."""
    m, d, n = (part.settings[name] for name in ("nodes", "dimension", "large"))
    target = _large_network(d, n, "gaussian", np.random.default_rng([part.seed, d, n]))
    generator = np.random.default_rng([part.seed, m])
    energy = closed_forms.mean_square(target)
    means, greedy = _means(target, m, generator, energy), _greedy(target, m)
    starts = [means, greedy, *generator.standard_normal((2, m, d))]
    row: dict[str, Any] = {}
    if m <= d + 1:
        turned = _best_turned(target, frames.simplex(m, d), energy, 3)
        starts.append(turned.directions)
        row["turned"] = turned.loss
    found = [frames.best_directions(target, start, energy=energy) for start in starts]
    best = min(found, key=lambda frame: frame.loss)
    row |= {
        "optimum": best.loss,
        "k-means": frames.relative_loss(target, means, energy),
        "greedy": frames.relative_loss(target, greedy, energy),
        "prune": frames.relative_loss(target, _longest(target, m), energy),
        "limit": closed_forms.optimal_loss(m, d),
        "coherence": closed_forms.coherence(best.directions),
        "welch": closed_forms.welch_bound(m, d),
    }
    return row


def _best_turned(target: Nodes, directions: Floats, energy: float, tries: int) -> frames.Frame:
    found = (
        frames.best_rotation(target, directions, energy=energy, seed=seed) for seed in range(tries)
    )
    return min(found, key=lambda frame: frame.loss)


def _optimum(target: Nodes, starts: list[Floats], energy: float) -> float:
    return min(frames.best_directions(target, start, energy=energy).loss for start in starts)


def _means(target: Nodes, m: int, generator: np.random.Generator, energy: float) -> Floats:
    """Mean directions of m groups of nodes, by k-means from three starts."""
    different = np.unique(target.directions, axis=0)
    tried = []
    for _ in range(3):
        centres = different[generator.permutation(len(different))[:m]]
        for _ in range(50):
            nearest = np.argmax(target.directions @ centres.T, axis=1)
            members = nearest[:, None] == np.arange(m)
            sums = members.T @ (target.directions * np.abs(target.scales))
            lengths = np.linalg.norm(sums, axis=1, keepdims=True)
            centres = np.where(lengths > 0, sums / np.maximum(lengths, 1e-300), centres)
        tried.append(centres)
    return min(tried, key=lambda centres: frames.relative_loss(target, centres, energy))


def _longest(target: Nodes, m: int) -> Floats:
    order = np.argsort(-np.abs(target.scales[:, 0]), kind="stable")
    return target.directions[order[:m]]


def _greedy(target: Nodes, m: int) -> Floats:
    of_nodes = closed_forms.relu_kernel(target.directions @ target.directions.T)
    products = Products(of_nodes, of_nodes @ target.scales)
    return target.directions[select(products, m)]


def _digits(seed: int, load: Load, done: Done) -> dict[str, Any]:
    """A network for digits and what becomes of it with fewer nodes; labels beside it."""
    splits = load(DATA)
    images = [torch.from_numpy(split.x).flatten(1) for split in splits]
    labels = [torch.from_numpy(split.y).long() for split in splits if split.y is not None]
    x, y = torch.cat(images[:2]), torch.cat(labels[:2])  # nothing is chosen on validation data

    network = _trained(x, y, WIDTH, seed, falling=False, **TEACHER)
    done(0.5)

    def row(nodes: int, way: str, small: nn.Module) -> dict[str, Any]:
        with torch.no_grad():
            right = float((small(images[2]).argmax(1) == labels[2]).float().mean())
        error = compression.relative_error(network, small, images[2])
        return {"nodes": nodes, "way": way, "accuracy": right, "error": error}

    rows = [row(WIDTH, "the network", network)]
    for m in SMALL:
        for way, small in _ways(network, m, x, y, seed):
            rows.append(row(m, way, small))
        done(0.5 / len(SMALL))
    return {"rows": rows}


def _ways(
    network: nn.Sequential, m: int, x: torch.Tensor, y: torch.Tensor, seed: int
) -> list[tuple[str, nn.Module]]:
    part, epochs = x[:10_000], STUDENT["epochs"]
    first, second = layers_of(network)
    sizes = second.weight.detach().norm(dim=0) * first.weight.detach().norm(dim=1)
    longest = part_of(network, torch.argsort(sizes, descending=True)[:m].tolist())
    refitted = copy.deepcopy(longest)
    compression.refit(network, refitted, part)
    greedy = compression.compress(network, m, part)
    matched = copy.deepcopy(greedy)
    compression.match(network, matched, x, int(epochs), seed)
    compression.refit(network, matched, part)
    chance = _new(x.shape[1], m, int(y.max()) + 1, seed)
    compression.match(network, chance, x, int(epochs), seed)
    compression.refit(network, chance, part)
    return [
        ("prune", longest),
        ("prune, refit", refitted),
        ("greedy, refit", greedy),
        ("greedy, matched", matched),
        ("random start, matched", chance),
        ("from labels", _trained(x, y, m, seed, falling=True, **STUDENT)),
    ]


def _new(inputs: int, width: int, outputs: int, seed: int) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, outputs))


def _trained(
    x: torch.Tensor,
    y: torch.Tensor,
    width: int,
    seed: int,
    *,
    epochs: float,
    batch: float,
    rate: float,
    falling: bool,
) -> nn.Sequential:
    """A network trained on labels with Adam."""
    network = _new(x.shape[1], width, int(y.max()) + 1, seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    steps = int(epochs) * -(-len(x) // int(batch))
    last = 0.0 if falling else rate
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=last)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(int(epochs)):
        for rows in torch.randperm(len(x), generator=generator).split(int(batch)):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimiser.step()
            schedule.step()
    return network
