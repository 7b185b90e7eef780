"""Small things that many tests of the Keras plug-in need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers

from convex_init.keras import icnn

ROOT = Path(__file__).resolve().parents[2]


def array(tensor: object) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def network(features: int = 6, width: int = 16, *, seed: int | None = 0) -> keras.Sequential:
    """An ICNN of Keras' own layers, as the README has it."""
    return keras.Sequential(
        [
            keras.Input((features,)),
            layers.Dense(width, activation="relu", kernel_initializer=keras.initializers.LecunNormal(seed=1)),
            layers.Dense(width, activation="relu", **icnn("relu", seed=seed)),
            layers.Dense(3, **icnn("relu", seed=None if seed is None else seed + 1)),
        ]
    )


def weights(model: keras.Model) -> list[np.ndarray]:
    return [array(weight).astype("float64") for weight in model.weights]


def in_fresh_process(code: str, *arguments: object, **environment: str) -> str:
    """Run Python code in a process of its own and return what it prints."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
