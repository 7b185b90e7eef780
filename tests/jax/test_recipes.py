"""The recipes in examples/ run, learn and end convex (each certifies what it trained)."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from tests.architecture.checkout import CHECKOUT

RECIPES = {
    "flax_nnx": ("flax", 60),
    "flax_linen": ("flax", 60),
    "equinox_ensemble": ("equinox", 60),
    "ott_map": ("ott", 100),
}
"""By name of the script, what it needs besides optax, and how many steps it takes to learn something."""


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.filterwarnings("ignore")  # how these libraries are written is not ours to judge
def test_a_recipe_learns(name, monkeypatch):
    library, steps = RECIPES[name]
    for needed in (library, "optax"):
        pytest.importorskip(needed, reason=f"{needed} cannot be imported", exc_type=ImportError)
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / "examples" / f"{name}.py")
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, script)  # dataclasses look their module up
    spec.loader.exec_module(script)
    before, after = script.main(steps=steps)
    assert after < 0.8 * before
