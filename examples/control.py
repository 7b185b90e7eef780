"""A cost-to-go that is minimised over actions: ``python examples/control.py``.

A mass is pushed to rest with forces of at most 1. Its optimal cost-to-go is convex in the state; a network learns it
from solved examples, and the controller minimises the cost of one step and the network's value of what follows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from convex_init.torch import ICNN, apply_, assert_convex_, project_after_step

STEP, HORIZON = 0.2, 40
MOVE = torch.tensor([[1.0, STEP], [0.0, 1.0]])  # position and speed
PUSH = torch.tensor([0.5 * STEP**2, STEP])


def cost(state: Tensor, force: Tensor) -> Tensor:
    """Return the cost of one step."""
    return state.square().sum(-1) + 0.1 * force.square()


def moved(state: Tensor, force: Tensor) -> Tensor:
    """Return the next state."""
    return state @ MOVE.T + force[..., None] * PUSH


def solved(state: Tensor, steps: int = 200) -> Tensor:
    """Return the optimal cost of each state over the horizon: a quadratic program, by projected gradients."""
    free, pushed = (
        [torch.eye(2)],
        [torch.zeros(2, HORIZON)],
    )  # states as linear functions of the first one, of the forces
    for k in range(HORIZON - 1):
        free.append(MOVE @ free[-1])
        pushed.append(MOVE @ pushed[-1])
        pushed[-1][:, k] += PUSH
    of_state, of_forces = torch.cat(free), torch.cat(pushed)
    curvature = 2.0 * (of_forces.T @ of_forces + 0.1 * torch.eye(HORIZON))
    slope = 2.0 * state @ (of_state.T @ of_forces)
    rate = 1.0 / float(torch.linalg.eigvalsh(curvature)[-1])
    forces = ahead = torch.zeros(len(state), HORIZON)
    for k in range(steps):  # with the momentum of Beck & Teboulle (2009)
        before, forces = forces, (ahead - rate * (ahead @ curvature + slope)).clamp(-1.0, 1.0)
        ahead = forces + k / (k + 3) * (forces - before)
    return (state @ of_state.T + forces @ of_forces.T).square().sum(1) + 0.1 * forces.square().sum(1)


def main(steps: int = 600) -> tuple[float, float]:
    """Return the mean cost of the learnt controller, and the optimal one."""
    random = torch.Generator().manual_seed(0)

    def states(count: int, reach: float) -> Tensor:
        return reach * (2 * torch.rand(count, 2, generator=random) - 1)

    x = states(1024, 3.0)  # who starts within 2 may get further
    values = solved(x)[:, None]
    scale = values.std()
    model = ICNN(2, [64, 64], 1)
    apply_(model, x, targets=values / scale, generator=random)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    project_after_step(optimizer, model)
    for _ in range(steps):
        some = torch.randint(len(x), (128,), generator=random)
        optimizer.zero_grad()
        (model(x[some]) - values[some] / scale).square().mean().backward()
        optimizer.step()
    assert_convex_(model, x)

    start = states(64, 2.0)
    state, total = start, torch.zeros(64)
    tried = torch.linspace(-1.0, 1.0, 201)
    with torch.no_grad():
        for _ in range(HORIZON):
            followed = moved(state[:, None], tried.expand(64, -1))
            value = cost(state[:, None], tried) + scale * model(followed)[..., 0]  # convex in the force
            force = tried[value.argmin(1)]
            total, state = total + cost(state, force), moved(state, force)
    reached, optimal = float(total.mean()), float(solved(start).mean())
    print(f"convex cost-to-go; its controller costs {reached:.2f}, the optimal one {optimal:.2f}")
    return reached, optimal


if __name__ == "__main__":
    main()
