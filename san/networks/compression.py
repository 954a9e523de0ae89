"""How a trained network of two layers becomes one with fewer nodes that says nearly the same.

Four steps, each of which can be called alone: `mean_products` says how the nodes of a network vary
together (over a sample, or in closed form over Gaussian inputs), `select` keeps some of them,
`refit` gives those a new second layer, and training brings the outputs closer ("matching").
`compress` does all of it on a torch module.
"""

import copy
import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from san.networks.closed_forms import MEAN_OF_NODE, Floats, nodes_of, relu_kernel
from san.networks.frames import best_directions

Inputs = Tensor | ArrayLike

#: Rows of x that are in float64 at a time.
_BLOCK = 4096
#: A node that others explain but for this share of its mean square is not worth a place.
_DEPENDENT = 1e-10
#: Gains that differ by less than this share are ties: two equal nodes differ by rounding.
_TIE = 1e-10
#: How strongly `refit` holds to the present second layer, as a share of the mean square of a node.
#: Large enough to keep digits where nodes are nearly dependent, and far too small to cost accuracy.
_RIDGE = 1e-7
#: Of the training that matches the outputs: inputs per step, and the first rate of Adam. It falls
#: to zero as a cosine does. On MNIST it leaves less error than a constant rate of 0.001.
_BATCH, _RATE = 64, 3e-3


class Products(NamedTuple):
    """Means over the inputs of products of nodes, and of nodes with the outputs."""

    of_nodes: Floats  # (N, N), or (N + 1, N + 1): the last one is the constant 1
    with_outputs: Floats  # (N, outputs) or (N + 1, outputs)


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
    first, second = _layers(network)
    if nodes < 1:
        raise ValueError(f"a network must have at least 1 node, got {nodes}")
    if epochs < 0:
        raise ValueError(f"epochs must not be negative, got {epochs}")
    inputs = None if x is None else _checked_inputs(x, first)
    if inputs is None and first.bias is not None and bool(first.bias.detach().any()):
        raise ValueError(
            "without x the first layer must have no bias: give inputs of the network as x"
        )
    if nodes >= first.out_features:
        return copy.deepcopy(_sequence(first, second))
    products = mean_products(network, inputs)
    small = _part_of(first, second, select(products, nodes, fixed=_constants(second)))
    if inputs is None:
        fit_gaussian(network, small, epochs)
        return small
    refit(network, small, inputs)
    if epochs:
        _match(network, small, inputs, epochs, seed)
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
            theirs, ours = (_said(module, block) for module in (network, other))
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
    first, second = _layers(network)
    if x is None:
        of_nodes = _gaussian_products(first, bool(_constants(second)))
    else:
        of_nodes = _sampled_products(first, second, _checked_inputs(x, first))
    return Products(of_nodes, of_nodes @ _second_layer(second))


def select(products: Products, nodes: int, *, fixed: int = 0) -> list[int]:
    """Choose nodes one at a time, each the one after which the best fit of the outputs is closest.

    Parameters
    ----------
    products : Products
        See `mean_products`.
    nodes : int
        How many.
    fixed : int
        So many of the last nodes, such as the constant, are there in any case and not counted.

    Returns
    -------
    list of int
        In the order of their choice. Ties: the lowest index. If fewer nodes are independent of each
        other, the lowest of the others fill the places.

    Raises
    ------
    ValueError
        If nodes is below 1 or larger than the number of nodes.

    Examples
    --------
    >>> products = Products(np.diag([1.0, 1.0, 4.0]), np.array([[1.0], [3.0], [4.0]]))
    >>> select(products, 2)
    [1, 2]
    """
    of_nodes, known = products.of_nodes, len(products.of_nodes) - fixed
    if not 1 <= nodes <= known:
        raise ValueError(f"one can choose 1 to {known} nodes, got {nodes}")
    left = of_nodes.diagonal().copy()  # of each node's mean square, what the chosen do not explain
    towards = products.with_outputs.copy()  # the same of its products with the outputs
    columns = np.zeros((len(left), nodes + fixed))
    free = np.ones(len(left), dtype=bool)
    floor = _DEPENDENT * of_nodes.diagonal()
    chosen: list[int] = []
    for step in range(nodes + fixed):
        gain = np.zeros(len(left))
        able = free & (left > floor)
        np.divide(np.sum(towards**2, axis=1), left, out=gain, where=able)
        gain[known:] = 0
        best = known + step if step < fixed else _first_largest(gain)
        if step >= fixed and not gain[best] > 0:
            rest = np.flatnonzero(free[:known])[: nodes - len(chosen)]
            return [*chosen, *(int(node) for node in rest)]
        free[best] = False
        if step >= fixed:
            chosen.append(best)
        root = math.sqrt(left[best])
        column = (of_nodes[:, best] - columns[:, :step] @ columns[best, :step]) / root
        columns[:, step] = column
        left -= column**2
        towards -= np.outer(column, towards[best] / root)
    return chosen


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
    first, second = _layers(small)
    _check_pair(network, small)
    inputs = _checked_inputs(x, first)
    size = first.out_features + _constants(second)
    of_nodes = np.zeros((size, size))
    with_outputs = np.zeros((size, second.out_features))
    for block in inputs.split(_BLOCK):
        hidden = _hidden(first, second, block)
        of_nodes += hidden.T @ hidden
        with_outputs += hidden.T @ _said(network, block).cpu().numpy()
    _set_second_layer(second, of_nodes / len(inputs), with_outputs / len(inputs))


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
    large, (first, second) = _layers(network), _layers(small)
    _check_pair(network, small)
    target = nodes_of(_array(large[0].weight), _array(large[1].weight).T)
    weights = _array(first.weight)
    constant = bool(_constants(second))
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
    bias = np.zeros(second.out_features) if large[1].bias is None else _array(large[1].bias)
    means = lengths * MEAN_OF_NODE
    with_outputs += np.outer(means, bias)
    if constant:
        mean = MEAN_OF_NODE * target.scales.sum(0) + bias
        with_outputs = np.concatenate([with_outputs, mean[None]])
    _set_second_layer(second, _gaussian_products(first, constant), with_outputs)


def _layers(network: nn.Module) -> tuple[nn.Linear, nn.Linear]:
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


def _sequence(first: nn.Linear, second: nn.Linear) -> nn.Sequential:
    return nn.Sequential(first, nn.ReLU(), second)


def _constants(second: nn.Linear) -> int:
    """How many constants the second layer adds up with the nodes: one for a bias."""
    return int(second.bias is not None)


def _array(tensor: Tensor) -> Floats:
    return tensor.detach().cpu().numpy().astype(float)


def _second_layer(second: nn.Linear) -> Floats:
    """Weights and bias as (nodes, outputs) or (nodes + 1, outputs)."""
    weights = _array(second.weight).T
    return weights if second.bias is None else np.vstack([weights, _array(second.bias)])


def _checked_inputs(x: Inputs, first: nn.Linear) -> Tensor:
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


def _check_pair(network: nn.Module, small: nn.Module) -> None:
    shapes = [(a.in_features, b.out_features) for a, b in (_layers(network), _layers(small))]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"both networks must have the same inputs and outputs, got {shapes[0]} and {shapes[1]}"
        )


def _said(network: nn.Module, block: Tensor) -> Tensor:
    """The outputs for a block of inputs, in float64 as far as they are the network's."""
    weight = next(network.parameters())
    return network(block.to(weight.device, weight.dtype)).detach().double().cpu()


def _hidden(first: nn.Linear, second: nn.Linear, block: Tensor) -> Floats:
    """The outputs of the hidden nodes in float64, with a 1 at the end if there is a bias."""
    bias = 0 if first.bias is None else _array(first.bias)
    hidden = np.maximum(_array(block) @ _array(first.weight).T + bias, 0)
    return np.pad(hidden, ((0, 0), (0, _constants(second))), constant_values=1.0)


def _sampled_products(first: nn.Linear, second: nn.Linear, inputs: Tensor) -> Floats:
    size = first.out_features + _constants(second)
    total = np.zeros((size, size))
    for block in inputs.split(_BLOCK):
        hidden = _hidden(first, second, block)
        total += hidden.T @ hidden
    return np.asarray(total / len(inputs))


def _gaussian_products(first: nn.Linear, constant: bool) -> Floats:
    weights = _array(first.weight)
    directions = nodes_of(weights, np.zeros(len(weights))).directions
    lengths = np.linalg.norm(weights, axis=1)
    products = np.outer(lengths, lengths) * relu_kernel(directions @ directions.T)
    if not constant:
        return products
    means = lengths * MEAN_OF_NODE
    return np.block([[products, means[:, None]], [means, 1.0]])


def _first_largest(gain: Floats) -> int:
    return int(np.flatnonzero(gain >= gain.max() * (1 - _TIE))[0])


def _part_of(first: nn.Linear, second: nn.Linear, chosen: list[int]) -> nn.Sequential:
    """A network of the chosen nodes with their first and second layer as they are."""
    kept = nn.Linear(first.in_features, len(chosen), first.bias is not None)
    adds = nn.Linear(len(chosen), second.out_features, second.bias is not None)
    with torch.no_grad():
        kept.weight.copy_(first.weight[chosen])
        adds.weight.copy_(second.weight[:, chosen])
        if first.bias is not None:
            kept.bias.copy_(first.bias[chosen])
        if second.bias is not None:
            adds.bias.copy_(second.bias)
    return _sequence(kept, adds).to(first.weight)


def _set_second_layer(second: nn.Linear, of_nodes: Floats, with_outputs: Floats) -> None:
    """Minimise the mean squared difference, held to the present layer by a very small weight."""
    present = _second_layer(second)
    pull = _RIDGE * (float(of_nodes.diagonal().mean()) or 1.0)  # all nodes may be silent
    change = np.linalg.solve(
        of_nodes + pull * np.eye(len(of_nodes)), with_outputs - of_nodes @ present
    )
    fitted = present + change
    with torch.no_grad():
        second.weight.copy_(torch.as_tensor(fitted[: second.in_features].T))
        if second.bias is not None:
            second.bias.copy_(torch.as_tensor(fitted[-1]))


def _match(network: nn.Module, small: nn.Module, x: Tensor, epochs: int, seed: int) -> None:
    """Train both layers on the outputs of the network."""
    weight = next(network.parameters())
    with torch.no_grad():
        said = torch.cat([_said(network, block) for block in x.split(_BLOCK)])
    size = max(float(said.square().mean()), 1e-300)
    targets = said.to(weight.device, weight.dtype)
    optimiser = torch.optim.Adam(small.parameters(), lr=_RATE)
    steps = epochs * math.ceil(len(x) / _BATCH)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(_BATCH):
            optimiser.zero_grad()
            batch = x[rows.to(x.device)].to(weight.device, weight.dtype)
            loss = (small(batch) - targets[rows.to(weight.device)]).square().mean() / size
            loss.backward()
            optimiser.step()
            rate.step()
