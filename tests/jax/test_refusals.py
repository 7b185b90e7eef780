"""Calls for JAX that cannot be done name the argument, the place and the remedy, and the remedy works."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import sparse

import convex_init.jax as cj
from tests.messages import Refusal, assert_refused

KEY = jax.random.key(0)
HERE = "test_refusals.py:"


def x(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape or (8, 4)), jnp.float32)


def layers(params, x):
    return jax.nn.relu(x @ params["a"]["w"] + params["a"]["b"]) @ params["b"]["w"] + params["b"]["b"]


def params(**more):
    return {"a": {"w": x(4, 8), "b": jnp.zeros(8)}, "b": {"w": jnp.ones((8, 1)), "b": jnp.zeros(1)}, **more}


def plain():
    return layers, params()


def of(function):
    return lambda: (function, params())


def gated(params, x, y):
    return jax.nn.softplus(x @ params["a"]["w"] * jax.nn.relu(y @ params["c"])) @ params["b"]["w"]


def with_context():
    return gated, params(c=x(3, 8))


PAIR = x(8, 4), x(8, 3)
READERS = (cj.plan, cj.certify, cj.signal_report, cj.constraints, cj.constrain)

REFUSALS = {
    "certify NaN": Refusal(lambda m: cj.certify(m, x() * jnp.nan), ("example_inputs: input '0'", "NaN"), model=plain),
    "certify no rows": Refusal(lambda m: cj.certify(m, x()[:0]), ("example_inputs: input '0'", "empty"), model=plain),
    "no output": Refusal(
        lambda m: cj.plan(m, x()), ("returns no floating-point tensor",), model=of(lambda p, x: layers(p, x).argmax())
    ),
    **{
        f"{name}, {call.__name__}": Refusal(lambda m, call=call, given=given: call(m, given()), words, model=plain)
        for call in READERS
        for name, given, words in (
            ("no inputs", lambda: None, ("example_inputs", "ShapeDtypeStruct")),
            ("another width", lambda: x(8, 5), ("example_inputs", "0 (8, 5)", HERE)),
            ("a word", lambda: "abc", ("example_inputs", "one array")),
            ("a sparse array", lambda: sparse.BCOO.fromdense(x()), ("example_inputs", "'0'", ".todense()")),
        )
    },
    "sparse by name": Refusal(
        lambda m: cj.plan(m, {"x": sparse.BCOO.fromdense(x())}),
        ("example_inputs", "'x'", ".todense()"),
        model=plain,
        remedy=lambda m: cj.plan(m, {"x": sparse.BCOO.fromdense(x()).todense()}),
    ),
    "NaN": Refusal(lambda m: cj.apply(m, x() * jnp.nan, key=KEY), ("example_inputs", "'0'", "NaN"), model=plain),
    "no samples": Refusal(lambda m: cj.apply(m, x()[:0], key=KEY), ("example_inputs", "empty"), model=plain),
    "one sample": Refusal(lambda m: cj.signal_report(m, x()[:1]), ("two samples",), model=plain),
    "a report on shapes": Refusal(
        lambda m: cj.signal_report(m, jax.ShapeDtypeStruct((8, 4), "float32")),
        ("example_inputs", "arrays"),
        model=plain,
    ),
    "a seed": Refusal(
        lambda m: cj.apply(m, x(), seed=0),
        ("seed=", "key=jax.random.key(seed)"),
        TypeError,
        plain,
        lambda m: cj.apply(m, x(), key=jax.random.key(0)),
    ),
    "a seed beside a key": Refusal(lambda m: cj.apply(m, x(), key=KEY, seed=0), ("seed=", "key="), TypeError, plain),
    "a seed in place": Refusal(lambda m: cj.apply_(m, x(), seed=0), ("apply_", "model = apply("), TypeError, plain),
    "a generator": Refusal(lambda m: cj.plan(m, x(), generator=0), ("generator=", "key="), TypeError, plain),
    "no key": Refusal(lambda m: cj.apply(m, x()), ("key", "jax.random.key(0)"), TypeError, plain),
    "a number as key": Refusal(lambda m: cj.apply(m, x(), key=0), ("key", "jax.random.key(0)"), TypeError, plain),
    "several keys": Refusal(
        lambda m: cj.apply(m, x(), key=jax.random.split(KEY)), ("one key", "jax.random.key(0)"), TypeError, plain
    ),
    "a function alone": Refusal(lambda: cj.plan(layers, x()), ("(fn, params)", "function"), TypeError),
    "a pair the other way": Refusal(lambda: cj.plan((params(), layers), x()), ("(fn, params)", "dict"), TypeError),
    "no model": Refusal(lambda: cj.certify(None, x()), ("model", "NoneType"), TypeError),
    "entry": Refusal(lambda m: cj.plan(m, x(), entry="nope"), ("entry=", "as fn"), TypeError, plain),
    "a model that is not changed": Refusal(
        lambda m: cj.apply_(m, x(), key=KEY),
        ("apply_", "model = apply("),
        TypeError,
        plain,
        lambda m: cj.apply(m, x(), key=KEY),
    ),
    "buffers": Refusal(
        lambda m: cj.plan(m, x(), buffers=["nope"]), ("buffers", "'nope'", "a.b, a.w, b.b, b.w"), model=plain
    ),
    "a number of buffers": Refusal(lambda m: cj.plan(m, x(), buffers=3), ("buffers", "list"), TypeError, plain),
    "a pattern": Refusal(
        lambda m: cj.plan(m, x(), free="nope"),
        ("free=", "'nope'", "a, b"),
        model=plain,
        remedy=lambda m: cj.plan(m, x(), free="a"),
    ),
    "a missing bias": Refusal(
        lambda m: cj.apply(m, x(), key=KEY, register_missing_bias=True),
        ("register_missing_bias", "params", "fn"),
        model=plain,
    ),
    "match_moments": Refusal(
        lambda m: cj.apply(m, x(), key=KEY, match_moments="yes"), ("match_moments", "True or False"), TypeError, plain
    ),
    "an argument by a wrong name": Refusal(
        lambda m: cj.plan(m, x(), positiv="b"), ("positiv=", "positive="), TypeError, plain
    ),
    "an input that is none": Refusal(
        lambda m: cj.certify(m, PAIR, "z"), ("convex_inputs", "'z'", "0 (x), 1 (y)"), model=with_context
    ),
    "a product of inputs": Refusal(
        lambda m: cj.plan(m, PAIR),
        ("multiplies two values", HERE, "convex_inputs='0'"),
        model=with_context,
        remedy=lambda m: cj.plan(m, PAIR, convex_inputs="x"),
    ),
    "an output that is a number": Refusal(lambda m: cj.certify(m, x(), outputs=0), ("outputs", "0"), TypeError, plain),
    "an output that is none": Refusal(
        lambda m: cj.certify(m, x(), outputs="output.7"), ("outputs", "'output.7'", "output"), model=plain
    ),
    "a direction": Refusal(
        lambda m: cj.certify(m, x(), monotone={0: "up"}), ("monotone[0]", "'non-decreasing'"), model=plain
    ),
    "a search by word": Refusal(lambda m: cj.certify(m, x(), search="yes"), ("search", "True"), TypeError, plain),
    "a loss per sample": Refusal(
        lambda m: cj.signal_report(m, x(), lambda out: out),
        ("loss", "(8, 1)", "mean"),
        model=plain,
        remedy=lambda m: cj.signal_report(m, x(), lambda out: out.mean()),
    ),
    "a loss that is a number": Refusal(lambda m: cj.signal_report(m, x(), 3), ("loss", "3"), TypeError, plain),
    "a branch": Refusal(
        lambda m: cj.plan(m, x()),
        ("looks at the numbers", HERE, "jax.numpy.where"),
        model=of(lambda p, x: layers(p, x if x.sum() > 0 else -x)),
        remedy=lambda m: cj.plan((lambda p, x: layers(p, jnp.where(x > 0, x, 0.0)), m[1]), x()),
    ),
    "NumPy in the model": Refusal(
        lambda m: cj.certify(m, x()), ("looks at the numbers", HERE), model=of(lambda p, x: np.abs(np.asarray(x)))
    ),
    "a forward that fails": Refusal(
        lambda m: cj.plan(m, x()), ("example_inputs", "KeyError", HERE), model=of(lambda p, x: p["q"])
    ),
    "a sine in the model": Refusal(
        lambda m: cj.plan(m, x()),
        ("sin in the model's forward", HERE),
        model=of(lambda p, x: jnp.sin(x @ p["a"]["w"]) @ p["b"]["w"]),
    ),
    "a gradient": Refusal(
        lambda m: cj.apply(m, x(), key=KEY),
        ("gradient", "the potential itself"),
        model=of(lambda p, x: jax.grad(lambda z: layers(p, z).sum())(x)),
        remedy=lambda m: cj.apply((layers, m[1]), x(), key=KEY),
    ),
    "steps of a path": Refusal(lambda m: cj.level_set_path(m, x(), x(), steps=1.5), ("steps", "1.5"), TypeError, plain),
    "a start that is not finite": Refusal(
        lambda m: cj.level_set_path(m, x() / 0.0, x()), ("start", "finite"), model=plain
    ),
    "no plan to project": Refusal(lambda: cj.projection(None), ("plan(model, x)", "NoneType"), TypeError),
    "a number to project by": Refusal(lambda: cj.project(params(), 3), ("plan(model, x)", "int"), TypeError),
    "names to project by": Refusal(lambda: cj.project(params(), ["a.w"]), ("plan(model, x)", "list"), TypeError),
    "a map by a wrong name": Refusal(
        lambda m: cj.constrain(m, x(), positivity="nope"), ("positivity", "'nope'", "softplus"), model=plain
    ),
}


def numbers_of(model):
    return jax.tree.map(lambda array: array.tolist(), model[1])


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_leads_on(name):
    assert_refused(REFUSALS[name], numbers_of)
