"""What is absent is skipped with its reason, and what was expected and is absent ends the run."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys

import pytest

from tests.architecture.checkout import CHECKOUT


@pytest.fixture
def run_tests(tmp_path):
    """Run pytest on a small tree with our configuration, where neither torch nor the data can be had."""
    tests = tmp_path / "tests"
    (tests / "torch").mkdir(parents=True)
    (tests / "torch" / "conftest.py").write_text("import torch\ntorch.tensor\n")
    (tests / "torch" / "test_torch.py").write_text("import torch\ntorch.tensor\n")
    (tests / "test_any.py").write_text(
        "import pytest\n"
        "def test_plain(): pass\n"
        "def test_data(shared_data): assert False\n"
        "@pytest.mark.gpu\n"
        "def test_gpu(): assert False\n"
    )
    for module in (CHECKOUT / "tests").glob("*.py"):
        shutil.copy(module, tests)
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "torch.py").write_text(
        "import warnings\n"
        "warnings.warn('an old framework warns as it is imported', DeprecationWarning)\n"
        "raise ImportError('blocked for this test')\n"
    )

    def run(*arguments, expect=""):
        environment = {
            **os.environ,
            "PYTHONPATH": str(blocked),
            "CONVEX_INIT_EXPECT": expect,
            "CONVEX_INIT_DATA": str(tmp_path / "no_data"),
        }
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


def test_absent_things_are_skipped_with_their_reasons(run_tests):
    finished = run_tests()
    assert finished.returncode == 0, finished.stdout
    assert "1 passed, 3 skipped" in finished.stdout
    assert "torch cannot be imported: blocked for this test" in finished.stdout
    assert "a CUDA device is looked for through torch" in finished.stdout
    assert "set CONVEX_INIT_DATA" in finished.stdout


def test_an_absent_framework_that_was_expected_ends_the_run(run_tests):
    finished = run_tests(expect="torch")
    assert finished.returncode == pytest.ExitCode.USAGE_ERROR
    assert "CONVEX_INIT_EXPECT names torch, but torch cannot be imported" in finished.stderr


def test_a_misspelt_framework_ends_the_run(run_tests):
    finished = run_tests(expect="numpy, torhc")
    assert finished.returncode == pytest.ExitCode.USAGE_ERROR
    assert "'numpy'" in finished.stderr


def test_a_test_that_asks_for_the_data_can_be_selected_by_marker(run_tests):
    assert "1 skipped, 2 deselected" in run_tests("-m", "data", "tests/test_any.py").stdout
    assert "1 passed, 2 deselected" in run_tests("-m", "not data and not gpu", "tests/test_any.py").stdout


def test_no_environment_has_constraints_alone():
    """Pip installs nothing then, and says that it was given no requirement."""
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.read(CHECKOUT / "tox.ini", encoding="utf-8")
    deps = {name: found[name].get("deps", "").split("\n") for name in found.sections()}
    lines = {name: [line for line in map(str.strip, of) if line] for name, of in deps.items()}
    assert "testenv:demo" in lines
    assert [name for name, of in lines.items() if of and all(line.startswith("-c") for line in of)] == []
