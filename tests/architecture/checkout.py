"""Where our packages lie, which adapters there are, and what a fresh interpreter does with them."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
CORE = CHECKOUT / "convex_init_core"
ADAPTERS = {
    folder.parent.name: folder.parent
    for part in ("plugins", "integrations")
    for folder in sorted((CHECKOUT / part / "convex_init").glob("*/__init__.py"))
}
FRAMEWORKS = {"torch", "keras", "tensorflow", "jax", "ignite", "timm", "cvxpy"}
# An adapter needs the framework of its own name; two of those are themselves built on torch. The demo uses torch.
NEEDED = {name: {name} for name in ADAPTERS} | {
    "ignite": {"ignite", "torch"},
    "timm": {"timm", "torch"},
    "demo": {"torch"},
}


def skip_without(frameworks: set[str]) -> None:
    """Skip the test unless all of these frameworks are installed."""
    if absent := sorted(name for name in frameworks if importlib.util.find_spec(name) is None):
        pytest.skip(f"{', '.join(absent)} is not installed")


def run_python(code: str, *, cwd: Path, path: Path | None = None, imports_all: bool = False) -> str:
    """Output of code in a fresh interpreter; modules under ``path`` come before installed ones."""
    environment = {**os.environ, "PYTHONPATH": str(path) if path else ""}
    if imports_all or "timm" in code:  # as in tests/conftest.py
        helper = str(CHECKOUT / "tests" / "torchvision_operators.py")
        code = f"import runpy\n_operators = runpy.run_path({helper!r})['define_missing_operators']()\n{code}"
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def modules_after(statement: str, *, cwd: Path) -> set[str]:
    """Names of all modules loaded in a fresh interpreter once the statement has run."""
    code = f"{statement}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    return set(json.loads(run_python(code, cwd=cwd)))
