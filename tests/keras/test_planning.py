"""plan and apply_: what is read from a model, what is written, what is refused with the layer's path and a remedy."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest
from keras import layers

from convex_init.keras import ICNN, ConvexDense, LayerPlan, NonNeg, apply_, certify, plan
from convex_init_core import InitSettings, positive_recipe, skip_recipe
from tests.contract.convexity import convexity_violation
from tests.contract.law_bounds import assert_follows
from tests.keras.arrays import array, normal, weights


def chain(*steps: layers.Layer, shape: tuple[int, ...] = (5,)) -> keras.Sequential:
    return keras.Sequential([keras.Input(shape), *steps])


def roles(model: keras.Model, **options: object) -> list[tuple[str, str]]:
    return [(layer.path, layer.role) for layer in plan(model, **options).layers]


def test_a_sequential_model():
    model = chain(
        layers.Rescaling(1 / 255),
        layers.Conv2D(8, 3, name="a"),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Dropout(0.5),
        layers.DepthwiseConv2D(2, activation="leaky_relu", name="b"),
        layers.Flatten(),
        layers.Dense(300, activation="softplus", name="c"),
        layers.Dense(200, activation="softplus", name="d"),
        shape=(8, 8, 3),
    )
    found = plan(model, method="bounded_gain")
    assert [(layer.path, layer.role) for layer in found.layers] == [
        ("a", "free"), ("b", "positive"), ("c", "positive"), ("d", "positive"),
    ]  # fmt: skip
    assert [str(layer.recipe.activation) for layer in found.layers[1:3]] == ["relu", "leaky_relu(0.2)"]
    assert str(found.layers[3].recipe.activation).startswith("softplus")
    assert [layer.recipe.statistics.fan_in for layer in found.layers] == [27, 4, 32, 300]
    table = str(found)
    assert all(word in table for word in ("fan_in", "LogNormal", "projection", "sees the input"))
    before = weights(model)
    plan(model)
    assert all(np.array_equal(a, b) for a, b in zip(before, weights(model), strict=True))
    assert apply_(model, seed=1, method="bounded_gain") is model
    for layer in found.layers:
        made = model.get_layer(layer.path)
        assert_follows(array(made.kernel), layer.recipe.weight, epsilon=1e-6)
        np.testing.assert_allclose(array(made.bias), layer.recipe.bias.mean, rtol=1e-6)
    constraints = [model.get_layer(n).kernel.constraint for n in "abcd"]
    assert [type(constraint) for constraint in constraints] == [type(None), NonNeg, NonNeg, NonNeg]
    assert model.get_layer("b").depthwise_constraint is constraints[1]


def test_a_functional_model_with_a_skip_whose_bias_takes_the_shift():
    x = keras.Input((7,))
    h = keras.ops.relu(layers.Dense(60, name="first")(x))
    h = layers.Dense(50, use_bias=False, name="wz")(h) + layers.Dense(50, name="wx")(x)
    model = keras.Model(x, h)
    options = {"skip_share": 0.3, "method": "log_normal"}
    found = {layer.path: layer for layer in plan(model, **options).layers}
    assert {path: layer.role for path, layer in found.items()} == {"first": "free", "wz": "positive", "wx": "skip"}
    recipe = positive_recipe(60, "relu", InitSettings(skip_share=0.3), has_skip=True)
    assert found["wz"].recipe == recipe
    assert found["wx"].recipe == skip_recipe(7, recipe)
    assert found["wz"].shift_into == "wx"
    apply_(model, **options)
    np.testing.assert_allclose(array(model.get_layer("wx").bias), recipe.bias.mean, rtol=1e-6)


def test_nested_models_and_a_layer_that_is_used_twice():
    inner = chain(layers.Dense(5, activation="relu", name="shared"), shape=(5,))
    x = keras.Input((5,))
    h = inner(layers.Dense(5, activation="relu", name="first")(x))
    model = keras.Model(x, layers.Dense(1, name="last")(inner(h)))
    path = f"{inner.name}/shared"
    assert roles(model) == [("first", "free"), (path, "positive"), ("last", "positive")]
    shared = layers.Dense(5, name="both")
    x = keras.Input((5,))
    twice = keras.Model(x, shared(keras.ops.relu(shared(x))))
    with pytest.raises(ValueError, match=r"'both'.*both as free and as positive"):
        plan(twice)


def test_the_plan_is_what_is_executed():
    model = ICNN(6, [30, 20], 2, skip=True, positivity="exp", seed=1)
    found = plan(model, distribution="gamma", correlation=0.3)
    assert all(isinstance(layer, LayerPlan) for layer in found.layers)
    apply_(model, distribution="gamma", correlation=0.3, seed=4)
    for layer in found.layers:
        made = model.get_layer(layer.path)
        kernel = made.effective_kernel if layer.role == "positive" else made.kernel
        through = "exp" if layer.role == "positive" else "projection"
        assert_follows(array(kernel), layer.recipe.weight, through, epsilon=1e-5)
    assert convexity_violation(lambda x: array(model(x.astype("float32"))), 6, segments=200) < 1e-5


def test_one_seed_reproduces_layers_differ_and_global_state_is_left_alone():
    model = ICNN(6, [16, 16, 16], 2)
    state = random.getstate()
    drawn = []
    for seed in (3, 3, 4):
        apply_(model, seed=seed, method="bounded_gain")
        drawn.append(weights(model))
    assert random.getstate() == state
    assert all(np.array_equal(a, b) for a, b in zip(drawn[0], drawn[1], strict=True))
    assert not np.any(drawn[0][2] == drawn[2][2])
    assert not np.any(array(model.get_layer("positive_1").kernel) == array(model.get_layer("positive_2").kernel))
    keras.utils.set_random_seed(1)
    first = weights(apply_(model))
    keras.utils.set_random_seed(1)
    assert all(np.array_equal(a, b) for a, b in zip(first, weights(apply_(model)), strict=True))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="mine")
        self.first, self.hidden = layers.Dense(9, name="first"), layers.Dense(8, name="hidden")
        self.outside = layers.Dense(2, name="outside")

    def call(self, x):
        return self.outside(keras.ops.relu(self.hidden(keras.ops.relu(self.first(x)))))


def test_a_subclassed_model_is_read_and_the_users_word_counts_more():
    model = Subclassed()
    with pytest.raises(ValueError, match=r"'mine' is unbuilt.*example_inputs"):
        plan(model)
    x = normal(2, 5)
    assert roles(model, example_inputs=x) == [("first", "free"), ("hidden", "positive"), ("outside", "positive")]
    assert model.built
    with pytest.raises(ValueError, match=r"'mine' \(Subclassed\) has no keras.Input.*pass example_inputs"):
        plan(model)
    for positive in (["hidden", "out*"], lambda path: path != "first", "mine/[ho]*"):
        assert [role for _, role in roles(model, example_inputs=x, positive=positive)] == [
            *("free", "positive", "positive"),
        ]
    found = plan(model, x, positive="hidden", fed_by={"h*": "elu"}, exclude="outside").layers
    assert [layer.path for layer in found] == ["first", "hidden"]
    assert str(found[1].recipe.activation) == "elu(1)"
    with pytest.raises(ValueError, match=r"positive= pattern 'hiden' matches no layer.*hidden"):
        plan(model, x, positive="hiden")
    assert roles(model, example_inputs=x, free=["hidden"])[1] == ("hidden", "free")


def test_the_paths_do_not_depend_on_the_users_word():
    inner = chain(layers.Dense(5, activation="relu", name="within"), shape=(5,))
    model = chain(layers.Dense(5, activation="relu", name="first"), inner, layers.Dense(1, name="last"))
    paths = ["first", f"{inner.name}/within", "last"]
    assert [path for path, _ in roles(model)] == paths
    assert [path for path, _ in roles(model, positive="*within", fed_by="relu")] == paths


REFUSED = {
    "a decreasing activation": (
        lambda: chain(layers.Dense(4, activation="silu", name="before"), layers.Dense(3)),
        "'before': silu is neither convex nor concave: it decreases.*free=",
    ),
    "a non-convex activation": (
        lambda: chain(layers.Dense(4), layers.Activation("tanh", name="bad"), layers.Dense(3)),
        "'bad': tanh.*concave",
    ),
    "ReLU with a ceiling": (
        lambda: chain(layers.Dense(4), layers.ReLU(max_value=6, name="bad"), layers.Dense(3)),
        "'bad' takes a minimum of values that are not all concave",
    ),
    "softmax": (
        lambda: chain(layers.Dense(4), layers.Softmax(name="bad"), layers.Dense(3)), "'bad'.*not convex",
    ),
    "another constraint": (
        lambda: chain(
            layers.Dense(4, activation="relu"), layers.Dense(3, kernel_constraint="unit_norm", name="bad")
        ),
        "'bad'.*kernel_constraint is UnitNorm.*remove it",
    ),
    "frozen": (lambda: chain(layers.Dense(4, name="bad", trainable=False)), "'bad'.*frozen"),
    "another constraint of a scale": (
        lambda: chain(
            layers.Dense(4, activation="relu"), layers.BatchNormalization(gamma_constraint="unit_norm", name="bn"),
            layers.Dense(3),
        ),
        "bn/gamma'.*gamma_constraint is UnitNorm.*remove it",
    ),
    "LoRA": (lambda: with_lora(), "'bad'.*lora_kernel_a.*initialise it before"),
    "unbuilt": (lambda: keras.Sequential([layers.Dense(3)], name="bad"), "'bad' is unbuilt.*build"),
    "nothing to do": (lambda: chain(layers.Flatten()), "no weight to initialise"),
}  # fmt: skip


def with_lora() -> keras.Model:
    model = chain(layers.Dense(4, activation="relu"), layers.Dense(3, name="bad"))
    model.layers[-1].enable_lora(2)
    return model


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_model_is_left_untouched(case):
    make, said = REFUSED[case]
    model = make()
    before = weights(model)
    with pytest.raises(ValueError, match=f"(?s){said}"):
        apply_(model)
    assert all(np.array_equal(a, b) for a, b in zip(before, weights(model), strict=True))
    assert [v.constraint for v in model.weights if type(v.constraint) is NonNeg] == [
        v.constraint for layer in model.layers for v in layer.weights if type(v.constraint) is NonNeg
    ]


def test_all_problems_are_listed_at_once():
    model = chain(
        layers.Dense(4, activation="relu"),
        layers.Dense(4, activation="relu", trainable=False, name="b"),
        layers.Dense(4, kernel_constraint="unit_norm", name="c"),
    )
    with pytest.raises(ValueError, match=r"(?s)nothing was written.*'b'.*'c'"):
        plan(model)


@pytest.mark.parametrize(
    "layer",
    [layers.Dense(4, kernel_constraint=NonNeg(), name="it"), ConvexDense(4, positivity="exp", name="it")],
    ids=["NonNeg", "exp"],
)
def test_a_layer_on_the_input_that_is_made_non_negative_is_positive(layer):
    (found, _) = plan(chain(layer, layers.ReLU(), layers.Dense(3))).layers
    assert (found.path, found.role) == ("it", "positive")
    assert "made non-negative" in found.reason


def test_two_convex_activations_are_one_and_two_kernels_are_two():
    model = chain(layers.Dense(4, activation="relu"), layers.ELU(), layers.Dense(3, name="last"))
    assert roles(model)[-1] == ("last", "positive")
    model = chain(layers.SeparableConv1D(4, 2, name="it"), shape=(5, 2))
    assert roles(model) == [("it/depthwise_kernel", "free"), ("it/pointwise_kernel", "free")]


def joined(how: str) -> keras.Model:
    x = keras.Input((5,))
    first = layers.Dense(4, name="first")(x)
    h = keras.ops.relu(first)
    if how == "concatenate":
        return keras.Model(x, layers.Dense(2, name="last")(layers.Concatenate(name="join")([h, x])))
    if how == "residual":
        return keras.Model(x, layers.Dense(2, name="last")(layers.Add(name="join")([layers.Dense(4)(h), h])))
    return keras.Model(x, layers.Dense(2, name="last")(layers.Add(name="join")([layers.Dense(4)(h), first])))


def test_joins():
    with pytest.raises(ValueError, match=r"'last': its columns 0 to 3 are positive, and 4 to 8 free.*split it"):
        plan(joined("concatenate"))
    for how, note in (("residual", "beside relu as it is"), ("skip from a used layer", "")):
        model = joined(how)
        found = plan(model).layers
        assert [layer.role for layer in found] == ["free", "positive", "positive"]
        assert note in found[1].note.lower()
        apply_(model, seed=1)
        assert certify(model)


def test_bad_arguments():
    model = ICNN(4, [4])
    with pytest.raises(ValueError, match="correlation"):
        apply_(model, correlation=1.5)
    with pytest.raises(TypeError, match=r"corelation=; did you mean correlation="):
        apply_(model, corelation=0.5)
    with pytest.raises(TypeError, match="activation= is called fed_by="):
        apply_(model, activation="relu")
    with pytest.raises(TypeError, match="seed"):
        apply_(model, seed="a")
    with pytest.raises(TypeError, match=r"keras\.Model"):
        plan(layers.Dense(3))


def test_a_compiled_model_sees_new_constraints():
    model = chain(layers.Dense(16, activation="relu"), layers.Dense(16, activation="relu"), layers.Dense(1))
    model.compile(keras.optimizers.SGD(0.3), "mse")
    x = normal(64, 5)
    model.fit(x, -np.abs(x[:, :1]), verbose=0)
    apply_(model, seed=1)
    model.fit(x, -np.abs(x[:, :1]), epochs=5, verbose=0)
    assert min(array(layer.kernel).min() for layer in model.layers[1:]) == 0.0
