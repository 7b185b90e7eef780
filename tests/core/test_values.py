"""What the theory hands out are values: nobody can change one that others hold too."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import convex_init_core as core

FOLDERS = ("methods", "settings", "signal", "theory", "weights")


def dataclasses_of(folder: str) -> Iterator[type]:
    package = importlib.import_module(f"convex_init_core.{folder}")
    below = pkgutil.iter_modules(getattr(package, "__path__", ()), f"{package.__name__}.")
    for module in (package, *(importlib.import_module(found.name) for found in below)):
        for value in vars(module).values():
            if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == module.__name__:
                yield value


VALUES = {cls.__name__: cls for folder in FOLDERS for cls in dataclasses_of(folder)}


def test_there_are_values() -> None:
    assert {"Activation", "Geometry", "InitSettings", "Isometric", "LogNormal", "Recipe", "Part"} <= set(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_cannot_be_changed(name: str) -> None:
    cls = VALUES[name]
    value = object.__new__(cls)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(cls)[0].name if dataclasses.fields(cls) else "anything", 1.0)


def test_the_top_of_the_core_is_for_researchers() -> None:
    """Few names, all of the theory: what adapters need they take from the submodules."""
    assert len(core.__all__) <= 45
    assert {home.split(".")[0] for home in core._HOMES} <= set(FOLDERS)
    assert set(core._HOME_OF) == set(core.__all__)
