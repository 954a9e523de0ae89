"""Training learns, chooses as its protocol says, and depends on nothing but its state."""

import types

import numpy as np
import pytest
import torch

import san
from san import datasets
from san.training.scores import Scores, evaluate
from san.training.settings import Settings, parse_kernel_sizes
from san.training.train import Training, fit


def beats(seed=0, signals=6, samples=300, m=21):
    """Signals that are one motif at random places, and the motif."""
    rng = np.random.default_rng(seed)
    motif = np.hanning(m) * np.sin(np.linspace(0, 3 * np.pi, m))
    x = 0.02 * rng.standard_normal((signals, 1, samples))
    for signal in x:
        for start in range(5, samples - 2 * m, 60):
            at = start + rng.integers(0, 30)
            signal[0, at : at + m] += rng.uniform(1, 2) * motif
    return x.astype(np.float32), motif


def train(settings, x, validation=None):
    training = Training(settings, x, x if validation is None else validation)
    while training.epoch < settings.epochs:
        training.run_epoch()
    return training


@pytest.mark.parametrize("decoder", ["adjoint", "paper"])
def test_the_loss_goes_down(decoder):
    x, _ = beats()
    training = train(Settings(kernel_sizes=(21,), epochs=15, init="normal", decoder=decoder), x)
    losses = [row.training_loss for row in training.history]
    assert losses[-1] < 0.8 * losses[0]
    assert training.history[-1].phi < training.history[0].phi


def test_a_planted_kernel_comes_back():
    x, motif = beats()
    training = train(Settings(kernel_sizes=(21,), epochs=20), x)
    kernel = training.models[0].kernels[0].detach().numpy()[0]
    likeness = np.correlate(kernel, motif, "full") / np.linalg.norm(kernel) / np.linalg.norm(motif)
    assert np.abs(likeness).max() > 0.95


def test_history_has_a_row_per_epoch_and_size():
    x, _ = beats()
    training = train(Settings(kernel_sizes=(5, 9, 21), epochs=3), x)
    assert [(row.epoch, row.kernel_size) for row in training.history] == [
        (epoch, m) for epoch in (1, 2, 3) for m in (5, 9, 21)
    ]


def test_a_size_learns_the_same_alone_and_in_a_sweep():
    x, _ = beats()
    sweep = train(Settings(kernel_sizes=(5, 9, 21), epochs=4), x)
    for m in (5, 9, 21):
        alone = train(Settings(kernel_sizes=(m,), epochs=4), x)
        assert [r for r in sweep.history if r.kernel_size == m] == alone.history


def test_corrected_protocol_keeps_the_best_epoch_and_not_an_alias():
    x, _ = beats()
    settings = Settings(kernel_sizes=(5, 21), epochs=12, learning_rate=0.3)
    training = train(settings, x)  # a step so long that the last epoch is not the best
    result = training.choose(x)
    best = min(training.history, key=lambda row: row.phi)
    assert (result.kernel_size, result.epoch) == (best.kernel_size, best.epoch)
    assert result.epoch < settings.epochs
    assert float(result.scores.phi.mean()) == best.phi  # test split = validation split here
    assert list(result.test_phi) == [result.kernel_size]


def test_published_protocol_takes_the_last_epoch_and_the_test_argmin():
    x, _ = beats()
    other, _ = beats(seed=1)
    settings = Settings(kernel_sizes=(5, 21), epochs=6, learning_rate=0.3, protocol="published")
    training = train(settings, x, validation=x)
    result = training.choose(other)
    assert result.epoch == 6
    assert set(result.test_phi) == {5, 21}
    assert result.test_phi[result.kernel_size] == min(result.test_phi.values())
    last = {row.kernel_size: row.phi for row in training.history if row.epoch == 6}
    assert result.validation_phi == last


def test_a_restored_state_continues_to_the_same_bits():
    x, _ = beats()
    settings = Settings(kernel_sizes=(5, 21), epochs=6, kernels=2)
    whole = train(settings, x)
    part = Training(settings, x, x)
    for _ in range(3):
        part.run_epoch()
    again = Training(settings, x, x)
    again.restore(*part.state())
    while again.epoch < 6:
        again.run_epoch()
    assert again.history == whole.history
    for name, array in whole.state()[0].items():
        np.testing.assert_array_equal(again.state()[0][name], array)


@pytest.mark.parametrize("grow", [False, True], ids=["all kernels", "one at a time"])
def test_run_and_fit_give_the_same_bits_as_a_loop_of_epochs(grow):
    x, _ = beats()
    other, _ = beats(seed=1)
    settings = Settings(kernel_sizes=(5, 21), epochs=4, kernels=2, grow=grow)
    loop = train(settings, x, other)
    training, told = Training(settings, x, other), []
    training.run(told.extend)
    assert told == training.history == loop.history
    for name, array in loop.state()[0].items():
        np.testing.assert_array_equal(training.state()[0][name], array)
    by_loop, by_fit = loop.choose(x), fit(settings, x, other, x)
    assert (by_fit.kernel_size, by_fit.epoch) == (by_loop.kernel_size, by_loop.epoch)
    np.testing.assert_array_equal(by_fit.scores.phi, by_loop.scores.phi)
    for one, same in zip(by_fit.model.kernels, by_loop.model.kernels, strict=True):
        assert torch.equal(one, same)


def test_fit_without_test_signals_scores_the_validation_signals():
    x, _ = beats()
    other, _ = beats(seed=1)
    settings = Settings(kernel_sizes=(9,), epochs=2)
    result = fit(settings, x, other)
    np.testing.assert_array_equal(result.scores.phi, fit(settings, x, other, other).scores.phi)
    assert result.scores.phi.mean() == result.validation_phi[9]


def test_run_trains_the_epochs_that_are_left_of_a_restored_training():
    x, _ = beats()
    settings = Settings(kernel_sizes=(9,), epochs=5)
    whole, part = train(settings, x), Training(settings, x, x)
    part.run(lambda rows: rows[0].epoch < 2)
    assert part.epoch == 2
    again, epochs = Training(settings, x, x), []
    again.restore(*part.state())
    again.run(lambda rows: epochs.append(rows[0].epoch))
    assert epochs == [3, 4, 5] and again.history == whole.history
    again.run(lambda rows: epochs.append(rows[0].epoch))
    assert epochs == [3, 4, 5]


@pytest.mark.parametrize(
    ("answer", "epochs"),
    [(False, 1), (np.bool_(False), 1), (None, 3), (0, 3), (True, 3), ([], 3)],
    ids=repr,
)
def test_only_false_ends_a_training(answer, epochs):
    x, _ = beats()
    training = Training(Settings(kernel_sizes=(9,), epochs=3), x, x)
    training.run(lambda rows: answer)
    assert training.epoch == epochs


def test_state_does_not_change_under_further_training():
    x, _ = beats()
    training = Training(Settings(kernel_sizes=(9,), epochs=2), x, x)
    training.run_epoch()
    arrays, _ = training.state()
    copies = {name: array.copy() for name, array in arrays.items()}
    training.run_epoch()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, copies[name])


def test_a_state_of_other_settings_is_refused():
    x, _ = beats()
    state = train(Settings(kernel_sizes=(9,), epochs=1), x).state()
    with pytest.raises(ValueError, match="does not belong to these settings"):
        Training(Settings(kernel_sizes=(21,), epochs=1), x, x).restore(*state)
    with pytest.raises(ValueError, match="does not belong to these settings"):
        Training(Settings(kernel_sizes=(9, 21), epochs=1), x, x).restore(*state)


def test_seeds():
    x, _ = beats()
    histories = [
        train(Settings(kernel_sizes=(9,), epochs=2, seed=seed, init="normal"), x).history
        for seed in (0, 0, 1)
    ]
    assert histories[0] == histories[1] != histories[2]


def test_steps_are_counted():
    x, _ = beats(signals=5)
    training = Training(Settings(kernel_sizes=(5, 9), batch_size=2), x, x)
    losses = []
    training.run_epoch(losses.append)
    assert len(losses) == training.steps_per_epoch == 3
    assert all(np.isfinite(losses))


def test_several_channels():
    x, _ = beats()
    both = np.concatenate([x, -2 * x], axis=1)
    training = train(Settings(kernel_sizes=(21,), epochs=5), both)
    assert training.models[0].kernels[0].shape == (2, 21)
    result = training.choose(both)
    assert result.scores.phi.mean() < 0.7


def test_images():
    rng = np.random.default_rng(0)
    x = np.kron(rng.random((6, 1, 4, 4)) > 0.7, np.ones((3, 3))).astype(np.float32)
    training = train(Settings(kernel_sizes=(3,), epochs=5, border_tolerance=2, kernels=2), x)
    assert training.history[-1].phi < 1


@pytest.mark.parametrize("activation", ["identity", "relu", "top_k_absolutes", "extrema_pool"])
def test_every_activation_trains(activation):
    x, _ = beats()
    training = train(Settings(activation=activation, kernel_sizes=(9,), epochs=3), x)
    assert training.history[-1].training_loss < training.history[0].training_loss


def test_evaluate_does_not_depend_on_the_batch():
    x, _ = beats()
    model = train(Settings(kernel_sizes=(9,), epochs=1), x).models[0]
    one, all_ = (evaluate(model, torch.from_numpy(x), batch_size=size) for size in (1, 100))
    assert isinstance(one, Scores)
    for a, b in zip(one, all_, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "text, sizes",
    [
        ("74", (74,)),
        (74, (74,)),
        ("1:5", (1, 2, 3, 4)),
        ("10:50:20,7", (10, 30, 7)),
        ([3, "5:7"], (3, 5, 6)),
        ("5,5,4:6", (5, 4)),
    ],
)
def test_kernel_sizes(text, sizes):
    assert parse_kernel_sizes(text) == sizes


@pytest.mark.parametrize("text", ["", "0", "-3", "a", "1:2:3:4", "5:5", "1.5", "1:10:0", []])
def test_wrong_kernel_sizes(text):
    with pytest.raises(ValueError, match="kernel size"):
        parse_kernel_sizes(text)


def test_too_many_kernel_sizes_are_refused_before_they_are_listed():
    with pytest.raises(ValueError, match="at most 100000 kernel sizes"):
        parse_kernel_sizes("1:1000000000000")


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda x: x.__setitem__((0, 0, 3), np.nan), "train signals must not hold NaN or infinity"),
        (lambda x: x.__setitem__((0, 0, 3), np.inf), "train signals must not hold NaN or infinity"),
        (lambda x: x.fill(0), "not all zero"),
    ],
    ids=["nan", "infinity", "zeros"],
)
def test_signals_that_cannot_be_trained_on(change, words):
    x, _ = beats()
    good = x.copy()
    change(x)
    with pytest.raises(ValueError, match=words):
        Training(Settings(kernel_sizes=(9,)), x, good)


def test_divergence_is_named():
    x, _ = beats()
    training = Training(Settings(kernel_sizes=(9,), learning_rate=1e30, epochs=50), x, x)
    with pytest.raises(ValueError, match=r"diverged in epoch .* learning rate below|NaN"):
        for _ in range(50):
            training.run_epoch()


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_a_device_that_is_not_there(device):
    x, _ = beats()
    with pytest.raises(ValueError, match=f"device '{device}' is not there"):
        Training(Settings(kernel_sizes=(9,), device=device), x, x)


# Section 9 of the specification: the published numbers, four seeds.


@pytest.mark.parametrize(
    "record, activation, m, published",
    [
        ("mitdb/100", "extrema_pool", 10, 0.488),
        ("mitdb/100", "top_k_absolutes", 7, 0.592),
        ("mitdb/100", "extrema", 74, 0.797),
        ("emgdb/emg_healthy", "extrema", 7, 0.534),
        ("ctu-uhb-ctgdb/1001", "extrema", 45, 0.570),
    ],
)
def test_published_rows_come_out_again(record, activation, m, published, recordings):
    splits = datasets.load_splits("physionet", record=record, data_dir=recordings)
    phi = []
    for seed in range(4):
        settings = Settings(
            activation=activation,
            kernel_sizes=(m,),
            seed=seed,
            init="normal",
            decoder="paper",
            protocol="published",
        )
        training = train(settings, splits.train.x, splits.validation.x)
        phi.append(training.choose(splits.test.x).test_phi[m])
    assert abs(np.mean(phi) - published) <= 0.02


@pytest.mark.parametrize("decoder", ["adjoint", "paper"])
def test_the_data_start_is_good_with_every_seed(decoder, recordings):
    splits = datasets.load_splits("physionet", record="mitdb/100", data_dir=recordings)
    for seed in range(6):
        settings = Settings(kernel_sizes=(229,), seed=seed, decoder=decoder)
        training = train(settings, splits.train.x, splits.validation.x)
        assert training.choose(splits.test.x).test_phi[229] <= 0.46


SIGNALS = np.random.default_rng(0).standard_normal((4, 1, 100)).astype(np.float32)


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize(
    "shape", [(4, 2, 100), (4, 1, 50), (4, 1, 200), (4, 100), (0, 1, 100), (4, 1, 10, 10)], ids=str
)
def test_signals_of_another_shape_are_refused_in_words(split, shape):
    """Compiled code would read beyond the memory of other channels."""
    x = np.zeros(shape, np.float32)
    words = rf"the {split} signals must have shape \(N, .*got \({', '.join(map(str, shape))}\)"
    splits = {"validation": SIGNALS, "test": SIGNALS} | {split: x}
    with pytest.raises(ValueError, match=words):
        san.fit(san.Settings(kernel_sizes=(5,), epochs=1), SIGNALS, **splits)


@pytest.mark.parametrize(
    ("settings", "train", "words"),
    [
        ({"epochs": 1}, SIGNALS, "settings must be san.Settings, got dict"),
        (san.Settings(), "signals", "the train signals must be an array of real numbers, got str"),
        (san.Settings(), SIGNALS + 1j, "must be an array of real numbers, got ndarray"),
        (san.Settings(), types.SimpleNamespace(x=SIGNALS), "got SimpleNamespace: give its x"),
    ],
    ids=["a dict", "a text", "complex numbers", "a data set"],
)
def test_what_is_no_settings_or_no_signals_is_refused_in_words(settings, train, words):
    with pytest.raises(TypeError, match=words):
        san.fit(settings, train, SIGNALS)
