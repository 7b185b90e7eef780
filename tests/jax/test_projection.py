"""The projection of a plan keeps its weights non-negative under the wrappers and averages of optax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from convex_init.jax import apply, assert_convex, plan, project, projection
from tests.jax.modules import KINDS, as_a_function, in_equinox, in_nnx

optax = pytest.importorskip("optax", reason="optax cannot be imported", exc_type=ImportError)
pytest.importorskip("optax.contrib")

X = np.random.default_rng(5).normal(size=(64, 10)).astype(np.float32)
MADE = plan(as_a_function(), X)
FN, PARAMS = apply(as_a_function(), X, key=jax.random.key(0))
STEPS = 12


def towards_concave(params):
    """Its gradient drives all weights below 0."""
    return FN(params, X).mean() + sum(leaf.sum() for leaf in jax.tree.leaves(params))


def lowest(params, names=MADE.project):
    return min(float(params[name.partition(".")[0]]["kernel"].min()) for name in names)


def chain():
    return optax.chain(optax.adam(0.1), projection(MADE))


WRAPPED = {
    "plain": chain,
    "sgd with momentum": lambda: optax.chain(optax.sgd(0.5, momentum=0.9), projection(MADE)),
    "weight decay": lambda: optax.chain(optax.adamw(0.1, weight_decay=0.5), projection(MADE)),
    "MultiSteps": lambda: optax.MultiSteps(chain(), every_k_schedule=3),
    "behind MultiSteps": lambda: optax.chain(
        optax.MultiSteps(optax.adam(0.1), every_k_schedule=3).gradient_transformation(), projection(MADE)
    ),
    "apply_if_finite": lambda: optax.apply_if_finite(chain(), max_consecutive_errors=3),
    "injected hyperparameters": lambda: optax.chain(
        optax.inject_hyperparams(optax.sgd)(learning_rate=0.5), projection(MADE)
    ),
    "groups": lambda: optax.chain(
        optax.multi_transform({2: optax.adam(0.1), 1: optax.sgd(0.1)}, ranks), projection(MADE)
    ),
    "within a group": lambda: optax.multi_transform({2: chain(), 1: optax.sgd(0.1)}, ranks),
    "masked": lambda: optax.chain(
        optax.masked(optax.adam(0.1), lambda params: jax.tree.map(lambda leaf: leaf.ndim == 2, params)),
        projection(MADE),
    ),
    "averaged updates": lambda: optax.chain(optax.adam(0.1), optax.ema(0.9), projection(MADE)),
    "named": lambda: optax.named_chain(("adam", optax.adam(0.1)), ("kept", projection(MADE))),
    "schedule-free": lambda: optax.chain(
        optax.contrib.schedule_free(optax.sgd(0.1), learning_rate=0.1), projection(MADE)
    ),
}


def ranks(params):
    """Kernels and biases, as groups."""
    return jax.tree.map(lambda leaf: leaf.ndim, params)


@pytest.mark.parametrize("name", WRAPPED)
def test_weights_stay_non_negative_and_the_others_are_free(name):
    optimizer, params = WRAPPED[name](), PARAMS
    state = optimizer.init(params)
    step = jax.jit(optimizer.update)
    for _ in range(STEPS):
        updates, state = step(jax.grad(towards_concave)(params), state, params)
        params = optax.apply_updates(params, updates)
        assert lowest(params) >= 0.0
    assert float(params["first"]["kernel"].min()) < -0.3
    assert lowest(params) == 0.0  # the gradient was strong enough to tell
    assert_convex((FN, params), X)


def test_it_is_the_projection_that_does_it():
    optimizer, params = optax.adam(0.1), PARAMS
    state = optimizer.init(params)
    for _ in range(STEPS):
        updates, state = optimizer.update(jax.grad(towards_concave)(params), state, params)
        params = optax.apply_updates(params, updates)
    assert lowest(params) < 0.0


@pytest.mark.parametrize("within", [False, True])
def test_lookahead_keeps_fast_and_slow_weights(within):
    fast = chain() if within else optax.adam(0.1)
    optimizer = optax.lookahead(fast, sync_period=4, slow_step_size=0.5)
    optimizer = optax.chain(optimizer, projection(MADE))
    params = optax.LookaheadParams.init_synced(PARAMS)
    state = optimizer.init(params)
    for _ in range(STEPS):
        updates, state = optimizer.update(jax.grad(towards_concave)(params.fast), state, params)
        params = optax.apply_updates(params, updates)
        assert lowest(params.fast) >= 0.0
        assert lowest(params.slow) >= 0.0
    assert float(params.slow["first"]["kernel"].min()) < -0.1


def test_averages_of_weights_are_convex():
    optimizer, params, average = chain(), PARAMS, PARAMS
    state = optimizer.init(params)
    for _ in range(STEPS):
        updates, state = optimizer.update(jax.grad(towards_concave)(params), state, params)
        params = optax.apply_updates(params, updates)
        average = optax.incremental_update(params, average, 0.1)
    assert_convex((FN, average), X)


def test_steps_that_are_not_finite_are_left_out_by_apply_if_finite():
    optimizer = optax.apply_if_finite(chain(), max_consecutive_errors=3)
    state = optimizer.init(PARAMS)
    slopes = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), PARAMS)
    updates, _ = optimizer.update(slopes, state, PARAMS)
    new = optax.apply_updates(PARAMS, updates)
    assert all(map(np.array_equal, jax.tree.leaves(new), jax.tree.leaves(PARAMS)))


def test_half_precision():
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), PARAMS)
    optimizer = chain()
    state = optimizer.init(params)
    for _ in range(STEPS):
        updates, state = optimizer.update(jax.grad(towards_concave)(params), state, params)
        params = optax.apply_updates(params, updates)
        assert lowest(params) >= 0.0


def _equinox(module, made):
    import equinox as eqx

    params, static = eqx.partition(module, eqx.is_inexact_array)
    optimizer = optax.chain(optax.adam(0.1), projection(made))
    state = optimizer.init(params)
    for _ in range(STEPS):
        slopes = jax.grad(lambda p: jax.vmap(eqx.combine(p, static))(X).mean())(params)
        updates, state = optimizer.update(slopes, state, params)
        params = eqx.apply_updates(params, updates)
    return eqx.combine(params, static)


def _nnx(module, made):
    from flax import nnx

    optimizer = nnx.Optimizer(module, optax.chain(optax.adam(0.1), projection(made)), wrt=nnx.Param)
    for _ in range(STEPS):
        optimizer.update(module, nnx.grad(lambda m: m(X).mean())(module))
    return module


def _linen(module, made):
    variables = apply(module, X, key=jax.random.key(0))
    optimizer = optax.chain(optax.adam(0.1), projection(made))
    state = optimizer.init(variables["params"])
    for _ in range(STEPS):
        slopes = jax.grad(lambda p: module.apply({"params": p}, X).mean())(variables["params"])
        updates, state = optimizer.update(slopes, state, variables["params"])
        variables = {"params": optax.apply_updates(variables["params"], updates)}
    return module, variables


@pytest.mark.parametrize("kind", KINDS)
def test_modules_are_trained_with_it(kind):
    module = KINDS[kind]()
    made = plan(module, X)
    if kind != "linen":
        module = apply(module, X, key=jax.random.key(0))
    assert_convex({"equinox": _equinox, "nnx": _nnx, "linen": _linen}[kind](module, made), X)


def test_project_takes_modules_pairs_and_parameters():
    negative = jax.tree.map(lambda leaf: -jnp.abs(leaf) - 1.0, PARAMS)
    for given in (negative, (FN, negative)):
        new = project(given, MADE)
        params = new[1] if isinstance(new, tuple) else new
        assert lowest(params) == 0.0
        np.testing.assert_array_equal(params["first"]["kernel"], negative["first"]["kernel"])
        np.testing.assert_array_equal(params["last"]["bias"], negative["last"]["bias"])
    for module in (in_equinox(), in_nnx()):
        assert_convex(project(module, plan(module, X)), X)


def test_diverged_weights_stay_visible():
    params = {**PARAMS, "last": {**PARAMS["last"], "kernel": jnp.array([jnp.nan, -jnp.inf, 2.0])}}
    new = project(params, MADE)["last"]["kernel"]
    assert np.isnan(new[0])
    assert new[1:].tolist() == [0.0, 2.0]


def test_parameters_of_another_model_are_refused():
    others = {name: PARAMS[name] for name in ("first", "last")}
    with pytest.raises(ValueError, match=r"the plan keeps 'layers_0\.kernel', which is not among these parameters"):
        project(others, MADE)
    with pytest.raises(ValueError, match="put the projection last"):
        projection(MADE).init(others)
    both = {"one": PARAMS, "other": PARAMS}  # as optimizers that hold several copies do
    assert float(project(jax.tree.map(lambda leaf: leaf - 9.0, both), MADE)["other"]["last"]["kernel"].min()) == 0.0


def _gated():
    """A learnt mixture that must stay in [0, 1], and a factor that must be non-negative."""
    params = {"w": jnp.ones((10, 8)), "share": jnp.array(0.3), "gain": jnp.array(0.7)}

    def fn(p, x):
        z = x @ p["w"]
        mixed = p["share"] * z.max(1) + (1 - p["share"]) * jnp.square(z).sum(1)
        return p["gain"] * jax.nn.logsumexp(z, axis=1) + mixed

    return fn, params


@pytest.mark.parametrize("towards", [-1.0, 1.0])
def test_shares_and_gains_stay_in_their_intervals(towards):
    fn, params = apply(_gated(), X, key=jax.random.key(0))
    made = plan((fn, params), X)
    kept = {each.name: each.interval for each in made.kept}
    assert kept["gain"] == (0.0, np.inf)
    assert kept["share"] == (0.0, 1.0)
    optimizer = optax.chain(optax.sgd(0.37), projection(made))
    state = optimizer.init(params)
    for _ in range(STEPS):
        updates, state = optimizer.update(
            jax.tree.map(lambda leaf: jnp.full_like(leaf, towards), params), state, params
        )
        params = optax.apply_updates(params, updates)
        assert 0.0 <= float(params["share"]) <= 1.0
        assert float(params["gain"]) >= 0.0
    assert float(params["share"]) == (0.0 if towards > 0 else 1.0)
    outside = jax.tree.map(lambda leaf: leaf - 9.0 * towards, params)
    assert_convex((fn, project(outside, made)), X)
