"""Sparse hidden layers: certificates against plain loops, Fourier weight, and SparseMLP."""

import functools
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import san
from san.networks import cube
from san.networks.certificates import max_active
from san.networks.sparse_mlp import SparseMLP


def plain_max_active(weights, thresholds):
    """Every point, every unit, in exact fractions."""
    exact_w = [[Fraction(float(w)) for w in row] for row in weights]
    exact_b = [Fraction(float(b)) for b in thresholds]
    return max(
        sum(
            sum(w if s > 0 else -w for w, s in zip(row, x, strict=True)) > b
            for row, b in zip(exact_w, exact_b, strict=True)
        )
        for x in itertools.product((1, -1), repeat=len(exact_w[0]))
    )


def random_layer(n, s, seed, threshold=0.5):
    generator = np.random.default_rng(seed)
    weights = generator.standard_normal((s, n))
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    return weights, generator.standard_normal(s) * 0.3 + threshold


def values_on_cube(weights, thresholds, second):
    """h on every point of the cube."""
    x = cube.points(weights.shape[1])
    return np.maximum(x @ weights.T - thresholds, 0) @ second


# Certificates.


@pytest.mark.parametrize("seed", range(3))
def test_on_a_small_cube_the_count_is_that_of_a_plain_loop(seed):
    weights, thresholds = random_layer(10, 5, seed)
    found = max_active((weights, thresholds))
    assert found.exact
    assert found.lower == plain_max_active(weights, thresholds)
    assert sum(weights @ found.point > thresholds) == found.lower


@pytest.mark.parametrize("scale", [1.0, 0.1, 1 / 3], ids=["integers", "tenths", "thirds"])
def test_points_on_a_threshold_are_counted_without_rounding(scale):
    generator = np.random.default_rng(5)
    for _ in range(10):
        weights = generator.integers(-3, 4, (6, 6)) * scale
        thresholds = generator.integers(-2, 9, 6) * scale
        assert max_active((weights, thresholds)).lower == plain_max_active(weights, thresholds)


def test_a_cube_larger_than_a_block_is_seen_in_full():
    weights, thresholds = random_layer(14, 20, 1, threshold=1.0)
    counts = (cube.points(14) @ weights.T > thresholds).sum(1)
    found = max_active((weights, thresholds))
    assert (found.lower, found.upper) == (counts.max(), counts.max())
    assert np.array_equal(found.point, cube.points(14)[counts.argmax()])


@given(st.integers(0, 2**32), st.integers(2, 8), st.integers(1, 12), st.floats(0, 3))
@settings(max_examples=40)
def test_an_interval_holds_the_truth(seed, n, s, threshold):
    weights, thresholds = random_layer(n, s, seed, threshold)
    exact = max_active((weights, thresholds)).lower
    wide = np.pad(weights, ((0, 0), (0, 21 - n)))  # the same units on a cube of 21 coordinates
    found = max_active((wide, thresholds))
    assert found.lower <= exact <= found.upper
    assert sum(wide @ found.point > thresholds) >= found.lower
    assert set(found.point) <= {-1.0, 1.0}
    ball = max_active((weights, thresholds), "ball", radius=math.sqrt(n))
    assert exact <= ball.upper  # the ball holds the cube
    assert np.linalg.norm(ball.point) <= math.sqrt(n)
    assert sum(weights @ ball.point > thresholds) >= ball.lower


def caps(n, many, seed=0):
    """Directions with products of at most ½, greedily."""
    kept = []
    for v in np.random.default_rng(seed).standard_normal((4000, n)):
        v = v / np.linalg.norm(v)
        if all(v @ other < 0.5 - 1e-9 for other in kept):
            kept.append(v)
        if len(kept) == many:
            return np.array(kept)
    raise AssertionError("no such directions were found")


@pytest.mark.parametrize("copies", [1, 3])
def test_caps_have_as_many_active_units_as_copies(copies):
    directions = np.repeat(caps(8, 30), copies, axis=0)
    thresholds = np.full(len(directions), math.sqrt(3) / 2 * 2.5)
    assert max_active((directions, thresholds), "ball", radius=2.5)[:2] == (copies, copies)
    lower = max_active((directions, thresholds * 0.8), "ball", radius=2.5)
    assert lower.upper > copies


def test_units_without_thresholds_are_active_in_half_of_the_ball():
    generator = np.random.default_rng(0)
    for _ in range(100):
        s = int(generator.integers(1, 40))
        weights = generator.standard_normal((s, 10))
        found = max_active((weights, np.zeros(s)), "ball")
        assert s / 2 <= found.lower <= found.upper <= s


def test_units_that_cannot_be_active_are_not_counted():
    weights, thresholds = np.eye(25), np.full(25, 0.5)
    thresholds[3:] = 1.0  # equal to the largest product: never above it
    assert max_active((weights, thresholds))[:2] == (3, 3)


def test_modules_are_taken():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 1))
    weights, bias = plain[0].weight.detach().numpy(), plain[0].bias.detach().numpy()
    found, same = max_active(plain), max_active((weights, -bias))
    assert found[:2] == same[:2]
    assert np.array_equal(found.point, same.point)
    assert max_active(SparseMLP(6, 9, bias=False)).lower >= 5
    assert max_active(SparseMLP(6, 9, active=2))[:2] == (2, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: max_active(nn.ReLU()), TypeError, "linear layer.*got ReLU"),
        (lambda: max_active("network"), TypeError, "linear layer.*got str"),
        (lambda: max_active((np.eye(2),)), ValueError, "weights and thresholds, got 1 arrays"),
        (lambda: max_active((np.eye(2), [1.0])), ValueError, r"got \(2, 2\) and \(1,\)"),
        (lambda: max_active(([[math.nan]], [1.0])), ValueError, "must be finite"),
        (lambda: max_active(([[1.0]], [1.0]), "sphere"), ValueError, "cube or ball, got 'sphere'"),
        (lambda: max_active(([[1.0]], [1.0]), radius=0), ValueError, "above 0, got 0"),
        (
            lambda: max_active(SparseMLP(2, 3, activation=san.identity)),
            TypeError,
            "activation of its own",
        ),
        (lambda: cube.points(0), ValueError, "1 to 62 coordinates here, got 0"),
        (lambda: cube.points(2, 3, 5), ValueError, "within 0 and 4, got 3 to 5"),
        (lambda: cube.fourier_weight([1.0] * 3), ValueError, r"2ⁿ values.*got the shape \(3,\)"),
        (lambda: cube.influence([math.inf, 1.0]), ValueError, "must be finite"),
        (lambda: cube.noise_sensitivity([1.0], 0.7), ValueError, "from 0 to 0.5, got 0.7"),
        (lambda: cube.LowDegreeRegression(-1), ValueError, "not be negative, got -1"),
        (
            lambda: cube.LowDegreeRegression(2).fit(np.zeros((0, 2)), []),
            ValueError,
            r"m > 0, got \(0, 2\)",
        ),
        (
            lambda: cube.LowDegreeRegression(9).fit(np.ones((2, 40)), [1.0, 2.0]),
            ValueError,
            "more than 20000: take a lower degree",
        ),
        (lambda: SparseMLP(0, 4), ValueError, "at least 1, got 0, 4, 1"),
        (lambda: SparseMLP(2, 4, active=5), ValueError, "from 1 to the width, 4, got 5"),
        (
            lambda: SparseMLP(2, 4, active=1, activation=san.relu),
            ValueError,
            "active or activation, not both",
        ),
    ],
)
def test_wrong_use_is_one_line(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


# Functions on the cube.


@given(st.integers(0, 2**32), st.integers(0, 9))
@settings(max_examples=30)
def test_fourier_weight_is_that_of_a_plain_transform(seed, n):
    h = np.random.default_rng(seed).standard_normal(2**n)
    x = cube.points(n) if n else np.ones((1, 0))
    weight = np.zeros(n + 1)
    for size in range(n + 1):
        for s in itertools.combinations(range(n), size):
            weight[size] += np.mean(h * x[:, list(s)].prod(1)) ** 2
    found = cube.fourier_weight(h)
    assert np.allclose(found, weight, atol=1e-12)
    assert abs(found.sum() - np.mean(h**2)) < 1e-12
    assert abs(cube.influence(h) - np.arange(n + 1) @ found) < 1e-10


def test_noise_sensitivity_is_that_of_random_flips():
    generator = np.random.default_rng(0)
    h = generator.standard_normal(2**6)
    places = generator.integers(0, 64, 200_000)
    flips = (generator.random((200_000, 6)) < 0.2) @ (1 << np.arange(6))
    changes = (h[places] - h[places ^ flips]) ** 2 / 4
    expected = cube.noise_sensitivity(cube.fourier_weight(h), 0.2)
    assert abs(changes.mean() - expected) < 5 * changes.std() / math.sqrt(200_000)


def test_no_sparse_network_exceeds_the_bound_on_its_influence():
    generator = np.random.default_rng(1)
    for _ in range(100):
        n, s = int(generator.integers(2, 9)), int(generator.integers(1, 30))
        weights = generator.standard_normal((s, n)) * generator.random((s, 1))
        thresholds = generator.standard_normal(s) * 0.5
        second = generator.uniform(-1, 1, s)
        k = max_active((weights, thresholds)).upper
        bound = cube.influence_bound(k, float(np.linalg.norm(weights, axis=1).max()))
        h = values_on_cube(weights, thresholds, second)
        weight = cube.fourier_weight(h)
        assert cube.influence(h) <= bound
        assert all(weight[d + 1 :].sum() <= bound / d for d in range(1, n + 1))


def test_low_degree_regression_finds_a_polynomial_and_no_more():
    x = cube.points(6)
    y = 3 - 2 * x[:, 1] + x[:, 0] * x[:, 5] + 0.5 * x[:, 0] * x[:, 1] * x[:, 2]
    fitted = cube.LowDegreeRegression(degree=2, penalty=0.0).fit(x, y)
    assert np.allclose(fitted.predict(x), y - 0.5 * x[:, 0] * x[:, 1] * x[:, 2])
    assert np.allclose(cube.LowDegreeRegression(degree=0).fit(x, y).predict(x), 3)
    assert np.allclose(cube.LowDegreeRegression(degree=9, penalty=0.0).fit(x, y).predict(x), y)


def test_both_systems_of_the_regression_give_the_same():
    generator = np.random.default_rng(0)
    x, y = cube.points(5)[::2], generator.standard_normal(16)  # 15 products, 16 rows
    more = cube.LowDegreeRegression(degree=2, penalty=0.3).fit(x, y)
    doubled = cube.LowDegreeRegression(degree=2, penalty=0.6).fit(
        np.concatenate([x, x]), np.concatenate([y, y])
    )
    few = cube.LowDegreeRegression(degree=2, penalty=0.3).fit(x[:9], y[:9])  # 15 products, 9 rows
    products = few._products(x[:9]) - few._centre
    system = products.T @ products + 0.3 * np.eye(15)
    assert np.allclose(
        few._coefficients, np.linalg.solve(system, products.T @ (y[:9] - y[:9].mean()))
    )
    assert np.allclose(more.predict(x), doubled.predict(x))


# The module.


ACTIVATIONS = {
    "relu": None,
    "identity": san.identity,
    "top k": functools.partial(san.top_k_absolutes, k=3),
    "extrema": functools.partial(san.extrema, min_distance=4),
    "extrema pool": functools.partial(san.extrema_pool, pool_size=16),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_rows_of_active_units_give_the_same_outputs(name, bias):
    torch.manual_seed(0)
    network = SparseMLP(7, 64, 5, activation=ACTIVATIONS[name], bias=bias).double()
    x = torch.randn(11, 7, dtype=torch.double)
    x[4] = 0  # no unit is active here without a bias
    hidden = x @ network.hidden.weight.T + (network.hidden.bias if bias else 0)
    kept = (ACTIVATIONS[name] or san.relu)(hidden[:, None])[:, 0]
    outputs = kept @ network.rows + (network.bias if bias else 0)
    network.eval()
    with torch.no_grad():
        assert torch.allclose(network(x), outputs, atol=1e-12)
    assert torch.allclose(network(x), outputs, atol=1e-12)
    assert torch.equal(network.active_units(x), (kept != 0).sum(1))


def test_few_units_are_gathered_and_many_are_not(monkeypatch):
    calls = []
    monkeypatch.setattr(SparseMLP, "_gathered", lambda *given: calls.append(1))
    few, many = SparseMLP(7, 64, active=4).eval(), SparseMLP(7, 64, active=40).eval()
    x = torch.randn(3, 7)
    for network in (few, many):
        network(x)  # with gradients
        with torch.no_grad():
            network.train()(x)
            network.eval()(x)
    assert calls == [1]


def test_gradients_reach_both_layers_of_active_units_only():
    torch.manual_seed(0)
    network = SparseMLP(4, 10, active=2)
    x = torch.randn(1, 4)
    network(x).sum().backward()
    on = network.kept(x)[0] != 0
    assert on.sum() == 2
    assert torch.equal(network.hidden.weight.grad.abs().sum(1) > 0, on)
    assert torch.equal(network.rows.grad[:, 0] != 0, on)


def test_weights_that_change_after_eval_count():
    network, x = SparseMLP(4, 32, active=2).eval(), torch.randn(2, 4)
    with torch.no_grad():
        before = network(x)
        network.rows *= 2
        network.bias.zero_()
        assert not torch.allclose(network(x), before)
        assert torch.allclose(network(x), network.kept(x) @ network.rows)
