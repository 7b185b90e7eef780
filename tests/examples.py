"""The examples in docstrings, run: what the tests of each framework share."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from collections.abc import Collection, Iterator

OPTIONS = doctest.ELLIPSIS

SHOWN = {
    "convex_init_core": (
        "InitSettings as_activation as_positivity custom forward non_negative_law positive_recipe solve stability"
    ),
    "convex_init.torch": (
        "ICNN ConvexLinear Positive apply_ assert_convex_ certify icnn_ lecun_ level_set_path mark_projected plan "
        "project_ project_after_step projected_parameters signal_report"
    ),
    "convex_init.keras": (
        "ICNN ConvexDense ConvexityGuard ICNNBias ICNNInit NonNeg NonNegProjection apply_ certify check_initializers "
        "icnn plan project_ signal_report"
    ),
    "convex_init.jax": "apply apply_ certify icnn icnn_bias icnn_kernel plan project projection signal_report",
    "convex_init.ignite": "ConvexityGuard NonNegProjection SignalMonitor",
    "convex_init.timm": "convexify convexity_report",
    "convex_init.cvxpy": ("conjugate conjugate_batched expression minimise minimise_batched proximal proximal_batched"),
}
"""Of each package, separated by spaces."""


def examples_in(package: str, without: Collection[str] = ()) -> dict[str, doctest.DocTest]:
    """Return the docstrings with examples in a package and its modules but those named in `without`."""
    found = {}
    for module in _modules(package):
        if module in without:
            continue
        for test in doctest.DocTestFinder().find(importlib.import_module(module), module):
            if test.examples:
                found[test.name] = test
    return found


def _modules(package: str) -> Iterator[str]:
    yield package
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        yield module.name


def failures_of(test: doctest.DocTest) -> str:
    """Run the examples of one docstring; return what went wrong, as text."""
    said: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=said.append)
    return "".join(said)


def names_without(package: str, shown: Collection[str]) -> set[str]:
    """Return which of the names of a package that users meet are not among the examples `shown`."""
    public = importlib.import_module(package)
    return {name for name in SHOWN[package].split() if f"{getattr(public, name).__module__}.{name}" not in shown}
