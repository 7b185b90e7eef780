"""Model predictive control with a learnt cost: ``python examples/predictive_control.py`` (extra ``cvxpy``).

A cart is steered past wind of which nobody has a formula: what a step costs is known from samples only. A network that
is convex in position, speed and force learns that cost; the controller plans ten steps ahead by a convex program, with
limits of force and of position, and does the first of them.
"""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import torch
from torch import Tensor, nn

from convex_init.cvxpy import expression
from convex_init.torch import ICNN, apply_, assert_convex_, project_after_step

STEP, HORIZON, TURNS, WALL = 0.25, 10, 16, 0.5
MOVE = np.array([[1.0, STEP], [0.0, 1.0]])  # of position and speed
PUSH = np.array([0.5 * STEP**2, STEP])


def cost(x: Tensor) -> Tensor:
    """Return what a step costs; of (position, speed, force), in rows. The controller is not told."""
    position, speed, force = x.unbind(1)
    return position.abs() + 0.3 * (speed + 0.2 * force).square() + 0.2 * nn.functional.softplus(4.0 * force) / 4.0


def known(x: cp.Expression) -> cp.Expression:
    """Return the same by hand, to compare with."""
    return cp.abs(x[0]) + 0.3 * cp.square(x[1] + 0.2 * x[2]) + 0.2 * cp.logistic(4.0 * x[2]) / 4.0


def plan_of(each: object, start: cp.Parameter) -> tuple[cp.Problem, cp.Variable]:
    """Return the program that plans ahead, and its forces."""
    force, state = cp.Variable(HORIZON), cp.Variable((HORIZON + 1, 2))
    limits = [state[0] == start, cp.abs(force) <= 1.0, state[1:, 0] >= -WALL]
    follows = [state[k + 1] == MOVE @ state[k] + PUSH * force[k] for k in range(HORIZON)]
    costs = [each(cp.hstack([state[k + 1], force[k]])) for k in range(HORIZON)]
    return cp.Problem(cp.Minimize(cp.sum(cp.hstack(costs))), limits + follows), force


def steered(each: object) -> tuple[float, float]:
    """Return what it costs to steer from one start, and the least position on the way."""
    now, state, total, least = cp.Parameter(2), np.array([2.0, 0.5]), 0.0, np.inf
    problem, force = plan_of(each, now)
    for _ in range(TURNS):
        now.value = state
        problem.solve(solver=cp.CLARABEL)
        state = MOVE @ state + PUSH * force.value[0]
        total += float(cost(torch.tensor([[*state, force.value[0]]])))
        least = min(least, state[0])
    return total, least


def main(steps: int = 600) -> tuple[float, float]:
    """Return the cost of the controller that has learnt, and of the one that knows."""
    random = torch.Generator().manual_seed(0)

    def samples(count: int) -> Tensor:
        return (2.0 * torch.rand(count, 3, generator=random) - 1.0) * torch.tensor([3.0, 2.5, 1.0])

    model = ICNN(3, [32, 32], 1)
    apply_(model, samples(512), targets=cost(samples(512))[:, None], generator=random)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    project_after_step(optimizer, model)
    for _ in range(steps):
        x = samples(256)
        optimizer.zero_grad()
        (model(x)[:, 0] - cost(x) - 0.02 * torch.randn(256, generator=random)).square().mean().backward()
        optimizer.step()
        schedule.step()
    assert_convex_(model, samples(8))

    learnt, least = steered(lambda x: expression(model, x))
    best, _ = steered(known)
    print(
        f"convex program: the learnt cost leads to {learnt:.2f}, the true one to {best:.2f}; least position {least:.2f}"
    )
    return learnt, best


if __name__ == "__main__":
    main()
