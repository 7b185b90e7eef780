"""Train a five-layer input-convex network on MNIST with Keras: its default initialisation against ours.

    KERAS_BACKEND=jax python benchmarks/keras/mnist.py DATA/mnist --out results/keras_mnist_jax.json

All networks have the same layers, non-negative kernels by ``NonNeg``, ReLU and Adam. Training loss is the mean over
an epoch's batches; accuracy is on held-out test images.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import time
from importlib import import_module
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers

import convex_init
from convex_init.keras import NonNeg, icnn, signal_report

KINDS = ("non-convex", "default", "ICNNInit", "ICNNInit, bias noise 0.5")


def read_idx(path: Path) -> np.ndarray:
    """Read one of MNIST's files."""
    with gzip.open(path, "rb") as file:
        data = file.read()
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def load(folder: Path, train: int, test: int) -> tuple[np.ndarray, ...]:
    """Return normalised flat images and labels: x, y of the training and of the test split."""
    parts = []
    for split, count in (("train", train), ("t10k", test)):
        x = read_idx(folder / f"{split}-images-idx3-ubyte.gz")[:count].reshape(count, -1).astype("float32")
        parts += [x, read_idx(folder / f"{split}-labels-idx1-ubyte.gz")[:count].astype("int32")]
    mean, std = parts[0].mean(), parts[0].std()
    return (parts[0] - mean) / std, parts[1], (parts[2] - mean) / std, parts[3]


def network(kind: str, features: int, depth: int, width: int) -> keras.Model:
    """Return a network of this kind; only the arguments of its convex layers differ."""
    convex = {
        "non-convex": {"kernel_initializer": "he_normal"},
        "default": {"kernel_initializer": "he_normal", "kernel_constraint": NonNeg()},
        "ICNNInit": icnn("relu"),
        "ICNNInit, bias noise 0.5": icnn("relu", bias_noise=0.5),
    }[kind]
    steps = [layers.Dense(width, activation="relu", **convex) for _ in range(depth - 1)]
    first = layers.Dense(width, activation="relu", kernel_initializer="lecun_normal")
    return keras.Sequential([keras.Input((features,)), first, *steps, layers.Dense(10, **convex)])


def train(kind: str, data: tuple[np.ndarray, ...], options: argparse.Namespace) -> dict[str, object]:
    """Train one network and return its curves."""
    keras.utils.set_random_seed(options.seed)
    x, y, x_test, y_test = data
    model = network(kind, x.shape[1], options.depth, options.width)
    before = signal_report(model, x[:256]).layers[-1]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # On the torch backend "auto" is torch.compile, which takes longer than this whole run.
    jit = False if keras.backend.backend() == "torch" else "auto"
    model.compile(keras.optimizers.Adam(options.rate), loss, metrics=["accuracy"], jit_compile=jit)
    start = time.perf_counter()
    fitted = model.fit(x, y, batch_size=64, epochs=options.epochs, validation_data=(x_test, y_test), verbose=0).history
    kernels = [keras.ops.convert_to_numpy(layer.kernel) for layer in model.layers[1:]]
    return {
        "loss": [round(float(value), 5) for value in fitted["loss"]],
        "test_accuracy": [round(float(value), 5) for value in fitted["val_accuracy"]],
        "smallest_convex_weight": float(min(kernel.min() for kernel in kernels)),
        "output_at_start": {"mean": round(before.mean, 4), "variance": round(before.variance, 4)},
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    """Train every kind and write one result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with MNIST's four idx .gz files")
    parser.add_argument("--out", type=Path, required=True, help="result file to write")
    parser.add_argument("--train", type=int, default=6000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--depth", type=int, default=5, help="hidden layers")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = load(options.data, options.train, options.test)
    if keras.backend.backend() == "torch":  # the gradients of a dead network are denormal, which a CPU is slow at
        import_module("torch").set_flush_denormal(True)
    runs = {kind: train(kind, data, options) for kind in KINDS}
    settings = {name: value for name, value in vars(options).items() if name not in ("data", "out")}
    result = {
        "settings": {**settings, "optimizer": "Adam", "batch_size": 64, "activation": "relu"},
        "backend": keras.backend.backend(),
        "versions": versions(),
        "device": f"CPU, {os.cpu_count()} cores",
        "runs": runs,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    for kind, run in runs.items():
        print(f"{kind:26} loss {run['loss']}  accuracy {run['test_accuracy'][-1]}")


def versions() -> dict[str, str]:
    """Versions of what ran."""
    backend = import_module(keras.backend.backend())
    return {
        "convex_init": convex_init.__version__,
        "keras": keras.__version__,
        keras.backend.backend(): backend.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
