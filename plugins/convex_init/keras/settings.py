"""The settings of one layer, as Keras saves them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from convex_init_core import POSITIVITIES, Positivity, as_positivity


def positivity_from(spec: str | dict[str, Any] | Positivity) -> Positivity:
    """Return the map of a name, a config or a ``Positivity``."""
    if isinstance(spec, dict):
        parameters = dict(spec)
        return POSITIVITIES[parameters.pop("name")](**parameters)
    return as_positivity(spec)


def positivity_config(positivity: Positivity) -> str | dict[str, Any]:
    """Return what :func:`positivity_from` turns back into ``positivity``: its name if that says everything."""
    if positivity == POSITIVITIES[positivity.name]():
        return positivity.name
    return {"name": positivity.name, **asdict(positivity)}
