"""The tracer of the backend shows what a Keras model runs, with variables named by their paths."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from convex_init_core.graph.nodes import Graph

BACKEND = keras.backend.backend()
pytestmark = pytest.mark.skipif(BACKEND == "torch", reason="a Keras model on torch is a module of torch")


def traced(model, *inputs) -> Graph:
    fixed = {variable.path for variable in model.non_trainable_variables}
    if BACKEND == "jax":
        from convex_init.jax.trace import trace

        parts = model.trainable_variables, model.non_trainable_variables
        params = tuple([variable.value for variable in part] for part in parts)
        names = [variable.path for part in parts for variable in part]
        run = lambda p, *args: model.stateless_call(*p, *args)[0]  # noqa: E731
        return trace(run, params, inputs, names=names, buffers=fixed)
    from convex_init.tensorflow.trace import trace

    return trace(model, {variable.path: variable.value for variable in model.variables}, inputs, buffers=fixed)


def network():
    x = keras.Input((3,))
    z = keras.layers.Dense(8, activation="relu", name="first")(x)
    for index in range(2):
        positive = keras.layers.Dense(8, name=f"z{index}")(z)
        skip = keras.layers.Dense(8, use_bias=False, name=f"x{index}")(x)
        z = keras.layers.Activation("softplus")(keras.layers.Add()([positive, skip]))
    return keras.Model(x, keras.layers.Dense(1, name="last")(z))


def test_a_network_has_the_same_operations_on_every_backend():
    model = network()
    graph = traced(model, np.ones((4, 3), dtype=np.float32))
    assert {node.params["name"] for node in graph if node.name == "parameter"} == {v.path for v in model.variables}
    assert [node.name for node in graph if not node.is_fixed] == [
        *("input", "contract", "add", "relu"),
        *(2 * ["contract", "add", "contract", "add", "softplus"]),
        *("contract", "add"),
    ]
    products = [node for node in graph if node.name == "contract"]
    weights = [part.parameters for node in products for part in node.inputs if part.is_fixed]
    assert weights == [(f"{name}/kernel",) for name in ("first", "z0", "x0", "z1", "x1", "last")]
    assert [node.place.module.rpartition(".")[2].split("_")[0] for node in products] == [
        *("first", "z0", "x0", "z1", "x1", "last"),
    ]


def test_a_recurrent_layer_is_seen_step_by_step():
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, name="lstm"), keras.layers.Dense(1)])
    graph = traced(model, np.ones((2, 5, 3), dtype=np.float32))
    assert not [node for node in graph if node.name == "opaque"]
    sources = [part.parameters for node in graph if node.name == "contract" for part in node.inputs]
    kernels = [names for names in sources if names and names[0].endswith("lstm_cell/kernel")]
    assert len(kernels) == 5
    assert sum(node.name == "tanh" for node in graph) == 10


def test_running_statistics_are_buffers_and_images_are_convolved():
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            layers.Conv2D(6, 3, strides=2, padding="same", groups=2, activation="elu"),
            layers.BatchNormalization(),
            layers.Conv2DTranspose(2, 3, strides=2),
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            layers.MaxPooling2D(2),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5),
        ]
    )
    graph = traced(model, np.ones((2, 8, 8, 4), dtype=np.float32))
    assert not [node for node in graph if node.name == "opaque"]
    buffers = {node.params["name"].rpartition("/")[2] for node in graph if node.name == "buffer"}
    assert {"moving_mean", "moving_variance"} <= buffers
    found = [
        (node.params["groups"], node.params["transposed"], node.params["strides"])
        for node in graph
        if node.name == "convolve"
    ]
    assert found == [(2, False, (2, 2)), (1, True, (2, 2)), (2, False, (1, 1))]
    assert {"window_max", "elu"} <= {node.name for node in graph}


@pytest.mark.parametrize(
    ("activation", "op"),
    [
        *(
            (name, name)
            for name in ("relu", "leaky_relu", "elu", "selu", "softplus", "gelu", "silu", "mish", "sigmoid")
        ),
        *(
            (name, name)
            for name in ("softmax", "log_softmax", "squareplus", "sparse_plus", "softsign", "log_sigmoid", "tanh")
        ),
        *(("celu", "elu"), ("hard_sigmoid", "hardsigmoid"), ("hard_silu", "hardswish"), ("exponential", "exp")),
    ],
)
def test_activations_are_known(activation, op):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Activation(activation)])
    graph = traced(model, np.ones((2, 3), dtype=np.float32))
    assert graph.outputs["output"].name == op
