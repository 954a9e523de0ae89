"""How a trained network of two layers becomes one with fewer nodes that says nearly the same.

Four steps, each of which can be called alone: `mean_products` says how the nodes of a network vary
together (over a sample, or in closed form over Gaussian inputs), `select` keeps some of them,
`refit` gives those a new second layer, and training brings the outputs closer ("matching").
`compress` does all of it on a torch module.
"""

import copy
import math

import numpy as np
import torch
from torch import Tensor, nn

from san.networks.closed_forms import MEAN_OF_NODE, Floats, nodes_of, relu_kernel
from san.networks.frames import best_directions
from san.networks.node_choice import Products, select
from san.networks.two_layers import (
    Inputs,
    array,
    check_pair,
    checked_inputs,
    constants,
    hidden_outputs,
    layers_of,
    network_of,
    part_of,
    said,
    second_layer,
)

#: Rows of x that are in float64 at a time.
_BLOCK = 4096
#: How strongly `refit` holds to the present second layer, as a share of the mean square of a node.
#: Large enough to keep digits where nodes are nearly dependent, and far too small to cost accuracy.
_RIDGE = 1e-7
#: Of the training that matches the outputs: inputs per step, and the first rate of Adam. It falls
#: to zero as a cosine does. On MNIST it leaves less error than a constant rate of 0.001.
_BATCH, _RATE = 64, 3e-3


def compress(
    network: nn.Module, nodes: int, x: Inputs | None = None, *, epochs: int = 0, seed: int = 0
) -> nn.Sequential:
    """Return a network of fewer nodes whose outputs are close to those of a trained network.

    With `x`, nodes are chosen one at a time: each time the one that brings the outputs on x closest
    when all second-layer weights are fitted anew. Then both layers can be trained on the outputs of
    the network (no labels), and at last the second layer is fitted once more. Without `x` the
    inputs are taken as independent N(0, 1), and every mean is a closed form.

    Parameters
    ----------
    network : torch.nn.Sequential
        Linear, ReLU, Linear, with or without biases.
    nodes : int
        How many hidden nodes remain, at least 1.
    x : Tensor or array_like, shape (n, inputs), optional
        Inputs of the kind that the network will see. A few thousand are enough to choose nodes.
        Without x the first layer must have no bias, or a bias of zeros.
    epochs : int
        With x: so many rounds of Adam over x that match the outputs. Without: at most so many steps
        of L-BFGS on the exact loss.
    seed : int
        Of the order of x while outputs are matched.

    Returns
    -------
    torch.nn.Sequential
        Linear, ReLU, Linear of `nodes` nodes, with biases where the network has them, of its type
        and on its device. A copy of the network if it has no more than `nodes` nodes. Ties in the
        choice: the lowest index.

    Raises
    ------
    TypeError, ValueError
        If the network has other layers, nodes is below 1, epochs is negative, x has another shape,
        is empty or holds a NaN or an infinity, or x is missing for a network with biases.

    References
    ----------
    The question is that of Amani et al., *Sharp asymptotics on the compression of two-layer neural
    networks*, arXiv 2205.08199. The choice is orthogonal least squares (Chen et al., 1989).

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> network = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 3))
    >>> x = torch.randn(500, 8)
    >>> small = compress(network, 16, x, epochs=5)
    >>> small[0].out_features, relative_error(network, small, x) < 0.1
    (16, True)
    """
    first, second = layers_of(network)
    if nodes < 1:
        raise ValueError(f"a network must have at least 1 node, got {nodes}")
    if epochs < 0:
        raise ValueError(f"epochs must not be negative, got {epochs}")
    inputs = None if x is None else checked_inputs(x, first)
    if inputs is None and first.bias is not None and bool(first.bias.detach().any()):
        raise ValueError(
            "without x the first layer must have no bias: give inputs of the network as x"
        )
    if nodes >= first.out_features:
        return copy.deepcopy(network_of(first, second))
    products = mean_products(network, inputs)
    small = part_of(network, select(products, nodes, fixed=constants(second)))
    if inputs is None:
        fit_gaussian(network, small, epochs)
        return small
    refit(network, small, inputs)
    if epochs:
        match(network, small, inputs, epochs, seed)
        refit(network, small, inputs)
    return small


def relative_error(network: nn.Module, other: nn.Module, x: Inputs) -> float:
    """Return how far the outputs of another network are from those of a network, on a sample.

    Parameters
    ----------
    network, other : torch.nn.Module
        From (n, inputs) to (n, outputs).
    x : Tensor or array_like, shape (n, inputs)
        At least one input.

    Returns
    -------
    float
        The sum of the squared differences over the sum of the squared outputs of `network`: 0 where
        they are equal, 1 for a network that says 0. NaN if `network` says 0 everywhere.

    Raises
    ------
    ValueError
        If x is empty.

    Examples
    --------
    >>> a, b = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    >>> with torch.no_grad():
    ...     _ = a.weight.fill_(2.0), b.weight.fill_(1.0)
    >>> relative_error(a, b, [[1.0], [3.0]])
    0.25
    """
    inputs = x if isinstance(x, Tensor) else torch.as_tensor(np.asarray(x))
    if not len(inputs):
        raise ValueError("the error of a network needs at least one input, got none")
    difference = total = 0.0
    with torch.no_grad():
        for block in inputs.split(_BLOCK):
            theirs, ours = (said(module, block) for module in (network, other))
            difference += float((theirs - ours).square().sum())
            total += float(theirs.square().sum())
    return difference / total if total else math.nan


def mean_products(network: nn.Module, x: Inputs | None = None) -> Products:
    """Return the mean products of the hidden nodes of a network with each other and its outputs.

    Parameters
    ----------
    network : torch.nn.Sequential
        Linear, ReLU, Linear.
    x : Tensor or array_like, shape (n, inputs), optional
        The means are over these inputs, or over independent N(0, 1) in closed form.

    Returns
    -------
    Products
        If the second layer has a bias, the constant 1 counts as one more node, the last.

    Raises
    ------
    TypeError, ValueError
        As `compress`.

    Examples
    --------
    >>> network = nn.Sequential(nn.Linear(1, 2, False), nn.ReLU(), nn.Linear(2, 1, False))
    >>> with torch.no_grad():
    ...     _ = network[0].weight.copy_(torch.tensor([[1.0], [-1.0]])), network[2].weight.fill_(1.0)
    >>> mean_products(network).of_nodes.tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    first, second = layers_of(network)
    if x is None:
        of_nodes = _gaussian_products(first, bool(constants(second)))
    else:
        of_nodes = _sampled_products(first, second, checked_inputs(x, first))
    return Products(of_nodes, of_nodes @ second_layer(second))


def refit(network: nn.Module, small: nn.Module, x: Inputs) -> None:
    """Give a small network the second layer that brings it closest to a network on a sample.

    The squared difference of the outputs is minimised together with a very small pull to the
    present second layer. So the error on x never becomes larger, also where nodes are equal or x is
    short.

    Parameters
    ----------
    network, small : torch.nn.Sequential
        Linear, ReLU, Linear. The second layer of `small` is changed in place.
    x : Tensor or array_like, shape (n, inputs)

    Raises
    ------
    TypeError, ValueError
        As `compress`, and if the two have different inputs or outputs.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    >>> small, x = copy.deepcopy(network), torch.randn(50, 3)
    >>> _ = nn.init.zeros_(small[2].weight)
    >>> refit(network, small, x)
    >>> relative_error(network, small, x) < 1e-6
    True
    """
    first, second = layers_of(small)
    check_pair(network, small)
    inputs = checked_inputs(x, first)
    size = first.out_features + constants(second)
    of_nodes = np.zeros((size, size))
    with_outputs = np.zeros((size, second.out_features))
    for block in inputs.split(_BLOCK):
        hidden = hidden_outputs(first, second, block)
        of_nodes += hidden.T @ hidden
        with_outputs += hidden.T @ said(network, block).cpu().numpy()
    _set_second_layer(second, of_nodes / len(inputs), with_outputs / len(inputs))


def match(network: nn.Module, small: nn.Module, x: Inputs, epochs: int, seed: int = 0) -> None:
    """Train both layers of a small network on the outputs of a network.

    Parameters
    ----------
    network, small : torch.nn.Sequential
        Linear, ReLU, Linear. `small` is changed in place.
    x : Tensor or array_like, shape (n, inputs)
    epochs : int
        Rounds over x, 64 inputs at a time, of Adam on the mean squared difference. Its rate falls
        from 0.003 to zero as a cosine does.
    seed : int
        Of the order of x.

    Raises
    ------
    TypeError, ValueError
        As `compress`, and if the two have different inputs or outputs.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> network = nn.Sequential(nn.Linear(3, 9), nn.ReLU(), nn.Linear(9, 1))
    >>> small, x = compress(network, 4, torch.randn(300, 3)), torch.randn(300, 3)
    >>> before = relative_error(network, small, x)
    >>> match(network, small, x, epochs=20)
    >>> relative_error(network, small, x) < before
    True
    """
    first, _ = layers_of(small)
    check_pair(network, small)
    inputs = checked_inputs(x, first)
    weight = next(network.parameters())
    with torch.no_grad():
        outputs = torch.cat([said(network, block) for block in inputs.split(_BLOCK)])
    size = max(float(outputs.square().mean()), 1e-300)
    targets = outputs.to(weight.device, weight.dtype)
    optimiser = torch.optim.Adam(small.parameters(), lr=_RATE)
    steps = epochs * math.ceil(len(inputs) / _BATCH)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs), generator=generator).split(_BATCH):
            optimiser.zero_grad()
            batch = inputs[rows.to(inputs.device)].to(weight.device, weight.dtype)
            loss = (small(batch) - targets[rows.to(weight.device)]).square().mean() / size
            loss.backward()
            optimiser.step()
            rate.step()


def fit_gaussian(network: nn.Module, small: nn.Module, steps: int = 0) -> None:
    """Bring a small network closest to a network over independent N(0, 1) inputs, in closed form.

    Parameters
    ----------
    network, small : torch.nn.Sequential
        Linear, ReLU, Linear, both without bias in the first layer. `small` is changed in place.
    steps : int
        At most so many steps of L-BFGS move its first layer. The second layer is always fitted.

    Raises
    ------
    TypeError, ValueError
        As `compress`, and if the two have different inputs or outputs.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> network = nn.Sequential(nn.Linear(3, 40, False), nn.ReLU(), nn.Linear(40, 1, False))
    >>> small = compress(network, 4)
    >>> before = relative_error(network, small, torch.randn(10000, 3))
    >>> fit_gaussian(network, small, steps=200)
    >>> relative_error(network, small, torch.randn(10000, 3)) < before
    True
    """
    large, (first, second) = layers_of(network), layers_of(small)
    check_pair(network, small)
    target = nodes_of(array(large[0].weight), array(large[1].weight).T)
    weights = array(first.weight)
    constant = bool(constants(second))
    if steps:
        live = np.linalg.norm(weights, axis=1) > 0
        frame = best_directions(target, weights[live], iterations=steps, constant=constant)
        weights[live] = frame.directions
        with torch.no_grad():
            first.weight.copy_(torch.as_tensor(weights))
    own = nodes_of(weights, np.zeros(len(weights)))
    lengths = np.linalg.norm(weights, axis=1)
    cross = lengths[:, None] * relu_kernel(own.directions @ target.directions.T)
    with_outputs = cross @ target.scales
    bias = np.zeros(second.out_features) if large[1].bias is None else array(large[1].bias)
    means = lengths * MEAN_OF_NODE
    with_outputs += np.outer(means, bias)
    if constant:
        mean = MEAN_OF_NODE * target.scales.sum(0) + bias
        with_outputs = np.concatenate([with_outputs, mean[None]])
    _set_second_layer(second, _gaussian_products(first, constant), with_outputs)


def _sampled_products(first: nn.Linear, second: nn.Linear, inputs: Tensor) -> Floats:
    size = first.out_features + constants(second)
    total = np.zeros((size, size))
    for block in inputs.split(_BLOCK):
        hidden = hidden_outputs(first, second, block)
        total += hidden.T @ hidden
    return np.asarray(total / len(inputs))


def _gaussian_products(first: nn.Linear, constant: bool) -> Floats:
    weights = array(first.weight)
    directions = nodes_of(weights, np.zeros(len(weights))).directions
    lengths = np.linalg.norm(weights, axis=1)
    products = np.outer(lengths, lengths) * relu_kernel(directions @ directions.T)
    if not constant:
        return products
    means = lengths * MEAN_OF_NODE
    return np.block([[products, means[:, None]], [means, 1.0]])


def _set_second_layer(second: nn.Linear, of_nodes: Floats, with_outputs: Floats) -> None:
    """Minimise the mean squared difference, held to the present layer by a very small weight."""
    present = second_layer(second)
    pull = _RIDGE * (float(of_nodes.diagonal().mean()) or 1.0)  # all nodes may be silent
    change = np.linalg.solve(
        of_nodes + pull * np.eye(len(of_nodes)), with_outputs - of_nodes @ present
    )
    fitted = present + change
    with torch.no_grad():
        second.weight.copy_(torch.as_tensor(fitted[: second.in_features].T))
        if second.bias is not None:
            second.bias.copy_(torch.as_tensor(fitted[-1]))
