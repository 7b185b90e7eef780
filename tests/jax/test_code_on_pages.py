"""The code of docs/jax.md, run as it stands there, and what it says comes out."""

from __future__ import annotations

import re

import jax
import pytest

from tests.architecture.checkout import CHECKOUT


def test_the_page_on_jax(capsys):
    for needed in ("flax", "optax"):
        pytest.importorskip(needed, reason=f"{needed} cannot be imported", exc_type=ImportError)
    text = (CHECKOUT / "docs" / "jax.md").read_text(encoding="utf-8")
    known: dict = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if "klax" not in block:  # which this Python may not have; tests/jax/test_clients.py has these lines
            exec(compile(block, "docs/jax.md", "exec"), known)
    assert "\nconvex\n" in capsys.readouterr().out
    assert known["made"].project == ("last.w",)
    negative = jax.tree.map(lambda array: -abs(array) - 1.0, known["params"])
    made = known["project"](negative, known["made"])
    assert float(made["last"]["w"].min()) == 0.0
    assert float(made["second"]["w"].max()) < 0.0
    assert known["kernel"].shape == (10, 784)
    assert float(known["layer"].kernel[...].min()) >= 0.0
