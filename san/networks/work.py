"""How much work a network does for one input, counted with and without the routing."""

from typing import NamedTuple


class Work(NamedTuple):
    """What one input costs.

    Parameters
    ----------
    active : int
        Units, buckets or experts that take part in the output.
    without_routing : int
        Multiply-adds of these alone.
    with_routing : int
        And those that choose them.
    parameters : int
        Numbers that the network keeps, those of its routing as well.

    Examples
    --------
    >>> Work(active=1, without_routing=9, with_routing=73, parameters=900).with_routing
    73
    """

    active: int
    without_routing: int
    with_routing: int
    parameters: int


def two_layers(dimension: int, width: int, active: int, outputs: int, all_first: bool) -> Work:
    """Count a network of one hidden layer with biases, of which some units take part.

    Parameters
    ----------
    dimension, width, outputs : int
        Of the network.
    active : int
        Hidden units that take part.
    all_first : bool
        All units are computed to choose them, as top-k must.

    Examples
    --------
    >>> two_layers(dimension=8, width=1024, active=16, outputs=1, all_first=True)
    Work(active=16, without_routing=160, with_routing=9232, parameters=10241)
    """
    unit = dimension + 1
    computed = width if all_first else active
    return Work(
        active,
        active * (unit + outputs),
        computed * unit + active * outputs,
        width * (unit + outputs) + outputs,
    )
