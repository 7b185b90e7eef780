"""Record what a model computes, operation by operation, and what the calculus of convexity says of each result.

The model runs on example inputs, under a dispatch mode that sees every operation that torch executes, in whatever way
the model is written. Each tensor gets a :class:`Node`. Operations on fixed tensors (parameters, buffers, literals) are
evaluated, so a weight's sign is that of its numbers after whatever map leads to it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from convex_init.torch.inputs import rebuilt
from convex_init.torch.slots import hidden_modules, hidden_parameters
from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Sign, Value


@dataclass(eq=False)
class Node:
    """One tensor of the computation.

    Attributes:
        value: what the calculus knows of it.
        operation: what made it: the ATen name, or ``"parameter"``, ``"buffer"``, ``"input"``, ``"context"``.
        inputs: the nodes it was made from.
        args: arguments of the operation, with nodes for tensors; empty for what was not made by one.
        keywords: keyword arguments of the operation, likewise.
        fixed: whether it is the same for every input of the model.
        path: of the module in which it was made, or of the parameter.
        sources: paths of the parameters that a fixed node was computed from.
        bounds: smallest and largest number of a fixed node; ``None`` if it has none that can be read.
        shape: of the tensor.
        index: which of the results of the operation it is.
        tensor: the tensor itself. A later operation in place may have overwritten it.
        kept: a copy of its numbers, where one was asked for.
    """

    value: Value
    operation: str
    inputs: tuple[Node, ...] = field(default=(), repr=False)
    args: tuple[Any, ...] = field(default=(), repr=False)
    keywords: Mapping[str, Any] = field(default_factory=dict, repr=False)
    fixed: bool = False
    path: str = ""
    sources: tuple[str, ...] = ()
    bounds: tuple[float, float] | None = None
    shape: tuple[int, ...] = ()
    index: int = 0
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
        floating: names of the outputs that hold floating-point numbers.
        literals: values of tensors that are neither parameters nor results. They are fixed only if another run, on
            other inputs, meets the same ones; see :func:`same_course`.
        doubts: reasons why the run may not stand for other inputs, such as control flow that looks at numbers.
        notes: what the recording holds for, where that is not plain, such as one draw of random numbers.
    """

    nodes: list[Node] = field(default_factory=list)
    outputs: dict[str, Node] = field(default_factory=dict)
    floating: list[str] = field(default_factory=list)
    literals: list[Tensor] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def same_course(a: Recording, b: Recording) -> bool:
    """Whether two runs, on different inputs, did the same operations with the same literals and Python numbers."""
    return (
        len(a.nodes) == len(b.nodes)
        and _course(a) == _course(b)
        and len(a.literals) == len(b.literals)
        and all(map(_equal, a.literals, b.literals))
    )


def _course(recording: Recording) -> list[Any]:
    places = {id(node): place for place, node in enumerate(recording.nodes)}
    return [
        (node.operation, node.path, node.index, _plain(node.args, places), _plain(node.keywords, places))
        for node in recording.nodes
    ]


def _plain(tree: Any, places: Mapping[int, int]) -> Any:
    """Arguments without identities: nodes by their place, everything else as it prints."""
    if isinstance(tree, Node):
        return places.get(id(tree), -1)
    if isinstance(tree, (list, tuple)):
        return [_plain(part, places) for part in tree]
    if isinstance(tree, Mapping):
        return {key: _plain(part, places) for key, part in tree.items()}
    return None if isinstance(tree, torch.Generator) else repr(tree)


def _equal(a: Tensor, b: Tensor) -> bool:
    same = a.shape == b.shape and a.dtype == b.dtype
    return same and (a.device.type == "meta" or torch.allclose(a, b, rtol=0.0, atol=0.0, equal_nan=True))


def record(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    convex_inputs: Sequence[str],
    call: Callable[..., Any] | None = None,
    *,
    keep: Collection[int] = (),
    stop: bool = False,
    gradients: bool = False,
    revise: Callable[[Node], Value | None] | None = None,
) -> Recording:
    """Run ``call`` (by default the model) on the inputs and return what it did.

    Args:
        model: whose parameters and buffers are fixed.
        args: positional inputs, named ``"0"``, ``"1"``, …; lists, tuples and dicts of tensors as ``"0.key"``.
        kwargs: keyword inputs, by name.
        convex_inputs: names of the inputs in which convexity is asked; all other tensors are context.
        call: the entry point, such as ``model.energy``.
        keep: places in the list of nodes whose numbers are to be copied when they are made.
        stop: whether to stop the run after the last of these.
        gradients: whether the tensors of the nodes are to be part of a graph for ``torch.autograd.grad``. A model that
            differentiates inside its forward gets one in any case.
        revise: what is known of a new node beyond the rules of the calculus; ``None`` for nothing more.

    Raises:
        ValueError: if a name in ``convex_inputs`` is none of the inputs.
    """
    try:
        return _recorded(model, args, kwargs, convex_inputs, call, keep, stop, gradients, revise)
    except RuntimeError as error:
        if gradients or "grad" not in str(error):
            raise
    return _recorded(model, args, kwargs, convex_inputs, call, keep, stop, True, revise)


def _recorded(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    convex_inputs: Sequence[str],
    call: Callable[..., Any] | None,
    keep: Collection[int],
    stop: bool,
    gradients: bool,
    revise: Callable[[Node], Value | None] | None,
) -> Recording:
    recorder = _Recorder(model, keep, stop, revise)
    named: dict[str, Tensor] = {}

    def fresh(name: str, item: Any) -> Any:
        # Copies, so that a model that writes to its input leaves the caller's tensor alone.
        if isinstance(item, Tensor):
            named[name] = item.detach().clone().requires_grad_(gradients and item.is_floating_point())
            return named[name]
        if isinstance(item, Mapping):
            return {key: fresh(f"{name}.{key}", part) for key, part in item.items()}
        if isinstance(item, (list, tuple)):
            return rebuilt(item, [fresh(f"{name}.{i}", part) for i, part in enumerate(item)])
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
            recorder.hold(tensor, _context(tensor, name))
    for tensor in _inside((new_args, new_kwargs)):  # of objects that hold tensors, nothing is assumed either
        recorder.hold(tensor, _context(tensor, "inside an object"))
    with torch.set_grad_enabled(gradients), _eager(), recorder.watching_modules(), _Escapes(recorder), recorder:
        try:
            result = (model if call is None else call)(*new_args, **new_kwargs)
        except _Enough:
            result = ()
    return recorder.finish(result)


def _context(tensor: Tensor, name: str) -> Node:
    sign = Sign.NON_NEGATIVE if tensor.dtype == torch.bool else Sign.ANY
    return Node(calculus.constant(sign, label=f"input {name!r}"), "context", path=name)


def _inside(tree: Any, depth: int = 3) -> Iterator[Tensor]:
    """The tensors that are attributes of objects among the inputs."""
    if isinstance(tree, Mapping):
        parts: Any = tree.values()
    elif isinstance(tree, (list, tuple)):
        parts = tree
    elif isinstance(tree, (Tensor, nn.Module, type)) or not hasattr(tree, "__dict__") or depth == 0:
        return
    else:
        parts, depth = vars(tree).values(), depth - 1
        yield from (part for part in parts if isinstance(part, Tensor))
    for part in parts:
        yield from _inside(part, depth)


def _eager() -> Any:
    """Run compiled functions as they were written; nothing to do unless the compiler was loaded."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


_HIDDEN_READS = frozenset(("tolist",))
_HIDDEN_WRITES = frozenset(("numpy", "__array__", "data_ptr", "__dlpack__", "untyped_storage", "storage"))


class _Escapes(TorchFunctionMode):
    """Notes when the model takes numbers, or memory, out of torch's sight."""

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in _HIDDEN_READS or name in _HIDDEN_WRITES:
            self.recorder.escaped(name, args)
        return func(*args, **(kwargs or {}))


class _Enough(Exception):
    """The run has made everything that was asked for."""


class _Recorder(TorchDispatchMode):
    """The dispatch mode: runs each operation and gives its results their nodes."""

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Compiled functions run as they were written, see _eager, so that the compiler need not be loaded (2 s).
        return False

    def __init__(
        self,
        model: nn.Module,
        keep: Collection[int] = (),
        stop: bool = False,
        revise: Callable[[Node], Value | None] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.revise = revise
        self.keep, self.last = frozenset(keep), max(keep) if stop and keep else -1
        self.recording = Recording()
        self.by_id: dict[int, Node] = {}
        self.kept: dict[int, Tensor] = {}  # a tensor that lives on keeps its id to itself
        self.storages: dict[int, int | None] = {}
        self.aliases: dict[int, list[int]] = {}
        self.path: list[str] = []
        self.model = model
        self.busy = False
        parameters = (*model.named_parameters(), *hidden_parameters(model))
        for kind, tensors in (("parameter", parameters), ("buffer", model.named_buffers())):
            for path, tensor in tensors:
                self.hold(tensor, _fixed_node(tensor, repr(path), kind, path=path, sources=(path,)))

    def hold(self, tensor: Tensor, node: Node) -> None:
        """Give a tensor its node."""
        node.shape, node.tensor = tuple(tensor.shape), tensor
        if len(self.recording.nodes) in self.keep:
            node.kept = tensor.detach().clone()
            if len(self.recording.nodes) == self.last:
                self.recording.nodes.append(node)
                raise _Enough
        self.recording.nodes.append(node)
        self._assign(tensor, node)

    def _assign(self, tensor: Tensor, node: Node) -> None:
        key, storage = id(tensor), _storage(tensor)
        self.by_id[key], self.kept[key], self.storages[key] = node, tensor, storage
        if storage is not None and key not in (shared := self.aliases.setdefault(storage, [])):
            shared.append(key)

    @contextmanager
    def watching_modules(self) -> Iterator[None]:
        """Know in which module an operation happens."""
        handles = []
        for path, module in (*self.model.named_modules(), *hidden_modules(self.model)):
            if isinstance(module, torch.jit.ScriptModule):  # takes no hooks
                continue

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

    def escaped(self, name: str, args: Any) -> None:
        """Doubt a run in which numbers that depend on the input, or memory, leave torch."""
        if self.busy:
            return
        nodes = [self.node(tensor) for tensor in _tensors(args)]
        if name in _HIDDEN_WRITES or any(not node.fixed for node in nodes):
            self.doubt(f"{name} in {self._where()!r} takes numbers out of torch, where nothing is recorded")

    def doubt(self, reason: str) -> None:
        """Note a reason, once."""
        if reason not in self.recording.doubts:
            self.recording.doubts.append(reason)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.busy = True
        try:
            return self._operation(func, args, kwargs or {})
        finally:
            self.busy = False

    def _operation(self, func: Any, args: Any, kwargs: Any) -> Any:
        from convex_init.torch.calls import Call
        from convex_init.torch.rules import result_of

        place = f"{func.__name__.split('.')[0]} in {self._where()!r}"
        if not isinstance(func, torch._ops.OpOverload):  # control flow, and other functions of functions
            result = func(*args, **kwargs)
            for tensor in _tensors(result):
                self.hold(tensor, Node(calculus.unknown(f"{place} has no rule"), func.__name__, path=self._where()))
            return result
        operands = _map(args, self.node)
        keywords = {key: _map(item, self.node) for key, item in kwargs.items()}
        call = Call(func, operands, keywords, place)
        written = [tensor for i in _written(func) for tensor in _tensors(_given(func, i, args, kwargs))]
        fixed = all(node.fixed for node in call.nodes) and not call.random and not call.is_uninitialised
        if call.random:
            note = f"{place} draws random numbers; the answer holds for each draw"
            if note not in self.recording.notes:
                self.recording.notes.append(note)
        result = func(*args, **kwargs)
        made = _tensors(result)
        if not made and not written and any(not node.fixed for node in call.nodes) and not call.asks_if_finite:
            self.doubt(
                f"{place} turns a value that depends on the input into a Python number, so other inputs may take "
                "another way through the code"
            )
        for index, tensor in enumerate(made):
            node = self._fixed(call, tensor) if fixed else Node(result_of(call, index, tensor), call.name)
            node.inputs, node.path, node.index = tuple(call.nodes), self._where(), index
            node.args, node.keywords = tuple(operands), keywords
            if any(tensor is other for other in written):
                self._overwritten(tensor, node)
            self.hold(tensor, node)
            if self.revise is not None and not node.fixed:
                node.value = self.revise(node) or node.value
        for tensor in written:
            if not any(tensor is other for other in made) and call.writes_its_statistics:
                unknown = calculus.unknown(f"{place} writes to its arguments")
                node = self._fixed(call, tensor) if fixed else Node(unknown, call.name)
                node.inputs, node.path = tuple(call.nodes), self._where()
                self._overwritten(tensor, node)
                self.hold(tensor, node)
        return result

    def node(self, tensor: Tensor) -> Node:
        """Return the node of a tensor; one that no recorded operation made is found by its memory, or taken as fixed.

        What is taken as fixed is remembered, to be compared with another run.
        """
        key = id(tensor)
        found = self.by_id.get(key)
        if found is not None and self.storages[key] == _storage(tensor):
            made = found.fixed and found.bounds is not None and found.operation not in ("parameter", "buffer")
            if made and constant_of(tensor, "")[1] != found.bounds:
                self.doubt(f"the numbers of {found.at} were changed behind torch's back")
            return found
        shared = [other for other in self.aliases.get(_storage(tensor) or -1, []) if other != key]
        if shared:
            found = self._view(tensor, shared)
        else:
            label = f"an unregistered tensor in {self._where()!r}"
            found = _fixed_node(tensor, label, "literal", path=self._where())
            self.recording.literals.append(tensor.detach().clone())
        self.hold(tensor, found)
        return found

    def _view(self, tensor: Tensor, shared: list[int]) -> Node:
        """The node of an unrecorded view, such as ``x.data``, from those of the tensors that share its memory."""
        known = [self.by_id[key] for key in shared]
        same = next((self.by_id[key] for key in shared if _covers(self.kept[key], tensor)), None)
        if all(node.fixed for node in known):
            sources = tuple(dict.fromkeys(path for node in known for path in node.sources))
            label = " and ".join(map(repr, sources)) or f"an unregistered tensor in {self._where()!r}"
            return _fixed_node(tensor, label, "alias", tuple(known[:1]), self._where(), sources)
        if same is not None and tensor.dtype.is_floating_point:
            return Node(same.value, "alias", (same,), (same,), path=self._where())
        reason = f"a view that torch did not report in {self._where()!r}"
        return Node(calculus.unknown(reason), "alias", tuple(known), path=self._where())

    def finish(self, result: Any) -> Recording:
        """Find the outputs among the recorded tensors."""
        for name, tensor in named_tensors("output", result):
            self.recording.outputs[name] = self.node(tensor)
            if tensor.is_floating_point() or tensor.is_complex():
                self.recording.floating.append(name)
        return self.recording

    def _fixed(self, call: Any, tensor: Tensor) -> Node:
        sources = tuple(dict.fromkeys(path for node in call.nodes for path in node.sources))
        label = " and ".join(repr(path) for path in sources) or "a constant"
        first = call.nodes[0] if call.nodes else None
        same = call.only_moves and first is not None and first.tensor is not None and first.tensor.dtype == tensor.dtype
        if first is not None and same and first.bounds is not None:
            return Node(first.value, call.name, fixed=True, sources=sources, bounds=first.bounds)
        return _fixed_node(tensor, label, call.name, sources=sources)

    def _overwritten(self, tensor: Tensor, node: Node) -> None:
        """Whatever shares the memory of a tensor that was written may have changed with it."""
        for other in self.aliases.get(_storage(tensor) or -1, []):
            if other == id(tensor):
                continue
            before, held = self.by_id[other], self.kept[other]
            if before.fixed and node.fixed:
                sources = tuple(dict.fromkeys((*before.sources, *node.sources)))
                label = " and ".join(map(repr, sources)) or "a constant"
                after = _fixed_node(held, label, node.operation, (before, node), node.path, sources)
            elif _covers(held, tensor) or _holds(tensor, held) or is_uninitialised(before):
                after = Node(node.value, node.operation, (before, node), path=node.path)
            else:
                place = f"a write in place in {self._where()!r}"
                joined = calculus.side_by_side([before.value, node.value], place)
                after = Node(joined, node.operation, (before, node), path=node.path)
            after.shape, after.tensor = before.shape, held
            self.by_id[other] = after

    def _where(self) -> str:
        return next((path for path in reversed(self.path) if path), "")


def is_uninitialised(node: Node) -> bool:
    """Whether a tensor, or the one that it is a view of, holds whatever lay in its memory."""
    while node.operation in _VIEWS and node.inputs:
        node = node.inputs[0]
    return "empty" in node.operation


_VIEWS = ("detach", "alias", "slice", "select", "view", "reshape", "t", "transpose", "permute", "expand", "unsqueeze")


def _written(func: Any) -> tuple[int, ...]:
    """Places of the arguments that an operation writes to."""
    found = _WRITTEN.get(func)
    if found is None:
        places = enumerate(func._schema.arguments)
        found = tuple(i for i, spec in places if spec.alias_info is not None and spec.alias_info.is_write)
        _WRITTEN[func] = found
    return found


_WRITTEN: dict[Any, tuple[int, ...]] = {}


def _given(func: Any, place: int, args: Any, kwargs: Any) -> Any:
    return args[place] if place < len(args) else kwargs.get(func._schema.arguments[place].name)


def _covers(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors that share memory are the same elements."""
    return a.dtype == b.dtype and a.storage_offset() == b.storage_offset() and (
        (a.shape == b.shape and a.stride() == b.stride())
        or (a.numel() == b.numel() and a.is_contiguous() and b.is_contiguous())
    )  # fmt: skip


def _holds(outer: Tensor, inner: Tensor) -> bool:
    """Whether all elements of ``inner`` lie in the memory of ``outer``."""
    if outer.dtype != inner.dtype or not outer.is_contiguous() or not inner.numel():
        return False
    first = inner.storage_offset() - outer.storage_offset()
    last = first + sum((size - 1) * stride for size, stride in zip(inner.shape, inner.stride(), strict=True))
    return first >= 0 and last < outer.numel()


def _storage(tensor: Tensor) -> int | None:
    try:
        return tensor.untyped_storage().data_ptr() or None
    except (RuntimeError, NotImplementedError):
        return None


def _fixed_node(
    tensor: Tensor,
    label: str,
    operation: str,
    inputs: tuple[Node, ...] = (),
    path: str = "",
    sources: tuple[str, ...] = (),
) -> Node:
    """A node whose sign is that of its numbers."""
    value, bounds = constant_of(tensor, label)
    return Node(value, operation, inputs, fixed=True, path=path, sources=sources, bounds=bounds)


def constant_of(tensor: Tensor, label: str) -> tuple[Value, tuple[float, float] | None]:
    """Return what the numbers of a fixed tensor say: its value, and its bounds if it has any that can be read."""
    if tensor.numel() == 0 or tensor.dtype == torch.bool:
        return calculus.constant(Sign.NON_NEGATIVE, label), None
    try:
        low, high = torch.stack(torch.aminmax(tensor.detach())).tolist()
    except (RuntimeError, NotImplementedError):  # complex, sparse, or without numbers on the meta device
        return calculus.constant(Sign.ANY, label, f"{label} has no numbers that can be compared"), None
    value = calculus.numbers(low, high, label)
    return value, (low, high) if value.finite else None


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
    elif is_dataclass(tree):
        parts = [(part.name, getattr(tree, part.name)) for part in fields(tree)]
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
