"""Record what a model computes, operation by operation, and what the calculus of convexity says of each result.

The model runs once, on example inputs, under a dispatch mode that sees every operation that torch executes, in whatever
way the model is written. Each tensor gets a :class:`Node`. Operations on fixed tensors (parameters, buffers, literals)
are evaluated, so a weight's sign is that of its numbers after whatever map leads to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from convex_init.torch.slots import hidden_modules, hidden_parameters
from convex_init_core import calculus
from convex_init_core.calculus import Sign, Value


@dataclass(eq=False)
class Node:
    """One tensor of the computation.

    Attributes:
        value: what the calculus knows of it.
        operation: what made it: the ATen name, or ``"parameter"``, ``"buffer"``, ``"input"``, ``"context"``.
        inputs: the nodes it was made from.
        args: arguments of the operation, with nodes for tensors; empty for what was not made by one.
        fixed: whether it is the same for every input of the model.
        path: of the module in which it was made, or of the parameter.
        sources: paths of the parameters that a fixed node was computed from.
        bounds: smallest and largest number of a fixed node; ``None`` if it has none that can be read.
        tensor: the tensor itself. A later operation in place may have overwritten it.
        kept: a copy of its numbers, where one was asked for.
    """

    value: Value
    operation: str
    inputs: tuple[Node, ...] = ()
    args: tuple[Any, ...] = ()
    fixed: bool = False
    path: str = ""
    sources: tuple[str, ...] = ()
    bounds: tuple[float, float] | None = None
    tensor: Tensor | None = field(default=None, repr=False)
    kept: Tensor | None = field(default=None, repr=False)

    @property
    def at(self) -> str:
        """The operation and its place, for messages."""
        return f"{self.operation} in {self.path!r}" if self.path else self.operation


@dataclass(eq=False)
class Recording:
    """What one run showed.

    Attributes:
        nodes: in the order in which they were made.
        outputs: the nodes of the tensors that the model returned, by their place in the result.
        literals: values of tensors that are neither parameters nor results. They are fixed only if another run, on
            other inputs, meets the same ones; see :func:`same_course`.
        doubts: reasons why the run may not stand for other inputs, such as control flow that looks at numbers.
    """

    nodes: list[Node] = field(default_factory=list)
    outputs: dict[str, Node] = field(default_factory=dict)
    literals: list[Tensor] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def same_course(a: Recording, b: Recording) -> bool:
    """Whether two runs, on different inputs, did the same operations with the same literals."""
    return (
        [(node.operation, node.path) for node in a.nodes] == [(node.operation, node.path) for node in b.nodes]
        and len(a.literals) == len(b.literals)
        and all(x.shape == y.shape and torch.equal(x, y) for x, y in zip(a.literals, b.literals, strict=True))
    )


def record(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    convex_inputs: Sequence[str],
    call: Callable[..., Any] | None = None,
    *,
    keep: Collection[int] = (),
    gradients: bool = False,
) -> Recording:
    """Run ``call`` (by default the model) on the inputs and return what it did.

    Args:
        model: whose parameters and buffers are fixed.
        args: positional inputs, named ``"0"``, ``"1"``, …; lists, tuples and dicts of tensors as ``"0.key"``.
        kwargs: keyword inputs, by name.
        convex_inputs: names of the inputs in which convexity is asked; all other tensors are context.
        call: the entry point, such as ``model.energy``.
        keep: places in the list of nodes whose numbers are to be copied when they are made.
        gradients: whether the tensors of the nodes are to be part of a graph for ``torch.autograd.grad``.

    Raises:
        ValueError: if a name in ``convex_inputs`` is none of the inputs.
    """
    recorder = _Recorder(model, keep)
    named: dict[str, Tensor] = {}

    def fresh(name: str, item: Any) -> Any:
        # Copies, so that a model that writes to its input leaves the caller's tensor alone.
        if isinstance(item, Tensor):
            named[name] = item.detach().clone().requires_grad_(gradients and item.is_floating_point())
            return named[name]
        if isinstance(item, Mapping):
            return {key: fresh(f"{name}.{key}", part) for key, part in item.items()}
        if isinstance(item, (list, tuple)):
            return type(item)(fresh(f"{name}.{i}", part) for i, part in enumerate(item))
        return item

    new_args = [fresh(str(i), arg) for i, arg in enumerate(args)]
    new_kwargs = {key: fresh(key, item) for key, item in kwargs.items()}
    for name in convex_inputs:
        if name not in named:
            raise ValueError(f"convex_inputs names {name!r}, which is no tensor among the inputs {', '.join(named)}")
    for name, tensor in named.items():
        if name in convex_inputs:
            recorder.hold(tensor, Node(calculus.variable(name), "input", path=name))
        else:
            recorder.hold(tensor, Node(calculus.constant(label=f"input {name}"), "context", path=name))
    with torch.set_grad_enabled(gradients), recorder.watching_modules(), recorder:
        result = (model if call is None else call)(*new_args, **new_kwargs)
    return recorder.finish(result)


class _Recorder(TorchDispatchMode):
    """The dispatch mode: runs each operation and gives its results their nodes."""

    def __init__(self, model: nn.Module, keep: Collection[int] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.keep = frozenset(keep)
        self.recording = Recording()
        self.by_id: dict[int, Node] = {}
        self.kept: dict[int, Tensor] = {}  # a tensor that lives on keeps its id to itself
        self.aliases: dict[int, list[int]] = {}
        self.path: list[str] = []
        self.model = model
        parameters = (*model.named_parameters(), *hidden_parameters(model))
        for kind, tensors in (("parameter", parameters), ("buffer", model.named_buffers())):
            for path, tensor in tensors:
                self.hold(tensor, _fixed_node(tensor, repr(path), kind, path=path, sources=(path,)))

    def hold(self, tensor: Tensor, node: Node) -> None:
        """Give a tensor its node."""
        node.tensor = tensor
        if len(self.recording.nodes) in self.keep:
            node.kept = tensor.detach().clone()
        self.recording.nodes.append(node)
        self.by_id[id(tensor)], self.kept[id(tensor)] = node, tensor
        storage = _storage(tensor)
        if storage is not None and id(tensor) not in self.aliases.setdefault(storage, []):
            self.aliases[storage].append(id(tensor))

    @contextmanager
    def watching_modules(self) -> Any:
        """Know in which module an operation happens."""
        handles = []
        for path, module in (*self.model.named_modules(), *hidden_modules(self.model)):

            def enter(module: nn.Module, args: Any, path: str = path) -> None:
                self.path.append(path)

            def leave(module: nn.Module, args: Any, output: Any) -> None:
                self.path.pop()

            handles.append(module.register_forward_pre_hook(enter))
            handles.append(module.register_forward_hook(leave, always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        from convex_init.torch.rules import result_of

        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        tensors = _tensors((args, kwargs))
        inputs = [self.node(tensor) for tensor in tensors]
        operands = _map(args, self.node)
        keywords = {key: _map(item, self.node) for key, item in kwargs.items()}
        result = func(*args, **kwargs)
        made = [tensor for tensor in _tensors(result) if isinstance(tensor, Tensor)]
        if not made:
            if any(not node.fixed for node in inputs):
                self.recording.doubts.append(
                    f"{name} in {self._where()!r} turns a value that depends on the input into a Python number, so "
                    "other inputs may take another way through the code"
                )
            return result
        place = f"{name} in {self._where()!r}"
        for index, tensor in enumerate(made):
            if all(node.fixed for node in inputs) and not _is_random(func):
                node = self._fixed(name, tensor, inputs)
            else:
                value = result_of(name, operands, keywords, place, index, tensor, _is_random(func))
                node = Node(value, name, tuple(inputs), path=self._where())
            node.args = tuple(operands)
            self._place(func, tensor, node, args)
        return result

    def node(self, tensor: Tensor) -> Node:
        """Return the node of a tensor; one that no recorded operation made is taken as fixed, and remembered."""
        found = self.by_id.get(id(tensor))
        if found is None:
            label = f"an unregistered tensor in {self._where()!r}"
            found = _fixed_node(tensor, label, "literal", path=self._where())
            self.recording.literals.append(tensor.detach().clone())
            self.hold(tensor, found)
        return found

    def finish(self, result: Any) -> Recording:
        """Find the outputs among the recorded tensors."""
        for name, tensor in named_tensors("output", result):
            self.recording.outputs[name] = self.node(tensor)
        return self.recording

    def _fixed(self, name: str, tensor: Tensor, inputs: list[Node]) -> Node:
        sources = tuple(dict.fromkeys(path for node in inputs for path in node.sources))
        label = " and ".join(repr(path) for path in sources) or "a constant"
        return _fixed_node(tensor, label, name, tuple(inputs), path=self._where(), sources=sources)

    def _place(self, func: Any, tensor: Tensor, node: Node, args: Any) -> None:
        """Hold a result; if it was written in place, whatever shares its memory may have changed with it."""
        if func._schema.is_mutable and id(tensor) in self.by_id:
            for other in self.aliases.get(_storage(tensor) or -1, []):
                if other != id(tensor):
                    before = self.by_id[other]
                    joined = calculus.side_by_side([before.value, node.value], f"a write in place in {self._where()!r}")
                    same = _covers(self.kept[other], tensor)
                    self.by_id[other] = Node(
                        node.value if same else joined, node.operation, (before, node), path=node.path
                    )
                    self.by_id[other].fixed = before.fixed and node.fixed
        self.hold(tensor, node)

    def _where(self) -> str:
        return next((path for path in reversed(self.path) if path), "")


def _covers(a: Tensor, b: Tensor) -> bool:
    return (
        a.numel() == b.numel() and a.storage_offset() == b.storage_offset() and a.is_contiguous() and b.is_contiguous()
    )


def _storage(tensor: Tensor) -> int | None:
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):
        return None


def _is_random(func: Any) -> bool:
    return torch.Tag.nondeterministic_seeded in func.tags


def _fixed_node(
    tensor: Tensor,
    label: str,
    operation: str,
    inputs: tuple[Node, ...] = (),
    path: str = "",
    sources: tuple[str, ...] = (),
) -> Node:
    """A node whose sign is that of its numbers."""
    sign, reason, bounds = _numbers(tensor, label)
    value = calculus.constant(sign, label, reason)
    return Node(value, operation, inputs, fixed=True, path=path, sources=sources, bounds=bounds)


def _numbers(tensor: Tensor, label: str) -> tuple[Sign, str, tuple[float, float] | None]:
    """Sign, reason why there is none, and bounds."""
    if tensor.numel() == 0 or tensor.dtype == torch.bool:
        return Sign.NON_NEGATIVE, "", None
    if tensor.is_complex() or tensor.device.type == "meta":
        return Sign.ANY, f"{label} has no numbers that can be compared", None
    low, high = (float(bound) for bound in torch.aminmax(tensor.detach()))
    if not (math.isfinite(low) and math.isfinite(high)):
        return Sign.ANY, f"{label} holds NaN or infinite values", None
    if low >= 0.0:
        return Sign.NON_NEGATIVE, "", (low, high)
    if high <= 0.0:
        return Sign.NON_POSITIVE, "", (low, high)
    return Sign.ANY, f"{label} goes down to {low:.3g}", (low, high)


def _tensors(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, (list, tuple)):
        return [tensor for part in tree for tensor in _tensors(part)]
    if isinstance(tree, Mapping):
        return [tensor for part in tree.values() for tensor in _tensors(part)]
    return []


def named_tensors(name: str, tree: Any) -> list[tuple[str, Tensor]]:
    """List the tensors of a nested result with their places in it."""
    if isinstance(tree, Tensor):
        return [(name, tree)]
    parts: Any = ()
    if isinstance(tree, Mapping):
        parts = tree.items()
    elif isinstance(tree, (list, tuple)):
        parts = enumerate(tree)
    return [found for key, part in parts for found in named_tensors(f"{name}.{key}", part)]


def _map(tree: Any, function: Callable[[Tensor], Node]) -> Any:
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, (list, tuple)):
        return [_map(part, function) for part in tree]
    return tree


def is_linear(node: Node) -> bool:
    """Whether the node is a product with a weight that does not depend on the input, and perhaps a sum with a bias."""
    return node.operation in _LINEAR and any(part.fixed and part.sources for part in node.inputs)


_LINEAR = ("addmm", "mm", "bmm", "baddbmm", "mv", "addmv", "dot", "matmul", "convolution", "linear")
