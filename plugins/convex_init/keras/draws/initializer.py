"""What ``ICNNInit`` and ``ICNNBias`` share: settings, seeds, config."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from convex_init.keras.draws.drawing import fresh_seed, seed_stream
from convex_init.keras.serialisation import ActivationSpec, activation_config, core_activation
from convex_init_core.settings import InitSettings
from convex_init_core.weights.positivity import Positivity

if TYPE_CHECKING:
    from convex_init_core.methods.recipe import Recipe
    from convex_init_core.weights.weight_axes import Geometry

WIDE = 2.0**20
"""A fan-in at which every law exists, to check what does not depend on it."""


class _Calls:
    """How often an initializer has drawn; shared by the instances that layers make of a user's one."""

    def __init__(self) -> None:
        self.number = 0


class ICNNInitializer(keras.initializers.Initializer):
    """What the two initializers share: settings, seeds, config."""

    role: int

    def __init__(self, settings: InitSettings, fed_by: ActivationSpec, seed: Any, fan_in: float | None) -> None:
        self.settings, self.fed_by, self.fan_in = settings, core_activation(fed_by), fan_in
        if fan_in is not None:
            self._check(fan_in)  # refuses a bad one at once
        if isinstance(seed, dict):
            seed = keras.saving.deserialize_keras_object(seed)
        if isinstance(seed, np.integer):
            seed = int(seed)  # NumPy's integers, too
        if isinstance(seed, bool) or not (seed is None or isinstance(seed, (int, keras.random.SeedGenerator))):
            raise TypeError(f"seed must be an integer, a keras.random.SeedGenerator or None, got {seed!r}")
        self._given_seed = seed
        self.seed = fresh_seed() if seed is None else seed
        self._calls = _Calls()

    def _seeds(self) -> Iterator[Any]:
        if isinstance(self.seed, keras.random.SeedGenerator):
            return repeat(self.seed)
        # Unlike Keras' initializers, every call has its own numbers: layers may share one instance.
        seeds = seed_stream(self.seed, self.role, self._calls.number)
        self._calls.number += 1
        return seeds

    def _recipe(
        self, fan_in: float, positivity: str | Positivity = "projection", geometry: Geometry | None = None
    ) -> Recipe:
        from convex_init_core.methods.recipes import positive_recipe  # needed when a layer is made, and not before

        has_skip = self.settings.skip_share > 0.0
        return positive_recipe(fan_in, self.fed_by, self.settings, positivity, has_skip, geometry)

    def _check(self, fan_in: float, positivity: str | Positivity = "projection") -> None:
        """Refuse what does not fit together, as far as it shows without the kernel's shape."""
        where = None
        if self.settings.needs_geometry:
            from convex_init_core.weights.weight_axes import dense_geometry  # most layers need none

            where = dense_geometry(2, 2)
        self._recipe(fan_in, positivity, where)

    def _key(self) -> tuple[Any, ...]:
        chosen = self.settings
        return (
            *(chosen.correlation, chosen.variance, chosen.bias_noise, chosen.skip_share),
            *(chosen.method, self.fed_by),
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for ``from_config``; a seed that Keras chose is not among them."""
        return {
            "correlation": self.settings.correlation,
            "variance": self.settings.variance,
            "bias_noise": self.settings.bias_noise,
            "skip_share": self.settings.skip_share,
            "method": self.settings.method,
            "fed_by": activation_config(self.fed_by),
            "fan_in": self.fan_in,
            "seed": keras.saving.serialize_keras_object(self._given_seed),
        }
