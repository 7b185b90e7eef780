"""A function that is convex in a decision, for every context: ``python examples/partially_convex.py``.

Learns costs c(x; context) from data, and then finds the best decision for contexts that it has not seen.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from convex_init.torch import apply_, assert_convex_, project_after_step


class PartiallyConvex(nn.Module):
    """Convex in the decision, anything in the context (Amos, Xu & Kolter, 2017)."""

    def __init__(self, decisions: int, contexts: int, width: int) -> None:
        """Make a network of two hidden layers; the context enters each through a net of its own."""
        super().__init__()
        self.context = nn.Sequential(nn.Linear(contexts, width), nn.Tanh())
        self.first, self.beside_first = nn.Linear(decisions, width), nn.Linear(width, width)
        self.second, self.beside_second = nn.Linear(width, width), nn.Linear(width, width)
        self.skip, self.last = nn.Linear(decisions, width, bias=False), nn.Linear(width, 1)
        self.beside_last = nn.Linear(width, 1)

    def forward(self, decision: Tensor, context: Tensor) -> Tensor:
        """Return one cost for each pair."""
        u = self.context(context)
        z = torch.relu(self.first(decision) + self.beside_first(u))
        z = torch.relu(self.second(z) + self.skip(decision) + self.beside_second(u))
        return (self.last(z) + self.beside_last(u))[:, 0]


def cost(decision: Tensor, context: Tensor) -> Tensor:
    """Return what is learnt: smallest at (sin 2c₁, c₁c₂), and not equally steep on all sides."""
    best = torch.stack([torch.sin(2 * context[:, 0]), context.prod(1)], dim=1)
    away = decision - best
    return away.abs().sum(1) + torch.relu(away.sum(1)) + 0.5 * away.square().sum(1)


def main(steps: int = 800) -> tuple[float, float]:
    """Return by how much decisions cost more than the best ones, at random and when the learnt cost is minimised."""
    random = torch.Generator().manual_seed(0)

    def sample(count: int) -> tuple[Tensor, Tensor]:
        decision, context = torch.rand(2, count, 2, generator=random) * 2 - 1
        return 2 * decision, context

    torch.manual_seed(0)  # for the layers that see the context alone: they keep torch's own start
    model = PartiallyConvex(2, 2, 64)
    apply_(model, sample(512), convex_inputs=["decision"], generator=random)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    project_after_step(optimizer, model)
    for _ in range(steps):
        x, context = sample(128)
        optimizer.zero_grad()
        (model(x, context) - cost(x, context)).square().mean().backward()
        optimizer.step()
    assert_convex_(model, sample(8), convex_inputs=["decision"])

    start, context = sample(256)  # convex: any start leads to the best decision
    x = start.clone().requires_grad_()
    inner = torch.optim.Adam([x], lr=5e-2)
    for _ in range(200):
        inner.zero_grad()
        model(x, context).sum().backward()
        inner.step()
    before, after = float(cost(start, context).mean()), float(cost(x.detach(), context).mean())
    print(f"convex in the decision; mean cost {before:.2f} at random, {after:.2f} by the learnt minimum (best: 0)")
    return before, after


if __name__ == "__main__":
    main()
