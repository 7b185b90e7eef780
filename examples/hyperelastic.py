"""The energy of rubber from stresses, polyconvex by construction: ``python examples/hyperelastic.py``.

The energy is a convex and non-decreasing function of invariants that are polyconvex in the deformation gradient F: I₁,
I₂, J and −J. Then it is polyconvex itself, which is what finite elements need (Ball, 1977).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from convex_init.torch import apply_, assert_convex_, project_after_step


class Rubber(nn.Module):
    """From deformation gradients to stresses."""

    def __init__(self, width: int) -> None:
        """Make a network of two hidden layers, in double precision."""
        super().__init__()
        self.first = nn.Linear(4, width, dtype=torch.float64)
        self.second = nn.Linear(width, width, dtype=torch.float64)
        self.last = nn.Linear(width, 1, dtype=torch.float64)

    def energy(self, invariants: Tensor) -> Tensor:
        """Return the energy of each row of invariants."""
        z = nn.functional.softplus(self.first(invariants))
        z = nn.functional.softplus(self.second(z))
        return self.last(z)[..., 0]

    def forward(self, gradients: Tensor) -> Tensor:
        """Return the first Piola–Kirchhoff stress, the slope of the energy, zero in the undeformed body."""
        return stress(lambda found: self.energy(invariants_of(found)), gradients)


def invariants_of(gradients: Tensor) -> Tensor:
    """Return I₁ − 3, I₂ − 3, J − 1 and 1 − J."""
    right = gradients.mT @ gradients
    first = right.diagonal(dim1=-2, dim2=-1).sum(-1)
    second = 0.5 * (first.square() - (right @ right).diagonal(dim1=-2, dim2=-1).sum(-1))
    volume = torch.linalg.det(gradients)
    return torch.stack([first - 3, second - 3, volume - 1, 1 - volume], dim=-1)


def gent(gradients: Tensor) -> Tensor:
    """Return the energy that is learnt: a compressible Gent material with a Mooney term."""
    first, second, volume, _ = invariants_of(gradients).unbind(-1)
    return -5.0 * torch.log(1.0 - first / 10.0) + 0.3 * second + 5.0 * volume.square() - 1.6 * volume


def stress(energy: object, gradients: Tensor) -> Tensor:
    """Return the slope of an energy at deformation gradients."""
    assert callable(energy)
    gradients = gradients.detach().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(energy(gradients).sum(), gradients, create_graph=True)
    return slope


def main(steps: int = 600) -> float:
    """Fit stresses; return the error on other deformations, in parts of the stresses' mean square."""
    random = torch.Generator().manual_seed(0)

    def deformations(count: int) -> Tensor:
        moved = torch.rand(count, 3, 3, generator=random, dtype=torch.float64) - 0.5
        return torch.eye(3, dtype=torch.float64) + 0.5 * moved

    model = Rubber(32)
    sample = deformations(256)
    # The first layer would be free; non-negative, it makes the energy non-decreasing in the invariants.
    apply_(model, invariants_of(sample), entry="energy", positive=["first"], generator=random)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    project_after_step(optimizer, model)
    wanted = stress(gent, sample).detach()
    for _ in range(steps):
        optimizer.zero_grad()
        (model(sample) - wanted).square().mean().backward()
        optimizer.step()

    assert_convex_(model, invariants_of(sample), entry="energy", monotone={0: "non-decreasing"})
    other = deformations(256)
    wanted = stress(gent, other)
    error = ((model(other) - wanted).square().sum() / wanted.square().sum()).item()
    print(f"polyconvex energy; the stresses of other deformations are off by {100 * error:.2f} % of their mean square")
    return error


if __name__ == "__main__":
    main()
