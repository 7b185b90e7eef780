"""JAX behind the core's port: a function is traced once, run step by step, and its parameters are made anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from convex_init.jax.drawing import drawn, root_of
from convex_init.jax.model.modules import Inputs, Model
from convex_init.jax.model.parameters import Parameters
from convex_init.jax.trace import Trace, follow, traced
from convex_init.jax.trace.lowering import bounds
from convex_init_core.constraints.kept import Kept
from convex_init_core.framework import Fill, Observed, Parameter, Visit
from convex_init_core.graph.compounds.rewritten import with_compounds
from convex_init_core.graph.nodes import Constant, Graph, Node, Place
from convex_init_core.graph.walks import alike
from convex_init_core.reading.axes_of_weight import axes_of_weight
from convex_init_core.signal.array_numbers import ArrayNumbers
from convex_init_core.weights.positivity import Positivity
from convex_init_core.weights.weight_axes import Geometry

_FINITE = 0.01  # stands for NaN and infinite numbers in weights that are to be overwritten anyway


class JaxFramework(ArrayNumbers):
    """One model and one set of example inputs, as the core asks for them.

    What is written goes to :attr:`arrays`; the model stays as it is.

    Args:
        model: that JAX can trace, with arrays, or their shapes and dtypes.
        inputs: positional and keyword inputs; what is only a shape shows the structure, and is not measured on.
    """

    def __init__(self, model: Model, inputs: Inputs) -> None:
        """Name the arrays; nothing runs yet."""
        super().__init__()
        self.model, self.inputs = model, inputs
        self._parameters = Parameters(model)
        self.arrays = dict(self._parameters.arrays)
        leaves = jax.tree_util.tree_leaves((model.tree, inputs))
        self.has_inputs = not any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves)
        self._running = {name: _finite(array) for name, array in self.arrays.items()}
        self._made: Trace | None = None

    def written(self) -> Any:
        """Return what the user gets: the model with all that was written."""
        return self.model.returned(self._parameters.rebuilt(self.arrays))

    # Structure

    def trace(self, *, moved: bool = False) -> Graph:
        """See :class:`convex_init_core.framework.Framework`; a trace of JAX is the same for all inputs of a shape."""
        if not moved or self._made is None:
            tree, names = self._parameters.rebuilt(self._running), list(self.arrays)
            self._made = traced(self.model.call, tree, *self.inputs, names=names, buffers=self.model.buffers)
            with_compounds(self._made.graph)
        return self._made.graph

    def entries(self) -> Iterator[tuple[str, str]]:
        """See :class:`convex_init_core.framework.Framework`."""
        return iter(())

    def with_entry(self, entry: str) -> JaxFramework:
        """See :class:`convex_init_core.framework.Framework`."""
        raise ValueError(f"there is no entry {entry!r}")

    def parameters(self) -> Sequence[str]:
        """See :class:`convex_init_core.framework.Framework`."""
        return self._parameters.names

    def parameter(self, name: str) -> Parameter:
        """See :class:`convex_init_core.framework.Framework`."""
        return self._parameters[name]

    def geometry(self, name: str, fan_in: float) -> Geometry:
        """See :class:`convex_init_core.framework.Framework`."""
        del fan_in
        return axes_of_weight(self._trace().graph, name)

    # Numbers

    def numbers(self, constant: Constant) -> NDArray[np.float64] | None:
        """See :class:`convex_init_core.framework.Framework`."""
        array: Any = constant.handle
        if array is None or isinstance(array, jax.ShapeDtypeStruct):
            return None
        if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.extended):  # a key
            return None
        return None if np.iscomplexobj(array) else _wide(array)

    def present(self, name: str) -> NDArray[np.float64]:
        """Return the present numbers of a parameter."""
        return _wide(self.arrays[name])

    def nodes_like(self, node: Node) -> Sequence[Node]:
        """Those of which a run shows the value: steps within one primitive have none of their own."""
        computed = set(self._trace().nodes.values())
        return [one for one in alike(self._trace().graph, node) if one in computed]

    # Runs

    def run(self, nodes: Sequence[Node], visit: Visit) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        by_place = {node.place: node for node in nodes}

        def seen(place: Place, array: Any) -> Any:
            node = by_place[place]
            changed = visit(node, _wide(array).reshape(node.shape))
            return None if changed is None else changed.reshape(array.shape)

        follow(self._trace(), by_place, seen, learnt=self._running.__getitem__)

    def observe(self, nodes: Sequence[Node], loss: Callable[[Any], Any] | None) -> dict[Node, Observed]:
        """See :class:`convex_init_core.framework.Framework`; gradients are those of zeros that are added."""
        made = self._trace()
        index_of = {node.place: index for index, node in enumerate(nodes)}

        def total(added: list[Any]) -> tuple[Any, list[Any]]:
            values = list(added)

            def seen(place: Place, array: Any) -> Any:
                index = index_of[place]
                values[index] = array
                return array + added[index].reshape(array.shape)

            outputs = follow(made, index_of, seen, learnt=self.arrays.__getitem__)
            return (_total(outputs) if loss is None else loss(made.rebuilt(outputs))), values

        zeros = [jnp.zeros(node.shape, node.dtype) for node in nodes]
        slopes, values = jax.grad(total, has_aux=True)(zeros)
        return {
            node: Observed(_wide(value).reshape(node.shape), _wide(slope))
            for node, value, slope in zip(nodes, values, slopes, strict=True)
        }

    # Writes

    def write(self, fills: Sequence[Fill], seed: Any) -> None:
        """See :class:`convex_init_core.framework.Framework`; the seed is a key, folded with the place in the order."""
        root = root_of(seed)
        for index, fill in enumerate(fills):
            name, key = fill.name, jax.random.fold_in(root, index)
            self._write(name, drawn(fill, self.arrays[name], key, lambda name=name: self.geometry(name, 0.0)))  # type: ignore[misc]
            is_known = not isinstance(root, jax.core.Tracer)  # under jit and vmap there is nothing to look at
            if is_known and fill.positivity is not None and fill.positivity.reparametrises:
                self._read_back(fill)

    def scale(self, name: str, factor: float | NDArray[np.float64], positivity: Positivity | None) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        raw = self.arrays[name]
        wide = raw.astype(jnp.promote_types(raw.dtype, jnp.float32))
        if positivity is None:
            self._write(name, (wide * factor).astype(raw.dtype))
            return
        effective = positivity.value(wide, jnp)
        image = positivity.inverse(effective * factor, jnp)
        self._write(name, jnp.where(effective > 0.0, image, wide).astype(raw.dtype))

    def shift(self, name: str, amount: float | NDArray[np.float64]) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        before = self.arrays[name]
        self._write(name, before + jnp.asarray(amount, before.dtype))

    def set_statistics(self, name: str, values: NDArray[np.float64]) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        before = self.arrays[name]
        self._write(name, jnp.asarray(values, before.dtype).reshape(before.shape))

    def add_bias(self, name: str) -> None:
        """See :class:`convex_init_core.framework.Framework`; no parameter of a function says that it may take one.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(f"{name!r} cannot be added to a function, which takes the parameters that it takes")

    def clip(self, name: str, low: float, high: float) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        self._write(name, jnp.clip(self.arrays[name], low, high))

    def mark(self, kept: Sequence[Kept]) -> None:
        """See :class:`convex_init_core.framework.Framework`; an array has no marks, and the plan names them."""

    def snapshot(self) -> Any:
        """See :class:`convex_init_core.framework.Framework`."""
        return dict(self.arrays), dict(self._running)

    def restore(self, snapshot: Any) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        arrays, running = snapshot
        self.arrays, self._running = dict(arrays), dict(running)

    def _trace(self) -> Trace:
        if self._made is None:
            self.trace()
        assert self._made is not None
        return self._made

    def _write(self, name: str, array: Any) -> None:
        self.arrays[name] = self._running[name] = array

    def _read_back(self, fill: Fill) -> None:
        """Compute the effective weight and make sure that it can be used."""
        assert fill.positivity is not None
        effective = fill.positivity.value(self.arrays[fill.name], jnp)
        low, high = float(effective.min()), float(effective.max())
        if not (np.isfinite(low) and np.isfinite(high) and low >= 0.0):
            raise RuntimeError(
                f"{fill.name!r}: effective weights between {low:g} and {high:g} came back through positivity "
                f"{fill.positivity} in {self.arrays[fill.name].dtype}; use a wider dtype"
            )


def _finite(array: Any) -> Any:
    ends = bounds(array) if jnp.issubdtype(array.dtype, jnp.floating) else None
    if ends is None or np.isfinite(ends).all():
        return array
    return jnp.nan_to_num(array, nan=_FINITE, posinf=_FINITE, neginf=_FINITE)


def _wide(array: Any) -> NDArray[np.float64]:
    return np.array(array, dtype=np.float64)


def _total(outputs: Sequence[Any]) -> Any:
    """The mean of the first floating-point output over the batch, summed over units."""
    output = next(array for array in outputs if jnp.issubdtype(array.dtype, jnp.floating))
    return output.mean(0).sum() if output.ndim > 1 else output.mean()
