"""Torch behind the core's port: a model is traced and measured on copies, and written in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from convex_init.torch.model.clamping_methods import other_entries
from convex_init.torch.model.copies import copied, make_finite
from convex_init.torch.model.example_inputs import made_inputs
from convex_init.torch.model.fans import geometry_of
from convex_init.torch.model.inputs import entry_of, inputs_of_part, mapped, numpy_of
from convex_init.torch.model.state import state_of
from convex_init.torch.trace import look, on_example_inputs, trace
from convex_init.torch.trace.small_numbers import add_small_numbers
from convex_init.torch.write.sharding import is_sharded, whole
from convex_init.torch.write.writer import Writer
from convex_init_core.framework import Observed, Parameter, Visit
from convex_init_core.graph.nodes import Constant, Graph, Node, Place
from convex_init_core.graph.walks import alike
from convex_init_core.signal.signal_moments import measured
from convex_init_core.theory.moments import FeatureMoments
from convex_init_core.weights.weight_axes import Geometry

_LARGE = 500_000_000  # elements; a copy of so many is made without numbers, if the model runs so
_SETTLES = 4  # runs after which a model that changes itself does the same again, or never will


class TorchFramework(Writer):
    """One model and one set of example inputs, as the core asks for them.

    Args:
        model: any module; ``write``, ``scale``, ``shift``, ``set_statistics``, ``add_bias`` and ``mark`` change it.
        inputs: positional and keyword inputs; ``None`` to make some.
        entry: name of the method that is called, or path of a module inside, which gets what the model gives it.
        with_numbers: whether a large or sharded model, too, is traced with numbers: what parameters and buffers hold
            may be asked for then. A sharded one is gathered for that, all of it on every rank.

    Raises:
        ValueError: if there is no such method, or inputs are needed and cannot be made.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: tuple[tuple[Any, ...], dict[str, Any]] | None,
        entry: str = "forward",
        *,
        with_numbers: bool = False,
    ) -> None:
        """Check the method; made-up inputs have the shape that the first layers ask for."""
        part = entry_of(model, entry)
        self.entry = entry
        super().__init__(model)
        self._graph = Graph()
        self._tried: Graph | None = None  # of the run that showed that made-up inputs fit
        self._moments: dict[Node, FeatureMoments | None] = {}
        self._settles_after = 0
        parameters = list(model.parameters())
        on_meta = any(tensor.is_meta for tensor in parameters)
        sharded = any(map(is_sharded, parameters))
        large = sum(tensor.numel() for tensor in parameters) > _LARGE
        self._is_sharded = sharded and not with_numbers and not on_meta
        self._without_numbers = on_meta or self._is_sharded
        self._gathered = sharded and with_numbers
        self.has_inputs = inputs is not None and (with_numbers or not sharded)
        self._try_without_numbers = large and not on_meta and not with_numbers
        if inputs is not None:
            self._inputs = inputs if part is model else self._at_part(inputs)
        elif isinstance(part, nn.Module):
            self._inputs = made_inputs(part, "forward", self._runner()), {}
        else:
            self._inputs = made_inputs(model, entry, self._runner()), {}

    # Structure

    def trace(self, *, moved: bool = False) -> Graph:
        """See :class:`convex_init_core.framework.Framework`."""
        if self._tried is not None and not moved:
            graph, self._tried = self._tried, None
            return graph
        if self._try_without_numbers and not moved:
            try:
                self._graph = self._traced(self._copy(on_meta=True), self._on_meta())
                if self._settles_after == 0 and add_small_numbers(self._graph, self.model):
                    return self._graph
            except (RuntimeError, NotImplementedError, TypeError):  # it looks at numbers, so it gets some
                pass
            self._try_without_numbers, self._settles_after = False, 0
        with on_example_inputs():
            graph = self._traced(self._copy(on_meta=self._without_numbers), self._moved() if moved else self._given())
        if self._is_sharded and self._settles_after == 0:
            add_small_numbers(graph, self.model)
        if not moved:
            self._graph = graph
        return graph

    def entries(self) -> Iterator[tuple[str, str]]:
        """See :class:`convex_init_core.framework.Framework`."""
        if self.has_inputs:
            args, kwargs = self._inputs
            yield from other_entries(self.model, len(args), tuple(kwargs))

    def with_entry(self, entry: str) -> TorchFramework:
        """See :class:`convex_init_core.framework.Framework`."""
        return TorchFramework(self.model, self._inputs, entry)

    def parameters(self) -> Sequence[str]:
        """See :class:`convex_init_core.framework.Framework`."""
        return self._parameters.names

    def parameter(self, name: str) -> Parameter:
        """See :class:`convex_init_core.framework.Framework`."""
        return self._parameters[name]

    def geometry(self, name: str, fan_in: float) -> Geometry:
        """See :class:`convex_init_core.framework.Framework`."""
        slot = self._parameters.slot(name)
        return geometry_of(slot.module, slot.name, fan_in)

    # Numbers

    def moments(self, constant: Constant) -> tuple[float, float] | None:
        """See :class:`convex_init_core.framework.Framework`."""
        tensor = self._tensor(constant)
        if tensor is None or not tensor.is_floating_point() or tensor.numel() == 0:
            return None
        numbers = tensor.double()
        return float(numbers.mean()), float(numbers.square().mean())

    def numbers(self, constant: Constant) -> NDArray[np.float64] | None:
        """See :class:`convex_init_core.framework.Framework`."""
        tensor = self._tensor(constant)
        return None if tensor is None or tensor.is_complex() else numpy_of(tensor)

    def measured(self, node: Node) -> FeatureMoments | None:
        """See :class:`convex_init_core.framework.Framework`."""
        if node.constant is not None:
            numbers = self.numbers(node.constant)
            return None if numbers is None else measured(numbers)
        if not self.has_inputs or self._without_numbers:
            return None
        if node not in self._moments:
            self._measure_like(node)
        return self._moments.get(node)

    def bounds_along(self, constant: Constant, axis: int, start: int, stop: int) -> tuple[float, float] | None:
        """See :class:`convex_init_core.framework.Framework`."""
        tensor = self._tensor(constant)
        if tensor is None or tensor.is_complex() or stop <= start:
            return None
        low, high = torch.aminmax(tensor.narrow(axis, start, stop - start))
        return float(low), float(high)

    def mean(self, name: str) -> float:
        """See :class:`convex_init_core.framework.Framework`."""
        return float(whole(self._parameters.slot(name).raw.detach()).double().mean())

    def spread(self, name: str) -> tuple[float, float]:
        """See :class:`convex_init_core.framework.Framework`."""
        numbers = whole(self._parameters.slot(name).raw.detach()).double()
        return float(numbers.mean()), float(numbers.var(correction=0))

    # Runs

    def run(self, nodes: Sequence[Node], visit: Visit) -> None:
        """See :class:`convex_init_core.framework.Framework`."""
        missing = self._visited(nodes, visit)
        if missing:
            lost = ", ".join(map(str, missing))
            raise ValueError(
                f"{type(self.model).__name__} does something else when it runs again, so that {lost} was not found; "
                "pass calibrate=False, or make its forward do the same at every call"
            )

    @torch.no_grad()
    def _visited(self, nodes: Sequence[Node], visit: Visit) -> set[Place]:
        """Run, and return the places that were not found."""
        by_place = {node.place: node for node in nodes}
        missing = set(by_place)

        def seen(place: Place, tensor: Tensor) -> Tensor | None:
            missing.discard(place)
            replaced = visit(by_place[place], numpy_of(tensor))
            return None if replaced is None else torch.from_numpy(replaced).to(tensor)

        model = self._copy(share=self._written.values())
        self._running = model
        try:
            look(model, *self._given(), self._call(model), graph=self._graph, visit=seen, places=by_place)
        finally:
            self._running = None
        return missing

    def observe(self, nodes: Sequence[Node], loss: Callable[[Any], Any] | None) -> dict[Node, Observed]:
        """See :class:`convex_init_core.framework.Framework`."""
        asked = {node.place: node for node in nodes}
        behind = {node.place for node in self._graph if any(part.place in asked for part in node.inputs)}
        values: dict[Node, NDArray[np.float64]] = {}
        waiting: dict[Node, Tensor] = {}
        edges: dict[Node, Tensor | GradientEdge] = {}
        results: list[Any] = []

        def settle() -> None:
            # What takes a value may overwrite it, as relu_ does: its place in autograd's graph is kept just before.
            edges.update((node, _edge(tensor)) for node, tensor in waiting.items() if tensor.requires_grad)
            waiting.clear()

        def seen(place: Place, tensor: Tensor) -> None:
            settle()
            if place in asked:
                values[asked[place]] = numpy_of(tensor.detach())
                waiting[asked[place]] = tensor

        model = self._copy(as_it_is=True)
        call = self._call(model)

        def kept(*args: Any, **kwargs: Any) -> Any:
            results.append(call(*args, **kwargs))
            return results[-1]

        look(model, *self._given(), kept, graph=self._graph, visit=seen, places={*asked, *behind}, gradients=True)
        settle()
        with torch.enable_grad():
            total = _total(results[-1]) if loss is None else loss(results[-1])
        gradients: dict[Node, Any] = {}
        if edges and total.requires_grad:
            taken = cast("list[GradientEdge]", list(edges.values()))  # a list may hold tensors, too
            found = torch.autograd.grad(total, taken, allow_unused=True)
            gradients = dict(zip(edges, found, strict=True))
        return {
            node: Observed(value, None if gradients.get(node) is None else numpy_of(gradients[node]))
            for node, value in values.items()
        }

    # The model's own side

    def _measure_like(self, node: Node) -> None:
        """Measure a value in one run, and with it whatever may be asked next: all that is made of the same inputs."""
        nodes = alike(self._graph, node)

        def visit(seen: Node, values: NDArray[np.float64]) -> None:
            self._moments[seen] = measured(values)

        # Steps within one operation of torch's have no value to be seen.
        self._moments.update(dict.fromkeys(nodes))
        self._visited(nodes, visit)

    def _tensor(self, constant: Constant) -> Tensor | None:
        """The tensor behind a constant, if it has numbers."""
        tensor = constant.handle
        return tensor.detach() if isinstance(tensor, Tensor) and not tensor.is_meta else None

    def _copy(self, *, share: Any = (), on_meta: bool = False, as_it_is: bool = False) -> nn.Module:
        """A copy in evaluation mode that has settled: it does at its next run what it did at the one before."""
        shared = list(share)
        model = copied(self.model, share=shared, on_meta=on_meta, gathered=self._gathered).eval()
        if not as_it_is:
            make_finite(model, {id(tensor) for tensor in shared})
        for _ in range(self._settles_after):
            with torch.no_grad(), _no_draws():
                args, kwargs = self._on_meta() if on_meta else self._given()
                self._call(model)(*args, **kwargs)
        return model

    def _traced(self, model: nn.Module, inputs: tuple[tuple[Any, ...], dict[str, Any]]) -> Graph:
        before = state_of(model)
        graph = trace(model, *inputs, self._call(model))
        while self._settles_after < _SETTLES and (after := state_of(model)) != before:
            self._settles_after += 1
            before, graph = after, trace(model, *inputs, self._call(model))
        return graph

    def _call(self, model: nn.Module) -> Callable[..., Any]:
        return entry_of(model, self.entry)

    def _runner(self) -> Callable[[Tensor], Any]:
        """Try inputs: the first guess, which mostly fits, in the run that is recorded anyway, others on one copy."""
        calls: list[Callable[..., Any]] = []

        def tried(x: Tensor) -> Any:
            with torch.no_grad(), _no_draws():
                if not calls:
                    self._inputs = (x,), {}
                    try:
                        self._tried = self.trace()
                        return None
                    except Exception:  # whatever a model raises for an input of another shape
                        model = copied(self.model, on_meta=self._without_numbers, gathered=self._gathered)
                        calls.append(self._call(model.eval()))
                return calls[0](x.to("meta") if self._without_numbers else x)

        return tried

    def _at_part(self, inputs: tuple[tuple[Any, ...], dict[str, Any]]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the entry is called with when the model runs on its inputs."""
        given = mapped(inputs, lambda tensor: tensor.to("meta")) if self._without_numbers else inputs
        model = copied(self.model, on_meta=self._without_numbers, gathered=self._gathered).eval()
        return inputs_of_part(model, self.entry, *given)

    def _given(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return self._on_meta() if self._without_numbers else self._inputs

    def _on_meta(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return cast("tuple[tuple[Any, ...], dict[str, Any]]", mapped(self._inputs, lambda tensor: tensor.to("meta")))

    def _moved(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The same inputs with other numbers, to see whether the code looks at them."""
        generator = torch.Generator().manual_seed(0)

        def other(tensor: Tensor) -> Tensor:
            if not tensor.is_floating_point():
                return tensor
            return tensor * 0.5 + torch.randn(tensor.shape, generator=generator, dtype=torch.float32).to(tensor)

        return cast("tuple[tuple[Any, ...], dict[str, Any]]", mapped(self._given(), other))


@contextmanager
def _no_draws() -> Iterator[None]:
    """Leave the global generators as they were."""
    with torch.random.fork_rng():
        yield


def _edge(tensor: Tensor) -> Tensor | GradientEdge:
    """Where the gradient with respect to the present numbers of a tensor can be asked for."""
    return tensor if tensor.grad_fn is None else GradientEdge(tensor.grad_fn, tensor.output_nr)


def _total(result: Any) -> Tensor:
    """The mean of the first floating-point output over the batch, summed over units."""
    from convex_init.torch.trace.containers import named_tensors

    output = next(tensor for _, tensor in named_tensors("output", result) if tensor.is_floating_point())
    return output.flatten(1).mean(0).sum() if output.ndim > 1 else output.mean()
