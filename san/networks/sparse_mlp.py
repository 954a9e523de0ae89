"""A network with one hidden layer that an activation of the package makes sparse."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from san import activations

#: Above this share of active units, gathering their rows is slower than the whole product: measured
#: on a CPU with 1,024 to 4,096 units and 256 to 512 outputs.
_FEW = 1 / 8


class SparseMLP(nn.Module):
    """Linear, an activation that keeps few units, Linear.

    A hidden layer of s units is a signal of shape (N, 1, s) for the activation. In `eval()` without
    gradients the second layer reads only the rows of active units, where these are few. The first
    layer is always computed in full. So a network whose layers are of equal size becomes at most
    twice as fast.

    Parameters
    ----------
    inputs : int
        Numbers that come in.
    width : int
        Hidden units, s.
    outputs : int
        Numbers that go out.
    active : int, optional
        Only so many units, those with the largest positive values, are kept:
        `top_k_absolutes(relu(s), active)`.
    activation : callable, optional
        Another activation: from (N, 1, s) to the same shape, such as
        `functools.partial(san.extrema, min_distance=3)`. By default it is `san.relu`, followed by
        the top k if `active` is given.
    bias : bool
        Whether both layers have a bias.

    Raises
    ------
    ValueError
        If inputs, width or outputs is below 1, active is not from 1 to width, or both `active` and
        `activation` are given.

    References
    ----------
    The layers that Awasthi et al., arXiv 2406.17989, ask about; DSM of Baykal et al., arXiv
    2208.04461, with a first layer that is computed in full.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> network = SparseMLP(8, width=256, active=16)
    >>> x = torch.randn(5, 8)
    >>> network(x).shape, network.active_units(x).tolist()
    (torch.Size([5, 1]), [16, 16, 16, 16, 16])
    >>> with torch.no_grad():  # the same, from the rows of 16 units
    ...     torch.allclose(network.eval()(x), network.train()(x), atol=1e-6)
    True
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        outputs: int = 1,
        *,
        active: int | None = None,
        activation: Callable[[Tensor], Tensor] | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if min(inputs, width, outputs) < 1:
            raise ValueError(
                f"inputs, width and outputs must be at least 1, got {inputs}, {width}, {outputs}"
            )
        if active is not None and activation is not None:
            raise ValueError("give active or activation, not both")
        if active is not None and not 1 <= active <= width:
            raise ValueError(f"active must be from 1 to the width, {width}, got {active}")
        self.active = active
        self.activation = activation
        self.hidden = nn.Linear(inputs, width, bias)
        start = nn.Linear(width, outputs, bias)
        self.rows = nn.Parameter(start.weight.detach().T.contiguous())  # one row for each unit
        self.bias = nn.Parameter(start.bias.detach()) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs, shape (N, outputs), for x of shape (N, inputs)."""
        kept = self.kept(x)
        if not self.training and not torch.is_grad_enabled():
            places = kept.nonzero()
            if len(places) <= _FEW * kept.numel():
                return self._gathered(kept, places)
        return self.outputs(kept)

    def kept(self, x: Tensor) -> Tensor:
        """Return the hidden units after the activation, shape (N, width)."""
        s = self.hidden(x)[:, None]
        if self.activation is not None:
            return self.activation(s)[:, 0]
        s = activations.relu(s)
        return (s if self.active is None else activations.top_k_absolutes(s, self.active))[:, 0]

    def outputs(self, kept: Tensor) -> Tensor:
        """Return the outputs, shape (N, outputs), for what `kept` returned."""
        drawn = kept @ self.rows
        return drawn if self.bias is None else drawn + self.bias

    @torch.no_grad()
    def active_units(self, x: Tensor) -> Tensor:
        """Return how many units are active for each row of x, shape (N,), int64."""
        return (self.kept(x) != 0).sum(1)

    def _gathered(self, kept: Tensor, places: Tensor) -> Tensor:
        """The second layer from the rows of active units alone; `places` are in order of rows."""
        owner, unit = places.unbind(1)
        starts = torch.searchsorted(owner, torch.arange(len(kept), device=kept.device))
        drawn = nn.functional.embedding_bag(
            unit, self.rows, starts, mode="sum", per_sample_weights=kept[owner, unit]
        )
        return drawn if self.bias is None else drawn + self.bias
