"""Is this Keras network convex? A certificate by the calculus of convexity, and a search for a counterexample."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from convex_init.keras.following import Follower, unchanged_graph
from convex_init.keras.violations import search_violation
from convex_init_core.convexity import calculus
from convex_init_core.convexity.certificate import Certificate, verdict_on

__all__ = ["Certificate", "assert_convex", "certify"]


def certify(
    model: Any,
    example_inputs: Any = None,
    convex_inputs: Iterable[str | int] | str | int | None = None,
    *,
    outputs: Iterable[str] | str | None = None,
    search: bool = True,
    seed: int = 0,
) -> Certificate:
    """Tell whether every output of ``model`` is convex in the named inputs, for the weights that it has now.

    The model is called on symbolic tensors, each layer is followed down to the ``keras.ops`` that its ``call`` is made
    of, and each result gets its curvature by the rules of disciplined convex programming. ``"convex"`` is a proof, up
    to rounding, of what the model computes at inference (``training=False``), wherever that is finite. Without one,
    random segments, made worse step by step, are tried for one on which the output lies above its chord; that takes no
    gradients, so it is the same on every backend.

    Args:
        model: a built ``keras.Model``: Sequential, Functional, or a subclass whose ``call`` uses ``keras.ops`` and
            layers. What calls its backend's own functions (``torch``, ``tf``, ``jax.numpy``) cannot be followed.
        example_inputs: what the model takes, as arrays: one, a list, or a dict. They give a subclassed model its
            shapes, and the search its context and its scale. A model with ``keras.Input``s does without.
        convex_inputs: names or positions of the inputs in which the output is to be convex, jointly; by default all
            floating-point ones. The others are context, of which nothing is assumed. Inputs are named as their
            ``keras.Input``, or by their key or position.
        outputs: which outputs are asked for, by their place: ``"output"`` for a tensor, ``"output.0"`` or
            ``"output.name"`` in a list or dict; by default all floating-point ones.
        search: whether to look for a counterexample where there is no proof.
        seed: of the search.

    Returns:
        A certificate; print it for the reasons.

    Raises:
        TypeError: if ``model`` is no Keras model.
        ValueError: if it is unbuilt, its input shapes are not known, or a named input or output does not exist.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a keras.Model, got {type(model).__name__}")
    if not model.built:
        raise ValueError(f"model {model.name!r} is unbuilt and has no weights yet; call it on a batch, or build it")
    structure, names = _inputs(model, example_inputs)
    tensors = keras.tree.flatten(structure)
    floating = [name for name, t in zip(names, tensors, strict=True) if keras.backend.is_float_dtype(t.dtype)]
    chosen = floating if convex_inputs is None else _chosen(convex_inputs, names)
    if not chosen:
        raise ValueError("the model has no floating-point input to be convex in")
    certificate = _proof(model, structure, names, chosen, outputs)
    if certificate or not search:
        return certificate
    if example_inputs is None:
        example_inputs = keras.tree.map_structure(_example, structure)
    violation = search_violation(model, example_inputs, names, chosen, set(certificate.outputs), seed)
    return certificate if violation is None else replace(certificate, verdict="not convex", violation=violation)


def assert_convex(model: Any, *args: Any, **kwargs: Any) -> Any:
    """Raise unless :func:`certify`, with the same arguments, proves the model convex; return the model.

    Raises:
        AssertionError: with the certificate's reasons, and a counterexample if there is one.
    """
    certificate = certify(model, *args, **kwargs)
    if not certificate:
        raise AssertionError(str(certificate))
    return model


def _inputs(model: Any, example_inputs: Any) -> tuple[Any, list[str]]:
    """Symbolic inputs as the model takes them, and their names."""
    own = getattr(model, "inputs", None)
    if own:
        structure = getattr(model, "_inputs_struct", None)
        if structure is None:
            structure = own[0] if len(own) == 1 else list(own)
        names = [tensor.name for tensor in own]
    elif example_inputs is not None:
        structure = keras.tree.map_structure(np.asarray, example_inputs)
        names = [name for name, _ in named_parts("", structure)]
    else:
        raise ValueError(f"model {model.name!r} has no keras.Input that gives its shapes; pass example_inputs")
    return keras.tree.map_structure(
        lambda t: keras.Input(batch_shape=_shape(t), dtype=str(t.dtype), name="followed"), structure
    ), names


def _shape(tensor: Any) -> tuple[int | None, ...]:
    return tuple(tensor.shape) if isinstance(tensor, keras.KerasTensor) else (None, *tensor.shape[1:])


def _example(tensor: Any) -> Any:
    shape = [1, *tensor.shape[1:]]
    if None in shape:
        raise ValueError(f"an input of shape {tuple(tensor.shape)} has no fixed size; pass example_inputs")
    return np.zeros(shape, dtype=tensor.dtype)


def named_parts(name: str, tree: Any) -> list[tuple[str, Any]]:
    """List the parts of a nested input or output by their places, in the order of ``keras.tree.flatten``."""
    if isinstance(tree, dict):
        parts: Any = sorted(tree.items())
    elif isinstance(tree, (list, tuple)):
        parts = enumerate(tree)
    else:
        return [(name or "0", tree)]
    return [found for key, part in parts for found in named_parts(f"{name}.{key}".lstrip("."), part)]


def _chosen(convex_inputs: Iterable[str | int] | str | int, names: list[str]) -> list[str]:
    wanted = [convex_inputs] if isinstance(convex_inputs, (str, int)) else list(convex_inputs)
    chosen = []
    for one in wanted:
        if isinstance(one, int) and 0 <= one < len(names):
            chosen.append(names[one])
        elif one in names:
            chosen.append(str(one))
        else:
            raise ValueError(f"convex_inputs names {one!r}, which is none of the inputs {', '.join(names)}")
    return chosen


def _proof(
    model: Any, structure: Any, names: list[str], chosen: list[str], outputs: Iterable[str] | str | None
) -> Certificate:
    follower = Follower(model)
    for name, tensor in zip(names, keras.tree.flatten(structure), strict=True):
        value = calculus.variable(name) if name in chosen else calculus.constant(label=f"input {name!r}")
        follower.hold(tensor, value)
    # Layers that count their calls, or keep averages, write to the scope and not to their variables.
    with unchanged_graph(model._flatten_layers(include_self=True)), keras.StatelessScope():
        try:
            result = follower.through(model, [structure], {}, "")
        except Exception as error:  # whatever a model does with a tensor that has no numbers
            first = str(error).strip().partition("\n")[0][:200]
            return Certificate(
                "cannot tell", (f"the model cannot be followed, as it does more than keras.ops: {first}",), {}
            )
        found = dict(named_parts("output", result))
        values = {name: follower.value_of(tensor) for name, tensor in found.items()}
    wanted = None if outputs is None else [outputs] if isinstance(outputs, str) else list(outputs)
    for name in wanted or ():
        if name not in values:
            raise ValueError(f"outputs names {name!r}, but the model returns {', '.join(values)}")
    asked = [n for n, t in found.items() if keras.backend.is_float_dtype(t.dtype)] if wanted is None else wanted
    return verdict_on({name: values[name] for name in asked}, notes=("at inference, with training=False",))
