"""Both kinds of install give both packages, to a fresh environment and outside the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
REPORT = """
import importlib.metadata, json, pkgutil
import convex_init, convex_init_core
print(json.dumps({
    "version": [convex_init.__version__, importlib.metadata.version("convex-init")],
    "folders": [package.__file__ for package in (convex_init, convex_init_core)],
    "parts": sorted(part.name for part in pkgutil.iter_modules(convex_init.__path__) if part.ispkg),
}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["editable", "wheel"])
def test_install(kind, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    scripts = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    editable = ["--editable"] if kind == "editable" else []
    pip = [scripts / "python", "-m", "pip", "install", "-q", "-c", CHECKOUT / "constraints.txt"]
    subprocess.run([*pip, *editable, CHECKOUT], check=True)

    finished = subprocess.run(
        [scripts / "python", "-c", REPORT], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    report = json.loads(finished.stdout)
    assert report["version"][0] == report["version"][1]
    for folder in report["folders"]:
        assert Path(folder).is_relative_to(CHECKOUT if kind == "editable" else tmp_path / "env")
    on_disk = [path.parent.name for path in CHECKOUT.glob("*/convex_init/*/__init__.py")]
    assert report["parts"] == sorted(on_disk)
    assert (scripts / "convex-init").exists() or (scripts / "convex-init.exe").exists()
