"""Files, folders and pages stay small enough to be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.checkout import CHECKOUT

PACKAGES = ("convex_init_core", "plugins", "integrations")
CODE = (*PACKAGES, "benchmarks", "examples", "experiments", "tests", "tools")

LINES, MODULES, PAGE = 350, 9, 200


def lines(files: list[Path]) -> dict[str, int]:
    return {path.relative_to(CHECKOUT).as_posix(): len(path.read_text(encoding="utf-8").splitlines()) for path in files}


def code_lines() -> dict[str, int]:
    return lines([path for folder in CODE for path in (CHECKOUT / folder).rglob("*.py")])


def modules_in_folders() -> dict[str, int]:
    """Of our packages; a package's ``__init__`` only says what it offers."""
    found: dict[str, int] = {}
    for package in PACKAGES:
        for path in (CHECKOUT / package).rglob("*.py"):
            folder = path.parent.relative_to(CHECKOUT).as_posix()
            found[folder] = found.get(folder, 0) + (path.name != "__init__.py")
    return found


def page_lines() -> dict[str, int]:
    return lines([CHECKOUT / "README.md", *(CHECKOUT / "docs").rglob("*.md")])


PLANS = {
    "lines in a file": (code_lines, LINES),
    "modules in a folder": (modules_in_folders, MODULES),
    "lines on a page of the docs": (page_lines, PAGE),
}


@pytest.mark.parametrize("plan", PLANS)
def test_nothing_grows_past_its_limit(plan):
    measure, limit = PLANS[plan]
    found = measure()
    assert found
    too_many = {name: size for name, size in found.items() if size > limit}
    assert not too_many, f"at most {limit} {plan}: divide {too_many}"
