"""Paths on level sets of JAX's functions and modules; the algorithm itself is tested with torch's functions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from convex_init.jax import apply, level_set_path
from tests.jax.modules import KINDS, as_a_function

RNG = np.random.default_rng(5)
START, TARGET = (RNG.normal(size=(6, 10)).astype(np.float32) for _ in range(2))
KEY = jax.random.key(0)


def squared(params, x):
    return jnp.square((x - params["centre"]) * params["scales"]).sum(1)


CIRCLE = {"centre": jnp.array([1.0, 0.0]), "scales": jnp.ones(2)}


def test_a_target_outside_is_approached_as_seen_from_the_minimiser():
    # The circle of radius 2 about (1, 0); the line from its centre to (1, 8) meets it at (1, 2).
    found = level_set_path((squared, CIRCLE), jnp.array([[3.0, 0.0]]), jnp.array([[1.0, 8.0]]), steps=40)
    assert found.points.shape == (41, 1, 2)
    np.testing.assert_allclose(found.points[-1, 0], [1.0, 2.0], atol=1e-3)
    np.testing.assert_allclose(found.minimiser[0], [1.0, 0.0], atol=1e-3)
    assert not found.at_minimum.any()


def test_a_start_at_the_minimum_stays_and_samples_do_not_meet():
    starts, targets = jnp.array([[1.0, 0.0], [3.0, 0.0]]), jnp.array([[5.0, 5.0], [1.0, 8.0]])
    found = level_set_path((squared, CIRCLE), starts, targets, steps=5)
    assert found.at_minimum.tolist() == [True, False]
    np.testing.assert_allclose(found.points[-1, 0], [1.0, 0.0], atol=1e-2)  # within √tolerance
    np.testing.assert_allclose(found.points[-1, 1], [1.0, 2.0], atol=1e-3)


@pytest.mark.parametrize("kind", ["function", *KINDS])
def test_a_network_keeps_its_level(kind):
    model = as_a_function() if kind == "function" else KINDS[kind]()
    made = apply(model, START, key=KEY)
    model = (model, made) if kind == "linen" else made
    found = level_set_path(model, START, TARGET, steps=8)
    if kind == "function":
        fn, params = model
        np.testing.assert_allclose(found.values, [fn(params, x)[:, 0] for x in found.points], atol=1e-6)
    assert found.points.dtype == START.dtype
    assert found.deviation <= 1e-4
    way = np.linalg.norm(TARGET - START, axis=1)
    assert (np.linalg.norm(TARGET - found.points[-1], axis=1) < way).all()
    np.testing.assert_array_equal(found.points[0], START)


def test_a_minimiser_is_taken_and_double_precision_is_kept():
    with jax.enable_x64(True):
        circle = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), CIRCLE)
        start, target = np.array([[3.0, 0.0]]), np.array([[1.0, 8.0]])
        found = level_set_path((squared, circle), start, target, minimiser=np.array([1.0, 0.0]), tolerance=1e-10)
        assert found.points.dtype == jnp.float64
        np.testing.assert_allclose(found.points[-1, 0], [1.0, 2.0], atol=1e-9)


def two(params, x):
    return jnp.stack([squared(params, x), -squared(params, x)], 1)


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (squared, {"steps": 0}, ValueError, "steps must be at least 1"),
        (squared, {"tolerance": -1.0}, ValueError, "tolerance must be greater than 0"),
        (squared, {"output": 0.5}, TypeError, "output must be a whole number"),
        (squared, {"assume_convex": 1}, TypeError, "assume_convex must be True or False"),
        (two, {}, ValueError, r"could not be certified as convex \(not convex"),
        (two, {"assume_convex": True}, ValueError, "output=i to choose one of several"),
        (two, {"assume_convex": True, "output": 2}, ValueError, "output 2 does not exist; the model has 2"),
        (squared, {"minimiser": jnp.full((1, 2), 50.0)}, ValueError, "minimiser lies above"),
        (squared, {"minimiser": 3.0}, TypeError, "minimiser must be an array, got float"),
        (
            squared,
            {"start": jnp.zeros(2)},
            ValueError,
            r"got float32 of shape \(2,\); .* start\[None\]",
        ),
        (squared, {"start": jnp.zeros((1, 2), int)}, ValueError, "start must be a floating-point batch"),
        (squared, {"start": [[0.0, 0.0]]}, TypeError, "start must be an array, got list"),
        (squared, {"start": jnp.full((1, 2), jnp.nan)}, ValueError, "start must hold finite real numbers"),
        (squared, {"target": jnp.zeros(3)}, ValueError, r"target has shape \(3,\), which does not broadcast"),
        (None, {}, TypeError, "model must be a module of equinox or flax, or a pair"),
    ],
)
def test_what_cannot_be_done_is_refused(model, options, error, message):
    given = {"start": jnp.array([[3.0, 0.0]]), "target": jnp.array([[1.0, 8.0]]), **options}
    with pytest.raises(error, match=message):
        level_set_path(None if model is None else (model, CIRCLE), given.pop("start"), given.pop("target"), **given)


def test_a_tolerance_that_single_precision_cannot_hold_is_reported():
    with pytest.raises(RuntimeError, match="double precision"):
        level_set_path(
            (lambda p, x: 1e6 * squared(p, x), CIRCLE),
            jnp.array([[2.0, 0.3]]), jnp.array([[1.2, 1.5]]), tolerance=1e-3, steps=5,
        )  # fmt: skip
