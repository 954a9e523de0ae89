"""A bank learns what each of its models learns alone, by torch's gradients, bit for bit."""

import numpy as np
import pytest
import torch

from san import metrics
from san.networks import bank as bank_module
from san.networks.bank import Bank
from san.networks.choices import ACTIVATIONS, sparsity_of
from san.networks.san import SAN
from san.training.settings import Settings
from san.training.train import Training

CASES = {  # signals, kernel sizes of the models, kernels per model
    "1d": ((3, 1, 90), [5, 8, 31, 90], 1),
    "1d, two kernels": ((2, 1, 90), [5, 8, 31], 2),
    "1d, three channels": ((2, 3, 60), [4, 9], 1),
    "1d, several sizes in a model": ((2, 2, 60), [(4, 9), (31, 5)], 1),
    "one sample": ((2, 1, 1), [1], 1),
    "2d": ((3, 1, 14, 11), [1, 3, 4], 2),
    "2d, two channels": ((2, 2, 9, 12), [2, 5], 1),
}


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def make(case, activation="extrema", decoder="adjoint"):
    """Signals, models and their bank; models differ in size and seed."""
    shape, sizes, kernels = CASES[case]
    models = [
        SAN(
            len(shape) - 2,
            of_model,
            activation,
            [sparsity_of(activation, m, shape[2:]) for m in of_model],
            channels=shape[1],
            decoder=decoder,
            seed=of_model[0],
        )
        for of_model in [m if isinstance(m, tuple) else (m,) * kernels for m in sizes]
    ]
    return draw(*shape), models, Bank(models, shape[2:])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("case", CASES)
def test_memory_that_is_used_again_holds_nothing_over(case, activation):
    x, _, bank = make(case, activation)
    alone = make(case, activation)[2].losses_and_gradient(x[:1])
    first = bank.losses_and_gradient(x)
    kept = first[0].copy(), first[1].clone()
    for ours, theirs in zip(bank.losses_and_gradient(x[:1]), alone, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, before in zip(first, kept, strict=True):
        np.testing.assert_array_equal(ours, before)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("case", CASES)
def test_memory_is_written_before_it_is_read(case, activation, monkeypatch):
    x, _, clean = make(case, activation)
    memory = Bank._memory

    def dirty(self, name, size, kind=np.float32):
        part = memory(self, name, size, kind)
        part.fill(np.nan if kind is np.float32 else -7)
        return part

    monkeypatch.setattr(Bank, "_memory", dirty)
    ours = make(case, activation)[2].losses_and_gradient(x)
    monkeypatch.undo()
    for one, other in zip(ours, clean.losses_and_gradient(x), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("decoder", ["adjoint", "paper"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients_are_those_of_the_models(case, activation, decoder):
    x, models, bank = make(case, activation, decoder)
    losses, gradient = bank.losses_and_gradient(x)
    shares = iter(gradient.split([w.numel() for model in models for w in model.kernels]))
    exact = activation not in ("identity", "relu")  # dense sums are formed in another order
    for loss, model in zip(losses, models, strict=True):
        ref = (model(x).x_hat - x).abs().mean()
        assert loss == pytest.approx(ref.item(), rel=1e-6)
        for ref_gradient in torch.autograd.grad(ref, list(model.kernels)):
            ours = next(shares).view(ref_gradient.shape)
            if exact:
                assert torch.equal(ours, ref_gradient)
            else:
                torch.testing.assert_close(ours, ref_gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("decoder", ["adjoint", "paper"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("case", CASES)
def test_scores_are_those_of_the_models(case, activation, decoder):
    x, models, bank = make(case, activation, decoder)
    events, errors = bank.scores(x)
    for k, model in enumerate(models):
        output = model(x)
        count = (output.activations != 0).flatten(1).sum(1)
        np.testing.assert_array_equal(events[k], count.numpy())
        loss = metrics.normalized_loss(x, output.x_hat.detach())
        np.testing.assert_allclose(
            errors[k] / np.abs(x.double().numpy()).reshape(len(x), -1).sum(1), loss
        )


@pytest.mark.parametrize("decoder", ["adjoint", "paper"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("case", CASES)
def test_the_pass_of_torchs_convolutions_agrees(case, activation, decoder):
    """What runs on other devices; its similarities differ in their last bits."""
    x, _, bank = make(case, activation, decoder)
    losses, gradient = bank._torch_losses_and_gradient(x)
    ref_losses, ref_gradient = bank.losses_and_gradient(x)
    np.testing.assert_allclose(losses, ref_losses, rtol=1e-5)
    torch.testing.assert_close(gradient, ref_gradient, rtol=1e-3, atol=1e-5)
    events, errors = bank._torch_scores(x)
    ref_events, ref_errors = bank.scores(x)
    np.testing.assert_array_equal(events, ref_events)
    np.testing.assert_allclose(errors, ref_errors, rtol=1e-5)


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("case", CASES)
def test_threads_change_nothing(case, threads, monkeypatch):
    x, _, bank = make(case)
    before = torch.get_num_threads()
    ref = bank.losses_and_gradient(x), bank.scores(x)
    monkeypatch.setattr(bank_module, "MULTIPLICATIONS_PER_THREAD", 1)
    torch.set_num_threads(threads)
    try:
        out = bank.losses_and_gradient(x), bank.scores(x)
    finally:
        torch.set_num_threads(before)
    for (a, b), (c, d) in zip(ref, out, strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


def train_alone(settings, m, x):
    """The loop of a textbook: one model, torch's gradients, Adam."""
    size = x.shape[2:]
    sparsity = sparsity_of(settings.activation, m, size, settings.border_tolerance)
    model = SAN(
        len(size),
        [m] * settings.kernels,
        settings.activation,
        [sparsity] * settings.kernels,
        decoder=settings.decoder,
        init=settings.init,
        data=x,
        seed=settings.seed,
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    for epoch in range(settings.epochs):
        order = torch.Generator().manual_seed(settings.seed * 1_000_003 + epoch)
        for batch in torch.randperm(len(x), generator=order).split(settings.batch_size):
            optimizer.zero_grad()
            (model(x[batch]).x_hat - x[batch]).abs().mean().backward()
            optimizer.step()
    return model


@pytest.mark.parametrize("decoder", ["adjoint", "paper"])
@pytest.mark.parametrize("init", ["data", "normal"])
@pytest.mark.parametrize("activation", ["extrema", "extrema_pool", "top_k_absolutes"])
@pytest.mark.parametrize("kernels", [1, 2])
def test_a_sweep_is_each_size_trained_alone(activation, init, decoder, kernels):
    x = draw(6, 1, 200).cumsum(2)
    x = (x - x.mean(2, keepdim=True)) / x.std(2, keepdim=True)
    settings = Settings(
        activation=activation,
        kernel_sizes=(3, 10, 31, 64),
        kernels=kernels,
        epochs=10,
        init=init,
        decoder=decoder,
        protocol="published",
    )
    training = Training(settings, x.numpy(), x.numpy())
    while training.epoch < settings.epochs:
        training.run_epoch()
    training.choose(x.numpy())
    for m, model in zip(settings.kernel_sizes, training.models, strict=True):
        alone = train_alone(settings, m, x)
        for ours, ref in zip(model.kernels, alone.kernels, strict=True):
            torch.testing.assert_close(ours, ref, rtol=0, atol=0)


def test_store_brings_the_weights_back():
    _, models, bank = make("1d, two kernels")
    bank.weights += 1
    before = [w.detach().clone() for model in models for w in model.kernels]
    bank.store()
    for w, former in zip((w for m in models for w in m.kernels), before, strict=True):
        torch.testing.assert_close(w.detach(), former + 1)


def test_a_similarity_that_is_no_number():
    x, _, bank = make("1d")
    bank.weights[3] = float("nan")
    with pytest.raises(ValueError, match="no longer a number"):
        bank.losses_and_gradient(x)


def test_signals_go_to_the_device_once():
    """What moves in an epoch is smaller than the signals: an order, and one number per model."""
    x = draw(6, 1, 90).numpy()
    settings = Settings(activation="extrema", kernel_sizes=(5, 8), epochs=3, batch_size=2)
    training = Training(settings, x, x[:2])
    training._bank.kind_of_pass = "torch"  # that of a GPU
    training.run_epoch()
    moved = []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            made = function(*args, **(kwargs or {}))
            if function.__name__ in ("to", "cuda", "from_numpy", "tensor", "as_tensor"):
                moved.append(made.numel())
            return made

    with Watch():
        training.run_epoch()
    assert moved
    assert sum(moved) < x[0].size
