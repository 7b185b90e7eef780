"""What the ignite handlers cost an iteration, against a training step: ``python -m benchmarks.ignite_overhead``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn

import convex_init.torch as ci
from benchmarks.measure import environment, ratio, side_by_side, write
from convex_init.ignite import ConvexityGuard, NonNegProjection

ITERATIONS = 3  # in one timed run of an engine; one alone is too short


def trainer(model: nn.Module, features: int, batch: int, device: torch.device) -> tuple[Engine, Callable[[], Any]]:
    """An ignite trainer with Adam, and its training step alone."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(batch, features, device=device), torch.randint(10, (batch,), device=device)

    def step(*_: Any) -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return Engine(step), step


def main() -> None:
    """Measure, print ratios, write results/ignite_overhead.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=21)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    torch.set_num_threads(1)
    synchronise = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    rows = []
    for name, features, hidden, batch in (
        ("5 hidden layers of 784, batch 64", 784, [784] * 5, 64),
        ("30 hidden layers of 64, batch 64", 64, [64] * 30, 64),
    ):
        model = ci.ICNN(features, hidden, 10, device=device)
        engine, step = trainer(model, features, batch, device)
        projection, guard = NonNegProjection(model), ConvexityGuard(model)
        plain, projected = trainer(model, features, batch, device)[0], engine
        projection.attach(projected, Events.ITERATION_COMPLETED)
        actions: dict[str, Callable[[], Any]] = {
            "training step": lambda step=step: [step() for _ in range(ITERATIONS)],
            "NonNegProjection": lambda call=projection: [call() for _ in range(ITERATIONS)],
            "ConvexityGuard": lambda call=guard, engine=plain: [call(engine) for _ in range(ITERATIONS)],
            "engine without": lambda engine=plain: engine.run(range(ITERATIONS)),
            "engine with projection": lambda engine=projected: engine.run(range(ITERATIONS)),
        }
        seconds = side_by_side(actions, rounds=arguments.rounds, synchronise=synchronise)
        pairs = {
            "NonNegProjection / training step": ("NonNegProjection", "training step"),
            "ConvexityGuard / training step": ("ConvexityGuard", "training step"),
            "engine with projection / engine without": ("engine with projection", "engine without"),
        }
        ratios = {label: ratio(seconds, of, to) for label, (of, to) in pairs.items()}
        for label, found in ratios.items():
            print(f"{name}: {label} = {found['median']:.4f} [{found['lower_quartile']}, {found['upper_quartile']}]")
        per_iteration = {label: [value / ITERATIONS for value in values] for label, values in seconds.items()}
        rows.append({"network": name, "ratios": ratios, "seconds_per_iteration": per_iteration})
    shown = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    settings = {
        "device": shown,
        "threads": torch.get_num_threads(),
        "rounds": arguments.rounds,
        "load": os.getloadavg()[0],
    }
    write("ignite_overhead", {"settings": settings, **environment("torch", "pytorch-ignite"), "rows": rows})


if __name__ == "__main__":
    main()
