"""Contract, point 6: what is saved comes back, also in a process that imports only keras and convex_init.keras."""

from __future__ import annotations

import copy

import keras
import numpy as np
import pytest
from keras import layers

from convex_init.keras import ICNN, ConvexConv2D, ConvexDense, ICNNInit, NonNeg, apply_
from convex_init_core.weights.positivity import Softplus
from tests.keras.arrays import array, in_fresh_process, network, normal, weights


def nets() -> dict[str, keras.Model]:
    image = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, 3, activation="elu"),
            ConvexConv2D(4, 2, positivity=Softplus(beta=3.0), kernel_initializer=ICNNInit(fed_by="elu", seed=1)),
            layers.Flatten(),
            layers.Activation("elu"),
            ConvexDense(2, positivity="exp", kernel_initializer=ICNNInit(fed_by="elu", distribution="gamma")),
        ]
    )
    return {"sequential": network(), "functional": ICNN(6, [8, 8], skip=True, positivity="square"), "image": image}


def test_saved_models_load_in_a_fresh_process(tmp_path):
    for name, model in nets().items():
        x = normal(5, *model.input_shape[1:])
        model.save(tmp_path / f"{name}.keras")
        model.save_weights(tmp_path / f"{name}.weights.h5")
        np.savez(tmp_path / f"{name}.npz", x=x, y=array(model(x)))
    code = """
import sys, numpy as np, keras, convex_init.keras
folder = sys.argv[1] + "/"
for name in sys.argv[2:]:
    known = np.load(folder + name + ".npz")
    model = keras.models.load_model(folder + name + ".keras")
    fresh = keras.models.clone_model(model)
    fresh.load_weights(folder + name + ".weights.h5")
    for loaded in (model, fresh):
        outputs = keras.ops.convert_to_numpy(loaded(known["x"]))
        np.testing.assert_allclose(outputs, known["y"], rtol=1e-5, atol=1e-6)
    print(name, [type(w.constraint).__name__ for w in model.weights].count("NonNeg"))
print(sorted(m.partition(".")[2] for m in sys.modules if m.startswith("convex_init.") and m.count(".") == 1))
"""
    said = in_fresh_process(code, tmp_path, *nets()).splitlines()[-4:]
    assert said == ["sequential 2", "functional 0", "image 0", "['keras']"]


def test_without_the_import_keras_says_what_is_missing(tmp_path):
    network().save(tmp_path / "model.keras")
    code = """
import sys, keras
sys.modules["convex_init"] = None  # as on a machine without the package
try:
    keras.models.load_model(sys.argv[1])
except Exception as error:
    print(type(error).__name__, "ICNNInit" in str(error))
"""
    assert in_fresh_process(code, tmp_path / "model.keras").split()[-1] == "True"


@pytest.mark.parametrize("name", ["sequential", "functional", "image"])
def test_config_clone_and_deepcopy(name):
    model = nets()[name]
    again = type(model).from_config(model.get_config())
    assert keras.saving.serialize_keras_object(again)["config"] == keras.saving.serialize_keras_object(model)["config"]
    clone = keras.models.clone_model(model)
    assert [type(layer) for layer in clone.layers] == [type(layer) for layer in model.layers]
    for layer in clone.layers:
        if isinstance(layer, ConvexDense) or isinstance(getattr(layer, "kernel_constraint", None), NonNeg):
            kernel = layer.effective_kernel if isinstance(layer, ConvexDense) else layer.kernel
            assert array(kernel).min() >= 0.0
            assert array(layer.bias).max() < 0.0  # the clone's bias is centred too
    twin = copy.deepcopy(model)
    for a, b in zip(weights(model), weights(twin), strict=True):
        np.testing.assert_array_equal(a, b)


def test_constraints_set_by_apply_are_saved(tmp_path):
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, activation="relu"), layers.Dense(5, activation="relu"), layers.Dense(1)]
    )
    apply_(model, seed=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [type(layer.kernel.constraint) for layer in loaded.layers] == [type(None), NonNeg, NonNeg]
    assert len(loaded.weights) == 6  # nothing but kernels and biases
