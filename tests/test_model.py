"""The model is its formula, its kernels start as they say, and a file gives the same model."""

import inspect
import json
import struct

import naive
import numpy as np
import pytest
import torch

from san.networks.choices import ACTIVATIONS, sparsity_of
from san.networks.san import SAN, SAN1d, SAN2d

RULES = {"identity": None, "relu": None, "top_k_absolutes": 4, "extrema_pool": 5, "extrema": 3}


def signals(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def make(activation, sizes, dimensions=1, **options):
    return SAN(dimensions, sizes, activation, [RULES[activation]] * len(sizes), **options)


@pytest.mark.parametrize("decoder", ["adjoint", "paper"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "shape, sizes", [((2, 1, 30), [7, 4]), ((2, 3, 30), [5]), ((1, 1, 9, 8), [3, (2, 4)])], ids=str
)
def test_forward_is_the_formula(shape, sizes, activation, decoder):
    x = signals(*shape)
    model = make(activation, sizes, len(shape) - 2, channels=shape[1], decoder=decoder)
    output = model(x)
    draw = getattr(naive, f"reconstruction_{decoder}")
    for n in range(len(x)):
        x_hat = np.zeros(shape[1:])
        for i, w in enumerate(model.kernels):
            s = naive.similarity(x[n].double().numpy(), w.detach().double().numpy())
            np.testing.assert_allclose(output.similarities[n, i].detach(), s, atol=1e-5)
            oracle = getattr(naive, activation)
            rule = RULES[activation]
            arguments = [] if rule is None else [rule]
            if activation in ("extrema", "extrema_pool"):
                arguments = [(rule,) * s.ndim]
            ours = output.similarities[n, i].detach().numpy()
            alpha = oracle(ours, *arguments)
            np.testing.assert_array_equal(output.activations[n, i].detach(), alpha)
            x_hat += draw(alpha.astype(float), w.detach().double().numpy())
        np.testing.assert_allclose(output.x_hat[n].detach(), x_hat, atol=1e-4)


@pytest.mark.parametrize("decoder", ["adjoint", "paper"])
@pytest.mark.parametrize("shape, sizes", [((3, 2, 50), [7, 4]), ((2, 1, 12, 9), [3, 2])], ids=str)
def test_encode_then_decode_is_forward(shape, sizes, decoder):
    model = make("extrema", sizes, len(shape) - 2, channels=shape[1], decoder=decoder)
    x = signals(*shape)
    events = model.encode(x)
    output = model(x)
    assert len(events.amplitude) == int((output.activations != 0).sum())
    torch.testing.assert_close(model.decode(events), output.x_hat.detach())
    for k, n, at, a in zip(
        events.kernel, events.signal, events.position, events.amplitude, strict=True
    ):
        assert output.activations[(n, k, *at)] == a


def test_decode_refuses_events_that_are_not_there():
    model = make("extrema", [5])
    events = model.encode(signals(1, 1, 40))
    events.position[0] = 40
    with pytest.raises(ValueError, match=r"within .* \(1, 1, 40\)"):
        model.decode(events)


def test_gradients_reach_every_kernel():
    model = make("extrema", [9, 4])
    x = signals(2, 1, 60)
    (model(x).x_hat - x).abs().mean().backward()
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in model.kernels)


def test_gradient_is_that_of_torch(monkeypatch):
    """Compiled and torch convolutions give the same gradient through the whole model."""
    from san.networks import convolution

    def gradients():
        model = make("extrema", [9, 4], channels=2)
        x = signals(2, 2, 60)
        (model(x).x_hat - x).abs().mean().backward()
        return [w.grad for w in model.kernels]

    ours = gradients()
    monkeypatch.setattr(convolution, "_is_compiled", lambda tensor: False)
    for one, other in zip(ours, gradients(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torch_compile_gives_the_same_gradient():
    model = make("extrema", [9, 4], channels=2)
    x = signals(2, 2, 60)

    def loss(x):
        return (model(x).x_hat - x).abs().mean()

    torch.compiler.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(loss(x), compiled(x))
    ours, theirs = (torch.autograd.grad(f(x), list(model.kernels)) for f in (loss, compiled))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_torch_export_gives_the_same_model():
    model = make("extrema", [9, 4], channels=2)
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(model, (signals(2, 2, 60),), dynamic_shapes={"x": {0: batch}})
    x = signals(5, 2, 60)
    ours, theirs = model(x), exported.module()(x)
    torch.testing.assert_close(ours.x_hat, theirs.x_hat)
    assert torch.equal(ours.activations != 0, theirs.activations != 0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "convert",
    [
        lambda model, x, path: torch.jit.trace(model, (x,)),
        lambda model, x, path: torch.jit.script(model),
        lambda model, x, path: torch.onnx.export(model, (x,), path, dynamo=False),
    ],
    ids=["trace", "script", "ONNX"],
)
def test_what_has_no_operation_for_the_activations_is_refused(convert, tmp_path):
    model = make("extrema", [9])
    with pytest.raises(NotImplementedError, match=r"use torch\.export\.export\(model, \(x,\)\)"):
        convert(model, signals(1, 1, 60), tmp_path / "model.onnx")


def test_torch_func_over_signals_and_weights():
    model = make("extrema", [9, 4])
    weights = dict(model.named_parameters())
    x = signals(3, 1, 60)

    def loss(weights, x):
        return (torch.func.functional_call(model, weights, (x[None],)).x_hat - x).abs().mean()

    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, x)
    for n in range(3):
        alone = torch.autograd.grad(loss(weights, x[n]), list(weights.values()))
        for name, gradient in zip(weights, alone, strict=True):
            torch.testing.assert_close(gradients[name][n], gradient)


def test_normal_start_is_seeded_and_leaves_global_state_alone():
    before = torch.get_rng_state()
    one, same, other = (make("extrema", [200, 200], seed=seed) for seed in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    for a, b, c in zip(one.kernels, same.kernels, other.kernels, strict=True):
        assert torch.equal(a, b) and not torch.equal(a, c)
    assert not torch.equal(*one.kernels)
    assert 0.08 < one.kernels[0].std() < 0.12


@pytest.mark.parametrize("m", [1, 6, 7, 40])
def test_data_start_puts_the_extremum_in_the_middle(m):
    x = torch.zeros(1, 2, 40)
    x[0, :, 20] = torch.tensor([3.0, -4.0])
    x[0, 0, 18] = 1.0
    kernel = make("extrema", [m], channels=2, init="data", data=x).kernels[0].detach()
    assert kernel.shape == (2, m)
    torch.testing.assert_close(kernel.norm(), torch.tensor(1.0))
    if m < 40:
        assert kernel[1, (m - 1) // 2] < -0.7 and kernel[0, (m - 1) // 2] > 0.5


def test_data_start_of_images_and_of_several_kernels():
    x = torch.zeros(2, 1, 9, 9)
    x[0, 0, 4, 5], x[1, 0, 4, 4], x[1, 0, 3, 4] = 1.0, 5.0, 5.0
    model = make("extrema", [3, 3], 2, init="data", data=x, seed=1)
    starts = sorted((w.detach() != 0).sum().item() for w in model.kernels)
    assert starts == [1, 2]  # each signal served once
    for w in model.kernels:
        assert w[0, 1, 1] > 0


def test_a_data_start_draws_what_it_was_taken_from():
    """One beat, its own kernel: the reconstruction is exact where the adjoint draws."""
    beat = torch.tensor([0.0, 1.0, 4.0, -2.0, 0.0])
    x = torch.zeros(1, 1, 31)
    x[0, 0, 13:18] = beat
    model = make("extrema", [5], init="data", data=x)
    torch.testing.assert_close(model(x).x_hat.detach()[0, 0, 13:18], beat)


@pytest.mark.parametrize(
    "activation, size, shape, tolerance, expected",
    [
        ("top_k_absolutes", 7, (1000,), 3, 142),
        ("top_k_absolutes", 6, (28, 28), 2, 16),
        ("extrema_pool", 10, (1000,), 3, 10),
        ("extrema", 74, (1000,), 3, 71),
        ("extrema", 2, (1000,), 3, 1),
        ("extrema", 6, (28, 28), 2, 4),
        ("extrema", (6, 3), (28, 28), 2, (4, 1)),
        ("relu", 5, (1000,), 3, None),
    ],
)
def test_sparsity_of_the_paper(activation, size, shape, tolerance, expected):
    assert sparsity_of(activation, size, shape, tolerance) == expected


@pytest.mark.parametrize("face", [SAN1d, SAN2d])
def test_faces_take_what_san_takes(face):
    def parameters(kind):
        return [
            (one.name, one.default, one.kind) for one in inspect.signature(kind).parameters.values()
        ]

    assert parameters(face) == parameters(SAN)[1:]
    assert parameters(SAN)[0][0] == "dimensions"


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("face, sizes", [(SAN1d, [7, 4]), (SAN2d, [3, (2, 4)])], ids=["1d", "2d"])
def test_a_file_gives_the_same_model(face, sizes, activation, tmp_path):
    model = face(sizes, activation, [RULES[activation]] * 2, seed=5, decoder="paper")
    model.save(tmp_path / "model.safetensors", notes={"sampling_rate": 360.0})
    again = SAN.load(tmp_path / "model.safetensors")
    x = signals(2, 1, *[20] * model.dimensions)
    assert torch.equal(model(x).x_hat, again(x).x_hat)
    assert repr(again) == repr(model).replace(face.__name__, "SAN")


@pytest.mark.parametrize(
    "fault", ["flipped bit", "cut", "empty", "other file", "description", "shape"]
)
def test_a_corrupt_file_is_refused(fault, tmp_path):
    path = tmp_path / "model.safetensors"
    make("extrema", [7]).save(path)
    content = bytearray(path.read_bytes())
    if fault == "flipped bit":
        content[-3] ^= 16
    elif fault == "cut":
        content = content[:-5]
    elif fault == "empty":
        content = bytearray()
    elif fault == "other file":
        content = bytearray(b"PK\x03\x04 something else altogether")
    path.write_bytes(content)
    if fault in ("description", "shape"):
        from san import storage

        tensors, description = {"kernel_0": np.zeros((1, 7), np.float32)}, {"format": "other"}
        if fault == "shape":
            make("extrema", [7]).save(path)
            _, description = storage.read_tensors(path)
            tensors = {"kernel_0": np.zeros((1, 9), np.float32)}
        storage.write_tensors(path, tensors, description)
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        SAN.load(path)


def test_every_flipped_bit_of_a_file_is_noticed(tmp_path):
    """safetensors alone loads half of such files silently."""
    path = tmp_path / "model.safetensors"
    model = make("extrema", [3])
    model.save(path)
    content = path.read_bytes()
    (header,) = struct.unpack("<Q", content[:8])
    json.loads(content[8 : 8 + header])
    for bit in range(0, 8 * len(content), 5):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            loaded = SAN.load(path)
        except ValueError:
            continue
        assert torch.equal(loaded.kernels[0], model.kernels[0])  # white space of the header


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: SAN1d([5], "sigmoid"), "activation must be one of .* got 'sigmoid'"),
        (lambda: SAN1d([5], "extrema", [2], decoder="x"), "decoder must be one of"),
        (lambda: SAN1d([5], "extrema", [2], init="x"), "init must be one of"),
        (
            lambda: SAN1d([5], "extrema"),
            "one sparsity parameter for each of the 1 kernels, got None",
        ),
        (lambda: SAN1d([], "relu"), "at least one kernel"),
        (lambda: SAN1d([0], "relu"), "positive number"),
        (lambda: SAN2d([(1, 2, 3)], "relu"), "each of 2 axes"),
        (lambda: SAN1d([5], "relu", init="data"), "data is missing"),
        (lambda: SAN1d([5], "relu", init="data", data=torch.zeros(2, 1, 9)), "not all zero"),
        (lambda: SAN1d([50], "relu", init="data", data=torch.ones(2, 1, 9)), "does not fit"),
        (lambda: SAN1d([5], "relu")(torch.zeros(2, 9)), r"got \(2, 9\)"),
        (lambda: SAN1d([5], "relu")(torch.zeros(1, 2, 9)), r"got \(1, 2, 9\)"),
        (lambda: sparsity_of("extrema", 9, (8,)), "between 1 and"),
    ],
)
def test_wrong_use(call, words):
    with pytest.raises(ValueError, match=words):
        call()
