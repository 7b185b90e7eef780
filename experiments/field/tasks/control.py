"""Control: the cost-to-go of linear systems with bounded input, which is convex in the state.

``V(x) = min Σ_{t<20} |x_t|² + ρ u_t² + 5 |x_20|²`` over inputs within ±1, solved by accelerated projected gradients.
Besides the error of V, what one pays for choosing the next input by the learnt V: the cost of that input less the best,
both by the true V, in deviations of V.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from experiments.experiment import Context
from experiments.field.tasks.task import Data, Drawn, Task, divided

SIZES = (3000, 500, 1000)
HORIZON, PENALTY, LAST = 20, 0.1, 5.0
STEPS = 200
INPUTS = torch.linspace(-1.0, 1.0, 41, dtype=torch.float64)
CHECKED = 200  # states of the test set from which an input is chosen


def _double_integrator() -> tuple[Tensor, Tensor, Tensor]:
    step = 0.25
    transition = torch.tensor([[1.0, step], [0.0, 1.0]], dtype=torch.float64)
    return transition, torch.tensor([0.5 * step**2, step], dtype=torch.float64), torch.tensor([2.0, 1.5])


def _two_masses() -> tuple[Tensor, Tensor, Tensor]:
    """Two masses with a spring between them, pushed at the first; Euler's step."""
    step, spring = 0.25, 1.0
    rates = torch.tensor(
        [[0, 1, 0, 0], [-spring, 0, spring, 0], [0, 0, 0, 1], [spring, 0, -spring, 0]], dtype=torch.float64
    )
    push = torch.tensor([0.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    return torch.matrix_exp(step * rates), step * push, torch.tensor([1.5, 1.0, 1.5, 1.0])


SYSTEMS = {"double integrator": _double_integrator, "two masses": _two_masses}


def _costs(states: Tensor, transition: Tensor, push: Tensor) -> Tensor:
    """The cost-to-go of states ``[samples, n]``."""
    powers = [torch.eye(len(push), dtype=torch.float64)]
    for _ in range(HORIZON):
        powers.append(transition @ powers[-1])
    free = torch.stack(powers[1:])  # [t, n, n], of x_{t+1} in x_0
    forced = torch.zeros(HORIZON, len(push), HORIZON, dtype=torch.float64)
    for time in range(HORIZON):
        for before in range(time + 1):
            forced[time, :, before] = powers[time - before] @ push
    weights = torch.ones(HORIZON, dtype=torch.float64)
    weights[-1] = LAST
    weighted = forced * weights[:, None, None]
    hessian = torch.einsum("tnj,tnk->jk", weighted, forced) + PENALTY * torch.eye(HORIZON, dtype=torch.float64)
    course = torch.einsum("tnm,sm->stn", free, states)
    slope = torch.einsum("tnj,stn->sj", weighted, course)
    rate = 1.0 / torch.linalg.eigvalsh(hessian)[-1]
    inputs = ahead = torch.zeros(len(states), HORIZON, dtype=torch.float64)
    for count in range(1, STEPS + 1):
        following = (ahead - rate * (ahead @ hessian + slope)).clamp(-1.0, 1.0)
        ahead = following + (count - 1) / (count + 2) * (following - inputs)
        inputs = following
    fixed = states.square().sum(-1) + (course.square() * weights[:, None]).sum((1, 2))
    return fixed + 2.0 * (inputs * slope).sum(-1) + ((inputs @ hessian) * inputs).sum(-1)


def cost_to_go(name: str) -> Task:
    """Return the task for a system; costs are standardised."""
    transition, push, spread = SYSTEMS[name]()

    def draw(seed: int, _: Context) -> Drawn:
        generator = torch.Generator().manual_seed(seed)
        x = (2.0 * torch.rand(sum(SIZES), len(push), generator=generator, dtype=torch.float64) - 1.0) * spread
        y = _costs(x, transition, push)[:, None]
        mean, deviation = y[: SIZES[0]].mean(), y[: SIZES[0]].std()
        moments = torch.stack([mean, deviation]).expand(len(x), 2)
        return divided((x.float(), ((y - mean) / deviation).float(), moments), SIZES)

    def regret(stacks: Sequence[tuple[Any, list[int]]], seeds: Sequence[int], data: Data) -> dict[str, Any]:
        found: list[float] = []
        for stack, rows in stacks:
            for row in rows:
                seed = len(found)
                states = data.test[0][seed, :CHECKED].double()
                mean, deviation = data.test[2][seed, 0]
                after = (states @ transition.T)[:, None] + INPUTS[:, None] * push
                with torch.no_grad():
                    learnt = stack.one(row, after.flatten(0, 1).float()).double().view(CHECKED, -1)
                now = PENALTY * INPUTS.square()
                chosen = (now + mean + deviation * learnt).argmin(1)
                true = now + _costs(after.flatten(0, 1), transition, push).view(CHECKED, -1)
                paid = true.gather(1, chosen[:, None])[:, 0] - true.min(1).values
                found.append(float(paid.mean() / deviation))
        return {"regret": found}

    return Task(name, "control", "value", draw, besides=regret)
