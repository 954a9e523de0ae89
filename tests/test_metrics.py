"""Each measure equals its formula; edge cases are those that its docstring states."""

import math

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from san import metrics

FLOATS = st.floats(-1e6, 1e6, width=32)


@given(
    x=hnp.arrays(np.float32, (3, 1, 7), elements=FLOATS),
    x_hat=hnp.arrays(np.float32, (3, 1, 7), elements=FLOATS),
)
def test_normalized_loss_is_its_definition(x, x_hat):
    out = metrics.normalized_loss(x, x_hat)
    assert out.shape == (3,) and out.dtype == np.float64
    for n in range(3):
        if x[n].any():
            assert out[n] == pytest.approx(naive.normalized_loss(x[n], x_hat[n]), rel=1e-12)
        else:
            assert out[n] == (math.inf if x_hat[n].any() else 0)


@pytest.mark.parametrize(
    "shape, sizes, weights, counted",
    [
        ((2, 1, 1000), [74], "all", 74),
        ((2, 2, 178), [8, 15], "all", 23),
        ((1, 2, 28, 28), [6, 6], "all", 72),
        ((1, 2, 28, 28), [6, 6], "published", 12),
        ((1, 2, 28, 28), [(6, 3), (2, 4)], "all", 26),
        ((1, 2, 28, 28), [(6, 3), (2, 4)], "published", 8),
    ],
    ids=["1d", "two kernels", "2d", "2d published", "oblong", "oblong published"],
)
def test_inverse_compression_ratio_is_its_definition(shape, sizes, weights, counted):
    rng = np.random.default_rng(1)
    alpha = rng.standard_normal(shape) * (rng.random(shape) < 0.1)
    out = metrics.inverse_compression_ratio(alpha, sizes, counted_weights=weights)
    samples, dimensions = math.prod(shape[2:]), len(shape) - 2
    for n in range(shape[0]):
        events = sum(1 for value in alpha[n].ravel() if value != 0)
        ref = naive.inverse_compression_ratio(samples, counted, events, dimensions)
        assert out[n] == pytest.approx(ref, rel=1e-12)


def test_published_count_of_the_worst_case():
    """MNIST, top-k, m = 6 is printed as 0.14; counting every weight gives 0.21."""
    alpha = np.zeros((1, 2, 28, 28))
    alpha[0, :, :4, :4] = 1
    published = metrics.inverse_compression_ratio(alpha, [6, 6], counted_weights="published")
    assert round(float(published[0]), 2) == 0.14
    assert round(float(metrics.inverse_compression_ratio(alpha, [6, 6])[0]), 2) == 0.21


def test_identity_in_one_dimension_costs_two_numbers_a_sample():
    ratio = metrics.inverse_compression_ratio(np.ones((1, 1, 1000)), [7])
    assert ratio[0] == 2 + 7 / 1000


def test_channels_share_events_and_pay_for_their_own_kernels():
    alpha = np.zeros((1, 1, 100))
    alpha[0, 0, [3, 50]] = 1
    ratio = metrics.inverse_compression_ratio(alpha, [10], channels=3)
    assert ratio[0] == (3 * 10 + 2 * 2) / 300


def test_phi():
    assert metrics.phi([0.3, 1.0], [0.4, 0.0]).tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    "function, expected",
    [(metrics.prd, 20.0), (metrics.prdn, 100 * math.sqrt(2)), (metrics.max_abs_error, 1.0)],
)
def test_errors_of_one_signal_and_of_several(function, expected):
    x, y = np.array([3.0, 4.0]), np.array([3.0, 3.0])
    assert function(x, y) == pytest.approx(expected)
    assert isinstance(function(x, y), float)
    assert function(np.stack([x, x]), np.stack([y, x])) == pytest.approx([expected, 0.0])


def test_offset_changes_prd_and_not_prdn():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(100)
    y = x + 0.1 * rng.standard_normal(100)
    assert metrics.prdn(x + 1024, y + 1024) == pytest.approx(metrics.prdn(x, y), rel=1e-6)
    assert metrics.prd(x + 1024, y + 1024) < metrics.prd(x, y) / 100


def test_snr_is_prdn_in_decibels():
    assert metrics.snr([1.0, -1.0], [0.9, -0.9]) == pytest.approx(20.0)
    assert metrics.snr([1.0, -1.0], [1.0, -1.0]) == math.inf


def test_snr_of_several_signals_is_one_value_for_each():
    x = np.array([[1.0, -1.0], [1.0, -1.0], [2.0, -2.0]])
    found = metrics.snr(x, x * np.array([[0.9], [1.0], [0.99]]))
    assert found == pytest.approx([20.0, math.inf, 40.0])
    one = metrics.snr(x[:1], 0.9 * x[:1])
    assert isinstance(one, np.ndarray) and one == pytest.approx([20.0])


@pytest.mark.parametrize(
    "function, expected",
    [
        (metrics.normalized_loss, 0.0),
        (metrics.prd, 0.0),
        (metrics.prdn, 0.0),
        (metrics.snr, math.inf),
        (metrics.max_abs_error, 0.0),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_signals_without_samples_have_no_error(function, expected):
    alone = function([], [])
    assert isinstance(alone, float) and alone == expected
    assert function(np.zeros((2, 0)), np.zeros((2, 0))).tolist() == [expected, expected]
    assert function(np.zeros((0, 5)), np.zeros((0, 5))).tolist() == []


def test_a_loss_of_one_number_is_an_array_of_one():
    assert metrics.loss_ratio(1.0, 4.0).tolist() == [0.25]
    assert metrics.loss_ratio(0.0, 0.0).tolist() == [0.0]


@pytest.mark.parametrize("function", [metrics.prd, metrics.prdn, metrics.normalized_loss])
def test_zero_over_zero_is_zero(function):
    assert function([0.0, 0.0], [0.0, 0.0]) == 0
    assert function([0.0, 0.0], [0.0, 1.0]) == math.inf
    assert function(np.zeros((0, 5)), np.zeros((0, 5))).shape == (0,)


def test_integers_do_not_overflow():
    x = np.array([-30000, 30000], np.int16)
    assert metrics.max_abs_error(x, -x) == 60000


def test_tensors_are_taken_as_arrays():
    assert metrics.prd(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 3.0])) == pytest.approx(20.0)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: metrics.prd([1.0], [1.0, 2.0]), r"got \(1,\) and \(2,\)"),
        (lambda: metrics.prd(3.0, 3.0), r"same shape, got \(\) and \(\)"),
        (lambda: metrics.max_abs_error(3.0, [3.0]), r"same shape, got \(\) and \(1,\)"),
        (lambda: metrics.inverse_compression_ratio(np.ones((1, 2, 5)), [3]), r"\(N, 1, \*size\)"),
        (
            lambda: metrics.inverse_compression_ratio(np.ones((1, 2)), [3, 3]),
            r"\(N, 2, \*size\) for 2 kernels, got \(1, 2\)",
        ),
        (
            lambda: metrics.inverse_compression_ratio(
                np.ones((1, 1, 5)), [3], counted_weights="some"
            ),
            "got 'some'",
        ),
    ],
    ids=["shapes", "numbers", "a number", "kernels", "no spatial axis", "weights"],
)
def test_wrong_use(call, words):
    with pytest.raises(ValueError, match=words):
        call()
