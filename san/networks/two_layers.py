"""What a network of two layers is: Linear, ReLU, Linear of torch, its parts, inputs and outputs."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from san.networks.closed_forms import Floats

Inputs = Tensor | ArrayLike


def layers_of(network: nn.Module) -> tuple[nn.Linear, nn.Linear]:
    """The two linear layers of Linear, ReLU, Linear; TypeError that names any other layer."""
    if not isinstance(network, nn.Sequential):
        raise TypeError(
            f"a network must be nn.Sequential(Linear, ReLU, Linear), got {type(network).__name__}"
        )
    expected = (nn.Linear, nn.ReLU, nn.Linear)
    for place, (layer, kind) in enumerate(zip(network, expected, strict=False)):
        if not isinstance(layer, kind):
            raise TypeError(
                f"layer {place} must be {kind.__name__}, got {type(layer).__name__}: give the part "
                "of your network that is Linear, ReLU, Linear"
            )
    if len(network) != len(expected):
        raise TypeError(f"a network must have 3 layers, Linear, ReLU, Linear, got {len(network)}")
    first, second = network[0], network[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    return first, second


def network_of(first: nn.Linear, second: nn.Linear) -> nn.Sequential:
    """The two layers with a ReLU between them."""
    return nn.Sequential(first, nn.ReLU(), second)


def constants(second: nn.Linear) -> int:
    """How many constants the second layer adds up with the nodes: one for a bias."""
    return int(second.bias is not None)


def array(tensor: Tensor) -> Floats:
    """The numbers of a tensor of any float type, on any device."""
    return np.asarray(tensor.detach().cpu().double().numpy())


def second_layer(second: nn.Linear) -> Floats:
    """Weights and bias as (nodes, outputs) or (nodes + 1, outputs)."""
    weights = array(second.weight).T
    return weights if second.bias is None else np.vstack([weights, array(second.bias)])


def checked_inputs(x: Inputs, first: nn.Linear) -> Tensor:
    """Inputs as a tensor; ValueError for another shape, no rows, or numbers that are not finite."""
    inputs = x if isinstance(x, Tensor) else torch.as_tensor(np.asarray(x))
    inputs = inputs.detach()
    if inputs.dim() != 2 or inputs.shape[1] != first.in_features or not len(inputs):
        raise ValueError(
            f"x must have the shape (n, {first.in_features}) with n > 0, got {tuple(inputs.shape)}"
        )
    if not bool(torch.isfinite(inputs).all()):
        row = int((~torch.isfinite(inputs)).any(1).nonzero()[0])
        raise ValueError(f"x must be finite, got a NaN or an infinity in row {row}: remove it")
    return inputs


def check_pair(network: nn.Module, small: nn.Module) -> None:
    """Raise ValueError if two networks have other inputs or outputs."""
    shapes = [(a.in_features, b.out_features) for a, b in (layers_of(network), layers_of(small))]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"both networks must have the same inputs and outputs, got {shapes[0]} and {shapes[1]}"
        )


def said(network: nn.Module, block: Tensor) -> Tensor:
    """The outputs for a block of inputs, in float64 as far as they are the network's."""
    weight = next(network.parameters())
    return network(block.to(weight.device, weight.dtype)).detach().double().cpu()


def hidden_outputs(first: nn.Linear, second: nn.Linear, block: Tensor) -> Floats:
    """The outputs of the hidden nodes in float64, with a 1 at the end if there is a bias."""
    bias = 0 if first.bias is None else array(first.bias)
    hidden = np.maximum(array(block) @ array(first.weight).T + bias, 0)
    return np.pad(hidden, ((0, 0), (0, constants(second))), constant_values=1.0)


def part_of(network: nn.Module, chosen: list[int]) -> nn.Sequential:
    """A network of the chosen nodes with their first and second layer as they are."""
    first, second = layers_of(network)
    kept = nn.Linear(first.in_features, len(chosen), first.bias is not None)
    adds = nn.Linear(len(chosen), second.out_features, second.bias is not None)
    with torch.no_grad():
        kept.weight.copy_(first.weight[chosen])
        adds.weight.copy_(second.weight[:, chosen])
        if first.bias is not None:
            kept.bias.copy_(first.bias[chosen])
        if second.bias is not None:
            adds.bias.copy_(second.bias)
    return network_of(kept, adds).to(first.weight)
