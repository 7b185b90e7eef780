"""What counts as a line of code."""

from __future__ import annotations

import runpy

import pytest

from tests.architecture.checkout import CHECKOUT

TOOL = runpy.run_path(str(CHECKOUT / "tools" / "code_lines.py"))
code_lines, table = TOOL["code_lines"], TOOL["table"]


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


def test_the_table_of_the_page_leaves_out_folders_of_tests_and_small_ones():
    found = [
        ("convex_init_core", 2, 1000),
        ("  theory", 1, 500),
        ("  tiny", 1, 49),
        ("tests", 3, 3000),
        ("  core", 2, 2000),
    ]
    assert table(found, 1000).splitlines()[2:] == [
        "| `convex_init_core` | 2 | 1,000 | 1.00 |",
        "| … `theory` | 1 | 500 | 0.50 |",
        "| `tests` | 3 | 3,000 | 3.00 |",
    ]
