"""What a Keras model can ask of the shared reader: sums, examples, the user's word, measuring, biases, context."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from convex_init.keras import ICNN, NonNeg, apply_, certify, plan, signal_report
from convex_init_core.methods.recipes import skip_recipe
from tests.keras.arrays import array, normal, weights


def chain(*steps: layers.Layer, shape: tuple[int, ...] = (6,)) -> keras.Sequential:
    return keras.Sequential([keras.Input(shape), *steps])


def between(model: keras.Model, name: str, x: np.ndarray) -> np.ndarray:
    return array(keras.Model(model.inputs[0], model.get_layer(name).output)(x))


def test_several_positive_layers_in_a_sum_share_its_variance():
    """Independent terms: half the variance each, so that the weights of both have the same law."""
    x = keras.Input((6,))
    h = layers.Dense(40, activation="relu", name="first")(x)
    s = layers.Add(name="sum")([layers.Dense(40, name="a")(h), layers.Dense(40, name="b")(h)])
    found = {layer.path: layer for layer in plan(keras.Model(x, s)).layers}
    assert found["a"].beside == ("b",)
    assert found["a"].recipe.weight == found["b"].recipe.weight
    alone = plan(keras.Model(x, layers.Dense(40, name="a")(h))).layers[-1].recipe.statistics
    both = found["a"].recipe.statistics
    assert both.weight_variance < alone.weight_variance


def test_a_residual_sum_is_measured_and_keeps_the_mean_of_what_is_added():
    x = keras.Input((20,))
    h = layers.Dense(64, activation="relu", name="first")(x)
    s = layers.Add(name="sum")([layers.Dense(64, name="branch")(h), h])
    model = keras.Model(x, layers.Dense(3, name="last")(layers.ReLU()(s)))
    data = normal(256, 20)
    apply_(model, data, seed=1, calibrate=True)
    assert certify(model)
    total, added = between(model, "sum", data), between(model, "first", data)
    assert total.var() == pytest.approx(1.0, rel=2e-3)
    assert total.mean() == pytest.approx(added.mean(), abs=2e-3)


def test_calibration_makes_every_sum_right_and_a_second_one_changes_nothing():
    model = ICNN(20, [64, 64], 1, skip=True, positivity="softplus", seed=1)
    data = 3.0 * normal(256, 20) + 1.0
    apply_(model, data, seed=2, calibrate=True, kinks="origin")
    for row in signal_report(model, data).layers:
        assert row.mean == pytest.approx(0.0, abs=2e-3)
        assert row.variance == pytest.approx(1.0, rel=2e-3)
    assert certify(model)
    before = weights(model)
    apply_(model, data, seed=2, calibrate=True, kinks="origin")
    assert all(np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(before, weights(model), strict=True))
    with pytest.raises(ValueError, match="pass example_inputs"):
        apply_(model, calibrate=True)


def test_running_statistics_are_set_by_what_was_measured():
    model = chain(
        layers.Dense(32, activation="relu"),
        layers.Dense(32, name="positive"),
        layers.BatchNormalization(gamma_constraint=NonNeg(), name="norm"),
        layers.ReLU(),
        layers.Dense(2),
    )
    data = normal(200, 6)
    apply_(model, data, seed=1)
    norm, found = model.get_layer("norm"), between(model, "positive", data)
    np.testing.assert_allclose(array(norm.moving_mean), found.mean(0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(array(norm.moving_variance), found.var(0, ddof=1), rtol=1e-3, atol=1e-4)
    assert certify(model)


@pytest.mark.parametrize(
    "make",
    [
        lambda: chain(layers.Dense(8, activation="relu"), layers.Dense(8, use_bias=False, name="it")),
        lambda: chain(
            layers.Conv2D(4, 3, activation="relu"), layers.Conv2D(6, 2, use_bias=False, name="it"), shape=(6, 6, 2)
        ),
        lambda: chain(
            layers.Conv2D(4, 3, activation="relu"),
            layers.Conv2DTranspose(6, 2, strides=2, use_bias=False, name="it"),
            shape=(6, 6, 2),
        ),
        lambda: chain(
            layers.Conv2D(4, 3, activation="relu"),
            layers.DepthwiseConv2D(2, depth_multiplier=2, use_bias=False, name="it"),
            shape=(6, 6, 2),
        ),
    ],
    ids=["dense", "conv", "transposed", "depthwise"],
)
def test_a_missing_bias_is_registered_and_saved(make, tmp_path):
    model = make()
    assert "the mean goes on" in plan(model).layers[-1].note
    model.compile("sgd", "mse")
    data = normal(4, *model.input_shape[1:])
    model.predict(data, verbose=0)
    found = plan(model, register_missing_bias=True).layers[-1]
    assert found.add_bias
    assert model.get_layer("it").bias is None
    apply_(model, register_missing_bias=True, seed=1)
    layer = model.get_layer("it")
    np.testing.assert_allclose(array(layer.bias), found.recipe.bias.mean, rtol=1e-6)
    assert layer.bias.path == layer.kernel.path.replace("kernel", "bias")
    assert any(variable is layer.bias for variable in model.trainable_variables)
    np.testing.assert_allclose(model.predict(data, verbose=0), array(model(data)), rtol=1e-5, atol=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(array(again(data)), array(model(data)), rtol=1e-5, atol=1e-5)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = array(layer.bias).copy()
    model.fit(data, array(model(data)) + 1.0, verbose=0)
    assert not np.array_equal(before, array(layer.bias))


def test_a_failure_leaves_everything_as_it_was():
    model = chain(layers.Dense(8, activation="relu"), layers.Dense(8, use_bias=False, name="it"))
    before = weights(model)
    with pytest.raises(ValueError, match="not finite"):
        apply_(model, np.full((64, 6), 1e38, "float32"), register_missing_bias=True, calibrate=True, variance=1e30)
    assert model.get_layer("it").bias is None
    assert len(model.trainable_variables) == len(before)
    assert all(np.array_equal(a, b) for a, b in zip(before, weights(model), strict=True))
    assert not any(variable.constraint for variable in model.variables)


def test_free_is_the_users_word():
    model = chain(layers.Dense(8, activation="tanh", name="features"), layers.Dense(8, activation="relu", name="first"),
                  layers.Dense(2, name="last"))  # fmt: skip
    with pytest.raises(ValueError, match="free="):
        plan(model)
    found = plan(model, free=["features", "first"], fed_by={"last": "relu"}).layers
    assert [(layer.path, layer.role) for layer in found][1:] == [("first", "free"), ("last", "positive")]


def test_context_is_left_alone():
    x, context = keras.Input((4,), name="x"), keras.Input((3,), name="context")
    gate = layers.Dense(8, activation="softplus", name="gate")(context)
    s = layers.Dense(8, name="free")(x) * gate
    model = keras.Model([x, context], layers.Dense(1, name="last")(ops.relu(s)))
    for chosen in ("x", 0, ["x"]):
        assert [layer.path for layer in plan(model, convex_inputs=chosen).layers] == ["free", "last"]
    before = array(model.get_layer("gate").kernel).copy()
    apply_(model, convex_inputs="x", seed=1)
    np.testing.assert_array_equal(before, array(model.get_layer("gate").kernel))
    assert certify(model, None, "x")
    with pytest.raises(ValueError, match=r"convex_inputs names 'y'.*x \(0\), context \(1\)"):
        plan(model, convex_inputs="y")


class Scaled(keras.Model):
    """A bare weight behind softplus, a skip, Python state, and a second method."""

    def __init__(self):
        super().__init__()
        self.free, self.skip = layers.Dense(30, name="free"), layers.Dense(20, use_bias=False, name="skip")
        self.calls = 0

    def build(self, shape):
        self.free.build(shape)
        self.skip.build(shape)
        self.raw = self.add_weight(shape=(30, 20), initializer="random_normal", name="raw")
        self.shift = self.add_weight(shape=(20,), initializer="zeros", name="shift")

    def call(self, x):
        self.calls += 1
        return ops.matmul(ops.relu(self.free(x)), ops.softplus(self.raw)) + self.skip(x) + self.shift

    def squared(self, x):
        return ops.square(self.free(x))


def test_bare_weights_of_a_subclassed_model_are_written_through_their_map():
    model, x = Scaled(), normal(64, 6)
    model(x)
    before = model.calls
    found = {layer.path: layer for layer in plan(model, x, method="log_normal").layers}
    assert {path: layer.role for path, layer in found.items()} == {"free": "free", "raw": "positive", "skip": "skip"}
    assert str(found["raw"].recipe.positivity).startswith("softplus")
    assert found["raw"].shift_into == "shift"
    assert found["skip"].recipe == skip_recipe(6, found["raw"].recipe)
    apply_(model, x, seed=1, method="log_normal")
    effective = np.log1p(np.exp(array(model.raw)))
    law = found["raw"].recipe.statistics
    # Log-normal weights are heavy-tailed: five standard errors of the mean.
    assert effective.mean() == pytest.approx(law.weight_mean, abs=5.0 * np.sqrt(law.weight_variance / effective.size))
    np.testing.assert_allclose(array(model.shift), found["raw"].recipe.bias.mean, rtol=1e-5)
    certificate = certify(model, x)
    assert str(certificate.outputs["output"]) == "Curvature.CONVEX", certificate
    assert "calls" in certificate.reasons[0]  # a model that counts its calls may do something else at a later one
    assert model.calls == before
    assert [layer.path for layer in plan(model, x, entry="squared").layers] == ["free"]
    with pytest.raises(ValueError, match="entry 'nope' is no method"):
        plan(model, x, entry="nope")


def test_a_recurrent_layer_is_read():
    cell = {"activation": "relu", "name": "it"}
    model = chain(layers.SimpleRNN(8, **cell), layers.Dense(1, name="last"), shape=(3, 4))
    found = {layer.path: layer.role for layer in plan(model).layers}
    assert found["last"] == "positive"
    recurrent = next(role for path, role in found.items() if path.endswith("recurrent_kernel"))
    assert recurrent == "positive"
    apply_(model, normal(32, 3, 4), seed=1)
    assert certify(model)


def test_inputs_that_may_have_any_size_are_made():
    model = keras.Sequential([keras.Input((None, None, 2)), layers.Conv2D(4, 3, activation="relu"),
                              layers.MaxPooling2D(), layers.GlobalAveragePooling2D(), layers.Dense(2)])  # fmt: skip
    assert [layer.role for layer in plan(model).layers] == ["free", "positive"]
    assert plan(model).to_dict()["layers"][0]["fan_in"] == 18


def test_one_network_gets_one_start_however_it_is_written():
    class Written(keras.Model):
        def __init__(self):
            super().__init__()
            self.parts = [layers.Dense(16), layers.Dense(16), layers.Dense(1)]

        def call(self, x):
            for part in self.parts[:-1]:
                x = ops.relu(part(x))
            return self.parts[-1](x)

    steps = [layers.Dense(16), layers.ReLU(), layers.Dense(16), layers.Activation("relu"), layers.Dense(1)]
    x = normal(4, 6)
    plans = [plan(model, x) for model in (chain(*steps), ICNN(6, [16, 16], 1), Written())]
    recipes = [[layer.recipe for layer in found.layers] for found in plans]
    assert recipes[0] == recipes[1] == recipes[2]
