"""The optimal transport map between two distributions, from samples: ``python examples/transport_map.py``.

By Brenier, the map that takes source to target at the least mean squared distance is the gradient of a convex function.
The potential minimises E f(source) + E f*(target), with the convex conjugate f*(y) = max_x ⟨x, y⟩ − f(x).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from convex_init.torch import apply_, assert_convex_, project_after_step


class TransportMap(nn.Module):
    """The gradient of a convex potential."""

    def __init__(self, dimensions: int, width: int) -> None:
        """Make a potential of two hidden layers."""
        super().__init__()
        self.first = nn.Linear(dimensions, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, 1)

    def potential(self, x: Tensor) -> Tensor:
        """Return one number for each point; the square makes the map invertible."""
        z = nn.functional.softplus(self.first(x))
        z = nn.functional.softplus(self.second(z))
        return self.last(z)[:, 0] + 0.05 * x.square().sum(1)

    def forward(self, x: Tensor) -> Tensor:
        """Return where each point goes."""
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            (moved,) = torch.autograd.grad(self.potential(x).sum(), x)
        return moved


def main(steps: int = 400) -> float:
    """Fit the map from a standard Gaussian to another one; return its error in parts of the target's variance."""
    random = torch.Generator().manual_seed(0)
    mean, scale = torch.tensor([1.0, -0.5]), torch.tensor([[1.2, 0.5], [0.5, 0.6]])  # the map is x ↦ mean + scale x

    def source(count: int) -> Tensor:
        return torch.randn(count, 2, generator=random)

    model = TransportMap(2, 64)
    # forward is a gradient, which is no convex function: the potential is what is initialised.
    apply_(model, source(512), entry="potential", generator=random)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    project_after_step(optimizer, model)
    for _ in range(steps):
        x, y = source(512), mean + source(512) @ scale
        values = model.potential(x)
        conjugate = (y @ x.T - values).amax(1)  # the maximum over the sample
        optimizer.zero_grad()
        (values.mean() + conjugate.mean()).backward()
        optimizer.step()

    assert_convex_(model, source(8), entry="potential")
    x = source(4096)
    error = (model(x) - (mean + x @ scale)).square().sum(1).mean() / scale.square().sum()
    print(f"convex potential; the map is off by {100 * float(error):.1f} % of the target's variance")
    return float(error)


if __name__ == "__main__":
    main()
