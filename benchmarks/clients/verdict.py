"""What the library makes of one client: its plan, its start on a fresh batch, its certificate."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import convex_init.torch as ci
from benchmarks.clients.catalogue import Client

SHOWN, FRESH = 512, 2048


@dataclass(frozen=True)
class Verdict:
    """The roles in the plan, the largest and smallest variance of what feeds the activations, and the certificate."""

    positive: int
    free: int
    without_shift: int
    variances: tuple[float, float]
    output_mean: float
    output_variance: float
    certificate: str


def first(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Return the value of a model that returns derivatives beside it, or none."""
    return output[0] if isinstance(output, tuple) else output


def initialised(client: Client, seed: int, shown: tuple[Tensor, ...]) -> nn.Module:
    """Return a new model of a client with our start."""
    torch.manual_seed(seed)
    model = client.build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the advice on depth and on few examples is not what is tried here
        ci.apply_(model, shown, generator=torch.Generator().manual_seed(seed), **client.settings)
    return model


def verdict(client: Client, seed: int = 0) -> Verdict:
    """Plan, initialise and certify one model of a client."""
    generator = torch.Generator().manual_seed(seed)
    shown, fresh = client.inputs(SHOWN, generator), client.inputs(FRESH, generator)
    torch.manual_seed(seed)
    plan = ci.plan(client.build(), shown, **client.settings)
    model = initialised(client, seed, shown)
    output = first(model(*fresh)).detach().flatten()
    report = ci.signal_report(model, fresh, **client.settings)
    variances = [layer.variance for layer in report.layers]
    roles = [layer.role for layer in plan.layers]
    return Verdict(
        positive=roles.count("positive"),
        free=len(roles) - roles.count("positive"),
        without_shift=sum(layer.role == "positive" and layer.shift_into is None for layer in plan.layers),
        variances=(min(variances), max(variances)),
        output_mean=float(output.mean()),
        output_variance=float(output.var()),
        certificate=str(ci.certify(model, fresh, **client.settings)),
    )
