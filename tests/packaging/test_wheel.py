"""What the built wheel holds. Runs in tox's environment ``wheel``, as do the contract tests beside it."""

from __future__ import annotations

import os
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest

import convex_init
import convex_init_core

CHECKOUT = Path(__file__).resolve().parents[2]
PARTS = [
    CHECKOUT / "convex_init_core",
    CHECKOUT / "plugins" / "convex_init",
    CHECKOUT / "integrations" / "convex_init",
]

pytestmark = pytest.mark.skipif(
    "CONVEX_INIT_FROM_WHEEL" not in os.environ,
    reason="CONVEX_INIT_FROM_WHEEL is not set: run `tox run -e wheel`",
)


@pytest.mark.parametrize("package", [convex_init, convex_init_core])
def test_the_tests_here_see_the_wheel_and_not_the_checkout(package):
    assert Path(package.__file__).is_relative_to(sysconfig.get_path("purelib"))


def test_the_wheel_holds_our_packages_and_nothing_else():
    files = {str(file) for file in metadata.files("convex-init")}
    by_pip = ("/convex-init", ".pyc")
    shipped = {name for name in files if ".dist-info/" not in name and not name.endswith(by_pip)}
    ours = {
        f"{part.name}/{path.relative_to(part).as_posix()}"
        for part in PARTS
        for path in part.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert shipped == ours
    assert {"convex_init/py.typed", "convex_init_core/py.typed"} <= shipped
    assert any(name.endswith("licenses/LICENSE") for name in files)


def test_the_metadata_promise_numpy_alone_and_one_extra_per_purpose():
    requirements = metadata.requires("convex-init")
    assert [line for line in requirements if "extra ==" not in line] == ["numpy>=1.24"]
    extras = {
        "all",
        "torch",
        "jax",
        "equinox",
        "flax",
        "optax",
        "keras",
        "tensorflow",
        "cvxpy",
        "ignite",
        "timm",
        "plot",
        "demo",
        "experiments",
        "dev",
    }
    assert set(metadata.metadata("convex-init").get_all("Provides-Extra")) == extras
    assert metadata.version("convex-init") == convex_init.__version__
    (script,) = metadata.entry_points(group="console_scripts", name="convex-init")
    assert script.value == "convex_init.__main__:main"
