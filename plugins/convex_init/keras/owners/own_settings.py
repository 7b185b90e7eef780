"""The settings that networks and layers of ours were made with: an initialisation of the whole model keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import keras

from convex_init.keras.initializers import ICNNInit
from convex_init_core.settings import InitSettings

_KEY = "_convex_init_settings"
_OF_PLACE = "skip_share"  # a layer's own is 0 where it stands beside no skip


def keep_settings(model: Any, settings: InitSettings | Mapping[str, Any]) -> None:
    """Remember settings on a model, those that are not the defaults."""
    found = _chosen(settings) if isinstance(settings, InitSettings) else dict(settings)
    object.__setattr__(model, _KEY, {**getattr(model, _KEY, {}), **found})  # Keras would track it


def own_settings(model: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield path and settings of each part of a model that was made with some that are not the defaults."""
    if not isinstance(model, keras.Layer):
        return
    for layer in model._flatten_layers():
        settings = getattr(layer, _KEY, {})
        if settings:
            yield "" if layer is model else layer.name, settings
        kernel = getattr(layer, "kernel_initializer", None)
        if isinstance(kernel, ICNNInit):
            chosen = _chosen(kernel.settings)
            chosen.pop(_OF_PLACE, None)
            if chosen:
                yield layer.name, chosen


def _chosen(settings: InitSettings) -> dict[str, Any]:
    defaults = asdict(InitSettings())
    return {name: value for name, value in asdict(settings).items() if value != defaults[name]}
