"""The command for an accelerator, rehearsed as a whole at small sizes on a machine that has torch and NumPy only."""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu import depth, figure2, training_steps
from benchmarks.gpu.sizes import REHEARSAL

CHECKOUT = Path(__file__).resolve().parents[2]
PARTS = {"marked_tests", "memory_passes", "training_steps", "depth", "figure2"}

# As on a bare machine: what is not torch or NumPy cannot be imported.
BARE = """
import runpy, sys
for absent in ("ignite", "jax", "keras", "matplotlib", "scipy", "sklearn", "tensorflow", "timm"):
    sys.modules[absent] = None
sys.argv = ["benchmarks.gpu", *sys.argv[1:]]
runpy.run_module("benchmarks.gpu", run_name="__main__")
"""


def command(out, *more):
    """Run it with ample time, which it does not need: it ends when all is done."""
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "CONVEX_INIT_EXPECT")}
    arguments = ["--device", "cpu", "--minutes", "600", "--out", str(out), *more]
    ended = subprocess.run(
        [sys.executable, "-c", BARE, *arguments], cwd=CHECKOUT, env=variables, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return {path.stem: json.loads(path.read_text()) for path in out.iterdir()}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folder with an MNIST of 200 images whose class is where they are bright."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "mnist").mkdir()
    generator = np.random.default_rng(0)
    for part in ("train", "t10k"):
        labels = (np.arange(200) % 10).astype(np.uint8)
        images = generator.integers(0, 60, (200, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[2 * label : 2 * label + 5] += 190
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
            with gzip.open(folder / "mnist" / f"{part}-{name}-ubyte.gz", "wb") as file:
                file.write(head + array.tobytes())
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def found(data, out):
    return command(out, "--data", str(data))


def test_every_part_is_done_and_says_where_and_how(found):
    assert set(found) == PARTS
    for name, content in found.items():
        assert content["status"] == "done", (name, content)
        assert content["settings"]["device"] == "cpu"
        assert content["settings"]["sizes"] == "rehearsal"
        (environment,) = content["runs"]
        assert {"date", "versions", "load_average", "threads"} <= set(environment)


def test_the_marked_tests_are_found_and_skipped_for_the_want_of_a_device(found):
    row = next(row for row in found["marked_tests"]["rows"] if row["key"] == "torch")
    assert "tests/torch/test_on_a_gpu.py" in row["files"]
    assert row["exit_status"] == row["passed"] == 0
    assert row["skipped"] > 20
    assert row["failures"] == {}
    assert any("CUDA" in reason for reason in row["why_skipped"])


# With pytest as well, and nothing that the tests of a checkout have beside it.
BARE_TESTS = """
import sys
import pytest

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("hypothesis", "ignite", "jax", "keras", "matplotlib", "scipy", "tensorflow"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
sys.exit(pytest.main(["-p", "no:cacheprovider", "-q", "-m", "gpu", *sys.argv[1:]]))
"""


def test_the_marked_tests_need_no_more_than_torch_and_pytest(found):
    row = next(row for row in found["marked_tests"]["rows"] if row["key"] == "torch")
    variables = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    arguments = [sys.executable, "-c", BARE_TESTS, *row["files"]]
    ended = subprocess.run(arguments, cwd=CHECKOUT, env=variables, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{row['skipped']} skipped" in ended.stdout, ended.stdout


def test_initialisation_and_projection_stand_beside_torchs_own(found):
    rows = {row["key"]: row for row in found["memory_passes"]["rows"]}
    for layers, width in REHEARSAL.layers:
        projection, start = (rows[f"{layers}x{width}, {what}"] for what in ("projection", "initialisation"))
        assert set(projection["ratios"]) == {"project_"}
        assert set(start["ratios"]) == {"apply_, log_normal", "apply_, isometric"}
        assert projection["lowest"] == 0.0
        assert start["finite"]
        assert start["lowest"] > 0.0


def test_steps_in_every_precision_learn_and_leave_the_network_convex(found):
    rows = {row["key"]: row for row in found["training_steps"]["rows"]}
    assert len(rows) == 2 * len(training_steps.MODES)
    for key, row in rows.items():
        assert row["verdict"] == "convex", key
        assert row["finite"]
        assert row["last_loss"] < row["first_loss"]
        if key.endswith("projection"):
            assert row["lowest_weight"] >= 0.0
            assert row["step_with_projection_to_without"]["median"] > 0.0


def test_depth_has_every_method_at_its_best_rate(found):
    rows = found["depth"]["rows"]
    assert {(row["depth"], row["method"]) for row in rows} == {
        (layers, method) for layers in REHEARSAL.depths for method in depth.METHODS
    }
    for row in rows:
        assert len(row["networks"]) == REHEARSAL.seeds * len(REHEARSAL.rates)
        assert row["loss"] == min(row["loss_by_rate"].values()) == row["loss_by_rate"][f"{row['best_rate']:g}"]


def test_figure_2_has_the_course_of_every_seed(found):
    rows = {row["key"]: row for row in found["figure2"]["rows"]}
    assert set(rows) == set(figure2.METHODS)
    for row in rows.values():
        assert len(row["losses"]) == REHEARSAL.figure2_seeds
        for course in row["losses"]:
            assert len(course) == 3 * REHEARSAL.figure2_epochs  # an epoch has 3 steps: a point for each
            assert None not in course


def test_the_same_folder_is_gone_on_with_and_nothing_is_measured_twice(found, data, out):
    again = command(out, "--data", str(data))
    for name, content in again.items():
        assert content["rows"] == found[name]["rows"]
        assert len(content["runs"]) == 2


def test_what_needs_data_is_skipped_without(tmp_path):
    content = command(tmp_path / "out", "--data", str(tmp_path / "nowhere"), "--only", "depth", "figure2")
    assert {name: of["status"] for name, of in content.items()} == {"depth": "skipped", "figure2": "skipped"}
    assert all("--data" in of["reason"] for of in content.values())
