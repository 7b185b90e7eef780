"""What the core hands out are values: nobody can change one that others hold too."""

from __future__ import annotations

import dataclasses

import pytest

import convex_init_core as core

VALUES = [name for name in core.__all__ if dataclasses.is_dataclass(getattr(core, name))]


def test_there_are_values() -> None:
    assert {"Activation", "Geometry", "InitSettings", "Isometric", "LogNormal", "Recipe"} <= set(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_cannot_be_changed(name: str) -> None:
    cls = getattr(core, name)
    value = object.__new__(cls)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(cls)[0].name if dataclasses.fields(cls) else "anything", 1.0)
