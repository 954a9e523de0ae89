"""What a SAN does beyond the paper: competing kernels, several passes, refitted amplitudes."""

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_activations import SHAPES_2D, maps

from san import SAN, Settings, Training
from san.activations import competing_extrema, extrema
from san.networks.convolution import DECODERS
from san.networks.refit import refit_amplitudes

SHAPES = st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 25))


@pytest.mark.parametrize("shapes", [SHAPES, SHAPES_2D], ids=["1d", "2d"])
@given(data=st.data())
def test_competing_extrema_equal_their_definition(shapes, data):
    s = data.draw(shapes.flatmap(lambda shape: maps(np.float32, shape)))
    distance = data.draw(st.integers(0, 9))
    ref = np.stack([naive.competing_extrema(one, (distance,) * (s.ndim - 2)) for one in s])
    s = torch.from_numpy(s).requires_grad_()
    kept = competing_extrema(s, distance)
    np.testing.assert_array_equal(kept.detach().numpy(), ref)
    (gradient,) = torch.autograd.grad(kept.sum(), s)
    np.testing.assert_array_equal(gradient.numpy(), ref != 0)


def test_one_map_competes_with_itself_alone():
    s = torch.randn(3, 1, 200)
    assert torch.equal(competing_extrema(s, 7), extrema(s, 7))


@pytest.mark.parametrize(
    "min_distance",
    [np.int64(3), [3], (3,), np.array([3, 3]), torch.tensor([[3], [3]]), [[3], [3]]],
    ids=lambda value: f"{type(value).__name__} {np.shape(value)}",
)
def test_competing_extrema_take_the_distances_that_extrema_take(min_distance):
    s = torch.randn(2, 2, 60, generator=torch.Generator().manual_seed(0))
    extrema(s, min_distance)
    assert torch.equal(competing_extrema(s, min_distance), competing_extrema(s, 3))


@pytest.mark.parametrize(
    ("min_distance", "error", "words"),
    [
        (
            [[3], [4]],
            ValueError,
            r"must have one min_distance, got \[\[3\], \[4\]\]: give one number",
        ),
        (np.array([3, 4]), ValueError, "must have one min_distance, got array"),
        (-1, ValueError, "min_distance must be at least 0, got -1"),
        (1.5, TypeError, "min_distance must be a whole number, or several, got 1.5"),
        ((1, 2), ValueError, r"min_distance must be one number, .* got \(1, 2\)"),
    ],
    ids=str,
)
def test_distances_that_competing_extrema_refuse(min_distance, error, words):
    with pytest.raises(error, match=words):
        competing_extrema(torch.zeros(1, 2, 30), min_distance)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("size", [(60,), (12, 11)], ids=str)
def test_refitted_amplitudes_are_those_that_drew_the_signal(size, decoder):
    """Of a signal that is drawn by events, from wrong amplitudes."""
    torch.manual_seed(0)
    sizes = [5, 4] if len(size) == 1 else [3, 2]
    model = SAN(len(size), sizes, "extrema", [2, 2], channels=2, decoder=decoder)
    alpha = torch.zeros(2, 2, *size)
    where = torch.rand(alpha.shape) < 0.08
    alpha[where] = torch.randn(int(where.sum()))
    x = model.reconstruct(alpha).detach()
    fitted = refit_amplitudes(x, torch.where(where, 9.0, 0.0), list(model.kernels), decoder)
    assert torch.equal(fitted != 0, where)
    assert (model.reconstruct(fitted) - x).abs().mean() < 0.02 * x.abs().mean()


def test_refitting_never_draws_worse_than_least_squares_in_absolute_error():
    torch.manual_seed(0)
    x, kernels = torch.randn(1, 1, 100), [torch.randn(1, 9)]
    alpha = extrema(torch.randn(1, 1, 100), 2)
    errors = []
    for steps in (0, 6):
        model = SAN(1, [9], "extrema", [2])
        model.kernels[0].data = kernels[0]
        fitted = refit_amplitudes(x, alpha, kernels, "adjoint", steps)
        errors.append(float((model.reconstruct(fitted) - x).detach().abs().mean()))
    assert errors[1] <= errors[0]


def test_no_events_no_amplitudes():
    alpha = torch.zeros(2, 1, 30)
    assert torch.equal(
        refit_amplitudes(torch.randn(2, 1, 30), alpha, [torch.ones(1, 3)], "paper"), alpha
    )


@pytest.fixture(scope="module")
def beats():
    """Two shapes at random places, in noise."""
    rng = np.random.default_rng(0)
    shapes = [np.hanning(15), np.gradient(np.hanning(21)) * 5]
    x = 0.02 * rng.standard_normal((6, 1, 300))
    for signal in x:
        for begin in range(10, 260, 40):
            shape = shapes[int(rng.integers(2))]
            signal[0, begin : begin + len(shape)] += shape * rng.uniform(0.7, 1.3)
    return x.astype(np.float32)


def loss_of(model, x):
    return float((model(x).x_hat - x).detach().abs().mean())


def test_more_passes_and_refitting_draw_better(beats):
    x = torch.from_numpy(beats)
    losses = []
    for options in ({}, {"passes": 3}, {"passes": 3, "refit": True}):
        model = SAN(1, [15], "extrema", [12], init="data", data=beats, **options)
        losses.append(loss_of(model, x))
    assert losses[0] > losses[1] > losses[2]


def test_options_survive_saving(tmp_path, beats):
    options = {"passes": 2, "refit": True, "compete": True}
    model = SAN(1, [15, 15], "extrema", [12, 12], init="data", data=beats, **options)
    model.save(tmp_path / "model.safetensors")
    loaded = SAN.load(tmp_path / "model.safetensors")
    assert (loaded.passes, loaded.refit, loaded.compete) == (2, True, True)
    x = torch.from_numpy(beats)
    assert torch.equal(loaded(x).x_hat, model(x).x_hat)
    assert torch.allclose(loaded.decode(loaded.encode(x)), model(x).x_hat, atol=1e-6)


@pytest.mark.parametrize(
    ("activation", "options", "message"),
    [
        ("extrema", {"passes": 0}, "passes must be at least 1, got 0"),
        ("extrema_pool", {"passes": 2}, "need extrema, got extrema_pool"),
        ("top_k_absolutes", {"compete": True}, "need extrema, got top_k_absolutes"),
        ("identity", {"refit": True}, "sparse activations, got identity"),
    ],
    ids=["no pass", "passes", "compete", "refit"],
)
def test_options_that_do_not_fit_are_refused(activation, options, message):
    with pytest.raises(ValueError, match=message):
        SAN(1, [5], activation, [5], **options)


def test_kernels_that_compete_need_one_distance():
    with pytest.raises(ValueError, match="got 2 and 6: give all kernels one size"):
        SAN(1, [5, 9], "extrema", [2, 6], compete=True)


OPTIONS = {
    "annealed": {"anneal": 0.25},
    "grown": {"kernels": 2, "grow": True},
    "competing": {"kernels": 2, "compete": True},
    "passes": {"passes": 2},
    "all": {"kernels": 2, "grow": True, "compete": True, "passes": 2, "refit": True, "anneal": 2.0},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_training_goes_on_from_its_state(beats, options):
    settings = Settings(kernel_sizes=(9, 15), epochs=4, **options)
    whole = Training(settings, beats[:4], beats[4:])
    states = []
    while whole.epoch < 4:
        whole.run_epoch()
        states.append(whole.state())
    for state in states[:3]:
        later = Training(settings, beats[:4], beats[4:])
        later.restore(*state)
        while later.epoch < 4:
            later.run_epoch()
        assert later.history == whole.history
    assert len(whole.choose(beats).model.kernels) == settings.kernels


def test_annealing_begins_with_another_distance_and_ends_with_its_own(beats):
    training = Training(Settings(kernel_sizes=(15,), epochs=3, anneal=0.5), beats[:4], beats[4:])
    assert training._sparsity(training._annealing()) == [(6,)]
    for _ in range(2):
        training.run_epoch()
    assert training._sparsity(training._annealing()) == [(12,)]
    assert training.models[0].sparsity == ((12,),)


def test_only_extrema_have_a_distance_to_anneal(beats):
    settings = Settings(activation="extrema_pool", kernel_sizes=(15,), anneal=0.5)
    with pytest.raises(ValueError, match="anneal needs extrema, got extrema_pool"):
        Training(settings, beats[:4], beats[4:])


def test_the_best_epoch_of_grown_models_has_all_kernels(beats):
    settings = Settings(kernel_sizes=(15,), epochs=4, kernels=2, grow=True)
    training = Training(settings, beats[:4], beats[4:])
    while training.epoch < 4:
        training.run_epoch()
    assert training.choose(beats).epoch > 2
