"""The frameworks that are held to the contract: one line and one small module each.

``tests/contract/in_<framework>.py`` has a class ``Adapter``: a described model written in the framework, and what the
tests do with it, with NumPy arrays in and out, axes as in the description. To add a framework, write its module and add
its line; whatever it cannot do (yet) is left out of the line, and the tests of that run for the others alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from tests.contract.description import Model

ABILITIES = {
    "torch": {"projection"},
    "keras": {"projection"},
    "jax": {"projection"},
    "equinox": {"projection"},
    "flax_nnx": {"projection"},
    "flax_linen": {"projection"},
}
"""What a framework can do beside planning, writing, running and training weights behind a map: ``projection`` keeps
plain weights non-negative while they are trained (``write``, ``project``, ``detach`` of its ``Adapter``)."""


_PACKAGES = {"jax": ("jax", "optax"), **dict.fromkeys(("flax_nnx", "flax_linen"), ("flax", "optax"))}
_PACKAGES["equinox"] = ("equinox", "optax")


def adapter(framework: str, model: Model) -> Any:
    """Return the described model in a framework."""
    return import_module(f"tests.contract.in_{framework}").Adapter(model)


def skip_without(framework: str) -> None:
    """Skip where a framework, or what it runs on, is not installed."""
    for package in _PACKAGES.get(framework, (framework,)):
        pytest.importorskip(package, reason=f"{package} cannot be imported", exc_type=ImportError)


def able(ability: str) -> list[str]:
    """Return the frameworks with an ability."""
    return [name for name, abilities in ABILITIES.items() if ability in abilities]
