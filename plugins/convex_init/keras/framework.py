"""Keras behind the core's port: a model is traced and measured by the tracer of its backend, and written in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from convex_init.keras.backend import runner_of
from convex_init.keras.backend.runner import wide
from convex_init.keras.draws.drawing import BIAS, KERNEL, fresh_seed, seed_stream
from convex_init.keras.draws.drawing import wide as wide_dtype
from convex_init.keras.draws.filling import drawn
from convex_init.keras.model.calls import Call, is_closed, on_example_inputs, unchanged
from convex_init.keras.model.changes import Journal, add_bias, mark
from convex_init.keras.model.inputs import made_call, moved_inputs
from convex_init.keras.model.variables import Variables
from convex_init_core.constraints.kept import Kept
from convex_init_core.framework import Fill, Observed, Parameter, Visit
from convex_init_core.graph.compounds.rewritten import with_compounds
from convex_init_core.graph.nodes import Constant, Graph, Node
from convex_init_core.graph.runs import same_course
from convex_init_core.graph.walks import alike
from convex_init_core.repetition import doubt_of_repetition
from convex_init_core.signal.array_numbers import ArrayNumbers
from convex_init_core.weights.positivity import Positivity
from convex_init_core.weights.weight_axes import Geometry


class KerasFramework(ArrayNumbers):
    """One model and one set of example inputs, as the core asks for them.

    Args:
        model: a built model; only ``write``, ``scale``, ``shift``, ``set_statistics``, ``add_bias`` and ``mark``
            change it.
        call: of the model on the user's inputs; ``None`` to make some.

    Raises:
        ValueError: if inputs are needed and cannot be made.
    """

    def __init__(self, model: Any, call: Call | None) -> None:
        """Made-up inputs have the shapes of the model's ``keras.Input``s."""
        super().__init__()
        self.model, self.has_inputs = model, call is not None
        self.variables = Variables(model)
        self.call = call if call is not None else made_call(model, lambda made: made(**made.arrays))
        self._runner = runner_of(self.call, self.variables)
        self._graph = Graph()
        self._journal: Journal | None = None

    # Structure

    def trace(self, *, moved: bool = False) -> Graph:
        """See :class:`convex_init_core.framework.Framework`."""
        if moved:
            return with_compounds(self._runner.trace(moved_inputs(self.call)))
        try:
            self._graph = with_compounds(self._runner.trace(self.call.arrays))
        except Exception:  # whatever the model does with the tensors of a trace, or with these inputs
            with on_example_inputs(self.call):
                self.call(**self.call.arrays)
            raise
        self._graph.other_names = self._graph.other_names or self.call.other_names
        return self._graph

    def trace_as_called(self) -> Graph:
        """Return the graph for any call: variables that the model assigns to are context, not what they are now."""
        self._graph = with_compounds(self._runner.trace(self.call.arrays, as_called=True))
        return self._graph

    def doubt(self) -> str:
        """Return why a call may do something else than :meth:`trace_as_called` showed; empty if it seems not to."""
        inputs = moved_inputs(self.call)
        with unchanged(self.model):
            lasting = runner_of(replace(self.call, lasting=True), self.variables)
            found = doubt_of_repetition(
                self._graph,
                lambda: with_compounds(lasting.trace(inputs, as_called=True)),
                [self.model],
                is_closed=is_closed,
                equal=_equal,
            )
        if found or (found := self._runner.doubt(self._graph, inputs)):
            return found
        plain = runner_of(replace(self.call, inference=False), self.variables)
        if not same_course(self._graph, with_compounds(plain.trace(self.call.arrays, as_called=True)), _equal):
            return "without training=False the model does something else; make that the default of its call"
        return ""

    def entries(self) -> Iterator[tuple[str, str]]:
        """See :class:`convex_init_core.framework.Framework`."""
        return iter(())

    def with_entry(self, entry: str) -> KerasFramework:
        """See :class:`convex_init_core.framework.Framework`."""
        raise ValueError(f"there is no entry {entry!r}")

    def parameters(self) -> Sequence[str]:
        """See :class:`convex_init_core.framework.Framework`."""
        return self.variables.learnt

    def parameter(self, name: str) -> Parameter:
        """See :class:`convex_init_core.framework.Framework`."""
        return self.variables[name]

    def geometry(self, name: str, fan_in: float) -> Geometry:
        """See :class:`convex_init_core.framework.Framework`."""
        return self.variables.geometry(name, fan_in)

    # Numbers

    def numbers(self, constant: Constant) -> NDArray[np.float64] | None:
        """See :class:`convex_init_core.framework.Framework`."""
        if constant.handle is None:
            return None
        try:
            return wide(constant.handle)
        except (TypeError, ValueError):  # keys of a random generator, and the like
            return None

    def nodes_like(self, node: Node) -> Sequence[Node]:
        """Return the nodes that a run may measure together with this one."""
        return alike(self._graph, node)

    # Runs

    def run(self, nodes: Sequence[Node], visit: Visit) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        self._runner.run(self._graph, nodes, visit)

    def observe(self, nodes: Sequence[Node], loss: Callable[[Any], Any] | None) -> dict[Node, Observed]:
        """See :class:`convex_init_core.framework.Framework`."""
        return self._runner.observe(self._graph, nodes, loss)

    # Writes

    def write(self, fills: Sequence[Fill], seed: Any) -> None:
        """See :class:`convex_init_core.framework.Framework`; the seed is an integer, or ``None`` for one of Keras'."""
        root = fresh_seed() if seed is None else seed
        for fill, place in zip(fills, self._places(fills), strict=True):
            variable = self._to_write(fill.name)
            seeds = seed_stream(root, *place)
            raw = drawn(fill.law, fill.positivity, variable.shape, wide_dtype(variable.dtype), seeds)
            variable.assign(ops.cast(raw, variable.dtype))
            if fill.positivity is not None and fill.positivity.reparametrises:
                self._read_back(fill)

    def _places(self, fills: Sequence[Fill]) -> Iterator[tuple[int, int]]:
        """The role and the place of each parameter, from which its seed is made: a bias has that of its weight."""
        of_bias: dict[str, int] = {}
        count = 0
        for fill in fills:
            found = self.parameter(fill.name)
            if found.role == "bias" and fill.name in of_bias:
                yield BIAS, of_bias[fill.name]
                continue
            yield BIAS if found.role == "bias" else KERNEL, count
            of_bias[found.bias] = count
            count += 1

    def _read_back(self, fill: Fill) -> None:
        """Compute the effective weight and make sure that it can be used."""
        assert fill.positivity is not None
        effective = fill.positivity.value(self.present(fill.name))
        low, high = float(effective.min()), float(effective.max())
        if not (np.isfinite(low) and np.isfinite(high) and low >= 0.0):
            layer, dtype = self.parameter(fill.name).layer, self.variables.slots[fill.name].variable.dtype
            raise RuntimeError(
                f"{layer!r}: effective weights between {low:g} and {high:g} came back through positivity "
                f"{fill.positivity} in {dtype}; use a wider dtype"
            )

    def scale(self, name: str, factor: float | NDArray[np.float64], positivity: Positivity | None) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        raw = self.present(name)
        if positivity is None:
            self._assign(name, raw * factor)
            return
        effective = positivity.value(raw)
        with np.errstate(divide="ignore", invalid="ignore"):
            image = positivity.inverse(effective * factor)
        self._assign(name, np.where(effective > 0, image, raw))

    def shift(self, name: str, amount: float | NDArray[np.float64]) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        self._assign(name, self.present(name) + amount)

    def set_statistics(self, name: str, values: NDArray[np.float64]) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        self._assign(name, values)

    def add_bias(self, name: str) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        weight = next(n for n in self.variables.learnt if self.variables[n].bias == name)
        slot = add_bias(self.variables, weight, name)
        if self._journal is not None:
            self._journal.added.append((name, slot))

    def clip(self, name: str, low: float, high: float) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        self._assign(name, self.present(name).clip(low, high))

    def mark(self, kept: Sequence[Kept]) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        for each in kept:
            before = mark(self.variables, each.name, each.interval)
            if self._journal is not None:
                self._journal.marked.append((self.variables.slots[each.name], before))

    def snapshot(self) -> Journal:
        """See :class:`convex_init_core.framework.Framework`; what is written from now on is kept first."""
        self._journal = Journal(self.variables)
        return self._journal

    def restore(self, snapshot: Journal) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        snapshot.undo()
        self._journal = None

    def present(self, name: str) -> NDArray[np.float64]:
        """Return the present numbers of a parameter."""
        return wide(self.variables.slots[name].variable.value)

    def _to_write(self, name: str) -> keras.Variable:
        variable = self.variables.slots[name].variable
        if self._journal is not None:
            self._journal.keep(name, variable)
        return variable

    def _assign(self, name: str, values: NDArray[np.float64]) -> None:
        variable = self._to_write(name)
        variable.assign(ops.convert_to_tensor(values.astype(wide_dtype(variable.dtype)), dtype=variable.dtype))


def _equal(a: Any, b: Any) -> bool:
    try:
        one, other = (np.asarray(ops.convert_to_numpy(array)) for array in (a, b))
    except (TypeError, ValueError):  # keys of a random generator
        return str(a) == str(b)
    same = one.shape == other.shape and one.dtype == other.dtype
    return same and (one.tobytes() == other.tobytes() or bool(np.array_equal(one, other)))
