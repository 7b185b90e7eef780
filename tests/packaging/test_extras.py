"""Each extra alone, installed from the wheel into a fresh environment, does what it is for: ``tox run -e extras``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
# Of each extra the parts that `convex-init doctor` runs, by name; `all` brings each of them at once.
PARTS = {
    "torch": ["torch"],
    "jax": ["jax"],
    "equinox": ["jax", "jax-equinox"],
    "flax": ["jax", "jax-flax"],
    "optax": ["jax", "jax-optax"],
    "keras,jax": ["keras-jax"],
    "tensorflow": ["tensorflow", "keras-tensorflow"],
    "ignite": ["torch", "ignite"],
    "cvxpy,torch": ["cvxpy"],
    "plot": ["plot"],
    "demo": ["demo"],
    "all": ["torch", "jax-equinox", "jax-flax", "jax-optax", "keras-torch", "tensorflow", "ignite", "cvxpy", "plot"],
}
# timm brings torchvision, whose wheels and torch's have to come from one index: only where that is so can it work.
_TORCHVISION = "torchvision::nms"

pytestmark = pytest.mark.skipif(
    "CONVEX_INIT_EXTRAS" not in os.environ,
    reason="CONVEX_INIT_EXTRAS is not set: `tox run -e extras` takes minutes and downloads much",
)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, CHECKOUT], check=True)
    (found,) = folder.glob("*.whl")
    return found


def doctor(wheel, extra, parts, folder):
    """Install and look: what the doctor finds of each part."""
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    install = [python, "-m", "pip", "install", "-q", "-c", CHECKOUT / "constraints.txt", f"{wheel}[{extra}]"]
    subprocess.run(install, check=True)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "KERAS_BACKEND")}
    command = [python, "-m", "convex_init", "doctor", *parts, "--json"]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return {found["name"]: found for found in json.loads(ended.stdout)["parts"]}


@pytest.mark.slow
@pytest.mark.parametrize("extra", PARTS)
def test_an_extra_alone_works(extra, wheel, tmp_path):
    found = doctor(wheel, extra, PARTS[extra], tmp_path)
    assert {name: each["problem"] for name, each in found.items() if each["status"] != "works"} == {}
    assert set(PARTS[extra]) <= set(found)


@pytest.mark.slow
def test_timm_works_where_torch_and_torchvision_fit(wheel, tmp_path):
    found = doctor(wheel, "timm", ["torch", "timm"], tmp_path)
    assert found["torch"]["status"] == "works"
    if _TORCHVISION in found["timm"]["problem"]:
        pytest.skip("torch and torchvision come from different indexes here")
    assert found["timm"]["status"] == "works", found["timm"]["problem"]
