"""Networks of other libraries, unmodified: OTT's ``ICNN`` and those of klax and jaxmat."""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from convex_init.jax import apply, certify, plan, projection, signal_report

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (256, 4))
P = jax.random.normal(jax.random.key(2), (256, 2))
RELU, SOFTPLUS = jax.nn.relu, jax.nn.softplus


def _ott():
    with warnings.catch_warnings():  # how a library is written is not ours to judge
        warnings.simplefilter("ignore")
        module = pytest.importorskip("ott.neural.networks.icnn", reason="ott cannot be imported", exc_type=ImportError)
    return module.ICNN


@pytest.mark.parametrize(
    ("options", "projected"),
    [
        ({"pos_weights": True, "rectifier_fn": SOFTPLUS, "act_fn": SOFTPLUS}, 0),
        ({"pos_weights": True}, 0),
        ({"pos_weights": False}, 2),
    ],
)
def test_the_network_of_ott(options, projected):
    module = _ott()(dim_data=4, dim_hidden=[32, 32], **options)
    made = plan(module, X)
    assert len(made.project) == projected
    roles = {layer.name: layer.role for layer in made.layers}
    assert roles["w_zs_0.kernel"] == roles["w_zs_1.kernel"] == roles["w_xs_1.diag_kernel"] == "positive"
    assert roles["w_xs_0.quad_kernel"] == roles["w_xs_1.quad_kernel"] == "skip"  # a term of its sum, not beside it
    variables = apply(module, X, key=KEY)
    assert certify((module, variables), X)
    fresh = jax.random.normal(jax.random.key(3), X.shape)
    assert max(layer.variance for layer in signal_report((module, variables), fresh).layers) < 4.0


def test_the_start_of_ott_is_larger_by_far():
    """With weights through softplus that are drawn around 0, each of 32 is about ln 2."""
    module = _ott()(dim_data=4, dim_hidden=[32, 32, 32], pos_weights=True, rectifier_fn=SOFTPLUS)
    sizes = [float(jnp.square(module.apply(v, X)).mean()) for v in (module.init(KEY, X), apply(module, X, key=KEY))]
    assert sizes[0] > 1e4
    assert sizes[1] < 100.0


def _klax():
    return pytest.importorskip("klax", reason="klax cannot be imported: it needs Python 3.12", exc_type=ImportError)


def test_the_convex_network_of_klax():
    klax, optax = _klax(), pytest.importorskip("optax")
    call = lambda model, x: jax.vmap(klax.unwrap(model))(x)  # noqa: E731
    model = klax.nn.FICNN(4, 1, [32, 32], key=KEY)
    made = plan((call, model), X)
    assert [layer.role for layer in made.layers] == ["free", "positive", "skip", "positive", "skip"]
    assert made.layers[1].shift_into == "layers.1.linear_y"
    call, model = apply((call, model), X, key=KEY)
    assert certify((call, model), X)
    assert max(abs(layer.mean) for layer in signal_report((call, model), X).layers) < 0.5

    import equinox as eqx

    learnt, rest = eqx.partition(model, eqx.is_inexact_array)
    optimizer = optax.chain(optax.adam(0.1), projection(made))
    state = optimizer.init(learnt)
    for _ in range(5):
        slopes = jax.grad(lambda learnt: call(eqx.combine(learnt, rest), X).mean())(learnt)
        updates, state = optimizer.update(slopes, state, learnt)
        learnt = eqx.apply_updates(learnt, updates)
    assert certify((call, eqx.combine(learnt, rest)), X)


def test_the_partially_convex_network_of_klax():
    klax = _klax()
    call = lambda model, x, p: jax.vmap(klax.unwrap(model))(x, p)  # noqa: E731
    model = (call, klax.nn.PICNN(4, 2, 1, [32, 32], key=KEY))
    made = plan(model, (X, P), convex_inputs=0)
    assert {layer.name for layer in made.layers if layer.role == "positive"} == {
        f"layers.{i}.linear_y.weights.0.parameter" for i in (1, 2)
    }
    new = apply(model, (X, P), key=KEY, convex_inputs=0)
    assert certify(new, (X, P), 0)


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("ICNN", {"Ws.0": "positive", "Ws.1": "positive", "final_W": "positive"}),
        (
            "ICNNSkip",
            dict.fromkeys(("Ws.0", "Us.0", "Ws.1", "Us.1", "final_W", "final_U"), "positive"),
        ),
        (
            "HomogeneousICNN",
            {"Ws.0": "positive", "Us.0": "skip", "Ws.1": "positive", "Us.1": "skip", "final_W": "positive"},
        ),
    ],
)
def test_the_energies_of_jaxmat(name, roles):
    icnn = pytest.importorskip("jaxmat.nn.icnn", reason="jaxmat cannot be imported", exc_type=ImportError)
    model = (lambda model, x: jax.vmap(model)(x)), getattr(icnn, name)(4, [32, 32], KEY)
    made = plan(model, X)
    assert {layer.name: layer.role for layer in made.layers} == roles
    assert not made.project  # all go through softplus
    call, new = apply(model, X, key=KEY)
    assert certify((call, new), X)
    fresh = jax.random.normal(jax.random.key(3), X.shape)
    assert 0.25 < float(call(new, fresh).var()) < 4.0
    assert float(call(model[1], fresh).var()) > 1e5  # its own start: N(0, 1) behind softplus


@pytest.mark.parametrize("how", [jnp.sum, jnp.mean])
def test_terms_that_are_stacked_and_added_up_are_one_sum(how):
    """klax adds the products of a layer in this way."""

    def network(p, x, add):
        z = RELU(x @ p["a"] + p["b"])
        return add(z @ p["c"], x @ p["d"]) + p["e"]

    params = {
        "a": jnp.ones((4, 16)),
        "b": jnp.zeros(16),
        "c": jnp.ones((16, 3)),
        "d": jnp.ones((4, 3)),
        "e": jnp.zeros(3),
    }
    share = 1.0 if how is jnp.sum else 0.5
    ways = (lambda u, v: how(jnp.stack([u, v]), axis=0), lambda u, v: share * (u + v))
    found, expected = (plan((lambda p, x, way=way: network(p, x, way), params), X) for way in ways)
    assert [layer.role for layer in found.layers] == ["free", "positive", "skip"]
    for a, b in zip(found.layers, expected.layers, strict=True):
        assert (a.role, a.shift_into) == (b.role, b.shift_into)
        np.testing.assert_allclose(a.recipe.weight.mean, b.recipe.weight.mean, rtol=1e-9)
        np.testing.assert_allclose(a.recipe.statistics.weight_variance, b.recipe.statistics.weight_variance, rtol=1e-9)
