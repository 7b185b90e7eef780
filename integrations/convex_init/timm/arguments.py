"""Checks of what timm passes on to our models as its user wrote it."""

from __future__ import annotations

from typing import Any

from timm.layers.create_act import get_act_layer
from timm.layers.helpers import to_2tuple
from torch import nn

from convex_init_core import checks

POOLS = ("avg", "max", "avgmax", "catavgmax", "fast", "fastavg", "fastmax", "fastavgmax", "fastcatavgmax")


def activation_class(spec: str | type[nn.Module]) -> type[nn.Module]:
    """Return the class of an activation, by timm's name where it is one.

    Raises:
        ValueError: if timm has no such name.
        TypeError: if it is neither.
    """
    if isinstance(spec, str):
        try:
            found: type[nn.Module] = get_act_layer(spec)
        except KeyError:
            raise ValueError(f"act_layer {spec!r} is unknown to timm: use relu, leaky_relu, elu, or a class") from None
        return found
    if isinstance(spec, nn.Module):
        raise TypeError(f"act_layer must be a class or a name, got a module: pass {type(spec).__name__}, or a function")
    if not callable(spec):
        raise TypeError(f"act_layer must be a class or a name, such as 'leaky_relu', got {spec!r}")
    return spec


def rate(value: object) -> float:
    """Return ``drop_rate`` as a number in [0, 1]."""
    found = checks.non_negative("drop_rate", value)
    if found > 1.0:
        raise ValueError(f"drop_rate must be at most 1, got {found:g}")
    return found


def sides(value: Any) -> tuple[int, int]:
    """Return ``img_size`` as height and width."""
    pair = tuple(to_2tuple(value))
    if len(pair) != 2:
        raise ValueError(f"img_size must be a number, or height and width, got {value!r}")
    return checks.whole("img_size", pair[0]), checks.whole("img_size", pair[1])


def pooling(value: object) -> str:
    """Return ``global_pool`` if timm knows it."""
    if not isinstance(value, str):
        raise TypeError(f"global_pool must be a name, such as 'avg', or '', got {value!r}")
    if value and value not in POOLS:
        raise ValueError(f"global_pool {value!r} is unknown; known are {', '.join(POOLS)}, and '' without classes")
    return value
