"""Example inputs, however they are passed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def arguments_of(example_inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return positional and keyword inputs: a dict is keywords, a tuple or list positions, anything else one input."""
    if isinstance(example_inputs, Mapping):
        return (), dict(example_inputs)
    is_several = isinstance(example_inputs, (tuple, list)) and not hasattr(example_inputs, "_fields")
    return (tuple(example_inputs) if is_several else (example_inputs,)), {}
