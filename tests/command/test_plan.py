"""``convex-init plan``: what ``apply_`` would do, in every framework."""

from __future__ import annotations

import pytest

from tests.command.running import shell
from tests.command.test_certify import ROWS, needed

__all__ = ["shell"]

CASES = {
    "torch": ("torch:fresh", [], ["free", "positive"]),
    "torch on inputs": ("torch:fresh", ROWS, ["free", "positive"]),
    "torch in double precision": ("torch:double", ROWS, ["free", "positive"]),
    "torch a model": ("torch:made", [], ["free", "positive"]),
    "torch a method": ("torch:fresh", ["--method", "isometric"], ["free", "positive"]),
    "torch left alone": ("torch:convex", ["--exclude", "layers.2"], ["free", "positive"]),
    "keras": ("keras:convex", [], ["free", "positive", "positive"]),
    "keras unbuilt": ("keras:Unbuilt", ROWS, ["free", "positive"]),
    "jax pair": ("jax:pair", ROWS, ["free", "positive"]),
    "jax equinox": ("jax:equinox_module", ROWS, ["free", "positive"]),
    "jax flax": ("jax:flax_module", ROWS, ["free", "positive"]),
    "jax flax.linen": ("jax:linen_module", ROWS, ["free", "positive"]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_plan_is_printed(shell, case):
    needed(case)
    factory, options, roles = CASES[case]
    assert shell("plan", f"factories_{factory}", *options) == 0, shell.err
    assert shell.out.startswith("layer")
    assert shell("plan", f"factories_{factory}", *options, "--json") == 0
    assert [layer["role"] for layer in shell.answer["layers"]] == roles


def test_settings_arrive(shell):
    pytest.importorskip("torch")
    options = ["--method", "log_normal", "--positivity", "projection", "--fed-by", "relu"]
    assert shell("plan", "factories_torch:fresh", *options, "--json") == 0, shell.err
    assert shell.answer["settings"]["method"] == "log_normal"


REFUSED = {
    "no colon": (["factories_torch"], "is not of the form MODULE:FACTORY"),
    "no module": (["nowhere.at_all:make"], "there is no module 'nowhere'"),
    "no file": (["nowhere.py:make"], "there is no file nowhere.py"),
    "no factory": (["factories_torch:fresch"], "did you mean 'fresh'?"),
    "no function": (["factories_torch:number"], "its type is int, which is neither a model nor a function"),
    "needs an argument": (
        ["factories_torch:needs"],
        "is called without arguments, and: missing a required argument",
    ),
    "no model": (["factories_torch:no_model"], "is a dict; there are plug-ins for a torch.nn.Module"),
    "broken": (["factories_torch:broken"], "RuntimeError: no such weights"),
    "leaves": (["factories_torch:leaves"], "SystemExit: 3"),
    "not to be planned": (["factories_torch:wavy", *ROWS], "no weight to initialise"),
    "another shape": (["factories_torch:fresh", "--inputs", "8x5"], "8x5"),
    "not a shape": (["factories_torch:fresh", "--inputs", "8,x"], "'x' is not of the form [NAME=]SHAPE[:DTYPE]"),
    "no length": (["factories_torch:fresh", "--inputs", "0x4"], "a side of length 0"),
    "no type": (["factories_torch:fresh", "--inputs", "8x4:int3"], "none of float16"),
    "some names": (["factories_torch:fresh", "--inputs", "x=8x4,8x4"], "either all inputs have names or none"),
    "one name twice": (["factories_torch:fresh", "--inputs", "x=8x4,x=8x4"], "a name of its own"),
    "no method": (["factories_torch:fresh", "--method", "log_norml"], "log_norml"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_planned_is_said_on_stderr(shell, case):
    pytest.importorskip("torch")
    arguments, words = REFUSED[case]
    assert shell("plan", *arguments) == 2
    assert shell.out == ""
    assert shell.err.startswith("convex-init plan: ")
    assert words in shell.err


@pytest.mark.parametrize("arguments", [["certify", "factories_torch:fresh"], ["plan", "factories_jax:pair"]])
def test_where_inputs_are_needed_that_is_said(shell, arguments):
    pytest.importorskip("torch" if "torch" in arguments[1] else "jax")
    assert shell(*arguments) == 2
    assert "--inputs" in shell.err
