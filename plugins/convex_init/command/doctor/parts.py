"""What can be installed beside the core, and what each needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

import convex_init


@dataclass(frozen=True)
class Part:
    """One thing that works here or not.

    Attributes:
        name: as the user writes it, such as ``"keras-torch"``.
        modules: that it needs, as they are imported.
        extra: that installs them.
        environment: variables that choose it.
    """

    name: str
    modules: tuple[str, ...]
    extra: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[str, ...]:
        """Modules that are not installed."""
        return tuple(module for module in self.modules if find_spec(module) is None)


_STANDS_ON = {"cvxpy": ("torch",), "ignite": ("torch",), "timm": ("torch", "torchvision")}

_EXTRAS = {"cvxpy": "cvxpy,torch"}  # where the one of its name leaves the choice of a framework to the user


def all_parts() -> list[Part]:
    """Return a part for each plug-in that is there, of Keras one for each backend, and those that are no plug-ins."""
    found = []
    for plugin in convex_init._adapters():
        if plugin == "keras":
            found += [_keras(backend) for backend in ("tensorflow", "torch", "jax")]
        else:
            found.append(Part(plugin, (plugin, *_STANDS_ON.get(plugin, ())), _EXTRAS.get(plugin, plugin)))
    found += [Part(f"jax-{library}", ("jax", library), library) for library in ("equinox", "flax", "optax")]
    found.append(Part("plot", ("matplotlib",), "plot"))
    found.append(Part("demo", ("torch", "sklearn", "matplotlib", "tqdm"), "demo"))
    return sorted(found, key=lambda part: part.name)


def _keras(backend: str) -> Part:
    extra = {"tensorflow": "tensorflow"}.get(backend, f"keras,{backend}")
    return Part(f"keras-{backend}", ("keras", backend), extra, {"KERAS_BACKEND": backend})
