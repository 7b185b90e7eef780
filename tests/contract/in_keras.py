"""The described models as functional models of Keras, on the backend that it runs on."""

from __future__ import annotations

from typing import Any

import keras
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


class MappedDense(layers.Layer):
    """A dense layer whose kernel goes through a map."""

    def __init__(self, units: int, through: str, *, use_bias: bool, name: str) -> None:
        super().__init__(name=name)
        self.units, self.through, self.use_bias = units, through, use_bias

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias") if self.use_bias else None

    def call(self, x: Any) -> Any:
        y = ops.matmul(x, _THROUGH[self.through](self.kernel))
        return y if self.bias is None else y + self.bias


def _layer(name: str, step: Step) -> layers.Layer:
    known = step.known
    if step.kind == "batch_norm":
        return layers.BatchNormalization(epsilon=1e-5, scale=known["scale"], center=known["scale"], name=name)
    if step.kind == "convolution":
        return layers.Conv2D(known["channels"], known["window"], known["stride"], groups=known["groups"], name=name)
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
            made[name].kernel.assign(model.kernel(name))
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], values[-1])


class Adapter:
    """A described model in Keras, as the tests of the contract ask for it."""

    def __init__(self, model: Model) -> None:
        keras.backend.set_image_data_format("channels_last")
        self.options = model.options
        self.network = network(model)
        arrays = model.inputs()
        self.inputs = arrays if len(arrays) > 1 else arrays[0]

    def plan(self) -> Plan:
        return convex_init.keras.plan(self.network, self.inputs, **self.options)

    def apply(self) -> None:
        convex_init.keras.apply_(self.network, self.inputs, seed=0, **self.options)

    def certificate(self) -> Any:
        convex = self.options.get("convex_inputs")
        return convex_init.keras.certify(self.network, self.inputs, convex, search=False)

    def layer_of(self, path: str) -> str:
        """The layer of the description that a path of the plan means; those of bare variables end with their name."""
        return path.partition("/")[0]
