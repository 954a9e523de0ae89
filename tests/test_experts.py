"""Experts: buckets answer as plain loops do, errors obey the bounds, work is counted."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from san.networks import (
    BucketedRegression,
    EuclideanLSH,
    HypercubeFunction,
    RandomFeatures,
    RandomPolynomial,
    RoutedExperts,
    UniformHash,
)
from san.networks.targets import cube, subspace


def plain_prediction(router, x, y, degree, point):
    """The mean over the tables where the bucket is known, with a fit for this point alone."""
    answers = []
    for own, key in zip(router.buckets(x).T, router.buckets(point[None])[0], strict=True):
        inputs, targets = x[own == key], y[own == key]
        if not len(inputs):
            continue
        answer = targets.mean(0)
        if degree:
            centred = inputs - inputs.mean(0)
            gram = centred.T @ centred
            penalty = np.trace(gram) / x.shape[1] / len(inputs) or 1.0
            right = centred.T @ (targets - answer)
            slope = np.linalg.solve(gram + penalty * np.eye(x.shape[1]), right)
            answer = answer + (point - inputs.mean(0)) @ slope
        answers.append(answer)
    return np.mean(answers, axis=0) if answers else y.mean(0)


@given(st.integers(0, 1), st.integers(1, 3), st.integers(1, 3), st.integers(0, 50))
def test_a_prediction_is_that_of_plain_loops(degree, dimension, tables, seed):
    chance = np.random.default_rng(seed)
    x, y = chance.normal(size=(40, dimension)), chance.normal(size=(40, 2))
    router = EuclideanLSH(dimension, projections=2, width=1.5, tables=tables, seed=seed)
    model = BucketedRegression(router, degree).fit(x, y)
    wanted = chance.normal(size=(10, dimension)) * 2
    expected = [plain_prediction(router, x, y, degree, point) for point in wanted]
    np.testing.assert_allclose(model.predict(wanted), expected, rtol=1e-9, atol=1e-12)
    known = np.stack(
        [
            np.isin(*pair)
            for pair in zip(router.buckets(wanted).T, router.buckets(x).T, strict=True)
        ],
        1,
    )
    assert (model.is_known(wanted) == known).all()


@pytest.mark.parametrize("seed", range(5))
def test_in_one_dimension_the_error_is_at_most_slope_times_diameter(seed):
    x, other = cube(3000, 1, seed), cube(1000, 1, seed + 100)
    target = RandomPolynomial(1, degree=4, seed=seed)
    model = BucketedRegression(EuclideanLSH(1, 2, width=0.2, tables=1, seed=seed)).fit(x, target(x))
    keys = model.router.buckets(np.concatenate([x, other]))[:, 0]
    points = np.concatenate([x, other])[:, 0]
    diameter = max(np.ptp(points[keys == key]) for key in np.unique(keys))
    slope = np.abs(target.gradient(np.linspace(-1, 1, 2001)[:, None])).max()
    known = model.is_known(other)[:, 0]
    error = np.abs(model.predict(other) - target(other))[known]
    assert known.mean() > 0.9 and error.max() <= slope * diameter
    squared = np.mean((model.predict(x) - target(x)) ** 2)
    assert squared <= (slope * diameter) ** 2 / 4


@pytest.mark.parametrize("k", [1, 2])
def test_buckets_that_meet_a_subspace_grow_with_its_dimension(k):
    slopes = []
    for of in (10, 40):
        x = subspace(20000 * k, k, of, seed=k)
        widths = np.array([1.4, 1.0, 0.7, 0.5]) / (4 if k == 1 else 1)
        counts = [
            np.mean(
                [len(np.unique(EuclideanLSH(of, 4 * k, w, seed=s).buckets(x))) for s in range(6)]
            )
            for w in widths
        ]
        slopes.append(np.polyfit(-np.log(widths), np.log(counts), 1)[0])
    assert all(abs(slope - k) <= 0.25 for slope in slopes), slopes
    assert abs(slopes[0] - slopes[1]) <= 0.1, slopes


def test_a_linear_expert_is_worth_more_than_a_constant():
    x, other = cube(4000, 4, 0), cube(1000, 4, 1)
    target = HypercubeFunction(4, seed=0)
    scores = [
        BucketedRegression(EuclideanLSH(4, 4, width=1.5), degree)
        .fit(x, target(x))
        .score(other, target(other))
        for degree in (0, 1)
    ]
    assert 1 - scores[1] < 0.3 * (1 - scores[0])


def test_scikit_learn_takes_it_as_a_regressor():
    pytest.importorskip("sklearn")
    from sklearn.base import clone, is_regressor
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = cube(600, 2, 0)
    y = HypercubeFunction(2, seed=1)(x)
    model = BucketedRegression(EuclideanLSH(2, 2, width=8), degree=1)
    assert is_regressor(model)
    twin = clone(model)
    assert twin is not model and twin.router is not model.router and twin.router.width == 8
    search = GridSearchCV(model, {"router__width": [0.5, 50.0], "degree": [0, 1]}, cv=3).fit(x, y)
    assert search.best_params_ == {"router__width": 0.5, "degree": 1}
    assert (
        cross_val_score(make_pipeline(StandardScaler(), search.best_estimator_), x, y).min() > 0.9
    )


def test_masks_keep_as_many_units_as_they_say():
    x = cube(50, 3, 0)
    dense = RandomFeatures(3, 32, seed=1).hidden(x)
    top = RandomFeatures(3, 32, active=4, mask="top_k", seed=1).hidden(x)
    block = RandomFeatures(3, 32, active=8, mask="hash", seed=1).hidden(x)
    largest = dense.sort(1, descending=True).values[:, :4]
    assert torch.equal(top.sort(1, descending=True).values[:, :4], largest)
    assert int((top > 0).sum(1).max()) == 4
    groups = block.reshape(50, 4, 8).amax(2) > 0
    assert int(groups.sum(1).max()) == 1 and int(groups.any(0).sum()) == 4
    chosen = groups.repeat_interleave(8, 1)
    assert torch.equal(block, dense * chosen)


def test_random_features_learn_several_outputs_as_one_after_the_other():
    x = cube(400, 3, 0)
    y = np.stack([x[:, 0] ** 2, x[:, 1] * x[:, 2]], axis=1)
    both = RandomFeatures(3, 64, active=16, mask="top_k").fit(x, y)
    first = RandomFeatures(3, 64, active=16, mask="top_k").fit(x, y[:, 0])
    np.testing.assert_allclose(both.predict(x)[:, 0], first.predict(x), atol=1e-6)
    assert both.score(x, y) > 0.9 and both.predict(x[:0]).shape == (0, 2)


def test_the_router_chooses_the_largest_shares():
    torch.manual_seed(0)
    model, x = RoutedExperts(4, experts=8, active=3, outputs=2), torch.randn(20, 4)
    shares = model.shares(x)
    every = torch.softmax(model.router(x), 1)
    assert ((shares > 0).sum(1) == 3).all() and torch.allclose(shares.sum(1), torch.ones(20))
    assert torch.equal(shares.topk(3).indices.sort().values, every.topk(3).indices.sort().values)
    answers = model.answers(x).reshape(20, 8, 2)
    plain = sum(shares[:, e, None] * answers[:, e] for e in range(8))
    assert torch.allclose(model(x), plain, atol=1e-6)
    model(x).square().sum().backward()
    assert model.router.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (RandomFeatures(8, 16), (16, 160, 160)),
        (RandomFeatures(8, 1024, 16, "top_k"), (16, 160, 9232)),
        (RandomFeatures(8, 1024, 64, "hash"), (64, 640, 640)),
        (RoutedExperts(8, 64, 1), (1, 9, 521)),
        (RoutedExperts(8, 64, 2), (2, 18, 530)),
        (BucketedRegression(EuclideanLSH(8, 8)), (1, 1, 65)),
        (BucketedRegression(EuclideanLSH(8, 8, tables=4)), (4, 4, 260)),
        (BucketedRegression(EuclideanLSH(8, 8, tables=4), 1), (4, 36, 292)),
    ],
    ids=["dense", "top-k", "hash", "top 1", "top 2", "constant", "4 tables", "linear"],
)
def test_work_is_counted_with_and_without_routing(model, expected):
    if isinstance(model, BucketedRegression):
        model.fit(np.zeros((1, 8)), np.zeros(1))
    assert tuple(model.work())[:3] == expected


@pytest.mark.parametrize("make", [RandomPolynomial, HypercubeFunction])
def test_gradients_are_those_of_differences(make):
    target, x, step = make(3, seed=2), cube(6, 3, 0), 1e-6
    for i, e in enumerate(step * np.eye(3)):
        slope = (target(x + e) - target(x - e)) / (2 * step)
        np.testing.assert_allclose(target.gradient(x)[:, i], slope, atol=1e-8)
    assert target(x[:0]).shape == (0,) and target.gradient(x[:0]).shape == (0, 3)


def test_the_hypercube_function_is_that_of_its_formula():
    target, x = HypercubeFunction(3, seed=4), cube(20, 3, 1)
    total = np.zeros(20)
    for corner in np.ndindex(2, 2, 2):
        signs = 2 * np.array(corner) - 1
        total += target.signs[corner] * ((1 + signs * x) / 2).prod(1)
    np.testing.assert_allclose(target(x), total, atol=1e-12)


HASH = UniformHash(2, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BucketedRegression(HASH, 2).fit([[0, 0]], [0]), "degree must be 0 or 1, got 2"),
        (lambda: BucketedRegression(HASH, 1, -1).fit([[0, 0]], [0]), "at least 0, got -1"),
        (lambda: BucketedRegression(HASH).fit(np.ones((2, 2)), [0]), "lengths above 0, got 2, 1"),
        (lambda: BucketedRegression(HASH).fit(np.ones((0, 2)), []), "lengths above 0, got 0, 0"),
        (lambda: BucketedRegression(HASH).fit([[0, 0]], [np.nan]), "y holds nan in row 0"),
        (lambda: BucketedRegression(HASH).fit([[0]], [0]), r"X must have shape \(n, 2\)"),
        (lambda: BucketedRegression(HASH).predict([[0, 0]]), "is not fitted: call fit first"),
        (lambda: BucketedRegression(HASH).set_params(depth=3), "no parameter 'depth': it has"),
        (lambda: RandomFeatures(2, 8, 3, "hash"), "active must divide the width 8, got 3"),
        (lambda: RandomFeatures(2, 8, 9, "top_k"), "active must be 1 ... 8, got 9"),
        (lambda: RandomFeatures(2, 8, 4), "all units take part, got active=4"),
        (lambda: RandomFeatures(2, 8, mask="best"), "got 'best'"),
        (lambda: RandomFeatures(2, 8, ridge=0), "ridge must be a number above 0, got 0"),
        (lambda: RandomFeatures(2, 8).predict(np.ones((1, 2))), "is not fitted"),
        (lambda: RoutedExperts(2, 4, 5), "active must be 1 ... 4, got 5"),
        (lambda: HypercubeFunction(21), "dimension must be 1 ... 20, got 21"),
        (lambda: RandomPolynomial(0), "at least 1 and degree at least 0, got 0, 4"),
        (lambda: subspace(5, 3, 2), "dimension must be 1 ... 2, got 3"),
    ],
)
def test_wrong_use_ends_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
