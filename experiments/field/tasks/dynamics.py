"""A model of what inputs will cost, convex in the inputs and anything in the state (Chen, Shi & Zhang 2019).

It is learnt from random states and inputs over a short horizon; then its inputs are the minimum of the learnt cost. The
error is that of the cost; besides, what one pays for inputs by the learnt cost: their true cost less the best one, in
deviations of the cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from experiments.experiment import Context
from experiments.field.tasks.task import Data, Drawn, Task, divided

SIZES = (4000, 500, 1000)
CHECKED = 200  # states of the test set for which inputs are chosen
STEPS = 150
Cost = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class System:
    """A system, and what is seen of its state.

    Attributes:
        inputs: numbers to choose, each from −1 to 1, over the whole horizon.
        states: numbers that are drawn, uniform in ±1.
        seen: context of the network, of the states.
        cost: of inputs ``[samples, inputs]`` and states ``[samples, states]``.
    """

    inputs: int
    states: int
    seen: Callable[[Tensor], Tensor]
    cost: Cost


def _pendulum_seen(state: Tensor) -> Tensor:
    angle = 2.5 * state[:, 0]
    return torch.stack([angle.sin(), angle.cos(), state[:, 0], state[:, 1], state[:, 2]], -1)


def _pendulum(inputs: Tensor, state: Tensor) -> Tensor:
    """A damped pendulum that follows a wanted angle: three torques; all but convex, for the sines of later angles."""
    angle, speed, wanted = 2.5 * state[:, 0], 2.0 * state[:, 1], 2.5 * state[:, 2]
    total = torch.zeros_like(angle)
    for torque in inputs.unbind(-1):
        speed = speed + 0.2 * (4.0 * angle.sin() - 0.5 * speed + 6.0 * torque)
        angle = angle + 0.2 * speed
        total = total + (angle - wanted).square() + 0.1 * speed.square() + 0.2 * torque.abs()
    return total


def _building_seen(state: Tensor) -> Tensor:
    return state


def _building(inputs: Tensor, state: Tensor) -> Tensor:
    """Two rooms that are heated for two hours: energy at a price and what is too cold or too warm, exactly convex.

    The states are two temperatures, that outside, wind (which multiplies what is lost) and the price.
    """
    rooms, outside = 20.0 + 4.0 * state[:, :2], 2.0 + 10.0 * state[:, 2:3]
    lost, price = 0.08 * (1.0 + 0.7 * state[:, 3:4]) ** 2, 1.5 + state[:, 4]
    total = torch.zeros_like(price)
    for heating in inputs.add(1.0).div(2.0).view(-1, 2, 2).unbind(1):
        rooms = rooms + lost * (outside - rooms) + 0.15 * (rooms.flip(-1) - rooms) + 6.0 * heating
        total = total + price * (heating + heating.square()).sum(-1)
        total = total + (20.0 - rooms).relu().square().sum(-1) + 2.0 * (rooms - 22.0).relu().sum(-1)
    return total


SYSTEMS = {
    "pendulum": System(3, 3, _pendulum_seen, _pendulum),
    "building": System(4, 5, _building_seen, _building),
}


def cheapest(cost: Callable[[Tensor], Tensor], count: int, inputs: int) -> Tensor:
    """Return inputs within ±1 that make a cost small, ``[count, inputs]``: projected Adam, from 0."""
    u = torch.zeros(count, inputs, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([u], lr=0.1)
    for step in range(STEPS):
        adam.param_groups[0]["lr"] = 0.1 * (1.0 - step / STEPS)
        (u.grad,) = torch.autograd.grad(cost(u).sum(), u)
        adam.step()
        with torch.no_grad():
            u.clamp_(-1.0, 1.0)
    return u.detach()


def dynamics(name: str) -> Task:
    """Return the task for a system, a name of :data:`SYSTEMS`; costs are standardised."""
    system = SYSTEMS[name]

    def draw(seed: int, _: Context) -> Drawn:
        generator = torch.Generator().manual_seed(seed)
        drawn = (
            2.0 * torch.rand(sum(SIZES), system.inputs + system.states, generator=generator, dtype=torch.float64) - 1.0
        )
        inputs, states = drawn[:, : system.inputs], drawn[:, system.inputs :]
        y = system.cost(inputs, states)[:, None]
        mean, deviation = y[: SIZES[0]].mean(), y[: SIZES[0]].std()
        x = torch.cat([inputs, system.seen(states)], -1)
        more = torch.cat([states, deviation.expand(len(x), 1)], -1)
        return divided((x.float(), ((y - mean) / deviation).float(), more), SIZES)

    def regret(stacks: Sequence[tuple[Any, list[int]]], seeds: Sequence[int], data: Data) -> dict[str, Any]:
        best = [_best(system, data.test[2][seed, :CHECKED, :-1]) for seed in range(len(seeds))]
        found: list[float] = []
        for stack, rows in stacks:
            for row in rows:
                seed = len(found)
                states, deviation = data.test[2][seed, :CHECKED, :-1], data.test[2][seed, 0, -1]
                context = data.test[0][seed, :CHECKED, system.inputs :]

                def learnt(u: Tensor, stack: Any = stack, row: int = row, context: Tensor = context) -> Tensor:
                    value: Tensor = stack.one(row, torch.cat([u.float(), context], -1))
                    return value.double()

                chosen = cheapest(learnt, CHECKED, system.inputs)
                found.append(float((system.cost(chosen, states) - best[seed]).mean() / deviation))
        return {"regret": found}

    return Task(
        name, "control", "value", draw, form="partial", decisions=system.inputs, effort=(400, 64), besides=regret
    )


def _best(system: System, states: Tensor) -> Tensor:
    chosen = cheapest(lambda u: system.cost(u, states), len(states), system.inputs)
    return system.cost(chosen, states)
