"""Every parameter and every argument of every primitive that is lowered is in its rule, or makes the result opaque."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from convex_init.jax.trace.known_functions import RULES
from convex_init.jax.trace.lowering import Lowering, bounds
from convex_init.jax.trace.program import flat
from convex_init_core.graph.builder import Builder
from convex_init_core.graph.nodes import Place
from convex_init_core.graph.programs.program import Slot

X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), dtype=jnp.float32)
FEW = jnp.array([[0], [1]])
ROWS = lax.ScatterDimensionNumbers((1,), (0,), (0,))


def loop(x):
    return lax.scan(lambda c, _: (c + x, None), x, None, length=100)[0]


def window(reducer, start):
    return lambda x: lax.reduce_window(x, start, reducer, (1, 2), (1, 1), "VALID")


SAMPLES = [
    *(getattr(lax, name) for name in ("exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "abs", "sign", "tanh", "sinh")),
    *(getattr(lax, name) for name in ("cosh", "asinh", "atan", "sin", "cos", "tan", "erf", "erfc", "floor", "ceil")),
    *(getattr(lax, name) for name in ("logistic", "neg", "exp2", "square", "is_finite", "round", "stop_gradient")),
    *(lambda x, op=op: op(x, x + 1) for op in (lax.add, lax.sub, lax.mul, lax.div, lax.max, lax.min, lax.pow)),
    *(lambda x, op=op: op(x, x + 1) for op in (lax.gt, lax.ge, lax.lt, lax.le, lax.eq, lax.ne)),
    lambda x: jnp.logical_xor(~((x > 0) & (x < 1) | (x > 3)), x > 1),
    lambda x: jax.grad(lambda y: jnp.sum(y * y + jnp.sin(y) * y))(x),
    lambda x: lax.integer_pow(x, 3),
    lambda x: lax.clamp(x - 1, x, x + 1),
    lambda x: lax.select(x > 0, x, -x),
    lambda x: x.astype(jnp.float16),
    lambda x: lax.optimization_barrier(x),
    lambda x: checkpoint_name(x, "kept"),
    lambda x: jnp.copy(x),
    lambda x: jax.device_put(x, jax.devices()[0]),
    lambda x: lax.dot_general(x, X, (((1,), (1,)), ((), ()))),
    lambda x: lax.conv_general_dilated(x[:, None], X[:1, None, :2], (1,), "VALID"),
    lambda x: lax.broadcast_in_dim(x, (2, 3, 4), (1, 2)),
    lambda x: lax.reshape(x, (4, 3)).T,
    lambda x: lax.expand_dims(lax.squeeze(x[:1], (0,)), (1,)),
    lambda x: lax.slice(x, (0, 1), (2, 4), (1, 2)),
    lambda x: lax.dynamic_slice(x, (FEW[1, 0], FEW[0, 0]), (1, 2)),
    lambda x: lax.dynamic_update_slice(x, x[:1], (FEW[1, 0], FEW[0, 0])),
    lambda x: x[jnp.array([0, 1])],
    lambda x: lax.scatter(x, FEW, x[:2], ROWS),
    lambda x: lax.concatenate([x, x], 1),
    lambda x: lax.pad(x, 0.0, ((0, 0, 0), (1, 1, 0))),
    lambda x: lax.rev(x, (1,)),
    lambda x: lax.split(x, (1, 3), 1),
    lambda x: jnp.tile(x, 2),
    lambda x: jnp.stack(jnp.unstack(x)),
    *(lambda x, op=op: op(x, axis=1) for op in (jnp.sum, jnp.max, jnp.min, jnp.argmax, jnp.argmin)),
    *(lambda x, op=op: op(x, axis=1) for op in (lax.cumsum, lax.cumlogsumexp, lax.cummax, lax.cummin)),
    window(lax.add, 0.0), window(lax.max, -jnp.inf), window(lax.min, jnp.inf),
    lambda x: lax.sort((x, x), num_keys=1),
    lambda x: lax.top_k(x, 2),
    lambda x: lax.cond(x.sum() > 0, lax.neg, lax.exp, x),
    lambda x: lax.while_loop(lambda y: y.sum() < 3, lambda y: y + 1, x),
    loop,
]  # fmt: skip

# Parameters that change nothing of what the certificate says, whatever they are, and why.
SAME_FOR_ALL = {
    "sharding": "where", "out_sharding": "where", "devices": "where", "srcs": "where", "copy_semantics": "where",
    "ctx_mesh": "where", "accuracy": "how accurately", "is_stable": "order of equals", "weak_type": "promotion",
    "indices_are_sorted": "a promise", "unique_indices": "a promise", "name": "a name", "new_dtype": "of the result",
    "preferred_element_type": "of the result", "axes": "", "index_dtype": "of the result",
}  # fmt: skip
SAME = {
    "gather": ("dimension_numbers", "slice_sizes", "mode"),  # elements of the array, or nothing
    "scatter": ("dimension_numbers", "mode"),  # elements of both arrays
    **dict.fromkeys(
        ("reduce_window_max", "reduce_window_min", "reduce_window_sum"),
        ("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation"),
    ),
    "conv_general_dilated": ("padding",),  # zeros
    "reshape": ("new_sizes",),  # the shape of the result
    "tile": ("reps",),
    **dict.fromkeys(("squeeze", "rev"), ("dimensions",)),
    "dynamic_slice": ("slice_sizes",),  # elements of the array, when the places depend on numbers
    **dict.fromkeys(("cummax", "cummin"), ("axis", "reverse")),
    **dict.fromkeys(("cumsum", "cumlogsumexp"), ("reverse",)),  # a truth value: any object counts as one
    "sort": ("num_keys",),  # the first array is sorted by itself
}  # fmt: skip


def steps():
    found = {}
    for sample in SAMPLES:
        for step in flat(jax.make_jaxpr(sample)(X), [None]).steps:
            found.setdefault(step.name, step)
    return found


STEPS = steps()
# Equations that no function of the samples makes on this version of JAX, or on one device.
UNSEEN = {"stop_gradient", "copy_p", "pvary", "sharding_constraint", "layout_constraint", "mesh_cast"} - set(STEPS)


def lowered(step):
    """The results of a step all of whose arguments depend on the input, and these."""
    lowering = Lowering(Builder(bounds, lambda node: None), RULES)
    slots = tuple(Slot(slot.shape, slot.dtype) for slot in step.inputs)
    for index, slot in enumerate(slots):
        node = lowering.builder.leaf("input", slot.shape, slot.dtype, Place("input", str(index)), name=str(index))
        lowering.nodes[slot] = node
    outputs = tuple(Slot(slot.shape, slot.dtype) for slot in step.outputs)
    lowering.lower_step(replace(step, inputs=slots, outputs=outputs))
    return [lowering.nodes[slot] for slot in outputs], [lowering.nodes[slot] for slot in slots]


def behind(nodes):
    found, waiting = set(), list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.inputs)
    return found


def test_every_rule_has_a_sample():
    assert set(RULES) - set(STEPS) <= UNSEEN


@pytest.mark.parametrize("name", sorted(set(RULES) & set(STEPS)))
def test_every_argument_is_used(name):
    results, arguments = lowered(STEPS[name])
    assert set(arguments) <= behind(results)


@pytest.mark.parametrize("name", sorted(set(RULES) & set(STEPS)))
def test_every_parameter_is_understood(name):
    step = STEPS[name]
    unknown = replace(step, params={**step.params, "of_a_later_version": 1})
    assert all(node.name == "opaque" for node in lowered(unknown)[0])
    if all(node.name == "opaque" for node in lowered(step)[0]):
        return
    for key in step.params:
        if key in SAME_FOR_ALL or key in SAME.get(name, ()):
            continue
        other = replace(step, params={**step.params, key: object()})
        try:
            results = lowered(other)[0]
        except (TypeError, ValueError, AttributeError):
            continue  # the rule has looked at it
        assert all(node.name == "opaque" for node in results), key
