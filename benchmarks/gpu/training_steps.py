"""Training steps in mixed precision and compiled, with the projection and without, side by side."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import convex_init.torch as ci
from benchmarks.gpu.journal import Journal
from benchmarks.gpu.parts import Place
from benchmarks.gpu.sizes import Sizes
from benchmarks.measure import ratio, side_by_side

# Name: (dtype of autocast, whether the loss is scaled, whether the model is compiled).
MODES: dict[str, tuple[torch.dtype | None, bool, bool]] = {
    "float32": (None, False, False),
    "autocast float16, scaled": (torch.float16, True, False),
    "autocast bfloat16": (torch.bfloat16, False, False),
    "compiled": (None, False, True),
    "compiled, autocast bfloat16": (torch.bfloat16, False, True),
}
CLASSES = 10
COMPILING = 60.0  # seconds, on an accelerator


def settings(sizes: Sizes) -> dict[str, Any]:
    """What decides the rows."""
    layers, width, batch = sizes.step
    return {"hidden_layers": layers, "width": width, "batch": batch, "compiler": sizes.compiler, "rounds": sizes.rounds}


def run(place: Place, journal: Journal) -> None:
    """Add a row for each mode and way to keep weights non-negative."""
    for mode, (_, _, compiled) in MODES.items():
        for positivity in ("projection", "relu"):
            key = f"{mode}, {positivity}"
            if journal.has(key):
                continue
            place.need(COMPILING if compiled and place.device.type == "cuda" else 1.0, key)
            journal.add(key, **_measured(mode, positivity, place))


class _Twin:
    """A network that trains, a step at a time, with the projection behind each step or without."""

    def __init__(self, mode: str, positivity: str, projected: bool, place: Place) -> None:
        dtype, scaled, compiled = MODES[mode]
        layers, width, _ = place.sizes.step
        self.model = ci.ICNN(width, [width] * layers, CLASSES, positivity=positivity)
        self.model.reset_parameters(torch.Generator().manual_seed(0))
        self.model.to(place.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), 1e-3)
        if projected:
            ci.project_after_step(self.optimizer, self.model)
        self.scaler = torch.amp.GradScaler(place.device.type, enabled=scaled)
        self.call: Callable[[Tensor], Tensor] = self.model
        if compiled:
            self.call = torch.compile(self.model, backend=place.sizes.compiler)
        self.precision: Callable[[], Any] = contextlib.nullcontext
        if dtype is not None:
            self.precision = lambda: torch.autocast(place.device.type, dtype)
        self.losses: list[Tensor] = []

    def step(self, x: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()
        with self.precision():
            loss = nn.functional.cross_entropy(self.call(x), labels)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.losses.append(loss.detach())


def _measured(mode: str, positivity: str, place: Place) -> dict[str, Any]:
    _, width, batch = place.sizes.step
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, width, generator=generator)
    labels = (x @ torch.randn(width, CLASSES, generator=generator)).argmax(1).to(place.device)
    x = x.to(place.device)
    projected = _Twin(mode, positivity, positivity == "projection", place)
    twins = {"as it is kept": projected}
    if positivity == "projection":
        twins["without projection"] = _Twin(mode, positivity, False, place)
    actions = {name: lambda twin=twin: twin.step(x, labels) for name, twin in twins.items()}
    seconds = side_by_side(actions, rounds=max(4, 4 * place.sizes.rounds), warm_up=5, synchronise=place.synchronise)
    losses = torch.stack(projected.losses).double()
    certificate = ci.certify(projected.model, x)
    names = ci.projected_parameters(projected.model) if positivity == "projection" else {}
    found: dict[str, Any] = {
        "verdict": certificate.verdict,
        "finite": bool(losses.isfinite().all()),
        "first_loss": float(losses[0]),
        "last_loss": float(losses[-1]),
        "loss_scale": projected.scaler.get_scale(),
        "lowest_weight": min((float(each.detach().min()) for each in names.values()), default=None),
        "seconds": seconds,
    }
    if len(twins) == 2:
        found["step_with_projection_to_without"] = ratio(seconds, *twins)
    return found
