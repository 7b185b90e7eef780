"""A transport map inverted by the conjugate of its potential: ``python examples/inverse_map.py`` (extra ``cvxpy``).

The gradient of a strictly convex f moves a source to a target; the gradient of its conjugate f*(y) = max y·x − f(x)
moves it back. Nothing is trained for that: each point is the solution of a convex problem, exactly by a solver for one,
and for a batch by its gradients.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from convex_init.cvxpy import conjugate, conjugate_batched
from convex_init.torch import apply_, assert_convex_, project_after_step


class Potential(nn.Module):
    """A convex function of points in the plane; the square makes its gradient invertible."""

    def __init__(self, width: int) -> None:
        """Make two hidden layers."""
        super().__init__()
        self.first, self.second, self.last = nn.Linear(2, width), nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return one number for each point."""
        z = nn.functional.softplus(self.second(nn.functional.softplus(self.first(x))))
        return self.last(z)[:, 0] + 0.1 * x.square().sum(1)


def moved(model: nn.Module, x: Tensor) -> Tensor:
    """Return where each point goes: the gradient of the potential."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        (found,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
    return found


def target(x: Tensor) -> Tensor:
    """Return a ring of points that are pushed outwards: the gradient of a convex function of the radius."""
    return x * (0.5 + x.norm(dim=1, keepdim=True).clamp(max=3.0))


def main(steps: int = 300) -> dict[str, float]:
    """Return how far points are from where they were, after a way there and back."""
    random = torch.Generator().manual_seed(0)

    def source(count: int) -> Tensor:
        return torch.randn(count, 2, generator=random)

    model = Potential(32)
    apply_(model, source(512), generator=random)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    project_after_step(optimizer, model)
    for _ in range(steps):  # from pairs; where there are none, see transport_map.py
        x = source(256)
        optimizer.zero_grad()
        (moved(model, x) - target(x)).square().mean().backward()
        optimizer.step()
    assert_convex_(model, source(8))

    x = source(64)
    y = moved(model, x).detach()
    back = conjugate_batched(model, y, start=x * 0.0, tolerance=1e-3)
    exact = conjugate(model, y[0].numpy())
    found = {
        "map": float((y - target(x)).square().mean().sqrt()),
        "back": float((back.point - x).norm(dim=1).max()),
        "exact": float((torch.as_tensor(exact.point) - x[0]).norm()),
        "converged": float(back.converged.float().mean()),
    }
    print(
        f"convex potential; its gradient is off by {found['map']:.2f}; there and back, points are off by at most "
        f"{found['back']:.4f}, and by {found['exact']:.5f} through a solver"
    )
    return found


if __name__ == "__main__":
    main()
