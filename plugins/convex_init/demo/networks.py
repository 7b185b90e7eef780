"""The five networks that the demo compares."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from convex_init.demo.failure import DemoError
from convex_init.demo.settings import DemoSettings
from convex_init.torch import ICNN, apply_, plan, project_
from convex_init_core.request import METHOD


@dataclass(frozen=True)
class Variant:
    """One row of the table: an architecture and how it is initialised.

    Attributes:
        name: of the architecture, as in the paper.
        start: ``"He"``, ``"default"`` (torch's own, clamped at 0) or ``"ours"``.
    """

    name: str
    start: str

    @property
    def label(self) -> str:
        """Its name among all."""
        return f"{self.name}, {self.start}"

    @property
    def is_convex(self) -> bool:
        """Whether its weights are kept non-negative."""
        return self.start != "He"

    @property
    def skip(self) -> bool:
        """Whether it has free maps from the input."""
        return "skip" in self.name

    def describe(self, settings: DemoSettings) -> str:
        """Return how it is initialised, in a few words."""
        if self.start != "ours":
            return {"He": "He", "default": "torch's default, clamped"}[self.start]
        options = self.options(settings)
        method = options.pop("method", METHOD)
        return f"ours: {', '.join([method, *(f'{name} {value:g}' for name, value in options.items())])}"

    def options(self, settings: DemoSettings) -> dict[str, Any]:
        """Return what our initialisation is told; a threshold is for chains only."""
        given = {"method": settings.method, "threshold": None if self.skip else settings.threshold}
        return {name: value for name, value in given.items() if value is not None}

    def build(
        self,
        inputs: Tensor,
        outputs: int,
        depth: int,
        settings: DemoSettings,
        generator: torch.Generator,
        note: Callable[[str], None] = lambda said: None,
    ) -> ICNN:
        """Make the network and draw its parameters from ``generator`` (on the CPU).

        Args:
            inputs: examples, on the device of the network.
            outputs: their number.
            depth: number of hidden layers.
            settings: of the task.
            generator: source of randomness.
            note: called with what the plan says of itself, and with its warnings.

        Raises:
            DemoError: if our initialisation refuses what it is told.
        """
        widths = [settings.width] * depth
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            with torch.random.fork_rng(devices=[]):  # its constructor draws, too
                network = ICNN(
                    inputs.shape[1],
                    widths,
                    outputs,
                    skip=self.skip,
                    positivity="projection" if self.is_convex else None,
                )
            caught.clear()
            if self.start == "ours":
                network.to(inputs.device)
                try:
                    made = plan(network, inputs, **self.options(settings))
                    apply_(network, inputs, generator=generator, **self.options(settings))
                except ValueError as error:
                    raise DemoError(f"{self.name} of {depth} layers: {str(error).splitlines()[0]}") from error
                for said in dict.fromkeys([getattr(made, "chose", ""), *(str(found.message) for found in caught)]):
                    if said:
                        note(f"{self.name} of {depth} layers: {said}")
                return network
        if self.start == "He":
            network.reset_parameters(generator)
        else:
            torch_default_(network, generator)
            project_(network)
        return network.to(inputs.device)


VARIANTS = (
    Variant("non-convex", "He"),
    Variant("ICNN", "default"),
    Variant("ICNN", "ours"),
    Variant("ICNN + skip", "default"),
    Variant("ICNN + skip", "ours"),
)


@torch.no_grad()
def torch_default_(network: ICNN, generator: torch.Generator) -> None:
    """Draw all parameters as ``nn.Linear`` does: evenly, from ``−1/√fan_in`` to ``1/√fan_in``."""
    for layer in [*network.layers, *(network.skips or [])]:
        assert isinstance(layer, nn.Linear)
        bound = 1.0 / math.sqrt(layer.in_features)
        for parameter in layer.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
