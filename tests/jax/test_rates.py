"""Updates of positive weights at their share of the learning rate."""

import itertools

import jax
import jax.numpy as jnp
import pytest

from convex_init.jax import apply, plan, projection, scale_positive

optax = pytest.importorskip("optax", reason="optax is not installed")
X = jax.random.normal(jax.random.key(0), (64, 4))


def icnn(params, x):
    z = x @ params["first"]["w"] + params["first"]["b"]
    for weight, skip in zip(params["positive"], params["skips"], strict=True):
        z = jax.nn.relu(z) @ weight + x @ skip
    return z


def parameters(hidden=3):
    widths = [*[8] * hidden, 1]
    return {
        "first": {"w": jnp.ones((4, 8)), "b": jnp.zeros(8)},
        "positive": [jnp.ones((a, b)) for a, b in itertools.pairwise(widths)],
        "skips": [jnp.ones((4, b)) for b in widths[1:]],
    }


def steps(optimizer, params):
    slopes = jax.grad(lambda p: jnp.square(icnn(p, X)).mean())(params)
    updates, _ = optimizer.update(slopes, optimizer.init(params), params)
    return jax.tree.map(lambda update: float(jnp.abs(update).max()), updates)


def test_a_step_of_adam_is_that_much_shorter_for_the_positive_weights():
    made = plan((icnn, parameters()), X)
    _, params = apply((icnn, parameters()), X, key=jax.random.key(1))
    optimizer = optax.chain(optax.adam(1e-4), scale_positive(made), projection(made))
    found = steps(optimizer, params)
    assert found["positive"] == pytest.approx([3e-5] * 3, rel=2e-3)
    assert found["skips"] == pytest.approx([1e-4] * 3, rel=2e-3)
    assert found["first"]["w"] == pytest.approx(1e-4, rel=2e-3)


def test_it_does_nothing_where_one_rate_is_best():
    made = plan((icnn, parameters(2)), X)
    assert made.rates == {}
    found = steps(optax.chain(optax.adam(1e-4), scale_positive(made)), parameters(2))
    assert found["positive"] == pytest.approx([1e-4] * 2, rel=2e-3)


def test_the_dtype_of_updates_stays():
    made = plan((icnn, parameters()), X)
    half = jax.tree.map(lambda each: each.astype(jnp.bfloat16), parameters())
    updates, _ = scale_positive(made).update(half, scale_positive(made).init(half))
    assert {each.dtype for each in jax.tree.leaves(updates)} == {jnp.dtype(jnp.bfloat16)}


def test_what_cannot_be_is_refused():
    made = plan((icnn, parameters()), X)
    with pytest.raises(TypeError, match=r"plan must be what convex_init.jax.plan\(model, x\) returns, got tuple"):
        scale_positive(made.kept)
    transformation = scale_positive(made)
    part = {"first": parameters()["first"]}
    with pytest.raises(ValueError, match="which is not among these parameters"):
        transformation.update(part, transformation.init(part))
