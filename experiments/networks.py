"""The networks that experiments compare, by settings that can be written to JSON."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from convex_init.torch import ICNN, apply_, project_
from convex_init.torch.write.positivity import raw_parameter
from convex_init_core import as_activation, feature_moments


@dataclass(frozen=True)
class Method:
    """One curve of a figure: an architecture and its initialisation.

    Attributes:
        positivity: how the weights are kept non-negative; ``None`` if they are not.
        init: ``"he"``, ``"ours"`` (``apply_`` with ``settings``), ``"shift"`` (He's weights, and biases that centre),
            or ``"shift_as_run"`` (see :func:`shift_only_`).
        skip: whether there are free maps from the input.
        settings: of ``apply_``.
    """

    positivity: str | None = "projection"
    init: str = "he"
    skip: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


# The paper's method by name, whatever the default of apply_ may become.
PAPER: dict[str, Any] = {"method": "log_normal", "distribution": "log_normal"}

METHODS = {
    "non-convex": Method(positivity=None),
    "ICNN": Method(),
    "ICNN + skip": Method(skip=True),
    "ICNN + init": Method(init="ours"),
    "ICNN + bias-init": Method(init="ours", settings={"bias_noise": 0.5}),
    "ICNN + init (corr: 0.1)": Method(init="ours", settings={"correlation": 0.1}),
    "ICNN + init (corr: 0.9)": Method(init="ours", settings={"correlation": 0.9}),
    "ICNN + init (only shift)": Method(init="shift"),
    "ICNN + init (only shift, as run)": Method(init="shift_as_run"),
    "ICNN + isometric": Method(init="ours", settings={"method": "isometric"}),  # not the paper's: see docs/depth.md
    "exp-ICNN": Method("exp"),
    "exp-ICNN + skip": Method("exp", skip=True),
    "exp-ICNN + init": Method("exp", init="ours"),
}


def build(method: str | Method, inputs: int, hidden: Sequence[int], outputs: int, generator: torch.Generator) -> ICNN:
    """Return the network of a method, drawn from ``generator`` (on the CPU)."""
    method = METHODS[method] if isinstance(method, str) else method
    with warnings.catch_warnings():  # that a method is not known to carry this depth: here it is what is measured
        warnings.simplefilter("ignore", UserWarning)
        network = ICNN(inputs, hidden, outputs, skip=method.skip, positivity=method.positivity)
        if method.init == "ours":
            apply_(network, generator=generator, **{**PAPER, **method.settings})
        elif method.init == "he":
            he_(network, generator)
        else:
            shift_only_(network, generator, as_run=method.init == "shift_as_run")
    if method.positivity == "projection":
        project_(network)
    return network


@torch.no_grad()
def he_(network: ICNN, generator: torch.Generator) -> None:
    """Initialise the usual way: He behind a ReLU, LeCun behind the input, biases 0.

    Behind a positivity map it is the raw parameter that is drawn so, as the paper's default does.
    """
    for layer in network.layers[1:]:
        nn.init.kaiming_normal_(raw_parameter(layer), nonlinearity="relu", generator=generator)
    for layer in [network.layers[0], *(network.skips or [])]:
        assert isinstance(layer, nn.Linear)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="linear", generator=generator)
    for layer in [*network.layers, *(network.skips or [])]:
        if isinstance(layer.bias, Tensor):
            nn.init.zeros_(layer.bias)


@torch.no_grad()
def shift_only_(network: ICNN, generator: torch.Generator, as_run: bool = False) -> None:
    """Initialise for Figure 8: only the biases follow the paper (equation 8), −N μ_w E[φ].

    μ_w is the mean of He's weights once the negative ones are set to 0, √(2/N)/√(2π). ``as_run`` is the fault that the
    authors report of their own figure: the weights were those of the principled initialisation all the same.
    """
    he_(network, generator)
    shifts = []
    for layer in list(network.layers)[1:]:
        fan_in = layer.in_features
        assert isinstance(fan_in, int)
        clipped_mean = (2.0 / fan_in / (2.0 * torch.pi)) ** 0.5
        shifts.append(-fan_in * clipped_mean * feature_moments(as_activation("relu"), 0.0).mean)
    if as_run:
        apply_(network, generator=generator, **PAPER)
    for layer, shift in zip(list(network.layers)[1:], shifts, strict=True):
        assert isinstance(layer.bias, Tensor)
        layer.bias.fill_(shift)
