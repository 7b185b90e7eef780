"""Versions of what is installed, and of what we ask for at least."""

from __future__ import annotations

import re
from functools import cache
from importlib import metadata

DISTRIBUTION = "convex-init"
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)>=(?P<least>[\d.]+)(?:.*extra == ['\"](?P<extra>[\w-]+)['\"])?")


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def version_of(module: str) -> str:
    """Return the version of the distribution that a module comes from; empty if it has none."""
    names = _distributions().get(module, [])
    return metadata.version(names[0]) if names else ""


def too_old(module: str, extra: str) -> str:
    """Return the least version that an extra of ours asks for, if what is installed is older; otherwise nothing.

    Args:
        module: as it is imported.
        extra: empty for what we need in any case.
    """
    names = {_plain(name) for name in _distributions().get(module, [])}
    found = version_of(module)
    for line in _requirements():
        match = _REQUIREMENT.match(line)
        if match and (match["extra"] or "") == extra and _plain(match["name"]) in names:
            return match["least"] if _numbers(found) < _numbers(match["least"]) else ""
    return ""


def _requirements() -> list[str]:
    try:
        return metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return []


def installed_version() -> str:
    """Return the version of this package as pip knows it; empty if it does not."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return ""


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def _numbers(version: str) -> tuple[int, ...]:
    """Return the release as numbers; ``2.9.0`` and ``2.9`` are the same."""
    parts = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in parts[0].split(".")] if parts else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
