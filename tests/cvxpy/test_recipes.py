"""The scripts of docs/solver.md do what the page says; its lines are theirs, its table that of the benchmark."""

from __future__ import annotations

import importlib.util
import json
import re

import pytest

pytest.importorskip("torch")

from benchmarks import solver
from tests.architecture.checkout import CHECKOUT

PAGE = CHECKOUT / "docs" / "solver.md"
RECIPES = {
    "predictive_control": ({"steps": 200}, lambda costs: costs[1] - 1e-3 < costs[0] < 1.15 * costs[1]),
    "proximal_denoiser": (
        {"steps": 200},
        lambda found: (
            found["denoised"] < 0.75 * found["noisy"]
            and found["filled"] < 0.75 * found["holes"]
            and found["off"] <= found["bound"] + 1e-3
        ),
    ),
    "inverse_map": ({"steps": 60}, lambda found: found["back"] < 0.05 and found["exact"] < 1e-3),
}
"""By name of the script, a length that is enough to learn something, and what that is."""


def source_of(name):
    return CHECKOUT / "examples" / f"{name}.py"


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_does_what_it_says(name, capsys):
    spec = importlib.util.spec_from_file_location(name, source_of(name))
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    arguments, is_right = RECIPES[name]
    found = script.main(**arguments)
    assert is_right(found), found
    assert "convex" in capsys.readouterr().out


def test_the_page_shows_lines_of_its_scripts():
    page = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(\.\./examples/(\w+)\.py\)", page)) == set(RECIPES)
    recipes = page.partition("## Recipes")[2]
    sources = _flush("".join(source_of(name).read_text(encoding="utf-8") for name in RECIPES))
    blocks = re.findall(r"^```python\n(.*?)^```", recipes, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    assert all(_flush(block) in sources for block in blocks)


def _flush(source):
    return "\n".join(line.strip() for line in source.splitlines()) + "\n"


def test_the_page_has_the_table_of_the_benchmark():
    result = json.loads((CHECKOUT / "results" / "solver.json").read_text(encoding="utf-8"))
    assert f"<!-- table:solver -->\n{solver.table(result)}<!-- /table -->" in PAGE.read_text(encoding="utf-8")


def test_the_benchmark_solves_one_problem_in_all_ways():
    found = solver.row(3, 6, "softplus", 2)
    assert set(found["above_the_best"]) < set(found["seconds"])
    assert all(0.0 <= above < 1e-3 for above in found["above_the_best"].values())


def test_a_problem_with_parameters_is_for_differentiation():
    import cvxpy as cp
    import torch

    import convex_init.cvxpy as cc

    x, centre = cp.Variable(3), cp.Parameter(3)
    energy = cc.expression(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Softplus(), torch.nn.AvgPool1d(4)), x)
    assert cp.Problem(cp.Minimize(energy + cp.sum_squares(x - centre)), [x >= centre]).is_dpp()
