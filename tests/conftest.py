"""What all tests share: which frameworks are there, the data folder, the GPU.

The tests of a framework lie in the folder of its name, ``tests/torch`` for instance, and are skipped where it
is not installed. ``CONVEX_INIT_EXPECT=torch,keras`` says which frameworks must be there: a run where one of
those cannot be imported ends at once with an error.
"""

from __future__ import annotations

import importlib
import os
import warnings
from pathlib import Path

import pytest

from tests.foreign_warnings import forgive
from tests.torchvision_operators import define_missing_operators

TESTS = Path(__file__).resolve().parent
FRAMEWORKS = ("torch", "keras", "tensorflow", "jax", "flax", "equinox", "optax", "ott", "ignite", "timm", "cvxpy")
CLIENTS = ("cpflows", "deepinv", "hessQuik", "neuromancer", "klax", "jaxmat")  # libraries whose classes are read
# What the tests in a folder need: the framework of its name, or for these
NEEDED = {
    "benchmarks": "torch",
    "demo": "torch",
    "distributed": "torch",
    "experiments": "ignite",
    "clients": CLIENTS[0],
}
NEEDED |= {name: name for name in FRAMEWORKS}


def pytest_configure(config: pytest.Config) -> None:
    os.environ.pop("COLUMNS", None)  # a table is fitted into a terminal, and pytest's says nothing of ours
    for name in filter(None, os.environ.get("CONVEX_INIT_EXPECT", "").replace(" ", "").split(",")):
        if name not in (*FRAMEWORKS, *CLIENTS):
            known = ", ".join((*FRAMEWORKS, *CLIENTS))
            raise pytest.UsageError(f"CONVEX_INIT_EXPECT names {name!r}; known are {known}")
        if reason := _why_absent(name):
            raise pytest.UsageError(f"CONVEX_INIT_EXPECT names {name}, but {reason}")


def _why_absent(framework: str) -> str:
    if framework in ("timm", "deepinv"):  # both import torchvision
        define_missing_operators()
    try:
        with warnings.catch_warnings():  # how a framework is written is not ours to judge
            warnings.simplefilter("ignore")
            importlib.import_module(framework)
    except ImportError as error:
        return f"{framework} cannot be imported: {error}"
    return ""


class AbsentFramework(pytest.Collector):
    """Stands for the tests of a framework that is not installed, and skips them with one line."""

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        pytest.skip(_why_absent(NEEDED[self.path.name]), allow_module_level=True)


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if path.parent == TESTS and path.name in NEEDED and _why_absent(NEEDED[path.name]):
        return AbsentFramework.from_parent(parent, name=path.name, path=path)
    return None


@pytest.hookimpl(tryfirst=True)  # before -m selects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    forgive(items)
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker("data")
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if on_gpu and (reason := _why_no_gpu()):
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason=reason))


def _why_no_gpu() -> str:
    if reason := _why_absent("torch"):
        return f"a CUDA device is looked for through torch, and {reason}"
    return "" if importlib.import_module("torch").cuda.is_available() else "torch sees no CUDA device"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the data sets: ``$CONVEX_INIT_DATA``, or ``shared/data`` beside the checkout."""
    named = os.environ.get("CONVEX_INIT_DATA")
    folder = Path(named) if named else TESTS.parents[1] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}; set CONVEX_INIT_DATA to a folder that holds mnist/, uci/, ...")
    return folder
