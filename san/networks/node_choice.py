"""Which nodes of a network are chosen, one at a time, so that the best fit of the outputs is close.

Only mean products count: of nodes with each other and with the outputs. Whether they are over a
sample or in closed form makes no difference here.
"""

import math
from typing import NamedTuple

import numpy as np

from san.networks.closed_forms import Floats

#: A node that others explain but for this share of its mean square is not worth a place.
_DEPENDENT = 1e-10
#: Gains that differ by less than this share are ties: two equal nodes differ by rounding.
_TIE = 1e-10


class Products(NamedTuple):
    """Means over the inputs of products of nodes, and of nodes with the outputs."""

    of_nodes: Floats  # (N, N), or (N + 1, N + 1): the last one is the constant 1
    with_outputs: Floats  # (N, outputs) or (N + 1, outputs)


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


def _first_largest(gain: Floats) -> int:
    return int(np.flatnonzero(gain >= gain.max() * (1 - _TIE))[0])
