"""The five networks that the demo compares."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from convex_init.demo.settings import DemoSettings
from convex_init.torch import ICNN, apply_


@dataclass(frozen=True)
class Variant:
    """One row of the table: an architecture and how it is initialised.

    Attributes:
        name: as in the paper.
        positivity: how its weights are kept non-negative; ``None`` if they are not.
        skip: whether it has free maps from the input.
        principled: whether it gets the principled initialisation, or He's.
    """

    name: str
    positivity: str | None
    skip: bool = False
    principled: bool = False

    def describe(self, settings: DemoSettings) -> str:
        """Return how it is initialised, and kept non-negative, in a few words."""
        if self.positivity is None:
            return "He"
        if not self.principled:
            return "He, clipped"
        law = "" if settings.distribution == "log_normal" else f", {settings.distribution}"
        return f"bias_noise {settings.bias_noise:g}{law}"

    def build(self, inputs: int, outputs: int, settings: DemoSettings, generator: torch.Generator) -> ICNN:
        """Make the network and draw its parameters from ``generator`` (on the CPU)."""
        hidden = [settings.width or inputs] * settings.depth
        network = ICNN(inputs, hidden, outputs, skip=self.skip, positivity=self.positivity)
        if self.principled:
            apply_(
                network,
                generator=generator,
                method="log_normal",  # the paper's
                bias_noise=settings.bias_noise,
                distribution=settings.distribution,
            )
        else:
            he_(network, generator)
        return network.to(settings.device)


VARIANTS = (
    Variant("non-convex", positivity=None),
    Variant("ICNN", positivity="projection"),
    Variant("ICNN + skip", positivity="projection", skip=True),
    Variant("ICNN + init", positivity="projection", principled=True),
    Variant("exp-ICNN + init", positivity="exp", principled=True),
)


@torch.no_grad()
def he_(network: ICNN, generator: torch.Generator) -> None:
    """Initialise as usual: He behind a ReLU, LeCun behind the input, biases 0; in an ICNN the projection follows."""
    fed_by_input = [network.layers[0], *(network.skips or [])]
    for layer in [*network.layers, *(network.skips or [])]:
        assert isinstance(layer, nn.Linear)
        if layer in fed_by_input:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear", generator=generator)
        else:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
