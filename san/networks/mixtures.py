"""A mixture of linear experts with a learned router, which chooses a few experts for each input."""

import torch
from torch import Tensor, nn

from san.activations import top_k_absolutes
from san.networks.work import Work


class RoutedExperts(nn.Module):
    """Linear experts, of which a learned router chooses the best few for each input.

    The router is a linear layer with softmax. The experts with the largest shares answer, and the
    output is the mean of their answers, weighted by the shares of these experts alone.

    Parameters
    ----------
    dimension, outputs : int
        Numbers in an input and in an output, at least 1.
    experts : int
        Linear experts, at least 1.
    active : int
        Experts that are chosen, 1 ... experts. With 1 the share has no gradient to the router, so
        it is not divided by itself: the answer is multiplied by the share, as in the Switch
        Transformer.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Shazeer et al., *Outrageously large neural networks: the sparsely-gated mixture-of-experts
    layer*, 2017. Fedus, Zoph, Shazeer, *Switch Transformers*, 2021.

    Examples
    --------
    >>> model = RoutedExperts(8, experts=64, active=2)
    >>> model(torch.zeros(5, 8)).shape, model.work().with_routing
    (torch.Size([5, 1]), 530)
    """

    def __init__(self, dimension: int, experts: int, active: int = 1, outputs: int = 1) -> None:
        super().__init__()
        for name, value in {"dimension": dimension, "experts": experts, "outputs": outputs}.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 1 <= active <= experts:
            raise ValueError(f"active must be 1 ... {experts}, got {active}")
        self.dimension, self.experts, self.active = dimension, experts, active
        self.outputs = outputs
        self.router = nn.Linear(dimension, experts, bias=False)
        self.answers = nn.Linear(dimension, experts * outputs)

    def shares(self, x: Tensor) -> Tensor:
        """Return the shares of the experts for inputs (n, dimension): (n, experts).

        Those that are not chosen have 0. Ties: the expert with the lowest number is chosen.
        """
        every = torch.softmax(self.router(x), dim=1)
        chosen = top_k_absolutes(every[:, None], self.active)[:, 0]
        return chosen if self.active == 1 else chosen / chosen.sum(1, keepdim=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (n, outputs) for inputs (n, dimension)."""
        answers = self.answers(x).reshape(len(x), self.experts, self.outputs)
        return torch.einsum("ne,neo->no", self.shares(x), answers)

    def work(self) -> Work:
        """Count what one input costs if only the chosen experts are computed."""
        expert = (self.dimension + 1) * self.outputs
        routing = self.experts * self.dimension
        return Work(
            self.active,
            self.active * expert,
            self.active * expert + routing,
            self.experts * expert + routing,
        )
