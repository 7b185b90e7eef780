"""Is this function convex? A certificate by the calculus of convexity, and a search for a counterexample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from convex_init.jax.drawing import root_of
from convex_init.jax.framework import JaxFramework
from convex_init.jax.model.modules import arguments_of, opened
from convex_init.jax.repetition import doubt_of_repetition
from convex_init.jax.trace import trace
from convex_init.jax.trace.arguments import Arguments, check_numbers, read_arguments
from convex_init.jax.trace.tracer import Results
from convex_init_core import checks
from convex_init_core.argument_names import refuse_unknown
from convex_init_core.convexity.certificate import Certificate, Violation
from convex_init_core.convexity.counterexample import Point, scale_of, search_violation
from convex_init_core.convexity.inputs.parts import ConvexInputs, Part, convex_inputs_of
from convex_init_core.convexity.judge import certificate_of, judge
from convex_init_core.convexity.monotonicity import Monotone, asked_directions, doubted, monotonicity_of, searched

__all__ = ["Certificate", "assert_convex", "certify"]


def certify(
    model: Any,
    example_inputs: Any,
    convex_inputs: ConvexInputs | None = None,
    *,
    outputs: Iterable[str] | str | None = None,
    entry: str = "forward",
    monotone: Mapping[str | int, str] | None = None,
    search: bool = True,
    key: jax.Array | None = None,
    **_unknown: NoReturn,
) -> Certificate:
    """Tell whether every output of a model is convex in the named inputs, for the weights and the mode that it has now.

    The model is traced, and each result gets its curvature by the rules of disciplined convex programming.
    ``"convex"`` is a proof, up to rounding, wherever the output is finite. A trace of JAX shows the function for all
    inputs of the same shapes and dtypes, since Python code cannot look at their numbers; that another trace shows the
    same is checked, since Python code may count its calls. Without a proof, a gradient-guided search looks for a
    segment on which the output lies above its chord.

    Args:
        model: as for :func:`convex_init.jax.apply`; random numbers in it count as one fixed draw, if their key is no
            input.
        example_inputs: one array, a tuple of positional inputs, or a dict of keyword inputs; shapes and dtypes
            (``jax.ShapeDtypeStruct``) are enough for a proof. Arrays inside trees are named ``"0.key"``.
        convex_inputs: names or positions of the inputs in which the output is to be convex, jointly; by default all
            floating-point ones. The others are context, of which nothing is assumed. ``{"0": slice(0, 3)}`` names a
            part: elements along the last axis by a slice or a list of places, along another as ``{"0": np.s_[:, :3]}``.
        outputs: which outputs are asked for, by their place: ``"output"`` for an array, ``"output.0"`` or
            ``"output.name"`` in a tuple or dict; by default all floating-point ones.
        entry: the method that is called, such as ``"energy"``; by default the module itself.
        monotone: names or positions of inputs, and ``"non-decreasing"`` or ``"non-increasing"``: whether every output
            is that in each element of the input, for all values of the others. The certificate answers that separately,
            and is true if all that was asked is proved.
        search: whether to look for a counterexample where there is no proof.
        key: of the search; a fixed one by default.

    Raises:
        ValueError: if a named input, output or method does not exist.
        TypeError: if it is no model.

    Example:
        >>> import jax, jax.numpy as jnp, convex_init
        >>> params = {"w": jnp.ones((4, 3))}
        >>> str(convex_init.jax.certify((lambda p, x: jax.nn.relu(x @ p["w"]), params), jnp.ones((2, 4))))
        'convex'
    """
    refuse_unknown(_unknown, certify)
    inputs, search = arguments_of(example_inputs), checks.truth("search", search)
    if key is not None:
        root_of(key)
    opened_model = opened(model, inputs, entry=entry, evaluating=False)
    fn, params, (args, kwargs) = opened_model.call, opened_model.tree, inputs
    framework = JaxFramework(opened_model, inputs)
    # With all numbers as they are, those that are not finite included.
    names = list(framework.arrays)
    graph = trace(fn, params, args, kwargs, names=names)
    chosen = convex_inputs_of(list(graph.inputs) or None if convex_inputs is None else convex_inputs)
    if not chosen:
        raise ValueError("example_inputs hold no floating-point array to be convex in")
    if framework.has_inputs:
        check_numbers(inputs, [name for name, part in chosen.items() if part is None])
    certificate = certificate_of(graph, judge(graph, chosen, framework=framework), outputs)
    directions = asked_directions(monotone, graph.inputs, graph.other_names)
    answers = monotonicity_of(graph, directions, certificate.outputs, framework)
    if certificate or any(answers):
        doubt = doubt_of_repetition(graph, lambda: trace(fn, params, args, kwargs, names=names), model)
        if doubt:
            certificate, answers = (
                replace(certificate, verdict="cannot tell", reasons=(doubt,)),
                doubted(answers, [doubt]),
            )
    certificate = replace(certificate, monotone=answers)
    if certificate or not search or not graph.floating or not framework.has_inputs:
        return certificate
    arguments = read_arguments(params, args, kwargs)
    if certificate.verdict != "convex":
        violation = _searched(fn, arguments, chosen, set(certificate.outputs), key)
        if violation is not None:
            certificate = replace(certificate, verdict="not convex", violation=violation)
    return replace(certificate, monotone=_searched_for_steps(certificate, fn, arguments, key))


def _searched_for_steps(
    certificate: Certificate, fn: Callable[..., Any], arguments: Arguments, key: jax.Array | None
) -> tuple[Monotone, ...]:
    flat = jax.jit(_flat(fn, arguments, set(certificate.outputs)))
    named = {leaf.name: leaf.array for leaf in arguments.leaves if not leaf.learnt}

    def run(name: str, numbers: Any) -> Any:
        return np.asarray(flat({name: jnp.asarray(numbers, _wide(named[name].dtype))}), np.float64)

    floating = [array for array in named.values() if jnp.issubdtype(array.dtype, jnp.floating)]
    at = {name: np.asarray(array, np.float64) for name, array in named.items()}
    epsilon = max(float(jnp.finfo(_wide(array.dtype)).eps) for array in floating)
    return searched(certificate.monotone, run, at, np.random.default_rng(_seed(key)), epsilon)


def assert_convex(model: Any, example_inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """Raise unless :func:`certify`, with the same arguments, proves the model convex; return the model.

    Raises:
        AssertionError: with the certificate's reasons, and a counterexample if there is one.
    """
    certificate = certify(model, example_inputs, *args, **kwargs)
    if not certificate:
        raise AssertionError(str(certificate))
    return model


def _searched(
    fn: Callable[..., Any],
    arguments: Arguments,
    chosen: Mapping[str, Part | None],
    outputs: set[str],
    key: jax.Array | None,
) -> Violation | None:
    declared = {leaf.name: leaf.array for leaf in arguments.leaves if not leaf.learnt and leaf.name in chosen}
    dtypes = {name: _wide(array.dtype) for name, array in declared.items()}

    flat = _flat(fn, arguments, outputs)

    def clarity(a: dict[str, Any], b: dict[str, Any]) -> tuple[Any, Any]:
        middle = {name: 0.5 * (a[name] + b[name]) for name in a}
        values = jnp.stack([flat(a), flat(b), flat(middle)])
        excess = values[2] - 0.5 * (values[0] + values[1])
        return jnp.max(excess / jax.lax.stop_gradient(scale_of(values, jnp))), values

    guided = jax.jit(jax.grad(clarity, (0, 1), has_aux=True))

    def probe(a: Point, b: Point) -> tuple[Any, Point | None, Point | None]:
        ends = [{name: jnp.asarray(x, dtypes[name]) for name, x in end.items()} for end in (a, b)]
        try:
            slopes, values = guided(*ends)
        except (TypeError, ValueError, NotImplementedError):  # a loop or a callback that has no gradient
            return np.asarray(clarity(*ends)[1], np.float64), None, None
        return np.asarray(values, np.float64), *slopes

    at = {name: np.asarray(array, np.float64) for name, array in declared.items()}
    epsilon = max(float(jnp.finfo(dtype).eps) for dtype in dtypes.values())
    return search_violation(probe, at, np.random.default_rng(_seed(key)), epsilon, chosen)


def _flat(fn: Callable[..., Any], arguments: Arguments, outputs: set[str]) -> Callable[[dict[str, Any]], Any]:
    """The outputs that are asked for as one array, as a function of some of the inputs."""

    def flat(point: dict[str, Any]) -> Any:
        arrays = [leaf.array if leaf.learnt else point.get(leaf.name, leaf.array) for leaf in arguments.leaves]
        arrays = [array.astype(_wide(array.dtype)) for array in map(jnp.asarray, arrays)]
        params, args, kwargs = arguments.rebuilt(arrays)
        results = Results()
        found = results.arrays_of(fn(params, *args, **kwargs))
        wanted = [jnp.ravel(array) for name, array in zip(results.names, found, strict=True) if name in outputs]
        return jnp.concatenate(wanted)

    return flat


def _seed(key: jax.Array | None) -> int:
    return 0 if key is None else int(jax.random.bits(key, (), jnp.uint32))


def _wide(dtype: Any) -> Any:
    """Rounding to half precision would hide all but the largest violations."""
    is_coarse = jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).bits < 32
    return jnp.float32 if is_coarse else dtype
