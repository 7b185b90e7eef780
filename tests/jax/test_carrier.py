"""``as_convex`` in JAX: class probabilities of dense layers from a convex function; training beside a carrier."""

from __future__ import annotations

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from convex_init.jax import apply, as_convex, certify, plan, project
from convex_init_core import as_activation
from convex_init_core.theory.activation import custom

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5)).astype(np.float32)


def layers(*widths, biases=True):
    return [
        (
            jnp.asarray(RNG.normal(0.0, (2.0 / n) ** 0.5, (n, m)), jnp.float32),
            jnp.asarray(RNG.normal(size=m), jnp.float32) if biases else None,
        )
        for n, m in pairwise(widths)
    ]


def logits(of, x, phi=jax.nn.relu):
    for place, (kernel, bias) in enumerate(of):
        x = (phi(x) if place else x) @ kernel + (0.0 if bias is None else bias)
    return x


@pytest.mark.parametrize(
    ("widths", "activation", "phi"),
    [
        ((5, 8, 7, 6, 3), "relu", jax.nn.relu),
        ((5, 8, 3), "relu", jax.nn.relu),
        ((5, 3), "relu", jax.nn.relu),
        ((5, 8, 7, 3), as_activation("leaky_relu", negative_slope=0.2), lambda s: jax.nn.leaky_relu(s, 0.2)),
        ((5, 8, 7, 3), "elu", jax.nn.elu),
        ((5, 8, 7, 3), as_activation("celu", alpha=2.0), lambda s: jax.nn.celu(s, 2.0)),
        ((5, 8, 7, 3), "softplus", jax.nn.softplus),
        ((5, 8, 7, 3), "prelu", lambda s: jax.nn.leaky_relu(s, 0.25)),
    ],
    ids=str,
)
@pytest.mark.parametrize("biases", [True, False])
def test_the_same_class_probabilities_from_convex_logits(widths, activation, phi, biases):
    of = layers(*widths, biases=biases)
    convex = as_convex(of, X, activation=activation)
    other = 2.0 * RNG.normal(size=(30, 5)).astype(np.float32)
    fn, params = convex
    expected = jax.nn.softmax(logits(of, other, phi))
    np.testing.assert_allclose(jax.nn.softmax(jax.jit(fn)(params, other)), expected, atol=2e-5)
    assert all(float(layer["kernel"].min()) >= 0.0 for layer in params[1:])
    certificate = certify(convex, X)
    assert certificate, certificate


def test_training_beside_a_carrier():
    of = layers(5, 16, 16, 3)
    made = plan((lambda p, x: logits(p, x), of), X, method="isometric")
    assert [each.low for each in made.kept] == [0.0, 0.0]
    free = made.beside_carrier(0.1)
    assert [(each.name, each.low) for each in free.kept] == [(made.kept[0].name, -0.1)]
    started = apply((lambda p, x: logits(p, x), of), X, method="isometric", key=jax.random.key(0))
    moved = project(jax.tree.map(lambda a: a - 1.0, started[1]), free)
    assert float(moved[1][0].min()) == pytest.approx(-0.1)
    assert float(moved[2][0].min()) < -0.5
    with pytest.raises(ValueError, match="bound must be above 0"):
        made.beside_carrier(0.0)


@pytest.mark.parametrize(
    ("fn", "outputs", "message"),
    [
        (logits, 1, "one output is no softmax"),
        (lambda p, x: logits(p, x)[:, 0], 3, "one output is no softmax"),
        (lambda p, x: logits(p, x).sum(), 3, "one output is no softmax"),
        (lambda p, x: jax.nn.sigmoid(logits(p, x)), 3, "a sigmoid sees the shift"),
        (lambda p, x: logits([p[0], (jnp.exp(p[1][0]), p[1][1]), p[2]], x), 3, "positivity must be 'projection'"),
    ],
    ids=["one", "one of three", "a sum", "sigmoid", "a map"],
)
def test_what_does_not_train_beside_a_carrier(fn, outputs, message):
    made = plan((lambda p, x: fn(p, x), layers(5, 16, 16, outputs)), X, method="isometric")
    with pytest.raises(ValueError, match=message):
        made.beside_carrier()


def test_float64_is_double_precision_in_the_function_itself():
    """JAX makes float32 of it without a word, and the check is of what the function itself gives."""
    of = layers(5, *[64] * 6, 3)
    with pytest.raises(ValueError, match=r"float32 class probabilities are off by .* pass dtype float64"):
        as_convex(of, X)
    with pytest.raises(ValueError, match=r"dtype float64 needs .*jax_enable_x64"):
        as_convex(of, X, dtype=np.float64)
    with jax.enable_x64():
        wide = [(jnp.asarray(kernel, jnp.float64), jnp.asarray(bias, jnp.float64)) for kernel, bias in of]
        fn, params = as_convex(of, X, dtype=np.float64)
        assert params[1]["kernel"].dtype == jnp.float64
        other = 2.0 * RNG.normal(size=(30, 5))
        expected = jax.nn.softmax(logits(wide, other))
        np.testing.assert_allclose(jax.nn.softmax(fn(params, other)), expected, atol=1e-6)


def test_double_inputs_are_taken_as_jax_takes_them():
    fn, params = as_convex(layers(5, 8, 3), X.astype(np.float64))
    assert {leaf.dtype for layer in params for leaf in layer.values()} == {np.dtype("float32")}
    assert certify((fn, params), X)


OF = layers(5, 8, 7, 3)
HALF = custom(lambda s: 0.5 * np.maximum(s, 0.0), bends=(0.0,), name="half")


def changed(place, *, kernel=lambda k: k, bias=lambda b: b):
    return [(kernel(k), bias(b)) if each == place else (k, b) for each, (k, b) in enumerate(OF)]


@pytest.mark.parametrize(
    ("of", "options", "error", "message"),
    [
        (layers(5, 8, 1), {}, ValueError, "one output is no softmax"),
        (layers(5, 8, 3), {"activation": "squared_softplus"}, ValueError, "slope of"),
        (layers(5, 8, 3), {"activation": "tanh"}, ValueError, "concave"),
        (layers(5, 8, 3), {"activation": HALF}, ValueError, "half has no counterpart in jax.nn"),
        (layers(5, 8, 3), {"activation": jax.nn.relu}, TypeError, "activation must be a name .* such as 'relu'"),
        (layers(5, 8, 3), {"tolerance": -1.0}, ValueError, "tolerance"),
        (layers(5, 8, 3), {"dtype": np.int32}, ValueError, "dtype must be floating point"),
        (layers(5, *[256] * 12, 3), {}, ValueError, "pass dtype float64"),
        ([jnp.ones((5, 3))], {}, TypeError, "layers must be pairs"),
        (None, {}, TypeError, "layers must be pairs"),
        (changed(1, kernel=lambda k: k.T), {}, ValueError, r"layers\[1\]: .* \(7, 8\) .* 8 inputs"),
        (layers(4, 8, 3), {}, ValueError, r"layers\[0\]: .* \(4, 8\) .* 5 inputs"),
        (changed(1, kernel=lambda k: k[None]), {}, ValueError, r"layers\[1\]: .* \(1, 8, 7\)"),
        (changed(1, bias=lambda b: b[:1]), {}, ValueError, r"layers\[1\]: .*bias .* \(1,\) .* 7 outputs"),
        (changed(1, kernel=lambda k: k.astype(complex)), {}, TypeError, r"layers\[1\]: .* complex64"),
        (changed(0, kernel=lambda k: k.at[0, 0].set(jnp.nan)), {}, ValueError, r"layers\[0\]: its weight holds NaN"),
        (changed(0, bias=lambda b: b.at[0].set(-jnp.inf)), {}, ValueError, r"layers\[0\]: its bias holds NaN"),
        (changed(2, bias=lambda b: b.at[0].set(jnp.inf)), {}, ValueError, r"layers\[2\]: its bias holds NaN"),
    ],
)
def test_refusals(of, options, error, message):
    with pytest.raises(error, match=message):
        as_convex(of, X, **options)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (X[0], ValueError, r"example_inputs must be \(batch, inputs\), got \(5,\)"),
        (X.astype(int), TypeError, "example_inputs must be floating point"),
        ("X", TypeError, "example_inputs must be floating point"),
        (X[:0], ValueError, "example_inputs: .* is empty"),
        (X * np.nan, ValueError, "example_inputs: .* NaN"),
    ],
)
def test_example_inputs(x, error, message):
    with pytest.raises(error, match=message):
        as_convex(OF, x)
