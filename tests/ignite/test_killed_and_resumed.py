"""A run that is killed between two checkpoints and resumed from the last ends bit for bit like one that was not.

The runs are those of the example, on a few random images, with an average of the weights.
"""

from __future__ import annotations

import gzip
import importlib.util
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "examples" / "ignite_mnist.py"

pytest.importorskip("tensorboard", reason="the example logs to TensorBoard")
pytest.importorskip("tqdm", reason="the example shows a progress bar")

KILLED = f"""
import importlib.util, os, signal, sys
from ignite.engine import Events
from ignite.utils import manual_seed
spec = importlib.util.spec_from_file_location("example", {str(EXAMPLE)!r})
example = importlib.util.module_from_spec(spec)
sys.modules["example"] = example
spec.loader.exec_module(example)
options = example.read_options(sys.argv[2:])
run = example.prepare(options)
run.trainer.add_event_handler(
    Events.ITERATION_STARTED(once=int(sys.argv[1])), lambda: os.kill(os.getpid(), signal.SIGKILL)
)
manual_seed(options.seed)
run.trainer.run(run.loader, max_epochs=options.epochs)
"""


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A data folder like MNIST's, with a bright row that tells the label."""
    folder = tmp_path_factory.mktemp("mnist")
    rng = np.random.default_rng(0)
    for part, count in (("train", 320), ("t10k", 300)):
        labels = rng.integers(0, 10, count)
        pixels = rng.integers(0, 60, (count, 10, 6))
        pixels[np.arange(count), labels] += 150
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", pixels)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    return folder


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("ignite_mnist_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def arguments(images, output, *more):
    small = ["--epochs", "4", "--hidden", "2", "--batch", "32", "--bias-noise", "0.5", "--device", "cpu", "--quiet"]
    return ["--data", str(images), "--output", str(output), "--save-every", "7", *small, *more]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_example_learns_and_stays_convex(example, images, tmp_path):
    metrics = example.main(arguments(images, tmp_path, "--epochs", "8", "--lr", "0.01", "--momentum", "0.1"))
    assert metrics["accuracy"] > 0.8  # a tenth by chance
    (last,) = [path for path in tmp_path.glob("checkpoint_*.pt") if path.stem.endswith("_80")]
    saved = torch.load(last, weights_only=False)
    for part in ("model", "average"):
        weights = [saved[part][f"layers.{k}.weight"] for k in (1, 2)]
        assert all(bool((weight >= 0).all()) for weight in weights)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_killed_and_resumed_bit_for_bit(example, images, tmp_path):
    example.main(arguments(images, tmp_path / "whole"))
    command = [sys.executable, "-c", KILLED, "26", *arguments(images, tmp_path / "killed")]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == -signal.SIGKILL, finished.stderr
    # 10 iterations an epoch: the last checkpoint, of iteration 21, lies within the third.
    assert {path.stem for path in (tmp_path / "killed").glob("*.pt")} == {"checkpoint_14", "checkpoint_21"}
    example.main(arguments(images, tmp_path / "killed", "--resume"))
    whole, resumed = (
        torch.load(tmp_path / run / "checkpoint_40.pt", weights_only=False) for run in ("whole", "killed")
    )
    for part in ("model", "average"):
        for name, tensor in whole[part].items():
            assert torch.equal(tensor, resumed[part][name]), (part, name)
    for mine, other in zip(whole["optimizer"]["state"].values(), resumed["optimizer"]["state"].values(), strict=True):
        assert all(torch.equal(mine[key], other[key]) for key in mine)


def test_resuming_without_a_checkpoint_is_refused(example, images, tmp_path):
    with pytest.raises(SystemExit, match="no checkpoint"):
        example.main(arguments(images, tmp_path, "--resume"))
