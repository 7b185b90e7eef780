"""The described models as functional models of Keras, on the backend that it runs on."""

from __future__ import annotations

import copy
import pickle
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
from keras import layers, ops

import convex_init.keras
from convex_init_core.planning.plan import Plan
from tests.contract.description import Model, Step

_THROUGH = {
    "softplus": ops.softplus,
    "softplus_mean": lambda kernel: ops.softplus(kernel) / kernel.shape[0],
    "exp": ops.exp,
    "square": ops.square,
    "relu": ops.relu,
}
_ACTS = {
    **{"relu": ops.relu, "softplus": ops.softplus, "elu": ops.elu},
    **{"exp": ops.exp, "square": ops.square, "tanh": ops.tanh},
}


@keras.saving.register_keras_serializable(package="contract")
class MappedDense(layers.Layer):
    """A dense layer whose kernel goes through a map."""

    def __init__(self, units: int, through: str, *, use_bias: bool, **options: Any) -> None:
        super().__init__(**options)
        self.units, self.through, self.use_bias = units, through, use_bias

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias") if self.use_bias else None

    def get_config(self) -> dict[str, Any]:
        own = {"units": self.units, "through": self.through, "use_bias": self.use_bias}
        return {**super().get_config(), **own}

    def call(self, x: Any) -> Any:
        y = ops.matmul(x, _THROUGH[self.through](self.kernel))
        return y if self.bias is None else y + self.bias


def _layer(name: str, step: Step) -> layers.Layer:
    known = step.known
    if step.kind == "batch_norm":
        return layers.BatchNormalization(epsilon=1e-5, scale=known["scale"], center=known["scale"], name=name)
    if step.kind == "convolution":
        return layers.Conv2D(known["channels"], known["window"], known["stride"], groups=known["groups"], name=name)
    if step.kind == "transposed":
        return layers.Conv2DTranspose(known["channels"], known["window"], known["stride"], name=name)
    if known["through"]:
        return MappedDense(known["units"], known["through"], use_bias=known["bias"], name=name)
    return layers.Dense(known["units"], use_bias=known["bias"], name=name)


def _over_features(step: Step, x: Any) -> Any:
    how = {"sum": ops.sum, "max": ops.max, "log_sum_exp": ops.logsumexp}[step.known["how"]]
    return how(x, axis=-1, keepdims=True)


def _pooled(step: Step, x: Any) -> Any:
    kind = layers.MaxPooling2D if step.known["how"] == "max" else layers.AveragePooling2D
    return kind(step.known["window"])(x)


_STEPS = {
    "act": lambda step, x: _ACTS[step.known["function"]](x),
    "leaky_relu": lambda step, x: ops.leaky_relu(x, step.known["slope"]),
    "scaled": lambda step, x: step.known["factor"] * x,
    "pooled": _pooled,
    "flat": lambda step, x: layers.Flatten()(x),
    "over_features": _over_features,
    "pieces": lambda step, x: ops.max(ops.reshape(x, (-1, step.known["count"], step.known["units"])), axis=1),
    "mean_over_steps": lambda step, x: ops.mean(x, axis=1),
    "part": lambda step, x: x[..., step.known["start"] : step.known["stop"]],
    "looked_up": lambda step, x: keras.ops.take(x, step.known["places"], axis=-1),
    "beside": lambda step, x, y: layers.Concatenate()([x, y]),
    "add": lambda step, x, y: layers.Add()([x, y]),
    "multiply": lambda step, x, y: layers.Multiply()([x, y]),
}


def network(model: Model) -> keras.Model:
    """Build the model; images have their channels last on every backend."""
    made = {name: _layer(name, step) for name, step in model.layers.items()}
    inputs = [keras.Input(shape, name=f"input_{number}") for number, shape in enumerate(model.shapes)]
    values: list[Any] = []
    for number, step in enumerate(model.steps):
        if step.kind == "input":
            values.append(inputs[number])
            continue
        parts = [values[i] for i in step.inputs]
        values.append(made[step.layer](*parts) if step.layer else _STEPS[step.kind](step, *parts))
    for name, step in model.layers.items():
        if step.kind != "batch_norm":
            kernel = model.kernel(name)
            made[name].kernel.assign(kernel.swapaxes(-1, -2) if step.kind == "transposed" else kernel)
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], values[-1])


def _through_pickle(built: keras.Model) -> keras.Model:
    return pickle.loads(pickle.dumps(built))


def _through_a_file(built: keras.Model) -> keras.Model:
    with tempfile.TemporaryDirectory() as folder:
        built.save(Path(folder) / "model.keras")
        return keras.models.load_model(Path(folder) / "model.keras")


def _through_a_config(built: keras.Model) -> keras.Model:
    fresh = type(built).from_config(built.get_config())
    fresh.set_weights(built.get_weights())
    return fresh


class Adapter:
    """A described model in Keras, as the tests of the contract ask for it."""

    copies: ClassVar[dict[str, Callable[[keras.Model], keras.Model]]] = {
        "deepcopy": copy.deepcopy,
        "pickle": _through_pickle,
        "a file": _through_a_file,
        "get_config": _through_a_config,
    }

    def __init__(self, model: Model) -> None:
        keras.backend.set_image_data_format("channels_last")
        self.model, self.options = model, model.options
        self.network = network(model)
        arrays = model.inputs()
        self.inputs = arrays if len(arrays) > 1 else arrays[0]

    def plan(self, **more: Any) -> Plan:
        return convex_init.keras.plan(self.network, self.inputs, **{**self.options, **more})

    def apply(self, seed: int = 0, **more: Any) -> None:
        convex_init.keras.apply_(self.network, self.inputs, seed=seed, **{**self.options, **more})

    def report(self, **more: Any) -> Any:
        return convex_init.keras.signal_report(self.network, self.inputs, **more)

    def certificate(self) -> Any:
        convex = self.options.get("convex_inputs")
        return convex_init.keras.certify(self.network, self.inputs, convex, search=False)

    def layer_of(self, path: str) -> str:
        """The layer of the description that a path of the plan means; those of bare variables end with their name."""
        return path.partition("/")[0]

    def run(self, *arrays: np.ndarray) -> np.ndarray:
        """The output in float64."""
        narrow = [x.astype(np.float32) for x in arrays]
        out = self.network(narrow if len(narrow) > 1 else narrow[0], training=False)
        return ops.convert_to_numpy(out).astype(np.float64)

    def raw(self, layer: str) -> np.ndarray:
        """The parameter of a layer's weight, axes as in the description."""
        kernel = ops.convert_to_numpy(self.network.get_layer(layer).kernel).astype(np.float64)
        return kernel.swapaxes(-1, -2) if self.model.layers[layer].kind == "transposed" else kernel

    def effective(self, layer: str) -> np.ndarray:
        """What multiplies the layer's input."""
        through = self.model.layers[layer].known.get("through", "")
        if not through:
            return self.raw(layer)
        return ops.convert_to_numpy(_THROUGH[through](self.network.get_layer(layer).kernel)).astype(np.float64)

    def bias(self, layer: str) -> np.ndarray:
        return ops.convert_to_numpy(self.network.get_layer(layer).bias).astype(np.float64)

    def write(self, layer: str, kernel: np.ndarray) -> None:
        self.network.get_layer(layer).kernel.assign(kernel)

    def project(self) -> None:
        convex_init.keras.project_(self.network)

    def train(self, x: np.ndarray, y: np.ndarray, steps: int) -> None:
        """Fit, with what keeps weights non-negative, until it is detached."""
        if getattr(self.network, "optimizer", None) is None:
            self.network.compile(keras.optimizers.Adam(1e-2), "mse")
        self.network.fit(x, y, batch_size=len(x), epochs=steps, verbose=0)

    def detach(self) -> None:
        for variable in self.network.trainable_variables:
            variable.constraint = None
        if getattr(self.network, "optimizer", None) is not None:
            self.network.compile(self.network.optimizer, "mse")  # the compiled step still has the constraints

    def state(self) -> list[str]:
        """Names of all that is saved."""
        return [variable.path for variable in self.network.variables]

    def copied(self, way: str) -> Adapter:
        twin = copy.copy(self)
        twin.network = self.copies[way](self.network)
        return twin

    @staticmethod
    def shared_numbers(between: Callable[[], None]) -> list[float]:
        """What the generators that a program shares give after a seed, with something else in between."""
        keras.utils.set_random_seed(7)
        between()
        return [float(keras.random.normal(())), np.random.random(), random.random()]  # noqa: NPY002
