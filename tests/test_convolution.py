"""Similarity and reconstruction equal their loops, torch's convolutions, and are adjoint."""

import naive
import numpy as np
import pytest
import torch

from san.networks import convolution
from san.networks.convolution import reconstruction, similarity

SHAPES = [  # signals (N, C, *size) and kernel (C, *kernel_size)
    ((1, 1, 1), (1, 1)),
    ((2, 1, 9), (1, 1)),
    ((2, 1, 30), (1, 7)),
    ((2, 1, 30), (1, 8)),
    ((1, 1, 5), (1, 12)),
    ((3, 2, 40), (2, 19)),
    ((2, 1, 6, 7), (1, 3, 3)),
    ((1, 1, 5, 8), (1, 2, 4)),
    ((2, 3, 6, 6), (3, 1, 5)),
    ((1, 1, 3, 4, 5), (1, 2, 3, 2)),
]
ids = [f"{x}*{w}" for x, w in SHAPES]


def draw(*shape, dtype=torch.float64, zeros=0.0):
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(shape, generator=generator, dtype=dtype)
    return x * (torch.rand(shape, generator=generator) >= zeros)


@pytest.mark.parametrize("x_shape, w_shape", SHAPES, ids=ids)
def test_similarity_is_its_definition(x_shape, w_shape):
    x, kernel = draw(*x_shape), draw(*w_shape)
    ref = np.stack([naive.similarity(signal, kernel.numpy()) for signal in x.numpy()])
    np.testing.assert_allclose(similarity(x, kernel).numpy(), ref, atol=1e-12)


@pytest.mark.parametrize("decoder", ["adjoint", "paper"])
@pytest.mark.parametrize("zeros", [0.0, 0.95], ids=["dense", "sparse"])
@pytest.mark.parametrize("x_shape, w_shape", SHAPES, ids=ids)
def test_reconstruction_is_its_definition(x_shape, w_shape, zeros, decoder):
    alpha, kernel = draw(x_shape[0], *x_shape[2:], zeros=zeros), draw(*w_shape)
    oracle = getattr(naive, f"reconstruction_{decoder}")
    ref = np.stack([oracle(map_, kernel.numpy()) for map_ in alpha.numpy()])
    np.testing.assert_allclose(reconstruction(alpha, kernel, decoder).numpy(), ref, atol=1e-12)


@pytest.mark.parametrize("x_shape, w_shape", SHAPES, ids=ids)
def test_adjoint(x_shape, w_shape):
    x, kernel, alpha = draw(*x_shape), draw(*w_shape), draw(x_shape[0], *x_shape[2:])
    one = (similarity(x, kernel) * alpha).sum()
    other = (x * reconstruction(alpha, kernel)).sum()
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("decoder", ["adjoint", "paper"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("zeros", [0.0, 0.95], ids=["dense", "sparse"])
@pytest.mark.parametrize("x_shape, w_shape", SHAPES, ids=ids)
def test_compiled_equals_torch_with_every_gradient(
    x_shape, w_shape, zeros, dtype, decoder, monkeypatch
):
    def values_and_gradients():
        x = draw(*x_shape, dtype=dtype).requires_grad_()
        kernel = draw(*w_shape, dtype=dtype).requires_grad_()
        alpha = draw(x_shape[0], *x_shape[2:], dtype=dtype, zeros=zeros).requires_grad_()
        s, r = similarity(x, kernel), reconstruction(alpha, kernel, decoder)
        weight = draw(*s.shape, dtype=dtype, zeros=zeros)
        loss = (s * weight).sum() + (r * draw(*r.shape, dtype=dtype)).sum()
        return s, r, *torch.autograd.grad(loss, (x, kernel, alpha))

    compiled = values_and_gradients()
    monkeypatch.setattr(convolution, "_is_compiled", lambda tensor: False)
    for ours, theirs in zip(compiled, values_and_gradients(), strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("m", [1, 7, 45, 120, 229])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_equal_patches_have_equal_similarity(m, batch):
    """torch's own convolution and matrix product fail this for most sizes."""
    x = torch.full((batch, 1, 1000), 0.7391)
    s = similarity(x, draw(1, m, dtype=torch.float32))
    inside = s[:, (m - 1) // 2 : 1000 - m // 2]
    assert len(inside.unique()) == 1


def test_a_signal_alone_gives_the_same_bits_as_in_a_batch():
    x, kernel = draw(4, 1, 300, dtype=torch.float32), draw(1, 50, dtype=torch.float32)
    together = similarity(x, kernel)
    assert all(torch.equal(together[n], similarity(x[n : n + 1], kernel)[0]) for n in range(4))


def test_other_float_types_use_torch():
    x, kernel = draw(1, 1, 20, dtype=torch.float32), draw(1, 3, dtype=torch.float32)
    half = similarity(x.bfloat16(), kernel.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), similarity(x, kernel), atol=0.1, rtol=0.1)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: similarity(torch.zeros(2, 9), torch.zeros(1, 3)), r"got \(2, 9\) and \(1, 3\)"),
        (lambda: similarity(torch.zeros(2, 2, 9), torch.zeros(1, 3)), r"got \(2, 2, 9\)"),
        (lambda: reconstruction(torch.zeros(2, 9), torch.zeros(3)), r"got \(2, 9\) and \(3,\)"),
        (lambda: reconstruction(torch.zeros(2, 9), torch.zeros(1, 3), "best"), "got 'best'"),
    ],
    ids=["no channels", "other channels", "kernel", "decoder"],
)
def test_wrong_use(call, words):
    with pytest.raises(ValueError, match=words):
        call()
