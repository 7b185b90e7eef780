"""Batches in JAX, flax, equinox and Keras on each backend, and derivatives of values, against differences of them."""

from __future__ import annotations

import numpy as np
import pytest

import convex_init.cvxpy as cc

X = np.array([[0.5, -1.0, 0.3], [1.5, 0.2, -0.4]], np.float32)


def in_jax():
    jax = pytest.importorskip("jax")
    weight = jax.numpy.asarray(np.random.default_rng(0).standard_normal((3, 5)), jax.numpy.float32)

    def energy(x):
        return jax.nn.relu(x @ weight).sum(1) + 0.2 * (x**2).sum(1)

    return jax.numpy.asarray(X), energy, (lambda p, x: jax.nn.relu(x @ p).sum(1) + 0.2 * (x**2).sum(1), weight)


def in_flax():
    jax, nnx = pytest.importorskip("jax"), pytest.importorskip("flax.nnx")

    class Energy(nnx.Module):
        def __init__(self):
            self.layer = nnx.Linear(3, 5, rngs=nnx.Rngs(0))

        def __call__(self, x):
            return nnx.softplus(self.layer(x)).sum(1) + 0.2 * (x**2).sum(1)

    model = Energy()
    return jax.numpy.asarray(X), model, model


def in_equinox():
    jax, eqx = pytest.importorskip("jax"), pytest.importorskip("equinox")

    class Energy(eqx.Module):
        layer: eqx.nn.Linear

        def __call__(self, x):
            return jax.nn.elu(self.layer(x)).sum() + 0.2 * (x**2).sum()

    model = Energy(eqx.nn.Linear(3, 5, key=jax.random.key(0)))
    return jax.numpy.asarray(X), jax.vmap(model), model


def in_keras():
    keras = pytest.importorskip("keras")
    inputs = keras.Input((3,))
    z = keras.layers.Dense(5, activation="softplus")(inputs)
    z = keras.layers.Concatenate()([z, keras.ops.square(inputs)])
    model = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.3))(z))
    return keras.ops.convert_to_tensor(X), model, model


MODELS = {"jax": in_jax, "flax": in_flax, "equinox": in_equinox, "keras": in_keras}


def numbers(array):
    return np.asarray(array.detach() if hasattr(array, "detach") else array)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore:.*64:UserWarning")
def test_a_batch_is_near_the_exact_solutions(name):
    x, energy, model = MODELS[name]()
    maps = cc.proximal_batched(energy, x, 0.8, tolerance=1e-4)
    conjugates = cc.conjugate_batched(energy, 0.1 * x, tolerance=1e-3)
    minima = cc.minimise_batched(energy, x, tolerance=1e-3)
    assert type(maps.point) is type(x)
    example = None if name == "keras" else X if name != "equinox" else X[0]
    for i in range(2):
        exact = cc.proximal(model, X[i], 0.8, example_inputs=example)
        assert np.linalg.norm(numbers(maps.point)[i] - exact.point) <= np.sqrt(1.6 * float(maps.gap[i])) + 1e-3
        assert float(maps.value[i]) == pytest.approx(exact.value, abs=1e-3)
        exact = cc.conjugate(model, 0.1 * X[i], example_inputs=example)
        assert float(conjugates.value[i]) == pytest.approx(exact.value, abs=2e-3)
        exact = cc.minimise(model, shape=(3,), example_inputs=example)
        assert float(minima.value[i]) == pytest.approx(exact.value, abs=2e-3)
    for found in (maps, conjugates, minima):
        assert bool(numbers(found.converged).all())
        assert not numbers(found.diverged).any()


def test_what_has_no_minimum_in_jax():
    jax = pytest.importorskip("jax")
    found = cc.minimise_batched(lambda x: x.sum(1), jax.numpy.asarray(X))
    assert bool(found.diverged.all())
    assert not bool(found.converged.any())
    flat = cc.minimise_batched(lambda x: 0.0 * x.sum(1), jax.numpy.asarray(X))
    assert bool(flat.converged.all())
    with pytest.raises(ValueError, match="not convex"):
        cc.minimise_batched(lambda x: -(x**2).sum(1), jax.numpy.asarray(X))


KINDS = ["proximal", "conjugate", "minimum"]


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_of_values_in_torch(kind):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 5).double()
    x = torch.tensor(X, dtype=torch.float64, requires_grad=True)

    def value(at, **options):
        def energy(u):
            return torch.nn.functional.softplus(layer(u)).sum(1) + 0.2 * u.square().sum(1)

        function = {"proximal": cc.proximal_batched, "conjugate": cc.conjugate_batched, "minimum": cc.minimise_batched}
        return function[kind](energy, 0.3 * at, tolerance=1e-6 if kind == "proximal" else 1e-4, **options).value.sum()

    value(x, differentiable=True).backward()
    assert not value(x).requires_grad
    step = 0.03
    for array, at in ((x, (0, 1)), (layer.weight, (2, 0)), (layer.bias, (1,))):
        around = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                array[at] += sign * step
                around.append(float(value(x)))
                array[at] -= sign * step
        slope = 0.0 if array.grad is None else float(array.grad[at])
        assert slope == pytest.approx((around[0] - around[1]) / (2.0 * step), abs=0.02), tuple(array.shape)


def test_derivatives_of_a_moreau_envelope_in_jax():
    jax = pytest.importorskip("jax")
    x, _, (function, weight) = in_jax()

    def value(p, at, differentiable=True):
        found = cc.proximal_batched(lambda u: function(p, u), 0.3 * at, tolerance=1e-4, differentiable=differentiable)
        return found.value.sum()

    slopes = jax.grad(value, (0, 1))(weight, x)
    step = 1e-2
    for i, at in ((0, (1, 2)), (1, (1, 0))):
        arrays = [weight, x]
        around = []
        for sign in (1.0, -1.0):
            moved = [*arrays]
            moved[i] = moved[i].at[at].add(sign * step)
            around.append(float(value(*moved, differentiable=False)))
        assert float(slopes[i][at]) == pytest.approx((around[0] - around[1]) / (2.0 * step), abs=0.03)


def test_derivatives_of_values_in_tensorflow():
    """Of ``c |u − 1|²/2``, whose conjugate is ``|y|²/2c + Σy`` and whose envelope is ``c |x − 1|²/2(1 + tc)``."""
    tf = pytest.importorskip("tensorflow")
    x, c = tf.Variable(X), tf.Variable(2.0)

    def function(u):
        return c * tf.reduce_sum((u - 1.0) ** 2, 1) / 2.0

    with tf.GradientTape(persistent=True) as tape:
        envelope = tf.reduce_sum(cc.proximal_batched(function, x, 0.5, tolerance=1e-6, differentiable=True).value)
        conjugate = tf.reduce_sum(cc.conjugate_batched(function, x, tolerance=1e-4, differentiable=True).value)
    np.testing.assert_allclose(tape.gradient(envelope, x), X - 1.0, atol=1e-2)
    assert float(tape.gradient(envelope, c)) == pytest.approx(((X - 1.0) ** 2).sum() / 8.0, abs=1e-2)
    np.testing.assert_allclose(tape.gradient(conjugate, x), X / 2.0 + 1.0, atol=1e-2)
    assert float(tape.gradient(conjugate, c)) == pytest.approx(-(X**2).sum() / 8.0, abs=1e-2)


def test_derivatives_of_a_conjugate_in_jax():
    """Of ``Σ c (u − 1)²/2``, whose conjugate is ``Σ y²/2c + y``."""
    jax = pytest.importorskip("jax")

    def value(c, y):
        found = cc.conjugate_batched(lambda u: (c * (u - 1.0) ** 2).sum(1) / 2.0, y, differentiable=True)
        return found.value.sum()

    of_c, of_y = jax.grad(value, (0, 1))(jax.numpy.array([1.0, 2.0, 4.0]), jax.numpy.asarray(X))
    np.testing.assert_allclose(of_c, -(X**2).sum(0) / (2.0 * np.array([1.0, 4.0, 16.0])), atol=1e-2)
    np.testing.assert_allclose(of_y, X / np.array([1.0, 2.0, 4.0]) + 1.0, atol=1e-2)
