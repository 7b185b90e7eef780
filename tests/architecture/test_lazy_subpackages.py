"""``import convex_init; convex_init.torch`` works, and says what to install where it cannot."""

from __future__ import annotations

import importlib.util

import pytest

from tests.architecture.checkout import ADAPTERS, FRAMEWORKS, NEEDED, run_python, skip_without

REPORT = """
import convex_init
try:
    print(convex_init.{name}.__name__)
except Exception as error:
    print(type(error).__name__, getattr(error, "name", None), error, sep="|")
"""

BLOCK = """
import sys
class Blocked:
    def find_spec(self, module, path=None, target=None):
        if module.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError("No module named " + {name!r}, name={name!r})
sys.meta_path.insert(0, Blocked())
"""


@pytest.fixture
def elsewhere(tmp_path):
    """A folder on the path with one more part of ``convex_init``, as another distribution would add it."""

    def add(adapter: str, source: str):
        folder = tmp_path / "elsewhere" / "convex_init" / adapter
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(source)
        return tmp_path / "elsewhere"

    return add


def outcome(name, tmp_path, path=None, prelude=""):
    return run_python(prelude + REPORT.format(name=name), cwd=tmp_path, path=path).strip()


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_attribute_access_imports_the_subpackage(adapter, tmp_path):
    skip_without(NEEDED[adapter])
    assert outcome(adapter, tmp_path) == f"convex_init.{adapter}"


@pytest.mark.parametrize("adapter", sorted(FRAMEWORKS & set(ADAPTERS)))
def test_a_missing_framework_is_named_with_the_remedy(adapter, tmp_path):
    kind, name, message = outcome(adapter, tmp_path, prelude=BLOCK.format(name=adapter)).split("|")
    assert kind == "ModuleNotFoundError"
    assert name in NEEDED[adapter]  # torch, where an integration lacks both it and its own framework
    assert f"needs {name}" in message
    assert f"pip install 'convex-init[{adapter}]'" in message


def test_without_its_default_backend_keras_says_how_to_choose_another(tmp_path):
    skip_without({"keras"})
    unset = f"import os; os.environ.pop('KERAS_BACKEND', None); os.environ['KERAS_HOME'] = {str(tmp_path)!r}\n"
    kind, name, message = outcome("keras", tmp_path, prelude=unset + BLOCK.format(name="tensorflow")).split("|")
    assert (kind, name) == ("ModuleNotFoundError", "tensorflow")
    assert "pip install 'convex-init[tensorflow]'" in message
    if any(importlib.util.find_spec(backend) for backend in ("jax", "torch")):
        assert "KERAS_BACKEND=" in message


def test_a_part_from_another_folder_joins_the_package(elsewhere, tmp_path):
    path = elsewhere("elsewhere", "import math\n")
    assert outcome("elsewhere", tmp_path, path) == "convex_init.elsewhere"


def test_a_framework_missing_there_is_named_too(elsewhere, tmp_path):
    path = elsewhere("no_such_framework", "import no_such_framework\n")
    kind, name, message = outcome("no_such_framework", tmp_path, path).split("|")
    assert (kind, name) == ("ModuleNotFoundError", "no_such_framework")
    assert "pip install 'convex-init[no_such_framework]'" in message


@pytest.mark.parametrize("ours", ["convex_init_core.no_such_module", "convex_init.no_such_module"])
def test_a_module_missing_from_our_own_packages_is_not_blamed_on_a_framework(ours, elsewhere, tmp_path):
    path = elsewhere("broken", f"import {ours}\n")
    assert outcome("broken", tmp_path, path) == f"ModuleNotFoundError|{ours}|No module named {ours!r}"


@pytest.mark.parametrize("name", ["no_such_name", "_torch", "py"])
def test_an_unknown_name_is_an_ordinary_attribute_error(name, tmp_path):
    assert outcome(name, tmp_path) == f"AttributeError|{name}|module 'convex_init' has no attribute {name!r}"


def test_dir_lists_only_what_can_be_imported(elsewhere, tmp_path):
    path = elsewhere("no_such_framework", "import no_such_framework\n")
    code = "import convex_init, inspect\nprint(*dict(inspect.getmembers(convex_init)))"
    names = run_python(code, cwd=tmp_path, path=path, imports_all=True).split()
    assert "__version__" in names
    assert "no_such_framework" not in names
    assert set(names) & set(ADAPTERS) == {name for name in ADAPTERS if importlib.util.find_spec(name)}
