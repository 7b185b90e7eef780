"""All cases of Keras: the models of the tests of planning, bends, saving and the certificate, and some settings.

They share their shapes where they can: one backend compiles a function for each.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import keras
import numpy as np
from keras import layers

from convex_init.keras import ICNN, ConvexConv2D
from tests.keras import test_bends, test_certificate, test_planning, test_saving
from tests.keras.arrays import network
from tests.keras.golden.recording import Case, recorded
from tests.keras.test_planning import chain


def images() -> keras.Sequential:
    return chain(
        layers.Rescaling(1 / 255),
        *(layers.Conv2D(8, 3, name="a"), layers.ReLU(), layers.MaxPooling2D(), layers.Dropout(0.5)),
        *(layers.DepthwiseConv2D(2, activation="leaky_relu", name="b"), layers.Flatten()),
        *(layers.Dense(30, activation="softplus", name="c"), layers.Dense(20, name="d")),
        shape=(8, 8, 3),
    )


def down_and_up() -> keras.Sequential:
    return chain(
        layers.Conv2D(8, 3, strides=2, padding="same", activation="elu"),
        layers.Conv2DTranspose(4, 2, strides=2, activation="elu"),
        ConvexConv2D(2, 3, activation="elu", positivity="softplus"),
        layers.Conv2D(1, 3),
        shape=(8, 8, 1),
    )


def sequences() -> keras.Sequential:
    return chain(
        layers.Conv1D(6, 3, dilation_rate=2, activation="relu"),
        layers.Conv1D(6, 3, groups=2, padding="causal", activation="relu"),
        layers.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d"),
        shape=(12, 4),
    )


def with_free_skip() -> keras.Model:
    x = keras.Input((6,))
    h = keras.ops.relu(layers.Dense(30, name="first")(x))
    return keras.Model(x, layers.Dense(20, use_bias=False, name="wz")(h) + layers.Dense(20, name="wx")(x))


def within_another() -> keras.Model:
    inner = chain(layers.Dense(8, activation="relu", name="shared"), shape=(8,))
    x = keras.Input((5,))
    h = inner(layers.Dense(8, activation="relu", name="first")(x))
    return keras.Model(x, layers.Dense(1, name="last")(inner(h)))


def with_context() -> tuple[keras.Model, dict[str, np.ndarray]]:
    model, inputs = test_certificate.subclassed()
    model.gate.kernel.assign(np.full((2, 5), 0.5, "float32"))  # Keras' own draw is each backend's own
    return model, inputs


MODELS = {
    "network": lambda: network(),
    "images": images,
    "down and up": down_and_up,
    "sequences": sequences,
    "a free skip": with_free_skip,
    "within another": within_another,
    "dense, 7 layers": lambda: chain(*(layers.Dense(8, activation="relu") for _ in range(8))),
    "ICNN": lambda: ICNN(6, [30, 20], 2, seed=1),
    "ICNN, skip": lambda: ICNN(6, [30, 20], 2, skip=True, seed=1),
    "ICNN, 12 layers with skips": lambda: ICNN(6, [8] * 12, skip=True, seed=1),
    "ICNN, isometric": lambda: ICNN(6, [30, 20], 2, method="isometric", seed=1),
    "ICNN, isometric, skip": lambda: ICNN(6, [30, 20], 2, method="isometric", skip=True, seed=1),
    "ICNN, non-convex": lambda: ICNN(6, [30, 20], 2, positivity=None, seed=1),
    **{
        f"ICNN, skip, {name}": lambda name=name: ICNN(6, [30, 20], 2, skip=True, positivity=name, seed=1)
        for name in ("exp", "softplus", "square", "relu", "abs")
    },
    "ICNN, elu": lambda: ICNN(6, [30, 20], 2, activation="elu", seed=1),
    **{f"saved, {name}": lambda name=name: test_saving.nets()[name] for name in ("functional", "image")},
    **{f"refused, {name}": make for name, (make, _) in test_planning.REFUSED.items()},
    **{
        f"joined, {how}": lambda how=how: test_planning.joined(how)
        for how in ("concatenate", "residual", "skip from a used layer")
    },
    "used twice": test_bends.twice_used,
    "two inputs": test_bends.with_two_inputs,
    "two branches": test_bends.with_two_branches,
    "subclassed": lambda: (test_bends.subclassed(), np.zeros((4, 6), "float32")),
    **{f"convex, {name}": make for name, make in test_certificate.CONVEX.items()},
    **{f"other, {name}": make for name, (make, _) in test_certificate.NOT_CONVEX.items()},
}

SETTINGS: dict[str, dict[str, Any]] = {
    "the paper's": {"method": "log_normal"},
    "isometric": {"method": "isometric"},
    "isometric, threshold 0.5": {"method": "isometric", "threshold": 0.5},
    "threshold without isometric": {"method": "log_normal", "threshold": 0.5},
    "bias noise": {"bias_noise": 0.5},
    "spike and slab": {"distribution": "spike_and_slab"},
    "two point": {"distribution": "two_point"},
    "correlation and variance": {"correlation": 0.2, "variance": 3.0},
    "skip share": {"skip_share": 0.8},
}
SET = ("network", "ICNN, skip")

# Words of the user that fit one model.
CHOICES: list[tuple[str, str, dict[str, Any]]] = [
    ("network", "gamma", {"distribution": "gamma"}),
    ("network", "matched moments", {"match_moments": True}),
    ("images", "isometric", {"method": "isometric"}),
    ("images", "isometric, threshold 0.5", {"method": "isometric", "threshold": 0.5}),
    ("images", "bias noise", {"bias_noise": 0.5}),
    *(
        (name, "the paper's", {"method": "log_normal"})
        for name in ("images", "down and up", "sequences", "a free skip", "within another")
    ),
    ("images", "without the last", {"exclude": ["d"]}),
    ("images", "positive by name", {"positive": "[bcd]", "fed_by": "relu"}),
    ("images", "another activation for one layer", {"fed_by": {"d": "elu"}}),
    ("images", "no such layer", {"positive": "e"}),
    ("images", "an unknown setting", {"corelation": 0.2}),
    ("joined, residual", "positive by name", {"positive": ["last"], "fed_by": "relu"}),
    ("subclassed", "all positive", {"positive": "*", "fed_by": "relu"}),
    ("sequences", "isometric", {"method": "isometric"}),
    ("down and up", "isometric", {"method": "isometric"}),
]


def _cases() -> dict[str, Case]:
    context = Case(with_context, convex_inputs="x")
    settings = {
        f"{name}, {setting}": Case(MODELS[name], options) for setting, options in SETTINGS.items() for name in SET
    }
    choices = {f"{name}, {choice}": Case(MODELS[name], options) for name, choice, options in CHOICES}
    return {**{name: Case(make) for name, make in MODELS.items()}, **settings, **choices, "context": context}


# Plans and certificates are the same on every backend, but for names of operations; weights are drawn by each.
PLANS, WEIGHTS = "keras", f"keras_weights_{keras.backend.backend()}"
OF_EACH = ("weights", "texts")
CASES = _cases()
_recorded = cache(lambda name: recorded(CASES[name]))
FILES = {PLANS: CASES, WEIGHTS: CASES}


def found(file: str, name: str) -> dict[str, Any]:
    """What the case comes to now: what is each backend's own, or all but this."""
    return {part: value for part, value in _recorded(name).items() if (part in OF_EACH) == (file == WEIGHTS)}
