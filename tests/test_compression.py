"""Fewer nodes: closed forms against sampling, the frames of the theory, and networks of users."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from san.networks import closed_forms, compression, frames
from san.networks.closed_forms import nodes_of
from san.networks.node_choice import select


def network(inputs=6, nodes=24, outputs=3, bias=True, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(inputs, nodes, bias), nn.ReLU(), nn.Linear(nodes, outputs, bias))


def some_inputs(n=400, inputs=6, seed=1):
    return torch.randn(n, inputs, generator=torch.Generator().manual_seed(seed))


def off_diagonal(directions):
    products = directions @ directions.T
    return products[~np.eye(len(products), dtype=bool)]


# The theory.


@pytest.mark.parametrize("seed", range(5))
def test_closed_form_and_sampling_agree(seed):
    generator = np.random.default_rng(seed)
    d, n, m = generator.integers(2, 7), generator.integers(5, 30), generator.integers(1, 5)
    w, a = generator.standard_normal((n, d)), generator.standard_normal(n)
    v, b = generator.standard_normal((m, d)), generator.standard_normal(m)
    x = generator.standard_normal((100_000, d))
    squares = (np.maximum(x @ w.T, 0) @ a - np.maximum(x @ v.T, 0) @ b) ** 2
    error = squares.std() / math.sqrt(len(x))
    exact = closed_forms.population_loss(nodes_of(w, a), nodes_of(v, b))
    assert abs(squares.mean() - exact) < 4 * error


def test_slope_is_the_derivative_of_the_kernel():
    rho, step = np.linspace(-0.99, 0.99, 41), 1e-6
    by_steps = (closed_forms.relu_kernel(rho + step) - closed_forms.relu_kernel(rho - step)) / 2
    assert np.allclose(closed_forms.relu_kernel_slope(rho), by_steps / step, atol=1e-8)


@pytest.mark.parametrize(
    ("nodes", "dimension", "restarts"),
    [(3, 5, 20), (4, 3, 20), (5, 10, 20), (8, 10, 20), (11, 10, 20), (50, 49, 3)],
)
def test_every_search_ends_at_the_simplex(nodes, dimension, restarts):
    for frame in frames.best_frames(nodes, dimension, restarts=restarts):
        form = closed_forms.smallest_form(nodes, dimension)
        ratio = (1 - closed_forms.optimal_loss(nodes, dimension)) / (1 - frame.loss)
        assert abs(form * ratio - form) < 1e-9
        assert np.allclose(off_diagonal(frame.directions), -1 / (nodes - 1), atol=1e-5)


@pytest.mark.parametrize(("nodes", "dimension"), [(10, 5), (16, 6)])
def test_frames_that_add_up_to_zero_reach_the_bound(nodes, dimension):
    frame = frames.best_frames(nodes, dimension, restarts=6)[0]
    assert abs(frame.loss - closed_forms.optimal_loss(nodes, dimension)) < 1e-9
    assert np.allclose(np.abs(off_diagonal(frame.directions)), 1 / 3, atol=1e-5)
    assert np.allclose(frame.directions.sum(0), 0, atol=1e-5)


def test_the_icosahedron_is_an_equiangular_tight_frame_and_not_the_best():
    icosahedron, best = frames.icosahedron(), frames.best_frames(6, 3, restarts=6)[0]
    assert math.isclose(closed_forms.coherence(icosahedron), closed_forms.welch_bound(6, 3))
    assert np.allclose(icosahedron.T @ icosahedron, 2 * np.eye(3))
    signs = np.array(np.meshgrid(*[[1, -1]] * 6)).reshape(6, -1).T
    with_best_signs = min(frames.loss_to_limit(s[:, None] * icosahedron) for s in signs)
    assert round(with_best_signs, 6) == 0.009741
    assert closed_forms.optimal_loss(6, 3) + 5e-4 < best.loss < with_best_signs / 4


def test_the_two_bounds_agree_where_they_meet():
    for d in (2, 3, 7):
        by_simplex = closed_forms.smallest_form(d + 1, d)
        y = 1 / d**2
        even = (math.sqrt(1 - y) + math.sqrt(y) * math.asin(math.sqrt(y))) / (2 * math.pi)
        assert math.isclose(by_simplex, 0.25 / (d + 1) + d / (d + 1) * even)


def test_one_node_is_the_best_that_a_half_line_can_do():
    assert math.isclose(closed_forms.optimal_loss(1, 1), 0.5)  # |x| by max(0, x)
    assert abs(closed_forms.optimal_loss(2, 1)) < 1e-12  # |x| is two half lines


def test_gradients_of_the_search_are_those_of_the_loss():
    generator = np.random.default_rng(3)
    target = nodes_of(generator.standard_normal((9, 4)), generator.standard_normal((9, 2)))
    v = generator.standard_normal((3, 4))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    turn = generator.standard_normal((3, 4))
    turn -= np.sum(turn * v, axis=1, keepdims=True) * v
    for means in (0.0, closed_forms.MEAN_OF_NODE**2):
        _, gradient = frames._explained(v, target, means)

        def along(t, means=means):
            moved = v + t * turn
            moved /= np.linalg.norm(moved, axis=1, keepdims=True)
            return frames._explained(moved, target, means)[0]

        assert math.isclose(
            np.sum(gradient * turn), (along(1e-6) - along(-1e-6)) / 2e-6, rel_tol=1e-6
        )


def test_a_turned_simplex_comes_closer_to_the_optimum_with_more_nodes():
    gaps = []
    for n in (50, 800):
        gap = 0.0
        for seed in range(4):
            generator = np.random.default_rng(seed)
            target = nodes_of(generator.standard_normal((n, 5)), np.ones(n))
            turned = frames.best_rotation(target, frames.simplex(4, 5), seed=seed)
            best = frames.best_directions(target, turned.directions)
            assert best.loss <= turned.loss + 1e-12
            gap += turned.loss - best.loss
        gaps.append(gap)
    assert gaps[1] < gaps[0] * 16**-0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: closed_forms.optimal_loss(0, 3), "at least 1, got 0 nodes, dimension 3"),
        (lambda: closed_forms.welch_bound(3, 0), "at least 1, got 3 nodes, dimension 0"),
        (lambda: closed_forms.coherence([[1.0]]), r"at least two directions, got .*\(1, 1\)"),
        (lambda: nodes_of([[1.0]], [1.0, 2.0]), r"weights must be .* got \(1, 1\) and \(2,\)"),
        (lambda: nodes_of([[math.nan]], [1.0]), "must be finite"),
        (lambda: frames.simplex(5, 3), "2 to 4 directions, got 5"),
        (lambda: frames.best_frames(3, 3, restarts=0), "at least 1, got 3, 3, 0"),
        (
            lambda: closed_forms.population_loss(nodes_of([[1.0]], [1]), nodes_of([[1, 0]], [1])),
            r"same dimension and outputs, got \(1, 1\) and \(2, 1\)",
        ),
    ],
    ids=["loss", "welch", "coherence", "shapes", "NaN", "simplex", "restarts", "pair"],
)
def test_wrong_use_of_the_theory_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# A user's network.


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_a_compressed_network_is_of_the_same_kind(bias):
    large = network(bias=bias)
    before = copy.deepcopy(large.state_dict())
    small = compression.compress(large, 5, some_inputs(), epochs=1)
    assert [type(layer) for layer in small] == [type(layer) for layer in large]
    assert (small[0].out_features, small[2].in_features) == (5, 5)
    assert (small[0].bias is None, small[2].bias is None) == (not bias, not bias)
    assert all(torch.equal(large.state_dict()[name], before[name]) for name in before)


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 40), st.booleans())
@settings(max_examples=40, deadline=None)
def test_refit_never_increases_the_error_on_its_sample(seed, nodes, n, bias):
    large, small = network(seed=seed, bias=bias), network(nodes=nodes, seed=seed + 1, bias=bias)
    with torch.no_grad():
        small[0].weight[-1] = small[0].weight[0]  # two equal nodes, or one
    large, small = large.double(), small.double()
    x = some_inputs(n, seed=seed)
    before = compression.relative_error(large, small, x)
    compression.refit(large, small, x)
    assert compression.relative_error(large, small, x) <= before * (1 + 1e-9)


def test_more_nodes_and_matching_bring_it_closer():
    large, x = network(), some_inputs()
    errors = [
        compression.relative_error(large, compression.compress(large, m, x), x)
        for m in range(2, 24, 3)
    ]
    assert errors == sorted(errors, reverse=True)
    matched = compression.compress(large, 5, x, epochs=30)
    assert compression.relative_error(large, matched, x) < 0.9 * errors[1]


def test_greedy_choice_is_the_one_of_a_plain_loop():
    large, x = network(bias=False, seed=4).double(), some_inputs(60).double()
    hidden = large[:2](x).detach().numpy()
    outputs = large(x).detach().numpy()
    chosen = []
    for _ in range(6):
        left = []
        for node in range(hidden.shape[1]):
            part = hidden[:, [*chosen, node]]
            fitted = part @ np.linalg.lstsq(part, outputs)[0]
            left.append(np.inf if node in chosen else np.sum((fitted - outputs) ** 2))
        chosen.append(int(np.argmin(left)))
    assert select(compression.mean_products(large, x), 6) == chosen


def test_of_equal_nodes_the_lowest_is_chosen_and_none_twice():
    large = network(bias=False)
    with torch.no_grad():
        large[0].weight[7:] = large[0].weight[3]
        large[2].weight[:, 3:] = 1.0
    chosen = select(compression.mean_products(large, some_inputs()), 20)
    assert sorted(chosen[:7]) == [0, 1, 2, 3, 4, 5, 6]
    assert chosen[7:] == [*range(7, 20)]


def test_as_many_nodes_or_more_is_a_copy():
    large, x = network(), some_inputs()
    for nodes in (24, 100):
        same = compression.compress(large, nodes, x, epochs=3)
        assert same is not large
        assert same[0].weight is not large[0].weight
        assert torch.equal(same(x), large(x))


def test_the_seed_decides_the_matching():
    large, x = network(), some_inputs()
    first, again, other = (compression.compress(large, 4, x, epochs=2, seed=s) for s in (0, 0, 1))
    assert torch.equal(first[0].weight, again[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)


@pytest.mark.parametrize("bias", [True, False], ids=["output bias", "no bias"])
def test_without_inputs_everything_is_a_closed_form(bias):
    large = network(nodes=60, bias=bias)
    with torch.no_grad():
        if bias:
            large[0].bias.zero_()
    greedy, moved = (compression.compress(large, 6, epochs=steps) for steps in (0, 300))
    x = some_inputs(20_000)
    sampled = compression.compress(large, 6, x)
    errors = [compression.relative_error(large, small, x) for small in (moved, greedy, sampled)]
    assert errors[0] < 0.9 * errors[1]
    assert errors[1] < 1.05 * errors[2]  # the sample is of the same inputs


def test_the_closed_forms_of_a_network_are_the_limits_of_its_samples():
    large = network(nodes=7)
    with torch.no_grad():
        large[0].bias.zero_()
    exact = compression.mean_products(large)
    sampled = compression.mean_products(large, some_inputs(200_000))
    assert np.allclose(exact.of_nodes, sampled.of_nodes, atol=0.02)
    assert np.allclose(exact.with_outputs, sampled.with_outputs, atol=0.02)


def test_numpy_inputs_of_any_type_are_taken():
    large, x = network(), some_inputs().numpy()
    small = compression.compress(large, 4, x.astype(np.float64))
    assert torch.allclose(small[2].weight, compression.compress(large, 4, x)[2].weight)
    assert small[2].weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: compression.compress(nn.Linear(2, 2), 1), TypeError, "Sequential.*got Linear"),
        (
            lambda: compression.compress(nn.Sequential(nn.Linear(2, 2), nn.Tanh()), 1),
            TypeError,
            "layer 1 must be ReLU, got Tanh",
        ),
        (
            lambda: compression.compress(nn.Sequential(nn.Flatten(), *network()), 1),
            TypeError,
            "layer 0 must be Linear, got Flatten",
        ),
        (
            lambda: compression.compress(network()[:2], 1),
            TypeError,
            "3 layers, Linear, ReLU, Linear, got 2",
        ),
        (lambda: compression.compress(network(), 0, some_inputs()), ValueError, "1 node, got 0"),
        (
            lambda: compression.compress(network(), 1, some_inputs(), epochs=-1),
            ValueError,
            "not be negative, got -1",
        ),
        (lambda: compression.compress(network(), 1), ValueError, "give inputs of the network as x"),
        (
            lambda: compression.compress(network(), 1, some_inputs(inputs=5)),
            ValueError,
            r"shape \(n, 6\) with n > 0, got \(400, 5\)",
        ),
        (
            lambda: compression.compress(network(), 1, some_inputs(0)),
            ValueError,
            r"got \(0, 6\)",
        ),
        (
            lambda: compression.compress(network(), 1, [[0.0] * 6, [math.nan] * 6]),
            ValueError,
            "a NaN or an infinity in row 1",
        ),
        (
            lambda: compression.refit(network(), network(outputs=2), some_inputs()),
            ValueError,
            r"same inputs and outputs, got \(6, 3\) and \(6, 2\)",
        ),
        (
            lambda: select(compression.mean_products(network(), some_inputs()), 99),
            ValueError,
            "1 to 25 nodes, got 99",
        ),
        (
            lambda: compression.relative_error(network(), network(), np.zeros((0, 6))),
            ValueError,
            "at least one input, got none",
        ),
    ],
    ids=[
        "no sequence",
        "another layer",
        "flatten",
        "too short",
        "no nodes",
        "epochs",
        "biases without x",
        "width of x",
        "empty x",
        "NaN",
        "another network",
        "too many to choose",
        "error of nothing",
    ],
)
def test_wrong_use_is_one_line(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
