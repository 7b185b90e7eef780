"""The examples in docstrings, run: what the tests of each framework share."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from collections.abc import Collection, Iterator

OPTIONS = doctest.ELLIPSIS


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


def names_without(package: str, wanted: str, shown: Collection[str]) -> set[str]:
    """Return which of the public names of a package, separated by spaces, are not among the examples `shown`."""
    public = importlib.import_module(package)
    return {name for name in wanted.split() if f"{getattr(public, name).__module__}.{name}" not in shown}
