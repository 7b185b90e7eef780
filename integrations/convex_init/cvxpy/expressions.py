"""A trained model as an expression of cvxpy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import cvxpy as cp
import numpy as np

from convex_init.cvxpy.frameworks import example_for, first_of, framework_of
from convex_init.cvxpy.looks import Looks
from convex_init.cvxpy.parts.combination import Combination, numbers, of_expression
from convex_init.cvxpy.parts.expressions import NotExpressibleError
from convex_init.cvxpy.translation import Translation
from convex_init_core import checks
from convex_init_core.argument_names import refuse_unknown
from convex_init_core.convexity.certificate import Certificate
from convex_init_core.convexity.inputs.names import input_names, shown_inputs
from convex_init_core.convexity.inputs.parts import ConvexInputs, Part, convex_inputs_of
from convex_init_core.convexity.judge import certificate_of, judge
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Graph, Node
from convex_init_core.graph.precision import rounding_of

__all__ = ["expression"]

_NEAR = 1e-6  # of the model's value on the example, beside its rounding
_STEPS = 2000.0  # of rounding, that a model may take


def expression(
    model: Any,
    x: Any,
    example_inputs: Any = None,
    *,
    convex_inputs: ConvexInputs | None = None,
    outputs: str | None = None,
    entry: str = "forward",
    **_unknown: NoReturn,
) -> Any:
    """Return what an input-convex model computes, for the weights that it has now, as a convex expression of cvxpy.

    The model is read as it is, in evaluation mode: it is traced on one example, and each operation of the graph becomes
    one of cvxpy. Whatever is piecewise linear leads to a linear program, squares and quadratic forms of affine values
    to a quadratic one, norms to second-order cones, and softplus, log-sum-exp and ELU to exponential cones. The
    expression is convex by cvxpy's own rules, which is a proof beside that of ``certify``; and its value on the example
    has been compared with the model's.

    Args:
        model: a module of torch, a built ``keras.Model``, a module of flax or equinox, or a pair ``(fn, params)``.
        x: a ``cvxpy.Variable``, or an affine expression, for one example: of the shape of the model's input without the
            batch axis, or with it where that is 1. For several convex inputs a list of them, in the order of
            ``convex_inputs``; for a part of an input one that has its elements, in their order.
        example_inputs: what the model takes: arrays of its framework, of which the first example is used. Inputs that
            are context keep its numbers. By default zeros of the shape of ``x``, if that is the only input.
        convex_inputs: names or positions of the inputs that ``x`` stands for, or a mapping to the part of each, as for
            ``certify``; by default all floating-point ones.
        outputs: which output, by its place such as ``"output.0"``, if the model returns several.
        entry: name of the method that is called, or (torch) path of a module inside.

    Returns:
        an expression of the shape of the model's output, without the batch axis if ``x`` has none; a scalar for an
        output with one element.

    Raises:
        ValueError: if the output is not convex by cvxpy's rules, with the operation, its place and what to do; or if an
            argument does not fit the model.
        TypeError: if the model, or ``x``, is none of those above.

    Example:
        >>> import convex_init, cvxpy as cp, torch
        >>> model = convex_init.torch.ICNN(3, [8], 1)
        >>> x = cp.Variable(3)
        >>> energy = convex_init.cvxpy.expression(model, x)
        >>> problem = cp.Problem(cp.Minimize(energy + cp.sum_squares(x)), [cp.sum(x) == 1.0])
        >>> energy.is_convex(), bool(problem.solve() > -100.0)
        (True, True)
    """
    refuse_unknown(_unknown, expression)
    return read(model, x, example_inputs, convex_inputs=convex_inputs, outputs=outputs, entry=entry).expression


@dataclass(frozen=True, eq=False)
class Reading:
    """What was read of a model.

    Attributes:
        expression: of its output.
        output: which.
        shape: of the output, without the batch axis.
    """

    expression: Any
    output: str
    shape: tuple[int, ...]


def read(
    model: Any,
    x: Any,
    example_inputs: Any,
    *,
    convex_inputs: ConvexInputs | None,
    outputs: str | None,
    entry: str,
    called: str = "x",
) -> Reading:
    """Do what :func:`expression` does; returns what else is known, too. Messages speak of x as it was ``called``."""
    given = _given(x, called)
    if example_inputs is None:
        if len(given) != 1:
            raise ValueError(f"example_inputs are needed where {called} stands for several inputs")
        made_up = example_for(model, (1, *given[0].shape))
        try:
            framework = framework_of(model, made_up, entry)
            graph = framework.trace()
        except ValueError as error:
            if not str(error).startswith("example_inputs: "):
                raise
            raise ValueError(
                f"{called} has shape {given[0].shape}, and no example_inputs are given: with zeros of shape "
                f"{(1, *given[0].shape)}, {str(error).removeprefix('example_inputs: ').partition('; pass ')[0]}"
            ) from None
        example_inputs = made_up
    else:
        framework = framework_of(model, example_inputs, entry)
        graph = framework.trace()
    parts = _parts(graph, convex_inputs)
    if len(parts) != len(given):
        known = shown_inputs(graph.inputs, graph.other_names)
        raise ValueError(
            f"{called} holds {len(given)} expressions for the convex inputs {', '.join(map(repr, parts))}; name in "
            f"convex_inputs= those of {known} that it stands for"
        )
    batched = all(len(graph.inputs[name].shape) == one.ndim + 1 for name, one in zip(parts, given, strict=True))
    count = {graph.inputs[name].shape[0] for name in parts} if batched else {1}
    if count != {1}:
        framework = framework_of(model, first_of(example_inputs, max(count)), entry)
        graph = framework.trace()
    name = _output(graph, outputs)
    if graph.doubts or graph.risks:
        raise ValueError(f"the model cannot be read as one function: {(graph.doubts + graph.risks)[0]}")
    inputs = {graph.inputs[key]: part for key, part in parts.items()}
    looks = Looks(framework, graph, list(inputs))
    values = judge(graph, parts, framework=framework)
    certificate = certificate_of(graph, values, [name])
    output = graph.outputs[name]
    # On a variable of its own first, whose value can be set.
    own = {node: _stand_in(node, part) for node, part in inputs.items()}
    trial = _expression(graph, values, looks, own, inputs, output, certificate)
    for node, variable in own.items():
        variable.value = _numbers(looks, node)[_mask(node, inputs[node]).reshape(-1)]
    _compare(trial, looks.on_example().get(output), max(rounding_of(node.dtype) for node in looks.varying))
    wanted = dict(zip(inputs, given, strict=True))
    made = _expression(graph, values, looks, wanted, inputs, output, certificate)
    shape = output.shape[1:] if batched else output.shape
    if made.size == 1:
        return Reading(made[0], name, shape)
    return Reading(made if len(shape) == 1 else cp.reshape(made, shape, order="C"), name, shape)


def _given(x: Any, called: str) -> list[Any]:
    several = list(x.values()) if isinstance(x, Mapping) else list(x) if isinstance(x, (list, tuple)) else [x]
    for one in several:
        if not isinstance(one, cp.Expression):
            got = type(one).__name__
            raise TypeError(f"{called} must be a cvxpy.Variable or an affine expression of cvxpy, got {got}")
        if not one.is_affine():
            raise ValueError(
                f"{called} must be affine in its variables: what it stands for is an input, which is not bent"
            )
        if one.is_complex():
            raise ValueError(f"{called} must be real, as the input is that it stands for: pass cp.real(...) of it")
    if not several:
        raise ValueError(f"{called} holds no expression")
    return several


def _parts(graph: Graph, convex_inputs: ConvexInputs | None) -> dict[str, Part | None]:
    chosen = convex_inputs_of(list(graph.inputs) if convex_inputs is None else convex_inputs) or {}
    return dict(zip(input_names(chosen, graph.inputs, graph.other_names), chosen.values(), strict=True))


def _output(graph: Graph, outputs: str | None) -> str:
    names = graph.floating if outputs is None else checks.names("outputs", outputs)
    for name in names:
        if name not in graph.outputs:
            raise ValueError(f"outputs names {name!r}, but the model returns {', '.join(graph.outputs) or 'no array'}")
    if len(names) != 1:
        raise ValueError(f"the model returns {', '.join(graph.floating) or 'no array'}: name one of them in outputs=")
    return names[0]


def _mask(node: Node, part: Part | None) -> Any:
    return np.ones(node.shape, bool) if part is None else part.mask(str(node.params["name"]), node.shape)


def _stand_in(node: Node, part: Part | None) -> Any:
    return cp.Variable(int(_mask(node, part).sum()))


def _numbers(looks: Looks, node: Node) -> Any:
    found = looks.on_example().get(node)
    if found is None:
        raise ValueError("example_inputs must be arrays with numbers, not their shapes alone")
    return found.reshape(-1)


def _expression(
    graph: Graph,
    values: Values,
    looks: Looks,
    given: Mapping[Node, Any],
    parts: Mapping[Node, Part | None],
    output: Node,
    certificate: Certificate,
) -> Any:
    start = {node: _input(looks, node, parts[node], expression) for node, expression in given.items()}
    translation = Translation(graph, values, start, looks)
    try:
        made = translation.made.of(translation.of(output), f"the output, {output.at},")
    except NotExpressibleError as error:
        raise ValueError(_message(str(error), certificate)) from None
    if not made.is_convex():
        raise ValueError(_message(f"the output, {output.at}, is concave by cvxpy's rules", certificate))
    return made


def _input(looks: Looks, node: Node, part: Part | None, expression: Any) -> Combination:
    mask = _mask(node, part).reshape(-1)
    places = np.flatnonzero(mask)
    if expression.size != places.size:
        of = f"input {node.params['name']!r} of shape {node.shape}" + (f", of which {part} is meant" if part else "")
        raise ValueError(f"x has shape {expression.shape}, which does not fit {of}")
    inner = of_expression(expression)
    if places.size == mask.size:
        return inner
    order = np.full(mask.size, -1, np.int64)
    order[places] = np.arange(places.size)
    return inner.take(order) + numbers(np.where(mask, 0.0, _numbers(looks, node)))


def _message(why: str, certificate: Certificate) -> str:
    if not certificate:
        return f"model is not known to be convex: {why}; certify says: {certificate}"
    return (
        f"{why}. The model is certified, but cvxpy has no form of it by its rules: write that operation out of others, "
        "or minimise over the inputs with minimise_batched, which needs no form"
    )


def _compare(trial: Any, wanted: Any, rounding: float) -> None:
    """Refuse an expression that is not the model: a run of the model is the last word."""
    if wanted is None or trial.value is None:
        return
    flat, found = wanted.reshape(-1), np.asarray(trial.value).reshape(-1)
    finite = np.isfinite(flat) & np.isfinite(found)
    scale = max(1.0, float(np.abs(flat[finite]).max(initial=0.0)))
    gap = float(np.abs(flat - found)[finite].max(initial=0.0))
    allowed = scale * max(_NEAR, _STEPS * rounding)
    if gap > allowed or not math.isfinite(gap):
        raise ValueError(
            f"the expression differs from the model by {gap:.3g} on the example, where the model returns numbers up to "
            f"{scale:.3g}; the model does something that its graph does not show, such as counting its calls"
        )
