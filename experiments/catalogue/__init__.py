"""The experiments, one a file: what is put here is found."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from experiments.experiment import Experiment
from experiments.failure import ExperimentError


def catalogue() -> dict[str, Experiment]:
    """Return all experiments by name."""
    found: dict[str, Experiment] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        content = import_module(f"{__name__}.{module.name}")
        of_module = [content.EXPERIMENT] if hasattr(content, "EXPERIMENT") else getattr(content, "EXPERIMENTS", [])
        for experiment in of_module:
            if experiment.name in found:
                raise ValueError(f"two experiments are called {experiment.name!r}")
            found[experiment.name] = experiment
    return found


def named(name: str) -> Experiment:
    """Return one experiment.

    Raises:
        ExperimentError: if there is none of this name.
    """
    known = catalogue()
    if name not in known:
        raise ExperimentError(f"there is no experiment {name!r}; there are {', '.join(known)}")
    return known[name]
