"""Who may import whom, and what an import costs."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import convex_init_core
from tests.architecture.checkout import ADAPTERS, CORE, FRAMEWORKS, NEEDED, modules_after, skip_without


def imports(source: str, *, at_import_time: bool = False) -> set[str]:
    """Dotted names of all absolute imports; with ``at_import_time`` those inside functions do not count.

    What stands under ``if TYPE_CHECKING`` is for type checkers, and never imported.
    """
    names: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            # `from convex_init import torch` imports convex_init.torch.
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting.extend(node.orelse)
        elif not (at_import_time and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(node))
    return names


def packages(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def sources(folder: Path) -> list[str]:
    found = [path.read_text(encoding="utf-8") for path in folder.rglob("*.py")]
    assert found, f"no modules in {folder}"
    return found


def test_the_reader_of_imports_sees_every_form():
    source = "import a.b\nfrom c import d\nfrom . import e\ndef f():\n    import g\nif TYPE_CHECKING:\n    import h\n"
    assert imports(source) == {"a.b", "c.d", "g"}
    assert imports(source, at_import_time=True) == {"a.b", "c.d"}


def test_the_core_needs_nothing_but_numpy():
    allowed = {"convex_init_core", "numpy", *sys.stdlib_module_names}
    for source in sources(CORE):
        assert packages(imports(source)) <= allowed


@pytest.mark.parametrize("package", ["convex_init_core", "convex_init"])
def test_no_framework_is_loaded_with(package, tmp_path):
    loaded = modules_after(f"import {package}", cwd=tmp_path)
    assert package in loaded
    assert not packages(loaded) & FRAMEWORKS


# Keras runs on an array library: the file for each, and no other, may lean on it and on our adapter for it.
BACKENDS = {f"keras/backend/{name}.py": {name} for name in ("torch", "jax", "tensorflow")}
BACKENDS["cvxpy/frameworks.py"] = {"torch", "keras", "jax"}  # whose models it reads, whichever is there
BACKENDS["cvxpy/evaluation.py"] = {"jax"}  # whose batches it computes with, when one is given
BROUGHT = {"cvxpy": {"scipy"}}  # what a framework itself stands on


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_imports_only_its_own_framework(adapter):
    for path in sorted(ADAPTERS[adapter].rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        frameworks = NEEDED[adapter] | BACKENDS.get(path.relative_to(ADAPTERS[adapter].parent).as_posix(), set())
        adapters = {f"convex_init.{name}" for name in {adapter, *frameworks}}
        brought = BROUGHT.get(adapter, set())
        at_import = {"convex_init", "convex_init_core", "numpy", *brought, *frameworks, *sys.stdlib_module_names}
        names = imports(source)
        assert packages(names) & FRAMEWORKS <= frameworks, path
        ours = {".".join(name.split(".")[:2]) for name in names if name.startswith("convex_init.")}
        assert ours & {f"convex_init.{name}" for name in ADAPTERS} <= adapters, path
        assert packages(imports(source, at_import_time=True)) <= at_import, path


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_takes_from_the_cores_modules_and_not_from_its_top(adapter):
    """The top is for researchers; what an adapter needs has a home, and a reader finds it by the import."""
    top = {"convex_init_core", *(f"convex_init_core.{name}" for name in convex_init_core.__all__)}
    for path in sorted(ADAPTERS[adapter].rglob("*.py")):
        assert not imports(path.read_text(encoding="utf-8")) & top, path


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_adds_few_modules_to_its_framework(adapter, tmp_path):
    skip_without(NEEDED[adapter])
    base = {"numpy", *NEEDED[adapter]}
    base |= {f"convex_init.{name}" for name in NEEDED[adapter] - {adapter}}  # what an integration stands on
    framework = f"import {', '.join(sorted(base))}"
    if "convex_init.torch" in base:  # which imports what its functions need when they are first asked for
        framework += "\nconvex_init.torch.apply_, convex_init.torch.signal_report, convex_init.torch.project_"
    before = modules_after(framework, cwd=tmp_path)
    after = modules_after(f"{framework}\nimport convex_init.{adapter}", cwd=tmp_path)
    assert f"convex_init.{adapter}" in after
    added = sorted(after - before)
    assert len(added) < 25, added
