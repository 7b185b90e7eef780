"""``plan`` and ``apply``: the core's planner on a function of JAX and its parameters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import jax

from convex_init.jax.drawing import root_of
from convex_init.jax.framework import JaxFramework
from convex_init.jax.inputs import arguments_of
from convex_init_core.planning import build
from convex_init_core.planning.plan import LayerPlan, Plan
from convex_init_core.request import Options, Request, request

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["LayerPlan", "Plan", "apply", "plan"]


def plan(
    fn: Callable[..., Any],
    params: Any,
    example_inputs: Any,
    *,
    buffers: Collection[str] = (),
    **options: Unpack[Options],
) -> Plan:
    """Return what :func:`apply` would do to each weight of ``params``, and why; ``print`` it for a table.

    Arguments and errors are those of :func:`apply`.

    Example:
        >>> import jax, jax.numpy as jnp, convex_init
        >>> def icnn(params, x):
        ...     return jax.nn.relu(x @ params["first"]["kernel"]) @ params["last"]["kernel"]
        >>> params = {"first": {"kernel": jnp.zeros((4, 8))}, "last": {"kernel": jnp.zeros((8, 1))}}
        >>> [(layer.path, layer.role) for layer in convex_init.jax.plan(icnn, params, jnp.ones((2, 4))).layers]
        [('first', 'free'), ('last', 'positive')]
    """
    asked = _request(options)
    return build.plan(framework_of(fn, params, example_inputs, buffers), asked)


def apply(
    fn: Callable[..., Any],
    params: Any,
    example_inputs: Any,
    *,
    key: jax.Array,
    buffers: Collection[str] = (),
    **options: Unpack[Options],
) -> Any:
    """Return new parameters for an input-convex function, with the principled initialisation.

    The function is traced on the example inputs, and everything is read from what it does. Weights that see the input
    through affine maps only are *free*: N(0, σ*²/fan_in) (LeCun), bias 0. Weights behind a non-linearity are
    *positive*: non-negative, with a centring bias that keeps pre-activations at mean 0, variance σ*² and correlation ρ*
    (equations 8–12, 33–46). Weights behind a positivity map are written through it; plain positive ones have to be kept
    non-negative in training, and ``plan(...).project`` names them.

    Each array is drawn from a key of its own, on the devices that hold it, so that its numbers do not depend on how it
    is spread over them.

    Args:
        fn: ``fn(params, *inputs)``, pure, that JAX can trace.
        params: a tree of arrays (or ``jax.ShapeDtypeStruct``: those are left as they are). The names of parameters are
            their paths in it, ``"layers.0.kernel"``; a layer's path is that without the last part, where this is
            ``kernel``, ``weight``, ``w``, ``bias`` or ``b``.
        example_inputs: one array, a tuple of positional inputs or a dict of keyword inputs; or their shapes and dtypes
            as ``jax.ShapeDtypeStruct``, if nothing is to be measured on them.
        key: of ``jax.random``.
        buffers: names of arrays in ``params`` that are not learnt, such as running statistics.
        **options: ``convex_inputs``, ``positive``, ``free``, ``exclude``, ``fed_by``, ``positivity``, ``calibrate``,
            ``method`` and the other settings, as for ``convex_init.torch.apply_``.

    Returns:
        a tree like ``params``, which itself stays as it is.

    Raises:
        ValueError: if a weight cannot be decided or an argument is out of range. All problems are listed with the paths
            of their layers.
        TypeError: if an argument does not exist or has the wrong type.

    Warns:
        UserWarning: if the method is not known to carry so many positive layers in a row.

    Example:
        >>> import jax, jax.numpy as jnp, convex_init
        >>> def icnn(params, x):
        ...     z = jax.nn.relu(x @ params["first"]["w"] + params["first"]["b"])
        ...     return z @ params["last"]["w"] + params["last"]["b"]
        >>> params = {"first": {"w": jnp.zeros((4, 8)), "b": jnp.zeros(8)}, "last": {"w": jnp.zeros((8, 1)), "b": 0.0}}
        >>> params["last"]["b"] = jnp.zeros(1)
        >>> params = convex_init.jax.apply(icnn, params, jnp.ones((2, 4)), key=jax.random.key(0))
        >>> bool((params["last"]["w"] >= 0).all())
        True
    """
    root_of(key)
    asked = _request(options)
    framework = framework_of(fn, params, example_inputs, buffers)
    build.execute(build.plan(framework, asked), framework, key)
    return framework.params


def framework_of(
    fn: Callable[..., Any], params: Any, example_inputs: Any, buffers: Collection[str] = ()
) -> JaxFramework:
    """Return the port for a function, checked.

    Raises:
        TypeError: if it is no function.
        ValueError: if there is nothing to initialise.
    """
    if not callable(fn):
        raise TypeError(f"fn must be a function of parameters and inputs, got {type(fn).__name__}")
    if example_inputs is None:
        raise ValueError(
            "example_inputs are needed: arrays, or their shapes and dtypes as jax.ShapeDtypeStruct, with which fn is "
            "traced"
        )
    return JaxFramework(fn, params, arguments_of(example_inputs), buffers)


def _request(options: Mapping[str, Any]) -> Request:
    if "entry" in options:
        raise TypeError("there is no argument entry= for a function: pass the function that is to be read as fn")
    if options.get("register_missing_bias"):
        raise ValueError(
            "register_missing_bias=True cannot add a parameter to a function; add it to params and to fn instead"
        )
    return request(**options)
