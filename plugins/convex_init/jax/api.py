"""``plan``, ``apply``, ``apply_`` and ``signal_report``: the core's planner and report on a model of JAX."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import jax

from convex_init.jax.drawing import root_of
from convex_init.jax.framework import JaxFramework
from convex_init.jax.model.modules import arguments_of, opened
from convex_init.jax.trace.arguments import check_numbers
from convex_init.plotting import SignalReport
from convex_init_core.planning import build
from convex_init_core.planning.plan import LayerPlan, Plan
from convex_init_core.reporting.build import report
from convex_init_core.reporting.report import LayerSignal
from convex_init_core.request import Options, Request, check_names, refuse_source, request

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["LayerPlan", "LayerSignal", "Plan", "SignalReport", "apply", "apply_", "plan", "signal_report"]


_TAKES_A_KEY = "apply takes key=jax.random.key(seed); plan, constrain and signal_report draw nothing"

P = ParamSpec("P")
R = TypeVar("R")


def _needs_a_key(function: Callable[P, R]) -> Callable[P, R]:
    """Say what to pass where ``key=`` is missing; type checkers see the function as it is."""

    @functools.wraps(function)
    def called(*args: P.args, **options: P.kwargs) -> R:
        options.setdefault("key", None)  # is refused, with what to pass
        return function(*args, **options)

    return called


def plan(model: Any, example_inputs: Any, *, buffers: Collection[str] = (), **options: Unpack[Options]) -> Plan:
    """Return what :func:`apply` would do to each weight of ``model``, and why; ``print`` it for a table.

    Arguments and errors are those of :func:`apply`.

    Example:
        >>> import jax, jax.numpy as jnp, convex_init
        >>> def icnn(params, x):
        ...     return jax.nn.relu(x @ params["first"]["kernel"]) @ params["last"]["kernel"]
        >>> params = {"first": {"kernel": jnp.zeros((4, 8))}, "last": {"kernel": jnp.zeros((8, 1))}}
        >>> [(layer.path, layer.role) for layer in convex_init.jax.plan((icnn, params), jnp.ones((2, 4))).layers]
        [('first', 'free'), ('last', 'positive')]
    """
    check_names(options, plan)
    framework, asked = asked_of(model, example_inputs, buffers, options)
    return build.plan(framework, asked)


@_needs_a_key
def apply(
    model: Any, example_inputs: Any, *, key: jax.Array, buffers: Collection[str] = (), **options: Unpack[Options]
) -> Any:
    """Return an input-convex model anew, with the principled initialisation; ``model`` itself stays as it is.

    The model is traced on the example inputs, and everything is read from what it does. Weights that see the input
    through affine maps only are *free*: N(0, σ*²/fan_in) (LeCun), bias 0. Weights behind a non-linearity are
    *positive*: non-negative, with a centring bias that keeps pre-activations at mean 0, variance σ*² and correlation ρ*
    (equations 8–12, 33–46). Weights behind a positivity map are written through it; plain positive ones have to be kept
    non-negative in training: see :func:`convex_init.jax.projection`.

    Each array is drawn from a key of its own, on the devices that hold it, so that its numbers do not depend on how it
    is spread over them. Under ``jit`` and ``vmap`` (over keys, for an ensemble) it works, too, if nothing is measured.

    Args:
        model: one of

            - a module of equinox; one that takes single samples gets ``example_inputs`` as a batch, by ``jax.vmap``;
            - a module of flax nnx;
            - a module of flax linen, alone or in a pair ``(module, variables)``;
            - a pair ``(fn, params)`` of a pure function ``fn(params, *inputs)`` and a tree of arrays.

            Arrays may be given as ``jax.ShapeDtypeStruct``: those are planned, and left as they are. Parameters are
            named by their path, ``"layers.0.kernel"``, a layer by that without the last part, where this is
            ``kernel``, ``weight``, ``w``, ``bias`` or ``b``.
        example_inputs: one array, a tuple of positional inputs or a dict of keyword inputs; or their shapes and dtypes
            as ``jax.ShapeDtypeStruct``, if nothing is to be measured on them.
        key: of ``jax.random``.
        buffers: names of arrays of a pair that are not learnt, such as running statistics.
        **options: ``convex_inputs``, ``entry``, ``positive``, ``free``, ``exclude``, ``fed_by``, ``positivity``,
            ``calibrate``, ``method`` and the other settings, as for ``convex_init.torch.apply_``.

    Returns:
        a new module of equinox or nnx, variables of linen, or ``(fn, params)``.

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
        >>> shapes = {"first": (4, 8), "last": (8, 1)}
        >>> params = {name: {"w": jnp.zeros(shape), "b": jnp.zeros(shape[1])} for name, shape in shapes.items()}
        >>> icnn, params = convex_init.jax.apply((icnn, params), jnp.ones((2, 4)), key=jax.random.key(0))
        >>> bool((params["last"]["w"] >= 0).all())
        True
    """
    refuse_source(options, _TAKES_A_KEY)
    root_of(key)
    check_names(options, apply)
    framework, asked = asked_of(model, example_inputs, buffers, options)
    made = build.plan(framework, asked)
    if made.measured and isinstance(key, jax.core.Tracer):
        raise ValueError(
            f"under jit and vmap there are no numbers, and {made.measured[0]} is to be measured: pass calibrate=False, "
            "or the shapes of example_inputs as jax.ShapeDtypeStruct"
        )
    build.execute(made, framework, key)
    return framework.written()


@_needs_a_key
def apply_(model: Any, example_inputs: Any, *, key: jax.Array, **options: Unpack[Options]) -> Any:
    """Initialise a module of flax nnx in place, as :func:`apply` does, and return it.

    Its variables stay the same objects, so that an ``nnx.Optimizer`` that was made before goes on.

    Raises:
        TypeError: if it is no module of nnx; otherwise see :func:`apply`.

    Example:
        >>> import jax, jax.numpy as jnp, convex_init
        >>> from flax import nnx
        >>> rngs = nnx.Rngs(0)
        >>> icnn = nnx.Sequential(nnx.Linear(4, 8, rngs=rngs), jax.nn.relu, nnx.Linear(8, 1, rngs=rngs))
        >>> icnn = convex_init.jax.apply_(icnn, jnp.ones((2, 4)), key=jax.random.key(0))
        >>> bool((icnn.layers[2].kernel[...] >= 0).all())
        True
    """
    return in_place("apply", model, lambda: apply(model, example_inputs, key=key, **options))


def in_place(name: str, model: Any, made: Callable[[], Any]) -> Any:
    """Write what a function of this name makes into a module of nnx, whose variables stay the same objects.

    Raises:
        TypeError: if it is no module of nnx.
    """
    nnx = sys.modules.get("flax.nnx")
    if nnx is None or not isinstance(model, nnx.Module):
        kind = type(model).__name__
        raise TypeError(f"{name}_ changes a module of flax nnx, got {kind}; use model = {name}(model, …)")
    nnx.update(model, nnx.state(made()))
    return model


def signal_report(
    model: Any,
    example_inputs: Any,
    loss: Callable[[Any], Any] | None = None,
    *,
    buffers: Collection[str] = (),
    **options: Unpack[Options],
) -> SignalReport:
    """Run a model on a batch and measure every layer's pre-activations and gradients.

    The prediction uses the moments of the weights that are there, so it can be asked of any initialisation.

    Args:
        model: any that :func:`plan` can read with these example inputs.
        example_inputs: one array, a tuple of positional inputs, or a dict of keyword inputs; at least two samples.
        loss: maps what the model returns to a scalar; by default the mean of its first floating-point output over the
            samples, summed over units.
        buffers: as for :func:`apply`.
        **options: ``convex_inputs``, ``entry``, ``positive``, ``free``, ``fed_by`` as for :func:`apply`.

    Raises:
        ValueError: if the model cannot be read, or gets fewer than two samples, or shapes instead of arrays.
        TypeError: if it is no model.

    Example:
        >>> import jax, convex_init
        >>> def fn(params, x):
        ...     return jax.nn.relu(x @ params["first"]) @ params["last"]
        >>> params = {"first": jax.random.normal(jax.random.key(0), (4, 8)), "last": jax.numpy.ones((8, 1))}
        >>> x = jax.random.normal(jax.random.key(1), (64, 4))
        >>> [layer.path for layer in convex_init.jax.signal_report((fn, params), x).layers]
        ['first', 'last']
    """
    check_names(options, signal_report)
    framework, asked = asked_of(model, example_inputs, buffers, options)
    if not framework.has_inputs:
        raise ValueError("model and example_inputs must hold arrays: a report measures the signal on them")
    return report(framework, asked, loss, SignalReport)


def asked_of(
    model: Any, example_inputs: Any, buffers: Collection[str], options: Mapping[str, Any]
) -> tuple[JaxFramework, Request]:
    """Return the port for a model, checked, and what its user asks for."""
    if options.get("register_missing_bias"):
        raise ValueError(
            "register_missing_bias=True cannot add a parameter to a function; add it to params and to fn instead"
        )
    refuse_source(options, _TAKES_A_KEY)
    asked, inputs = request(**options), arguments_of(example_inputs)
    framework = JaxFramework(opened(model, inputs, entry=asked.entry, buffers=buffers), inputs)
    if framework.has_inputs:
        check_numbers(inputs)
    return framework, asked
