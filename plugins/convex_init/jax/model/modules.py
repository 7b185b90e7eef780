"""Models as the libraries of JAX write them, each as one function of a tree of arrays."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from convex_init.jax.trace.arguments import read_arguments

Inputs = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and keyword inputs."""


@dataclass(frozen=True, eq=False)
class Model:
    """A model that was taken apart.

    Attributes:
        call: ``call(tree, *args, **kwargs)``, pure.
        tree: that holds its arrays.
        returned: from a tree with other arrays to what the user gets.
        buffers: names of arrays that are not learnt, such as running statistics.
        prefix: that the names of its arrays in the tree have, and users do not write.
    """

    call: Callable[..., Any]
    tree: Any
    returned: Callable[[Any], Any]
    buffers: frozenset[str] = frozenset()
    prefix: str = ""


def opened(
    model: Any, inputs: Inputs, *, entry: str = "forward", buffers: Collection[str] = (), evaluating: bool = True
) -> Model:
    """Take a model apart.

    Args:
        model: an equinox module, a module of flax (nnx, or linen alone or in a pair with its variables), or a pair of a
            function ``fn(params, *inputs)`` and its parameters.
        inputs: that it takes. A module of equinox that takes single samples gets a batch by ``jax.vmap``.
        entry: name of the method that is called; by default the module itself.
        buffers: names of arrays that are not learnt, of a pair.
        evaluating: whether equinox and nnx modules do what they do after training, dropout left out.

    Raises:
        TypeError: if it is none of these.
        ValueError: if the entry does not exist, or inputs of equinox fit as one sample and as a batch.
    """
    if not isinstance(buffers, Collection):
        raise TypeError(f"buffers must be a list of names of arrays, got {buffers!r}")
    buffers = [buffers] if isinstance(buffers, str) else buffers
    linen, nnx, equinox = (sys.modules.get(name) for name in ("flax.linen", "flax.nnx", "equinox"))
    is_pair = isinstance(model, tuple) and len(model) == 2 and not hasattr(model, "_fields")
    fn, tree = model if is_pair else (model, None)
    is_linen = linen is not None and isinstance(fn, linen.Module)
    method = "__call__" if entry == "forward" else entry
    if is_pair and not is_linen:
        if not callable(fn):
            raise TypeError(f"the first of the pair (fn, params) must be a function, got {type(fn).__name__}")
        if method != "__call__":
            raise TypeError("there is no argument entry= for a function: pass the function that is to be read as fn")
        return Model(fn, tree, lambda new: (fn, new), frozenset(buffers))
    if not is_linen and not any(kit is not None and isinstance(fn, kit.Module) for kit in (nnx, equinox)):
        raise TypeError(
            "model must be a module of equinox or flax, or a pair (fn, params) of a function fn(params, *inputs) and "
            f"its parameters, got {type(model).__name__}"
        )
    if not callable(getattr(fn, method, None)):
        raise ValueError(f"entry {entry!r} is no method of {type(fn).__name__}")
    if is_linen:
        made = _of_linen(fn, tree, inputs, method)
    elif nnx is not None and isinstance(fn, nnx.Module):
        made = _of_nnx(fn, method, evaluating)
    else:
        made = _of_equinox(fn, inputs, method, evaluating)
    with suppress(TypeError, ValueError):  # a method without a signature
        taken = inspect.signature(getattr(fn, method)).parameters.values()
        front = inspect.Parameter("tree", inspect.Parameter.POSITIONAL_ONLY)
        made.call.__signature__ = inspect.Signature([front, *taken])  # type: ignore[attr-defined]
    return made


def arguments_of(example_inputs: Any) -> Inputs:
    """Return positional and keyword inputs: a dict is keywords, a tuple or list positions, anything else one input.

    Raises:
        ValueError: if there are none, or one of them is sparse.
    """
    if example_inputs is None:
        raise ValueError(
            "example_inputs are needed: arrays, or their shapes and dtypes as jax.ShapeDtypeStruct, with which the "
            "model is traced"
        )
    if isinstance(example_inputs, Mapping):
        args, kwargs = (), dict(example_inputs)
    else:
        is_several = isinstance(example_inputs, (tuple, list)) and not hasattr(example_inputs, "_fields")
        args, kwargs = (tuple(example_inputs) if is_several else (example_inputs,)), {}
    sparse = sys.modules.get("jax.experimental.sparse")
    for name, array in {**dict(enumerate(args)), **kwargs}.items():
        if sparse is not None and isinstance(array, sparse.JAXSparse):
            raise ValueError(f"example_inputs: input {str(name)!r} is sparse; pass its .todense()")
    return args, kwargs


def _of_linen(module: Any, variables: Any, inputs: Inputs, method: str) -> Model:
    if variables is None:
        variables = module.lazy_init(jax.random.key(0), *inputs[0], method=method, **inputs[1])
    leaves = read_arguments(variables, (), {}).leaves
    fixed = frozenset(leaf.name for leaf in leaves if not leaf.name.startswith("params."))

    def call(tree: Any, *args: Any, **kwargs: Any) -> Any:
        return module.apply(tree, *args, method=method, **kwargs)

    return Model(call, variables, lambda new: new, fixed, "params.")


def _of_nnx(module: Any, method: str, evaluating: bool) -> Model:
    nnx: Any = sys.modules["flax.nnx"]
    graph, state = nnx.split(module)
    fixed = (".".join(map(str, path)) for path, kind in nnx.to_flat_state(state) if not isinstance(kind, nnx.Param))

    def call(tree: Any, *args: Any, **kwargs: Any) -> Any:
        made = nnx.merge(graph, tree)
        if evaluating:
            made.eval()
        return getattr(made, method)(*args, **kwargs)

    return Model(call, state, lambda new: nnx.merge(graph, new), frozenset(fixed))


def _of_equinox(module: Any, inputs: Inputs, method: str, evaluating: bool) -> Model:
    equinox: Any = sys.modules["equinox"]

    def call(tree: Any, *args: Any, **kwargs: Any) -> Any:
        made = equinox.nn.inference_mode(tree) if evaluating else tree
        return getattr(made, method)(*args, **kwargs)

    def mapped(tree: Any, *args: Any, **kwargs: Any) -> Any:
        return jax.vmap(lambda args, kwargs: call(tree, *args, **kwargs))(args, kwargs)

    args, kwargs = inputs
    shown: dict[Callable[..., Any], Any] = {}
    for way in (call, mapped):
        with suppress(Exception):  # whatever a layer says of a batch where it takes one sample
            shown[way] = jax.tree.leaves(equinox.filter_eval_shape(way, module, *args, **kwargs))
    if evaluating and len(shown) == 2 and _differ(shown, module, inputs):
        raise ValueError(
            "example_inputs fit as one sample and as a batch, with other results: say which it is with a pair, such as "
            "(lambda model, x: jax.vmap(model)(x), model)"
        )
    return Model(next(iter(shown), call), module, lambda new: new)


def _differ(ways: Mapping[Callable[..., Any], Any], module: Any, inputs: Inputs) -> bool:
    """Tell whether two ways to call a module have other results: by their shapes, else by their numbers."""
    one, other = ways.values()
    if [part.shape for part in one] != [part.shape for part in other]:
        return True
    if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves((module, inputs))):
        return False
    one, other = (jax.tree.leaves(way(module, *inputs[0], **inputs[1])) for way in ways)
    return not all(jnp.allclose(a, b, rtol=1e-2, atol=1e-2, equal_nan=True) for a, b in zip(one, other, strict=True))
