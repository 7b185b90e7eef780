"""What torch offers, JAX offers too, by the same arguments, or docs/jax.md says what stands in its place."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.checkout import CHECKOUT

RETURNS = {"apply_": "apply", "assert_convex_": "assert_convex", "constrain_": "constrain", "project_": "project"}
"""Where torch changes a model, JAX returns another."""

OTHER_WORDS = {"generator": "key"}


def _offered(framework):
    package = CHECKOUT / "plugins" / "convex_init" / framework
    for node in ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return set(ast.literal_eval(node.value))
    raise AssertionError(package)


def _arguments(framework):
    """Parameter names of the public functions of an adapter, ``**options`` among them, by name."""
    offered, found = _offered(framework), {}
    for path in (CHECKOUT / "plugins" / "convex_init" / framework).rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name in offered:
                of = node.args
                names = {each.arg for each in (*of.posonlyargs, *of.args, *of.kwonlyargs)}
                options = ast.unparse(of.kwarg.annotation) if of.kwarg and of.kwarg.annotation else None
                found[node.name] = names | ({options} if options else set())
    return found


def _explained():
    page = (CHECKOUT / "docs" / "jax.md").read_text(encoding="utf-8")
    return set(re.findall(r"`(\w+)", page.split("## Beside torch")[1].split("\n## ")[0]))


def test_jax_has_every_name_of_torch_or_the_page_explains_it():
    here = _offered("jax")
    missing = {name for name in _offered("torch") if name not in here and RETURNS.get(name) not in here}
    assert missing - _explained() - {"ConvexConv2d"} == set()
    assert missing  # else the table of the page is about nothing


@pytest.mark.parametrize(
    "name", ["apply_", "assert_convex_", "certify", "constrain_", "level_set_path", "plan", "signal_report"]
)
def test_jax_takes_every_argument_of_torch(name):
    torch, jax = _arguments("torch"), _arguments("jax")
    here = jax[RETURNS.get(name, name)]
    wanted = {OTHER_WORDS.get(argument, argument) for argument in torch[name]}
    assert wanted - here == set()
