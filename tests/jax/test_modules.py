"""Modules of equinox and flax are planned, initialised, certified and measured as functions are."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from convex_init.jax import apply, apply_, assert_convex, certify, plan, signal_report
from tests.jax.modules import KINDS, WIDTH, as_a_function, in_equinox, in_linen, in_nnx

X = np.random.default_rng(5).normal(size=(256, 10)).astype(np.float32)
KEY = jax.random.key(0)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def pair_of(kind, module, made):
    """What certify takes: linen's apply returns variables."""
    return (module, made) if kind == "linen" else made


def arrays_of(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]


def test_the_plan_is_that_of_the_same_function(kind):
    found, expected = (plan(model, X, method="bounded_gain") for model in (KINDS[kind](), as_a_function()))
    assert [layer.path.replace(".", "_") for layer in found.layers] == [layer.path for layer in expected.layers]
    assert [(a.role, a.recipe) for a in found.layers] == [(a.role, a.recipe) for a in expected.layers]
    assert len(found.project) == 3


def test_a_new_model_is_made_and_the_old_one_stays(kind):
    module = KINDS[kind]()
    before = arrays_of(module)
    made = pair_of(kind, module, apply(module, X, key=KEY, method="bounded_gain"))
    assert all(map(np.array_equal, arrays_of(module), before))
    assert assert_convex(made, X) is made
    report = signal_report(made, X)
    np.testing.assert_allclose([layer.mean for layer in report.layers], 0.0, atol=0.5)
    assert not certify(made, X, entry="negated")


def test_one_key_gives_every_library_the_same_distribution_and_itself_the_same_numbers(kind):
    module = KINDS[kind]()
    first, again, other = (arrays_of(apply(module, X, key=jax.random.key(seed))) for seed in (0, 0, 1))
    assert all(map(np.array_equal, first, again))
    assert not all(map(np.array_equal, first, other))


def test_a_named_method_is_planned(kind):
    with pytest.raises(ValueError, match="a convex term has to be added"):
        plan(KINDS[kind](), X, entry="negated")
    with pytest.raises(ValueError, match="'energy' is no method of ICNN"):
        plan(KINDS[kind](), X, entry="energy")
    with pytest.raises(ValueError, match="'energy' is no method of ICNN"):
        certify(KINDS[kind](), X, entry="energy")


def test_shapes_are_enough_to_plan_a_model_without_numbers(kind):
    if kind == "linen":
        module = in_linen()
        model = (module, jax.eval_shape(module.init, KEY, X))
    else:
        model = jax.eval_shape(KINDS[kind]) if kind == "nnx" else _of_shapes(in_equinox())
    made = plan(model, jax.ShapeDtypeStruct(X.shape, X.dtype))
    assert len(made.unwritten) == 4
    assert not made.measured


def _of_shapes(module):
    is_array = lambda leaf: isinstance(leaf, jax.Array)  # noqa: E731
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) if is_array(leaf) else leaf, module)


def test_in_place_for_nnx_and_for_no_other():
    module = in_nnx()
    variable = module.layers[0].kernel
    assert apply_(module, X, key=KEY) is module
    assert module.layers[0].kernel is variable
    assert certify(module, X)
    with pytest.raises(TypeError, match=r"use model = apply\(model"):
        apply_(in_equinox(), X, key=KEY)


def test_a_refused_call_leaves_the_module_untouched():
    module = in_nnx()
    before = arrays_of(module)
    with pytest.raises(ValueError, match="a convex term has to be added"):
        apply_(module, X, key=KEY, entry="negated")
    assert all(map(np.array_equal, arrays_of(module), before))


def test_equinox_takes_one_sample_or_a_batch_and_says_when_it_could_be_both():
    module = in_equinox()
    rows = [[layer.to_dict() for layer in plan(module, x, calibrate=False).layers] for x in (X, X[0])]
    assert rows[0] == rows[1]
    square = in_equinox(WIDTH)
    batch = np.random.default_rng(1).normal(size=(WIDTH, WIDTH)).astype(np.float32)
    with pytest.raises(ValueError, match="fit as one sample and as a batch"):
        plan(square, batch)
    call = lambda model, x: jax.vmap(model)(x)  # noqa: E731  (the remedy that is named)
    assert len(plan((call, square), batch).layers) == 4


def test_dropout_counts_as_after_training_in_a_plan_and_as_it_is_in_a_certificate():
    from flax import nnx

    rngs = nnx.Rngs(0)
    module = nnx.Sequential(
        *(nnx.Linear(10, 8, rngs=rngs), jax.nn.relu, nnx.BatchNorm(8, rngs=rngs, use_scale=False)),
        *(nnx.Dropout(0.5, rngs=rngs), nnx.Linear(8, 1, rngs=rngs)),
    )
    made = apply(module, X, key=KEY)
    assert not certify(made, X, search=False)  # normalises by the batch
    made.eval()
    assert certify(made, X)
    assert [layer.path for layer in plan(module, X).layers] == ["layers.0", "layers.4"]


def test_statistics_of_linen_are_no_parameters():
    from flax import linen as nn

    class Normalised(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.BatchNorm(use_running_average=True, use_scale=False)(nn.Dense(16)(x))
            return nn.Dense(1)(nn.relu(x))

    made = apply(Normalised(), 3 * X, key=KEY)
    assert set(made) == {"params", "batch_stats"}
    z = 3 * X @ made["params"]["Dense_0"]["kernel"]
    np.testing.assert_allclose(made["batch_stats"]["BatchNorm_0"]["var"], z.var(0, ddof=1), rtol=1e-3)


def test_boxes_of_partitioned_variables_stay():
    from flax import linen as nn

    init = nn.with_partitioning(nn.initializers.lecun_normal(), (None, "units"))
    module = nn.Sequential([nn.Dense(16, kernel_init=init), nn.relu, nn.Dense(1)])
    made = apply(module, X, key=KEY)
    assert made["params"]["layers_0"]["kernel"].names == (None, "units")
    assert [layer.name for layer in plan(module, X).layers] == ["layers_0.kernel", "layers_2.kernel"]


def test_tied_modules_of_nnx_are_one():
    from flax import nnx

    class Tied(nnx.Module):
        def __init__(self, rngs):
            self.first, self.last = nnx.Linear(10, 16, rngs=rngs), nnx.Linear(16, 1, rngs=rngs)
            self.a = self.b = nnx.Linear(16, 16, rngs=rngs)

        def __call__(self, x):
            return self.last(jax.nn.relu(self.b(jax.nn.relu(self.a(jax.nn.relu(self.first(x)))))))

    made = apply(Tied(nnx.Rngs(0)), X, key=KEY)
    assert made.a.kernel is made.b.kernel
    assert certify(made, X)


def test_half_and_double_precision(kind):
    module = KINDS[kind]()
    if kind == "linen":
        module = (module, module.init(KEY, X))
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16) if isinstance(leaf, jax.Array) else leaf, module)
    made = apply(half, X.astype(jnp.bfloat16), key=KEY)
    assert {array.dtype for array in arrays_of(made)} == {jnp.dtype(jnp.bfloat16)}
    with jax.enable_x64():
        wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if isinstance(leaf, jax.Array) else leaf, module)
        made = apply(wide, X.astype(np.float64), key=KEY)
        assert {array.dtype for array in arrays_of(made)} == {np.dtype(np.float64)}


def test_an_ensemble_by_vmap_and_a_draw_under_jit():
    shape = jax.ShapeDtypeStruct(X.shape, X.dtype)
    module = in_equinox()
    make = lambda key: arrays_of_traced(apply(module, shape, key=key))  # noqa: E731
    keys = jax.random.split(KEY, 3)
    together, one = jax.vmap(make)(keys), jax.jit(make)(keys[1])
    for stacked, single, eager in zip(together, one, arrays_of(apply(module, shape, key=keys[1])), strict=True):
        np.testing.assert_allclose(stacked[1], single, rtol=1e-5)
        np.testing.assert_allclose(single, eager, rtol=1e-5)
    with pytest.raises(ValueError, match="pass calibrate=False"):
        jax.jit(lambda key: arrays_of_traced(apply(module, X, key=key, calibrate=True)))(KEY)


def arrays_of_traced(tree):
    return [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]


def test_the_gradient_of_a_potential_is_monotone():
    made = apply(in_equinox(), X, key=KEY)
    a, b = X[:64], X[64:128]
    slope = jax.vmap(jax.grad(lambda x: made(x)[0]))
    # of a convex function: (∇f(a) − ∇f(b))·(a − b) >= 0, up to rounding
    assert float(((slope(a) - slope(b)) * (a - b)).sum(1).min()) >= -1e-5
