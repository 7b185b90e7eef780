"""Models that have their weights already are kept convex: clipped or put behind a map, and nothing is drawn."""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from convex_init.jax import (
    apply,
    assert_convex,
    certify,
    constrain,
    constrain_,
    constraints,
    plan,
    project,
    projection,
)
from tests.jax.modules import KINDS, as_a_function, in_equinox, in_nnx

X = np.random.default_rng(5).normal(size=(64, 10)).astype(np.float32)
KEY = jax.random.key(0)
MAPS = ("relu", "softplus", "exp", "square")


def pair_of(kind, module, made):
    return (module, made) if kind == "linen" else made


def arrays_of(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(arrays_of(a), arrays_of(b), strict=True))


def of(kind):
    return as_a_function() if kind == "function" else KINDS[kind]()


def gated():
    """A share that must stay in [0, 1], a gain that must be non-negative, and a kernel behind a map of its own."""
    params = {"w": jnp.ones((10, 8)), "v": jnp.zeros((8, 1)), "share": jnp.array(0.3), "gain": jnp.array(0.7)}

    def fn(p, x):
        z = x @ p["w"]
        mixed = p["share"] * z.max(1) + (1 - p["share"]) * jnp.square(z).sum(1)
        return p["gain"] * jax.nn.logsumexp(z, axis=1) + mixed + (jax.nn.relu(z) @ jnp.exp(p["v"]))[:, 0]

    return fn, params


@pytest.mark.parametrize("kind", ["function", *KINDS])
def test_weights_that_fit_stay_as_they_are(kind):
    made = pair_of(kind, of(kind), apply(of(kind), X, key=KEY))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = pair_of(kind, made[0] if kind == "linen" else None, constrain(made, X))
    assert same(made, again)
    assert constraints(made, X) == tuple(
        type(each)(each.name, each.path, each.low, each.high, each.why, drawn=each.drawn) for each in plan(made, X).kept
    )


@pytest.mark.parametrize("kind", ["function", *KINDS])
def test_what_lies_outside_is_told_and_clipped(kind):
    module = of(kind)
    if kind in ("function", "linen"):
        made = apply(module, X, key=KEY)
        below = jax.tree.map(lambda leaf: leaf - 0.1, made[1] if kind == "function" else made)
        model = (module[0] if kind == "function" else module, below)
    else:
        model = module
    before = arrays_of(model)
    with pytest.warns(UserWarning, match=r"constrain clips what lies outside .*between -0\.\d+ and .*kept in \[0, ∞"):
        new = pair_of(kind, module, constrain(model, X))
    assert all(map(np.array_equal, arrays_of(model), before))
    assert_convex(new, X)
    assert same(new, pair_of(kind, module, project(model[1] if kind == "linen" else model, plan(model, X))))


@pytest.mark.parametrize(
    ("kind", "positivity"), [*((kind, "softplus") for kind in KINDS), *(("function", name) for name in MAPS)]
)
def test_a_map_holds_the_present_weights_and_keeps_them(kind, positivity):
    optax = pytest.importorskip("optax", reason="optax cannot be imported", exc_type=ImportError)
    made = pair_of(kind, of(kind), apply(of(kind), X, key=KEY, method="bounded_gain"))  # without zeros
    fn, raw = constrain(made, X, positivity)
    arrays = made[1] if isinstance(made, tuple) else made
    for new, old in zip(arrays_of(fn.effective(raw)), arrays_of(arrays), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-5)
    assert certify((fn, raw), X)
    assert not constraints((fn, raw), X)
    leaves, structure = jax.tree.flatten(raw)
    learnt = [leaf for leaf in leaves if isinstance(leaf, jax.Array)]

    def rebuilt(learnt):
        own = iter(learnt)
        return jax.tree.unflatten(structure, [next(own) if isinstance(leaf, jax.Array) else leaf for leaf in leaves])

    slopes = jax.jit(jax.grad(lambda learnt: fn(rebuilt(learnt), X).mean() + sum(leaf.sum() for leaf in learnt)))
    optimizer = optax.adam(0.1)
    state = optimizer.init(learnt)
    for _ in range(4):
        updates, state = optimizer.update(slopes(learnt), state)
        learnt = optax.apply_updates(learnt, updates)
    trained = rebuilt(learnt)
    assert_convex((fn, trained), X)
    assert min(float(leaf.min()) for leaf in learnt) < 0.0


def test_intervals_other_than_non_negative_are_clipped_in_front():
    fn, params = apply(gated(), X, key=KEY)
    kept = {each.name: each.interval for each in constraints((fn, params), X)}
    assert kept == {"share": (0.0, 1.0), "gain": (0.0, np.inf)}
    mapped, raw = constrain((fn, params), X, "softplus")
    assert raw["share"] == params["share"]
    np.testing.assert_allclose(jax.nn.softplus(raw["gain"]), params["gain"], rtol=1e-6)
    far = {**raw, "share": jnp.array(7.0)}
    assert mapped.effective(far)["share"] == 1.0
    assert_convex((mapped, far), X)


def test_constraints_stand_for_a_plan_in_the_projection():
    optax = pytest.importorskip("optax", reason="optax cannot be imported", exc_type=ImportError)
    fn, params = apply(gated(), X, key=KEY)
    optimizer = optax.chain(optax.sgd(1.0), projection(constraints((fn, params), X)))
    updates, _ = optimizer.update(jax.tree.map(jnp.ones_like, params), optimizer.init(params), params)
    new = optax.apply_updates(params, updates)
    assert (float(new["share"]), float(new["gain"])) == (0.0, 0.0)
    assert float(new["v"].max()) < 0.0  # behind a map
    assert same(project(params, iter(constraints((fn, params), X))), params)


def test_in_place_for_nnx_and_for_no_other():
    module = in_nnx()
    variable = module.layers[0].kernel
    with pytest.warns(UserWarning, match="constrain clips"):
        assert constrain_(module, X) is module
    assert module.layers[0].kernel is variable
    assert_convex(module, X)
    with pytest.raises(TypeError, match=r"use model = constrain\(model"):
        constrain_(in_equinox(), X)
    with pytest.raises(TypeError, match=r"constrain_ takes .*and no positivity"):
        constrain_(module, X, positivity="softplus")


def negative():
    fn, params = as_a_function()
    return fn, jax.tree.map(lambda leaf: leaf - 1.0, params)


def shapes():
    fn, params = as_a_function()
    return fn, jax.eval_shape(lambda: params)


def diverged():
    fn, params = as_a_function()
    return fn, jax.tree.map(lambda leaf: leaf * jnp.nan, params)


def not_convex():
    fn, params = as_a_function()
    return (lambda p, x: jnp.square(jnp.tanh(fn(p, x)))), params


@pytest.mark.parametrize(
    ("make", "positivity", "message"),
    [
        (as_a_function, "exp", r"'last\.kernel': its numbers go from 0 to 0, which exp cannot give; take .*'relu'"),
        (negative, "softplus", r"'layers_0\.kernel': its numbers go from -1 to -1, .*clip it first: model = constrain"),
        (diverged, "relu", "it holds NaN: load or draw its numbers first"),
        (shapes, "projection", "is a shape and has no numbers: load or draw them first"),
        (not_convex, "projection", "nothing was changed: .*tanh is neither convex nor concave"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_remedy(make, positivity, message):
    with pytest.raises(ValueError, match=message):
        constrain(make(), X, positivity)


def test_the_remedies_work():
    with pytest.warns(UserWarning, match="constrain clips"):
        clipped = constrain(negative(), X)
    assert_convex(constrain(clipped, X, "relu"), X)
    assert_convex(constrain(as_a_function(), X, "relu"), X)


def test_arguments_that_draw_are_refused():
    with pytest.raises(TypeError, match=r"constrain takes convex_inputs, entry.*and no variance: it draws nothing"):
        constrain(as_a_function(), X, variance=2.0)
    with pytest.raises(TypeError, match=r"constraints takes .*and no key"):
        constraints(as_a_function(), X, key=KEY)
    with pytest.raises(ValueError, match="positivity"):
        constrain(as_a_function(), X, "sigmoid")


def test_the_function_behind_a_map_does_what_the_module_does_in_training():
    nnx = pytest.importorskip("flax.nnx", reason="flax cannot be imported", exc_type=ImportError)
    rngs = nnx.Rngs(0)
    module = nnx.Sequential(
        nnx.Linear(10, 8, rngs=rngs), jax.nn.relu, nnx.Dropout(0.5, rngs=rngs), nnx.Linear(8, 1, rngs=rngs)
    )
    module = apply(module, X, key=KEY, method="bounded_gain")
    fn, raw = constrain(module, X, "softplus")
    assert not np.allclose(fn(raw, X), fn(fn.effective(raw), X))
    resting = nnx.merge(nnx.graphdef(module), fn.effective(raw))
    resting.eval()
    assert not np.allclose(fn(raw, X), resting(X))  # dropout is on
