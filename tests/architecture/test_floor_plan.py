"""Files and folders stay small enough to be read: the largest of today may only shrink, and no others may join them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.checkout import CHECKOUT

PACKAGES = ("convex_init_core", "plugins", "integrations")
CODE = (*PACKAGES, "benchmarks", "examples", "experiments", "tests", "tools")

LINES = 350
TABLES: tuple[str, ...] = ()
"""Files that are one long table, which may have any length."""
LONG_FILES = {
    "tests/core/graphs/lines.py": 355,
    "tests/core/graphs/random_graphs.py": 412,
    "tests/torch/random_graphs.py": 640,
    "tests/torch/test_bends.py": 367,
}

MODULES = 9
FULL_FOLDERS: dict[str, int] = {}

PAGE = 200
LONG_PAGES: dict[str, int] = {}


def lines(files: list[Path]) -> dict[str, int]:
    return {path.relative_to(CHECKOUT).as_posix(): len(path.read_text(encoding="utf-8").splitlines()) for path in files}


def code_lines() -> dict[str, int]:
    found = lines([path for folder in CODE for path in (CHECKOUT / folder).rglob("*.py")])
    return {name: length for name, length in found.items() if name not in TABLES}


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
    "lines in a file": (code_lines, LINES, LONG_FILES),
    "modules in a folder": (modules_in_folders, MODULES, FULL_FOLDERS),
    "lines on a page of the docs": (page_lines, PAGE, LONG_PAGES),
}


@pytest.mark.parametrize("plan", PLANS)
def test_nothing_grows_past_its_limit(plan):
    measure, limit, bounds = PLANS[plan]
    found = measure()
    assert len(found) > len(bounds)
    too_many = {name: size for name, size in found.items() if size > bounds.get(name, limit)}
    assert not too_many, f"at most {limit} {plan}, or what is listed here: divide {too_many}"


@pytest.mark.parametrize("plan", PLANS)
def test_what_is_small_enough_by_now_is_off_the_list(plan):
    measure, limit, bounds = PLANS[plan]
    found = measure()
    done = [name for name in bounds if found.get(name, 0) <= limit]
    assert not done, f"take {done} off the list of too many {plan}"
