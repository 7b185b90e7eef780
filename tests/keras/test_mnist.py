"""The MNIST run of ``benchmarks/keras`` on a few images: the script works, and its network learns and stays convex."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.keras.arrays import ROOT


def test_the_mnist_run(shared_data, tmp_path):
    out = tmp_path / "result.json"
    small = ["--train", "1280", "--test", "200", "--depth", "2", "--width", "64", "--epochs", "2", "--rate", "0.003"]
    command = [sys.executable, str(ROOT / "benchmarks/keras/mnist.py"), str(shared_data / "mnist"), "--out", str(out)]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")])
    subprocess.run([*command, *small], check=True, env={**os.environ, "PYTHONPATH": paths}, timeout=500)
    runs = json.loads(out.read_text())["runs"]
    assert runs["ICNNInit"]["loss"][-1] < 0.8 * runs["ICNNInit"]["loss"][0]
    assert runs["ICNNInit"]["test_accuracy"][-1] > 0.5  # chance is 0.1
    assert runs["ICNNInit"]["smallest_convex_weight"] >= 0.0
    assert runs["non-convex"]["smallest_convex_weight"] < 0.0
