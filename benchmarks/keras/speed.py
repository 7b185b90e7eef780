"""How long ``ICNNInit`` takes beside ``HeNormal``, and a training step with ``NonNeg`` beside one without.

    KERAS_BACKEND=jax python benchmarks/keras/speed.py --out results/keras_speed_jax.json

Both sides run alternately in one process; the ratio is that of the medians, its range from the pairs of rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers

import convex_init
from convex_init.keras import ICNNInit, NonNeg


def wait(tensor: object) -> None:
    """Wait until a lazy backend has computed the tensor."""
    if hasattr(tensor, "block_until_ready"):
        tensor.block_until_ready()


def compare(ours: Callable[[], object], reference: Callable[[], object], rounds: int) -> dict[str, object]:
    """Time two functions alternately, after one call of each to compile it."""
    seconds: dict[str, list[float]] = {"ours": [], "reference": []}
    for index in range(rounds + 1):
        for name, function in (("ours", ours), ("reference", reference)):
            start = time.perf_counter()
            wait(function())
            if index:
                seconds[name].append(time.perf_counter() - start)
    ratios = sorted(a / b for a, b in zip(seconds["ours"], seconds["reference"], strict=True))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "seconds": {name: round(value, 5) for name, value in medians.items()},
        "ratio_of_medians": round(medians["ours"] / medians["reference"], 3),
        "ratios_by_round": [round(ratio, 3) for ratio in ratios],
    }


def stepper(constrained: bool, width: int, depth: int) -> Callable[[], None]:
    """Return one training step of an MLP, with or without constraints."""
    options = {"kernel_constraint": NonNeg()} if constrained else {}
    model = keras.Sequential(
        [keras.Input((width,)), *[layers.Dense(width, activation="relu", **options) for _ in range(depth)]]
    )
    model.compile(keras.optimizers.Adam(1e-4), "mse", jit_compile=False)
    x = np.random.default_rng(0).standard_normal((64, width)).astype("float32")
    return lambda: [model.train_on_batch(x, x) for _ in range(5)] and None


def main() -> None:
    """Measure and write one result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    shape = (options.size, options.size)
    ours, reference = ICNNInit(seed=0), keras.initializers.HeNormal(seed=0)
    result = {
        "backend": keras.backend.backend(),
        "versions": {
            "convex_init": convex_init.__version__,
            "keras": keras.__version__,
            keras.backend.backend(): import_module(keras.backend.backend()).__version__,
            "python": platform.python_version(),
        },
        "device": f"CPU, {os.cpu_count()} cores",
        "load_average_at_start": round(os.getloadavg()[0], 2),
        "rounds": options.rounds,
        f"ICNNInit / HeNormal, {options.size} x {options.size}": compare(
            lambda: ours(shape), lambda: reference(shape), options.rounds
        ),
        "5 training steps with NonNeg / without, 5 x 784, batch 64": compare(
            stepper(True, 784, 5), stepper(False, 784, 5), options.rounds
        ),
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
