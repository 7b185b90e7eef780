"""Is this Keras network convex? A certificate by the calculus of convexity, and a search for a counterexample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from convex_init.keras.api import chosen_inputs, framework_of, further_names
from convex_init.keras.backend.counterexample import search_violation, searched_for_steps
from convex_init.keras.framework import KerasFramework
from convex_init.keras.model.calls import on_example_inputs, said
from convex_init_core import checks
from convex_init_core.argument_names import refuse_unknown
from convex_init_core.carrier.bound import UP_TO_A_SHIFT
from convex_init_core.convexity.certificate import Certificate
from convex_init_core.convexity.inputs.parts import ConvexInputs, Part
from convex_init_core.convexity.judge import certificate_of, judge
from convex_init_core.convexity.monotonicity import asked_directions, doubted, monotonicity_of
from convex_init_core.graph.nodes import Graph

__all__ = ["Certificate", "assert_convex", "certify"]

_NOTE = "at inference, with training=False"


def certify(
    model: Any,
    example_inputs: Any = None,
    convex_inputs: ConvexInputs | None = None,
    *,
    outputs: Iterable[str] | str | None = None,
    entry: str = "forward",
    monotone: Mapping[str | int, str] | None = None,
    search: bool = True,
    seed: int = 0,
    **_unknown: NoReturn,
) -> Certificate:
    """Tell whether every output of ``model`` is convex in the named inputs, for the weights that it has now.

    The model is traced on its backend, down to the operations that run, and each result gets its curvature by the rules
    of disciplined convex programming. ``"convex"`` is a proof, up to rounding, of what the model computes at inference
    (``training=False``), wherever that is finite. Without one, random segments, made worse step by step, are tried for
    one on which the output lies above its chord; that takes no gradients, so it is the same on every backend.

    Args:
        model: a built ``keras.Model``, however it is written.
        example_inputs: what the model takes, as arrays: one, a list, or a dict, or a tuple of positional arguments.
            They give the trace its shapes, and the search its context and its scale. A model with ``keras.Input``s does
            without.
        convex_inputs: names or positions of the inputs in which the output is to be convex, jointly; by default all
            floating-point ones. The others are context, of which nothing is assumed. Inputs are named as their
            ``keras.Input``, or by their key or position. ``{"x": slice(0, 3)}`` names a part: elements along the last
            axis by a slice or a list of places, along another as ``{"x": np.s_[:, :3]}``.
        outputs: which outputs are asked for, by their place: ``"output"`` for a tensor, ``"output.0"`` or
            ``"output.name"`` in a list or dict; by default all floating-point ones.
        entry: name of the method that is called; by default the model itself.
        monotone: names or positions of inputs, and ``"non-decreasing"`` or ``"non-increasing"``: whether every output
            is that in each element of the input, for all values of the others. The certificate answers that separately,
            and is true if all that was asked is proved.
        search: whether to look for a counterexample where there is no proof.
        seed: of the search.

    Returns:
        A certificate; print it for the reasons.

    Raises:
        TypeError: if ``model`` is no Keras model.
        ValueError: if it is unbuilt, its input shapes are not known, or a named input or output does not exist.

    Example:
        >>> import convex_init
        >>> convex_init.keras.certify(convex_init.keras.ICNN(4, [16], 1, seed=0)).verdict
        'convex'
    """
    refuse_unknown(_unknown, certify)
    whole_seed, search = checks.seed(seed) or 0, checks.truth("search", search)
    framework = framework_of(model, example_inputs, entry)
    call = framework.call
    chosen = chosen_inputs(call.floating or None if convex_inputs is None else convex_inputs, call)
    if not chosen:
        raise ValueError("the model has no floating-point input to be convex in")
    for name, part in chosen.items():
        if framework.has_inputs and part is None and name in call.arrays:
            numbers = call.arrays[name]
            checks.example(name, numbers.size, bool(np.isfinite(numbers).all()))
    try:
        graph = framework.trace_as_called()
    except Exception as error:  # whatever a model does with a tensor that has no numbers
        with on_example_inputs(call):
            call(**call.arrays)
        return _untraced(error)
    directions = asked_directions(monotone, graph.inputs, further_names(call))
    certificate = _proof(framework, graph, chosen, outputs, directions)
    if certificate or not search:
        return certificate
    if certificate.verdict != "convex":
        violation = search_violation(call, chosen, set(certificate.outputs), whole_seed, _epsilon(graph))
        if violation is not None:
            certificate = replace(certificate, verdict="not convex", violation=violation)
    return replace(certificate, monotone=searched_for_steps(certificate, call, whole_seed))


def assert_convex(model: Any, *args: Any, **kwargs: Any) -> Any:
    """Raise unless :func:`certify`, with the same arguments, proves the model convex; return the model.

    Raises:
        AssertionError: with the certificate's reasons, and a counterexample if there is one.
    """
    certificate = certify(model, *args, **kwargs)
    if not certificate:
        raise AssertionError(str(certificate))
    return model


def _epsilon(graph: Graph) -> float:
    """Of the coarsest dtype that a value which depends on the input has."""
    known = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
    dtypes = [node.dtype for node in graph if not node.is_fixed and "float" in node.dtype]
    return max((known.get(dtype, 2.0**-2) for dtype in dtypes), default=2.0**-23)


def _untraced(error: Exception) -> Certificate:
    return Certificate("cannot tell", (f"the model cannot be traced on its backend: {said(error)}",), {})


def _proof(
    framework: KerasFramework,
    graph: Graph,
    chosen: Mapping[str, Part | None],
    outputs: Iterable[str] | str | None,
    directions: Mapping[str, str],
) -> Certificate:
    values = judge(graph, chosen, framework=framework)
    certificate = certificate_of(graph, values, outputs)
    answers = monotonicity_of(graph, directions, certificate.outputs, framework)
    notes = (_NOTE, *certificate.notes)
    if certificate.verdict != "convex" and any(framework.parameter(each).carrier for each in framework.parameters()):
        notes = (*notes, UP_TO_A_SHIFT)
    certificate = replace(certificate, notes=notes, monotone=answers)
    if certificate.verdict != "convex" and not any(answers):
        return certificate
    doubt = framework.doubt()
    if not doubt:
        return certificate
    return replace(certificate, verdict="cannot tell", reasons=(doubt,), monotone=doubted(answers, (doubt,)))
