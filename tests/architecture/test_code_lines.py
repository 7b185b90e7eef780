"""What counts as a line of code."""

from __future__ import annotations

import runpy

import pytest

from tests.architecture.checkout import CHECKOUT

code_lines = runpy.run_path(str(CHECKOUT / "tools" / "code_lines.py"))["code_lines"]


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("", 0),
        ('"""Doc\n\nstring."""\n\nx = 1  # why\n\n# comment\ny = 2\n', 2),
        ('def f():\n    """Doc."""\n    return (\n        1\n    )\n', 4),
        ('x = """a\nb\n"""\n', 3),
        ('X = 1\n"""What it is."""\n', 1),
    ],
)
def test_only_code_counts(source, count):
    assert code_lines(source) == count
