"""The recipes in examples/ run, learn and end convex (each asserts it), and the page on them shows their lines."""

from __future__ import annotations

import importlib.util
import re
from textwrap import indent

import pytest

from tests.architecture.checkout import CHECKOUT

PAGE = CHECKOUT / "docs" / "recipes.md"
RECIPES = {
    "transport_map": ({"steps": 150}, lambda error: error < 0.1),
    "partially_convex": ({"steps": 250}, lambda costs: costs[1] < 0.2 * costs[0]),
    "regulariser": ({"steps": 60}, lambda errors: errors[1] < 0.6 * errors[0]),
    "hyperelastic": ({"steps": 150}, lambda error: error < 0.05),
    "control": ({"steps": 250}, lambda costs: costs[1] < costs[0] < 1.3 * costs[1]),
    "deep_classifier": ({"epochs": 2}, lambda found: found[0] < 0.3 and found[1] > 0.9),
    "resumed_and_averaged": ({}, lambda errors: errors["average"] < errors["first"]),
}
"""By name of the script, a length that is enough to learn something, and what that is."""


def source_of(name):
    return CHECKOUT / "examples" / f"{name}.py"


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_learns(name, capsys):
    if name == "deep_classifier":
        pytest.importorskip("sklearn")
    spec = importlib.util.spec_from_file_location(name, source_of(name))
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    arguments, is_learnt = RECIPES[name]
    assert is_learnt(script.main(**arguments))
    assert "convex" in capsys.readouterr().out


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_asks_for_its_certificate(name):
    assert "assert_convex_(" in source_of(name).read_text(encoding="utf-8")


def test_the_page_shows_lines_of_its_scripts():
    page = PAGE.read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE))
    rows = re.findall(r"^\| \[(.*?)\]\(#(.*?)\) \| \[(\w+)\.py\]", page, re.MULTILINE)
    assert {script for _, _, script in rows} == set(RECIPES)
    for title, anchor, script in rows:
        assert anchor == title.replace(" ", "-")
        blocks = re.findall(r"^```python\n(.*?)^```", sections[title.capitalize()], re.DOTALL | re.MULTILINE)
        assert blocks
        for block in blocks:
            assert indent(block, "    ") in source_of(script).read_text(encoding="utf-8"), (script, block)
