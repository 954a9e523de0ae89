"""Circuits: grid tensors are those of plain loops, ranks are exact, and overlap raises them."""

import itertools

import numpy as np
import pytest
from sympy import QQ
from sympy.polys.matrices import DomainMatrix

from san.networks import ProductLayer, grid_tensor, matricization_rank, modular_rank
from san.networks.circuits import PRIME, count_weights, halves, numerical_rank, overlap_law

HALF, EVEN = halves(8)


def apart(r):
    return [ProductLayer(2, 2, r)] * 3


def circular(window):
    return lambda r: [ProductLayer(window, 2, r, circular=True)] * 2


def first(window):
    return lambda r: [ProductLayer(window, 1, r)]


RANKS = [
    ("apart, halves", apart, HALF, 2, (1, 2, 3, 4, 8, 16), (1, 2, 3, 4, 8, 16)),
    ("apart, halves", apart, HALF, 3, (1, 2, 3, 4, 8, 16), (1, 2, 3, 4, 8, 16)),
    ("apart, even", apart, EVEN, 3, (1, 2, 3, 4, 8, 16), (1, 16, 81, 81, 81, 81)),
    ("K=3 S=2", circular(3), HALF, 2, (1, 2, 3, 4), (1, 12, 16, 16)),
    ("K=3 S=2", circular(3), HALF, 3, (1, 2, 3, 4), (1, 12, 54, 81)),
    ("K=4 S=2", circular(4), HALF, 3, (1, 2, 3, 4), (1, 27, 81, 81)),
    ("first K=2", first(2), HALF, 3, (1, 2, 3), (1, 2, 3)),
    ("first K=3", first(3), HALF, 3, (1, 2, 3), (1, 4, 9)),
    ("first K=4", first(4), HALF, 3, (1, 2, 3), (1, 8, 27)),
    ("first K=5", first(5), HALF, 3, (1, 2, 3), (1, 16, 81)),
]


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own weights"])
@pytest.mark.parametrize(
    ("make", "left", "templates", "channels", "ranks"),
    [case[1:] for case in RANKS],
    ids=[f"{case[0]}, M={case[3]}" for case in RANKS],
)
def test_the_table_of_ranks(make, left, templates, channels, ranks, shared):
    for seed in range(3):
        found = [
            matricization_rank(make(r), 8, templates, left, shared=shared, seed=seed)
            for r in channels
        ]
        assert tuple(found) == ranks


@pytest.mark.parametrize("sites", [2, 4, 6, 8, 10])
def test_the_law_of_one_overlapping_layer(sites):
    for window in range(1, sites // 2 + 2):
        for r, templates, seed in itertools.product((1, 2, 3, 4), (2, 3), range(3)):
            rank = matricization_rank(
                first(window)(r), sites, templates, halves(sites)[0], seed=seed
            )
            assert rank == overlap_law(window, r, templates, sites), (window, r, templates, seed)


def test_no_network_without_overlap_exceeds_its_channels():
    chance = np.random.default_rng(0)
    for seed in range(100):
        windows = [(2, 2, 2), (4, 2), (2, 4), (8,)][chance.integers(4)]
        r, templates = int(chance.integers(1, 17)), int(chance.integers(2, 4))
        widths = [*chance.integers(1, 17, len(windows) - 1), r]
        layers = [ProductLayer(k, k, int(c)) for k, c in zip(windows, widths, strict=True)]
        shared = bool(chance.integers(2))
        rank = matricization_rank(layers, 8, templates, HALF, shared=shared, seed=seed)
        assert rank <= min(r, templates**4)


def test_modular_rank_is_the_rank_of_rational_elimination():
    chance = np.random.default_rng(1)
    for number in range(20):
        inner = 1 + number % 16
        factors = chance.integers(-9, 10, (16, inner)), chance.integers(-9, 10, (inner, 16))
        matrix = factors[0] @ factors[1]
        assert modular_rank(matrix) == DomainMatrix.from_list(matrix.tolist(), QQ).rank()


def test_modular_rank_counts_what_the_prime_divides_as_zero():
    assert modular_rank(np.array([[1, 1], [1, 6]]), prime=5) == 1
    assert modular_rank(np.array([[PRIME, 0], [0, 1]])) == 1
    assert modular_rank(np.array([[2**64 - 1]], np.uint64)) == 1
    assert modular_rank(np.zeros((0, 3), int)) == modular_rank(np.zeros((3, 3), int)) == 0


def plain(layers, sites, weights, read_out, inputs, combine):
    """One value of a grid tensor with numbers of Python, from weights as lists."""
    values = [[int(d == site) for d in range(len(weights[0][0][0]))] for site in inputs]
    for layer, w in zip(layers, weights, strict=True):
        after = []
        for p in range(layer.positions(len(values))):
            seen = [values[(p * layer.stride + j) % len(values)] for j in range(layer.window)]
            after.append(
                [
                    combine(
                        sum(a * b for a, b in zip(row, value, strict=True))
                        for row, value in zip(channel, seen, strict=True)
                    )
                    for channel in w
                ]
            )
        values = after
    return [
        sum(a * b for a, b in zip(*pair, strict=True))
        for pair in zip(read_out, values, strict=True)
    ]


@pytest.mark.parametrize("pooling", ["product", "max", "sum"])
def test_grid_tensors_are_those_of_plain_loops(pooling):
    layers = [ProductLayer(3, 2, 2, circular=True), ProductLayer(2, 1, 3)]
    tensor = grid_tensor(layers, sites=4, templates=2, pooling=pooling, seed=5)
    chance = np.random.default_rng(5)
    exact = pooling == "product"

    def draw(*shape):
        return chance.integers(0, PRIME, shape) if exact else chance.standard_normal(shape)

    weights = [draw(1, 2, 3, 2)[0].tolist(), draw(1, 3, 2, 2)[0].tolist()]
    read_out = draw(1, 1, 3)[:, 0].tolist()

    def combine(factors):
        factors = list(factors)
        if exact:
            return factors[0] * factors[1] * (factors[2] if len(factors) > 2 else 1)
        return max(0, max(factors) if pooling == "max" else sum(factors))

    for inputs in itertools.product(range(2), repeat=4):
        (value,) = plain(layers, 4, weights, read_out, inputs, combine)
        if exact:
            assert tensor[inputs] == value % PRIME
        else:
            assert tensor[inputs] == pytest.approx(value, rel=1e-12)


def test_overlap_raises_the_numerical_rank_with_relu():
    for pooling in ("max", "sum"):
        ranks = [
            sum(matricization_rank(m(4), 8, 3, HALF, pooling=pooling, seed=s) for s in range(3))
            for m in (apart, lambda r: [ProductLayer(4, 2, r, circular=True)] * 3)
        ]
        assert ranks[1] > ranks[0]
    assert numerical_rank(np.zeros((0, 4))) == 0


def test_weights_are_counted():
    layers = circular(3)(3)
    assert count_weights(layers, 8, 3) == 27 + 27 + 6
    assert count_weights(layers, 8, 3, shared=False) == 4 * 27 + 2 * 27 + 6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ProductLayer(0, 1, 1), "window must be at least 1, got 0"),
        (lambda: grid_tensor([], 0, 2), "sites must be at least 1, got 0"),
        (lambda: grid_tensor([], 30, 3), "205,891,132,094,649 combinations: at most 16,777,216"),
        (lambda: grid_tensor(first(5)(1), 4, 2), "no window of 5 fits into the 4 positions"),
        (lambda: grid_tensor([], 4, 2, pooling="mean"), "pooling must be .*, got 'mean'"),
        (lambda: matricization_rank([], 4, 2, [0, 0]), r"different sites of 0 ... 3, got \[0, 0\]"),
        (lambda: matricization_rank([], 4, 2, [4]), r"different sites of 0 ... 3, got \[4\]"),
        (lambda: modular_rank(np.zeros(3, int)), r"shape \(rows, columns\), got \(3,\)"),
        (lambda: modular_rank(np.eye(2)), "matrix must be of an integer type, got float64"),
        (lambda: modular_rank(np.eye(2, dtype=int), 1), "prime must be 2 ... 2147483647, got 1"),
        (lambda: overlap_law(6, 1, 2, 8), "window must be 1 ... sites / 2 \\+ 1 .*, got 6, 8"),
    ],
    ids=[
        "window",
        "sites",
        "size",
        "no window",
        "pooling",
        "site twice",
        "no site",
        "no matrix",
        "float",
        "prime",
        "law",
    ],
)
def test_wrong_use_ends_in_one_line(call, message):
    with pytest.raises((ValueError, TypeError), match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
