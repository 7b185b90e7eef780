"""Plans, parameters, certificates and reports of functions, as users of JAX ask for them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from convex_init.jax import apply, assert_convex, certify, plan, signal_report
from convex_init_core import InitSettings, positive_recipe

RNG = np.random.default_rng(5)
X = RNG.normal(size=(256, 10)).astype(np.float32)
KEY = jax.random.key(0)


def dense(inputs, units, **others):
    return {"w": jnp.full((inputs, units), jnp.nan), "b": jnp.zeros(units), **others}


def network(width=64):
    return {"first": dense(10, width), "layers": [dense(width, width) for _ in range(2)], "last": dense(width, 1)}


def icnn(params, x):
    z = jax.nn.relu(x @ params["first"]["w"] + params["first"]["b"])
    for layer in params["layers"]:
        z = jax.nn.relu(z @ layer["w"] + layer["b"])
    return z @ params["last"]["w"] + params["last"]["b"]


def same(a, b):
    return all(map(np.array_equal, jax.tree.leaves(a), jax.tree.leaves(b)))


def test_layers_are_named_by_their_paths():
    made = plan((icnn, network()), X)
    assert [layer.path for layer in made.layers] == ["first", "layers.0", "layers.1", "last"]
    assert [layer.name for layer in made.layers][:2] == ["first.w", "layers.0.w"]
    assert made.project == ("layers.0.w", "layers.1.w", "last.w")
    assert set(made.biases) == {"first.b", "layers.0.b", "layers.1.b", "last.b"}


def test_bare_arrays_are_named_by_themselves():
    params = [(jnp.zeros((10, 8)), jnp.zeros(8)), (jnp.zeros((8, 1)), jnp.zeros(1))]
    made = plan((lambda p, x: jax.nn.relu(x @ p[0][0] + p[0][1]) @ p[1][0] + p[1][1], params), X)
    assert [(layer.path, layer.role, layer.shift_into) for layer in made.layers] == [
        ("0.0", "free", ""),
        ("1.0", "positive", "1.1"),
    ]


def test_new_parameters_have_the_laws_of_the_plan_and_the_old_ones_stay():
    params = network(width=256)
    _, new = apply((icnn, params), X, key=KEY, method="log_normal")
    assert np.isnan(params["first"]["w"]).all()
    recipe = positive_recipe(256, "relu", InitSettings())
    kernel = np.asarray(new["layers"][0]["w"], np.float64)
    assert (kernel >= 0).all()
    # of 65,536 log-normal weights: the relative deviation of their mean is √(variance)/mean/256
    spread = np.sqrt(recipe.statistics.weight_variance) / recipe.statistics.weight_mean / 256
    assert kernel.mean() == pytest.approx(recipe.statistics.weight_mean, rel=5 * spread)
    np.testing.assert_allclose(new["layers"][0]["b"], recipe.statistics.bias_mean, rtol=1e-6)
    assert_convex((icnn, new), X)


def test_one_key_reproduces_and_layers_differ():
    first, again, other = (apply((icnn, network()), X, key=jax.random.key(seed))[1] for seed in (0, 0, 1))
    assert same(first, again)
    assert not same(first, other)
    assert not np.array_equal(first["layers"][0]["w"], first["layers"][1]["w"])
    assert same(first, apply((icnn, network()), X, key=jax.random.PRNGKey(0))[1])


@pytest.mark.parametrize("key", [None, 0, jnp.zeros(2), jax.random.split(KEY)])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(TypeError, match="key must be one key of"):
        apply((icnn, network()), X, key=key)


def test_shapes_are_enough_for_a_plan_and_a_draw_but_not_to_measure():
    shape = jax.ShapeDtypeStruct(X.shape, X.dtype)
    made = plan((icnn, jax.eval_shape(network)), shape)
    assert not made.measured
    assert made.unwritten == ("first", "layers.0", "layers.1", "last")
    assert certify(apply((icnn, network()), shape, key=KEY), shape)
    with pytest.raises(ValueError, match="pass example_inputs"):
        plan((icnn, network()), shape, calibrate=True)
    with pytest.raises(ValueError, match="must hold arrays"):
        signal_report((icnn, network()), shape)


def test_measured_sums_have_their_target():
    def deviant(params, x):  # far from the input that the theory expects
        return icnn(params, 10 * x)

    _, new = apply((deviant, network()), X, key=KEY, calibrate=True, method="bounded_gain")
    report = signal_report((deviant, new), X)
    np.testing.assert_allclose([layer.variance for layer in report.layers], 1.0, rtol=0.01)
    np.testing.assert_allclose([layer.mean for layer in report.layers], 0.0, atol=0.01)


def test_gradients_in_the_report_are_those_of_the_loss():
    _, params = apply((icnn, network()), X, key=KEY)
    report = signal_report((icnn, params), X, loss=lambda y: (y**2).mean())

    def loss(added):
        z = jax.nn.relu(X @ params["first"]["w"] + params["first"]["b"] + added)
        rest = {**params, "first": {"w": jnp.eye(64), "b": jnp.zeros(64)}}
        return (icnn(rest, z) ** 2).mean()

    slope = np.asarray(jax.grad(loss)(jnp.zeros((256, 64))), np.float64) * 256
    assert report.layers[0].gradient == pytest.approx(np.sqrt(np.square(slope).mean()), rel=1e-3)


@pytest.mark.parametrize(
    "through", [jax.nn.softplus, jnp.exp, jnp.square, lambda w: jax.nn.softplus(w) / w.shape[0], jax.nn.relu]
)
def test_weights_are_written_through_their_maps(through):
    def mapped(params, x):
        z = jax.nn.relu(x @ params["a"]["w"] + params["a"]["b"])
        return z @ through(params["b"]["w"]) + params["b"]["b"]

    params = {"a": dense(10, 200), "b": dense(200, 200)}
    _, new = apply((mapped, params), X, key=KEY, method="log_normal")
    expected = positive_recipe(200, "relu", InitSettings()).statistics
    spread = np.sqrt(expected.weight_variance) / expected.weight_mean / 200
    assert np.asarray(through(new["b"]["w"]), np.float64).mean() == pytest.approx(expected.weight_mean, rel=5 * spread)
    assert certify((mapped, new), X)


def test_units_are_matched_by_the_axis_of_their_outputs():
    params = network(width=200)
    _, new = apply((icnn, params), X, key=KEY, method="log_normal", match_moments=True)
    expected = positive_recipe(200, "relu", InitSettings()).statistics
    np.testing.assert_allclose(np.mean(new["layers"][0]["w"], axis=0), expected.weight_mean, rtol=1e-3)


def test_isometric_weights_are_placed_by_the_axes_of_the_product():
    _, new = apply((icnn, network()), X, key=KEY, method="isometric")
    kernel = np.asarray(new["layers"][0]["w"])
    assert len(np.unique(np.argmax(kernel, axis=0))) == 64  # each unit copies another one
    assert certify((icnn, new), X)


def test_statistics_of_a_normalisation_are_measured():
    def normalised(params, x):
        layer = params["norm"]
        z = x @ params["first"]["w"] + params["first"]["b"]
        z = jax.nn.relu((z - layer["mean"]) * jax.lax.rsqrt(layer["var"] + 1e-5))
        return z @ params["last"]["w"] + params["last"]["b"]

    params = {"first": dense(10, 8), "norm": {"mean": jnp.zeros(8), "var": jnp.ones(8)}, "last": dense(8, 1)}
    _, new = apply((normalised, params), 3 * X, key=KEY, buffers=["norm.mean", "norm.var"])
    z = 3 * X @ new["first"]["w"] + new["first"]["b"]
    np.testing.assert_allclose(new["norm"]["mean"], z.mean(0), atol=1e-4)
    np.testing.assert_allclose(new["norm"]["var"], z.var(0, ddof=1), rtol=1e-4)
    with pytest.raises(ValueError, match=r"buffers names 'norm\.moment'"):
        plan((normalised, params), X, buffers=["norm.moment"])


def test_other_leaves_and_integer_arrays_stay():
    params = {**network(), "step": jnp.int32(3), "name": "icnn"}
    _, new = apply((icnn, params), X, key=KEY)
    assert new["name"] == "icnn"
    assert new["step"] == 3


def test_problems_come_together_and_name_what_to_do():
    with pytest.raises(ValueError, match="tanh is neither convex nor concave"):
        plan((lambda p, x: jnp.tanh(x @ p["w"]["w"]) @ p["v"]["w"], {"w": dense(10, 8), "v": dense(8, 1)}), X)
    with pytest.raises(TypeError, match="pass the function that is to be read as fn"):
        plan((icnn, network()), X, entry="energy")
    with pytest.raises(ValueError, match="add it to params and to fn"):
        plan((icnn, network()), X, register_missing_bias=True)
    with pytest.raises(TypeError, match="must be a function, got dict"):
        plan((network(), network()), X)
    with pytest.raises(TypeError, match=r"a pair \(fn, params\)"):
        plan(icnn, X)
    with pytest.raises(ValueError, match="example_inputs are needed"):
        plan((icnn, network()), None)


def test_a_counterexample_is_one():
    _, params = apply((icnn, network()), X, key=KEY)
    bad = lambda p, x: -icnn(p, x)  # noqa: E731
    found = certify((bad, params), X)
    assert found.verdict == "not convex"
    a, b, element = found.violation.a["0"], found.violation.b["0"], found.violation.element
    values = [
        np.asarray(bad(params, jnp.asarray(point, jnp.float32))).ravel()[element] for point in (a, b, (a + b) / 2)
    ]
    assert values[2] - (values[0] + values[1]) / 2 == pytest.approx(found.violation.excess, rel=0.01)
    assert certify((bad, params), X, search=False).verdict == "cannot tell"
    with pytest.raises(AssertionError, match="not convex"):
        assert_convex((bad, params), X)


def test_only_the_named_inputs_have_to_be_convex():
    def gated(params, x, c):
        return jax.nn.relu(x @ params["w"]) * jax.nn.softplus(jnp.sin(c))

    params = {"w": jnp.ones((10, 1))}
    assert certify((gated, params), (X, X[:, :1]), 0)
    assert not certify((gated, params), (X, X[:, :1]), search=False)
    with pytest.raises(ValueError, match="convex_inputs names '7'"):
        certify((gated, params), (X, X[:, :1]), 7)


def test_half_precision_is_drawn_in_single_and_searched_in_single():
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), network())
    _, new = apply((icnn, params), X.astype(jnp.bfloat16), key=KEY)
    assert {leaf.dtype for leaf in jax.tree.leaves(new)} == {jnp.dtype(jnp.bfloat16)}
    assert certify((lambda p, x: -icnn(p, x), new), X.astype(jnp.bfloat16)).verdict == "not convex"
