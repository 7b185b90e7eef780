"""A release that does not fit together is stopped; this checkout's versions do fit."""

from __future__ import annotations

import re
import runpy

import pytest

from convex_init import __version__
from tests.architecture.checkout import CHECKOUT

RELEASE = runpy.run_path(str(CHECKOUT / "tools" / "release.py"))
FILES = ("CHANGELOG.md", "CITATION.cff", "plugins/convex_init/__init__.py")


def test_versions_and_dates_fit_together():
    assert RELEASE["faults"](CHECKOUT, f"v{__version__}") == []


@pytest.fixture
def copied(tmp_path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((CHECKOUT / name).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "pattern", "instead", "fault"),
    [
        (FILES[0], r"^## \d.*$", "## 9.9.9 - 2030-01-01", "the newest section of CHANGELOG.md is 9.9.9"),
        (FILES[0], r"(?s)^## \d.*", "", "the newest section of CHANGELOG.md is missing"),
        (FILES[0], r"(?s)(^## \d[^\n]*\n).*", r"\1", "says nothing"),
        (FILES[1], r"^version: .*", "version: 9.9.9", "CITATION.cff has version 9.9.9"),
        (FILES[1], r"^date-released: .*", "date-released: 2030-01-01", "of 2030-01-01"),
        (FILES[2], r"^__version__ = .*", '__version__ = "9.9.9"', "the package has version 9.9.9"),
    ],
)
def test_what_does_not_fit_is_named(copied, name, pattern, instead, fault):
    text = (copied / name).read_text(encoding="utf-8")
    (copied / name).write_text(re.sub(pattern, instead, text, count=1, flags=re.MULTILINE), encoding="utf-8")
    assert fault in "\n".join(RELEASE["faults"](copied))


def test_another_tag_is_stopped():
    assert RELEASE["faults"](CHECKOUT, "v0.0.1") == [f"the tag is v0.0.1, and the package has version {__version__}"]


def test_the_notes_are_the_section():
    text = "# Changelog\n\n## Unreleased\n\n- c\n\n## 0.2.0 - 2026-01-02\n\n- b\n\n## 0.1.0 - 2026-01-01\n\n- a\n"
    assert RELEASE["sections"](text) == {"0.2.0": ("2026-01-02", "- b"), "0.1.0": ("2026-01-01", "- a")}
