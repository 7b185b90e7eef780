"""``convex-init certify``: verdicts as exit codes, in every framework."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from tests.command.running import HERE, shell

__all__ = ["shell"]

ROWS = ["--inputs", "8x4"]
CASES = {
    "torch convex": ("torch:convex", ROWS, 0, "convex"),
    "torch by the name of a module": ("torch:made", ["--inputs", "2x4"], 1, "not convex"),
    "torch not convex": ("torch:wavy", ROWS, 1, "counterexample"),
    "torch without a search": ("torch:wavy", [*ROWS, "--no-search"], 2, "cannot tell"),
    "torch cannot tell": ("torch:Unseen", ["--inputs", "8x1,8x1"], 2, "cannot tell"),
    "torch in one of its inputs": ("torch:Unseen", ["--inputs", "x=8x1,y=8x1", "--convex-inputs", "x"], 0, "convex"),
    "torch by position": ("torch:Unseen", ["--inputs", "8x1,8x1", "--convex-inputs", "1"], 0, "convex"),
    "torch monotone": ("torch:Rising", [*ROWS, "--monotone", "0=non-decreasing"], 0, "non-decreasing in '0'"),
    "torch not monotone": ("torch:Rising", [*ROWS, "--monotone", "0=non-increasing"], 1, "not non-increasing"),
    "torch in double precision": ("torch:double", ROWS, 1, "not convex"),
    "torch whole numbers": ("torch:Picked", ["--inputs", "x=8x4,kind=8:int64"], 1, "not convex"),
    "keras convex": ("keras:convex", [], 0, "convex"),
    "keras on inputs": ("keras:convex", ROWS, 0, "convex"),
    "keras not convex": ("keras:wavy", ROWS, 1, "counterexample"),
    "keras two inputs": ("keras:two_inputs", ["--inputs", "8x4,8x3"], 0, "convex"),
    "keras inputs by name": ("keras:two_inputs", ["--inputs", "y=8x3,x=8x4"], 0, "convex"),
    "jax pair": ("jax:pair", ROWS, 0, "convex"),
    "jax not convex": ("jax:concave", ROWS, 1, "counterexample"),
    "jax equinox": ("jax:equinox_module", ROWS, 1, "not convex"),
    "jax flax": ("jax:flax_module", ROWS, 1, "not convex"),
}


def needed(case):
    framework, _, kind = case.partition(" ")
    for module in (framework, kind):
        if module in ("torch", "keras", "jax", "equinox", "flax") and not importlib.util.find_spec(module):
            pytest.skip(f"{module} is not installed")


@pytest.mark.parametrize("case", CASES)
def test_the_exit_code_is_the_verdict(shell, case):
    needed(case)
    factory, options, code, words = CASES[case]
    assert shell("certify", f"factories_{factory}", *options) == code, shell.err
    assert words in shell.out
    assert shell("certify", f"factories_{factory}", *options, "--json") == code
    assert shell.answer["verdict"] == {0: "convex", 1: "not convex", 2: "cannot tell"}[code] or "monotone" in case


def test_a_counterexample_in_json_is_one(shell):
    torch = pytest.importorskip("torch")
    assert shell("certify", "factories_torch:wavy", *ROWS, "--json") == 1
    found = shell.answer["violation"]
    a, b = (np.array(found[end]["0"]) for end in "ab")
    f = [float(torch.sin(3 * torch.tensor(x)).flatten()[found["element"]]) for x in ((a + b) / 2, a, b)]
    assert f[0] - (f[1] + f[2]) / 2 == pytest.approx(found["excess"], rel=1e-3)


def test_a_file_and_a_module_are_one(shell):
    pytest.importorskip("torch")
    assert shell("certify", HERE / "factories_torch.py:convex", *ROWS) == 0


def test_from_a_shell_the_users_own_prints_are_not_in_the_answer():
    pytest.importorskip("torch")
    command = [sys.executable, "-m", "convex_init", "certify", "factories_torch:convex", *ROWS]
    ended = subprocess.run(command, cwd=HERE, env=None, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "convex\n"), ended.stderr
    assert "noise" in ended.stderr
