"""``convex-init doctor``: what works here is found to work, and what does not is named with a remedy."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from convex_init.command.doctor import findings, parts, report, versions
from convex_init.command.doctor.checks import CHECKS
from tests.command.running import shell

__all__ = ["shell"]

PARTS = {part.name: part for part in parts.all_parts()}


@pytest.mark.parametrize("name", [name for name in PARTS if name != "timm"])  # whose torchvision is built for CUDA
def test_what_is_installed_works(name, shell):
    if missing := PARTS[name].missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    assert shell("doctor", name, "--json") == 0, shell.out
    found = shell.answer["parts"][-1]
    assert (found["name"], found["status"], found["problem"]) == (name, "works", "")
    assert set(found["versions"]) == set(PARTS[name].modules)
    if name in ("torch", "jax", "tensorflow", "keras-jax"):
        assert any("cpu" in device.lower() for device in found["devices"])


def test_the_remedy_brings_every_module_that_a_part_needs():
    """What an extra lists, by the metadata of the installed package."""
    asked = {}
    for line in versions._requirements():
        name, _, marker = line.partition(";")
        for extra in re.findall(r"extra == ['\"]([\w-]+)", marker):
            asked.setdefault(extra, set()).add(re.match(r"[\w.-]+", name)[0])
    if not asked:
        pytest.skip("the package is not installed")
    distributions = {"ignite": "pytorch-ignite", "sklearn": "scikit-learn", "torchvision": "timm"}
    for part in PARTS.values():
        brought = set().union(*(asked[extra] for extra in part.extra.split(",")))
        assert {distributions.get(module, module) for module in part.modules} <= brought, part


def test_every_check_is_of_a_part():
    assert set(CHECKS) <= set(PARTS)


def test_a_plugin_of_a_missing_framework_is_no_fault_unless_it_is_asked_for(shell, monkeypatch):
    absent = parts.Part("torch", ("no_such_framework",), "torch")
    monkeypatch.setattr(report, "all_parts", lambda: [absent])
    assert shell("doctor") == 0
    assert "not installed  torch             pip install 'convex-init[torch]'" in shell.out
    assert shell("doctor", "torch") == 1


def test_an_unknown_part_is_refused(shell):
    assert shell("doctor", "toaster") == 2
    assert "there is no part 'toaster'; there are cvxpy, demo, " in shell.err


@pytest.mark.parametrize(
    ("found", "least", "answer"),
    [
        ("1.24.0", "1.24", ""),
        ("1.24", "1.24.0", ""),
        ("1.9", "1.24", "1.24"),
        ("2.13.0+cpu", "2.6", ""),
        ("2", "2", ""),
    ],
)
def test_versions_are_compared_as_numbers(found, least, answer, monkeypatch):
    monkeypatch.setattr(versions, "version_of", lambda module: found)
    monkeypatch.setattr(versions, "_requirements", lambda: [f"numpy>={least}", "torch>=99; extra == 'torch'"])
    assert versions.too_old("numpy", "") == answer


def test_what_is_too_old_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(versions, "_requirements", lambda: ["numpy>=99; extra == 'dev'"])
    found = findings.finding_of(parts.Part("torch", ("numpy",), "dev"))
    assert found.status == "fails"
    assert found.problem.endswith("is older than 99")
    assert found.remedy == "pip install --upgrade 'convex-init[dev]'"


def test_a_stale_install_is_seen(shell, monkeypatch):
    monkeypatch.setattr(report, "all_parts", list)
    monkeypatch.setattr(report, "installed_version", lambda: "0.0.1")
    assert shell("doctor") == 1
    assert "pip knows version 0.0.1" in shell.out


FAULTS = {
    "raises": ("raise RuntimeError('operator torchvision::nms does not exist')", "RuntimeError", "from one index"),
    "lacks": ("import no_such_module_at_all", "ModuleNotFoundError", "--force-reinstall"),
    "exits": (
        "import os, sys; print('last words', file=sys.stderr, flush=True); os._exit(7)",
        "last words",
        "import exits",
    ),
    "dies": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL", "import dies"),
    "talks": ("print('{}'); print('[1]', end='')", "", ""),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_plugin_that_fails_is_told_apart(name, tmp_path):
    """A plug-in of another distribution, whose import does what the row says."""
    source, problem, remedy = FAULTS[name]
    folder = tmp_path / "convex_init" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(source)
    (tmp_path / f"{name}.py").touch()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    command = [sys.executable, "-m", "convex_init", "doctor", name, "--json"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    found = json.loads(ended.stdout)["parts"][-1]
    assert ended.returncode == (1 if problem else 0)
    assert found["status"] == ("fails" if problem else "works")
    assert problem in found["problem"]
    assert remedy in found["remedy"]


def test_the_text_has_versions_and_places(shell, monkeypatch):
    monkeypatch.setattr(report, "all_parts", list)
    assert shell("doctor") == 0
    assert shell.out.startswith("convex-init ")
    assert "NumPy" in shell.out
    assert "CPU cores" in shell.out
