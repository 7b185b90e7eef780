"""``apply_`` beside ``kaiming_normal_``, and ``project_`` beside ``_foreach_mul_``, on the same weights."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import convex_init.torch as ci
from benchmarks.gpu.journal import Journal
from benchmarks.gpu.parts import Place
from benchmarks.gpu.sizes import Sizes
from benchmarks.measure import ratio, side_by_side

WARM_UP = 2


def settings(sizes: Sizes) -> dict[str, Any]:
    """What decides the rows."""
    return {"layers": sizes.layers, "rounds": sizes.rounds}


def run(place: Place, journal: Journal) -> None:
    """Add a row for each network and comparison."""
    for layers, width in place.sizes.layers:
        name = f"{layers}x{width}"
        if not journal.has(f"{name}, projection"):
            weights = [torch.randn(width, width, device=place.device) for _ in range(layers)]
            row = _compared(
                {
                    "_foreach_mul_": lambda of=weights: torch._foreach_mul_(of, 1.0),
                    "project_": lambda of=weights: ci.project_(of),
                },
                place,
            )
            journal.add(f"{name}, projection", lowest=min(float(each.min()) for each in weights), **row)
            del weights
        if not journal.has(f"{name}, initialisation"):
            journal.add(f"{name}, initialisation", **_initialised(layers, width, place))


def _initialised(layers: int, width: int, place: Place) -> dict[str, Any]:
    parts: list[nn.Module] = []
    for _ in range(layers):
        parts += [nn.Linear(width, width, device=place.device), nn.ReLU()]
    model = nn.Sequential(*parts[:-1])
    linear = [part for part in model if isinstance(part, nn.Linear)]

    def kaiming() -> None:
        for layer in linear:
            nn.init.kaiming_normal_(layer.weight)

    actions: dict[str, Callable[[], Any]] = {"kaiming_normal_": kaiming}
    for method in ("log_normal", "isometric"):
        actions[f"apply_, {method}"] = lambda method=method: ci.apply_(model, method=method)
    row = _compared(actions, place)
    ci.apply_(model, method="log_normal")
    positive = [layer.weight.detach() for layer in linear[1:]]
    finite = all(bool(each.isfinite().all()) for each in positive)
    return {"finite": finite, "lowest": min(float(each.min()) for each in positive), **row}


@torch.no_grad()
def _compared(actions: dict[str, Callable[[], Any]], place: Place) -> dict[str, Any]:
    """Time the actions side by side, in as many rounds as a first one says there is time for, to the first of them."""
    place.synchronise()
    start = time.perf_counter()
    for action in actions.values():
        action()
    place.synchronise()
    once = time.perf_counter() - start
    rounds = min(place.sizes.rounds, int(place.left() / 2 / max(once, 1e-9)) - WARM_UP)
    place.need(once * (WARM_UP + 2), " and ".join(actions))
    rounds = max(2, rounds)
    seconds = side_by_side(actions, rounds=rounds, warm_up=WARM_UP, synchronise=place.synchronise)
    base = next(iter(actions))
    ratios = {name: ratio(seconds, name, base) for name in actions if name != base}
    return {"ratio_to": base, "ratios": ratios, "rounds": rounds, "seconds": seconds}
