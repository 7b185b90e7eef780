"""The dispatch mode that sees every operation that torch executes, and gives its results their nodes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from convex_init.torch.model.modules import methods
from convex_init.torch.trace import constants
from convex_init.torch.trace.builder import Builder
from convex_init.torch.trace.containers import named_tensors, tensors_in, unnamed_objects
from convex_init.torch.trace.course import Ran, Recording, plain
from convex_init.torch.trace.doubts.hazards import is_harmless, looks_at_numbers, may_be_of_any_size, may_fail
from convex_init.torch.trace.doubts.watches import DERIVATIVES, READS, Modules, Weights, source, weights_of
from convex_init.torch.trace.lowering import has_rule, is_part, lower
from convex_init.torch.trace.lowering.call import Call, Signature
from convex_init.torch.trace.memory import Memory, Region
from convex_init.torch.trace.visits import Visit, shown_to
from convex_init_core.graph.nodes import Node, Place

_OTHER_WAY = "so other inputs may take another way through the code"
_UNSEEN = (
    "has no rule: it runs functions whose own operations are not recorded; use torch.where for a choice and a Python "
    "loop for a loop"
)


class Recorder(TorchDispatchMode):
    """Runs each operation and adds it to a graph.

    Args:
        modules: whose parameters and buffers are constants.
        visit: is called with the place and the tensor of some nodes, and returns the numbers to go on with, or none.
        places: of these nodes.
        weights: what is named where; by default what the modules hold.
        where: says which part of the model runs; by default the modules tell.

    Attributes:
        recording: the graph so far.
        running: paths of the modules that run, the innermost last.
        index: places of the nodes in the graph so far.
    """

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Compiled functions run as they were written, see watches.eager, so that the compiler need not be loaded (2 s).
        return False

    def __init__(
        self,
        modules: Modules,
        visit: Visit | None = None,
        places: Collection[Place] = (),
        weights: Weights | None = None,
        where: Callable[[], str] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.visit, self.places = visit, frozenset(places)
        self.recording = Recording()
        self.builder = Builder(self.recording)
        self.memory = Memory(self.builder, self._outside)
        self.running: list[str] = []
        self.index: dict[Node, int] = {}
        self._fresh: tuple[list[Tensor], list[Tensor]] = [], []
        self._asked = where
        self._entries = [entry for path, module in modules if not path for entry in methods(module)]
        for kind, path, tensor in weights_of(modules) if weights is None else weights:
            known = constants.constant(tensor, (path,) if kind == "parameter" else ())
            leaf = self._leaf(kind, path, tensor, name=kind, module=path, constant=known)
            self.recording.outside.add(leaf.place)

    def add_input(self, name: str, tensor: Tensor, *, is_inside: bool = False) -> None:
        """Add an input of the model, or a tensor inside one, which is context."""
        if is_inside and self.memory.find(tensor) is not None:  # a weight, which the object holds as well
            return
        node = self._leaf("input", name, tensor, name="input", module=name)
        if not is_inside and (tensor.is_floating_point() or tensor.is_complex()):
            self.recording.inputs[name] = node

    def _leaf(self, operation: str, label: str, tensor: Tensor, **place: Any) -> Node:
        node = self.builder.emit(operation, (), {"name": label}, tensor=tensor, **place)
        self._hold(tensor, node)
        return node

    @property
    def _where(self) -> str:
        if self._asked is not None:
            return self._asked()
        return self.running[-1] if self.running else ""

    def escaped(self, name: str, args: Any) -> None:
        """Doubt a run in which numbers that depend on the input, or memory, leave torch; note derivatives."""
        if name in DERIVATIVES:
            entries = "".join(f", such as {entry!r}" for entry in self._entries[:1])
            self.recording.instead = (
                f"the model differentiates {Place().where(source())}, and the gradient of a convex function is no "
                f"convex function; name the method that returns the function itself in entry={entries}"
            )
            return
        with torch._C.DisableTorchFunction(), torch.utils._python_dispatch._disable_current_modes():
            fixed = all(self.node(tensor).is_fixed for tensor in tensors_in(args))
        if name not in READS or not fixed:
            place = Place(name, self._where).shown(source())
            self.builder.doubt(f"{place} takes numbers out of torch, where nothing is recorded")

    def read_in_a_script(self, name: str) -> None:
        """Doubt a run in which a scripted function makes lists or text of tensors."""
        self.builder.doubt(f"{Place(name, self._where)} turns tensors into lists or text in a scripted function")

    def left_by_a_thread(self) -> None:
        """Doubt a run that starts a thread."""
        where = f" of {self._where!r}" if self._where else ""
        self.builder.doubt(f"the code{where} starts a thread, where nothing is recorded")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and record it."""
        with torch._C.DisableTorchFunction():
            if isinstance(func, torch._ops.OpOverload):
                return self._operation(func, args, kwargs or {})
            return self._function_of_functions(func, args, kwargs or {})

    def _function_of_functions(self, func: Any, args: Any, kwargs: Any) -> Any:
        self._settle()
        self.builder.source = source()
        result = func(*args, **kwargs)
        for tensor in tensors_in(result):
            # What the functions inside look at is not known, so that it has no inputs of which all could be constants.
            params = {"why": _UNSEEN, "non_negative": False}
            place = {"name": func.__name__, "module": self._where}
            self._hold(tensor, self.builder.emit("opaque", (), params, tensor=tensor, **place))
        return result

    def _operation(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        self._settle()
        self.recording.has_gradients |= torch.is_grad_enabled()
        signature, where, self.builder.source = Signature.of(func), self._where, source()
        looks = not signature.only_views
        given = {name: self._nodes(signature.given(i, args, kwargs), looks) for i, name in signature.read}
        call = Call(signature, given, self.builder, where)
        place = Place(signature.name, where)
        varies = not all(node.is_fixed for node in call.nodes)
        places = (*signature.written, *_statistics(call))
        written = [tensor for i in places for tensor in tensors_in(signature.given(i, args, kwargs))]
        results = self._note_call(call, place)
        if not signature.views_in_place:
            for tensor in written:
                self.memory.before_write(tensor)
        viewed = Region.of(signature.given(0, args, kwargs)) if signature.base == "as_strided" else None
        try:
            result = func(*args, **kwargs)
        except Exception:
            if varies:
                self.builder.doubt(f"{call.at} fails for some values, {_OTHER_WAY}")
            raise
        made = tensors_in(result)
        if varies:
            if not made and not written and not all(map(is_harmless, call.nodes)):
                self.builder.doubt(
                    f"{call.at} turns a value that depends on the input into a Python number, {_OTHER_WAY}"
                )
            if looks_at_numbers(call) or (not has_rule(call) and may_be_of_any_size(func, args, kwargs, made)):
                self.builder.doubt(f"{call.at} makes a result whose size depends on values of the input, {_OTHER_WAY}")
            if (
                may_fail(call)
                and (risk := f"{call.at} fails for some values, {_OTHER_WAY}") not in self.recording.risks
            ):
                self.recording.risks.append(risk)
            if not all(map(_is_own, written)):
                self.builder.doubt(f"{call.at} writes to memory that is shared with code outside torch")
        for index, tensor in enumerate(made):
            part = call.of_result(index, tensor)
            part.is_whole = viewed is not None and viewed.is_same_as(Region.of(tensor))
            results.append(self._result(part, any(tensor is other for other in written), varies))
        for tensor in written:
            if not any(tensor is other for other in made) and _writes(call):
                node = call.of_result(0, tensor).opaque("writes to its arguments")
                self.memory.write(tensor, node)
                self._outside(tensor, node)
        if signature.views_in_place:
            written = [other for tensor in written for other in self.memory.sharing(tensor)]
        self._fresh = made, written
        return result

    def _note_call(self, call: Call, place: Place) -> list[Node | None]:
        for node in self.recording.nodes[len(self.index) :]:
            self.index[node] = len(self.index)
        arguments = plain(list(call.given.values()), self.index)
        self.recording.calls.append(Ran(call.signature.text, place.operation, place.module, arguments))
        self.recording.results.append([])
        if call.signature.random:
            self.builder.note(f"{call.at} draws random numbers; the answer holds for each draw")
        return self.recording.results[-1]

    def _result(self, call: Call, is_written: bool, varies: bool) -> Node | None:
        if is_written and not call.signature.views_in_place:
            node = lower(call)
            self.memory.write(call.made, node)
            self._visited(call.made, node)
            return node
        if call.index and varies and not is_part(call):  # places, masks and statistics: only if they are looked at
            self.memory.put(call.made, partial(lower, call))
            return None
        node = lower(call)
        self._hold(call.made, node)
        return node

    def _hold(self, tensor: Tensor, node: Node) -> None:
        self.memory.put(tensor, node)
        self._visited(tensor, node)

    def _outside(self, tensor: Tensor, node: Node) -> None:
        self.recording.outside.add(node.place)
        self._visited(tensor, node)

    def _visited(self, tensor: Tensor, node: Node) -> None:
        if self.visit is None or node.place not in self.places:
            return
        shown_to(self.visit, node.place, tensor, self.memory.before_write)

    def node(self, tensor: Tensor, *, looks: bool = True) -> Node:
        """Return the node of a tensor; one that no recorded operation made is found by its memory, or is a literal.

        Args:
            tensor: any.
            looks: whether its numbers are looked at, so that those of a constant have to be what they were.
        """
        self._settle()
        found = self.memory.find(tensor)
        if found is not None and self.memory.was_changed(tensor):
            self.builder.doubt(f"the numbers of {found.at} were changed where nothing is recorded")
        if found is not None:
            known = found.constant.bounds if looks and found.constant is not None else None
            if known is not None and not constants.are_same(constants.bounds_of(tensor), known):
                self.builder.doubt(f"the numbers of {found.at} were changed behind torch's back")
            return found
        found = self.memory.view(tensor, self._where)
        if found is None:
            literal = constants.constant(tensor)
            found = self.builder.emit("literal", tensor=tensor, name="literal", module=self._where, constant=literal)
        self.memory.put(tensor, found)
        self._outside(tensor, found)
        return found

    def _settle(self) -> None:
        made, written = self._fresh  # torch counts writes, and lets views share the count, when an operation is over
        for tensor in made:
            self.memory.settle(tensor, 0)
        for tensor in written:
            self.memory.settle(tensor, 1)
        self._fresh = [], []

    def _nodes(self, tree: Any, looks: bool) -> Any:
        if isinstance(tree, Tensor):
            return self.node(tree, looks=looks)
        if isinstance(tree, (list, tuple)):
            return [self._nodes(part, looks) for part in tree]
        return tree

    def finish(self, result: Any) -> Recording:
        """Find the outputs among the recorded tensors."""
        for name, tensor in named_tensors("output", result):
            if name in self.recording.outputs:
                self.builder.doubt(f"two outputs are called {name}")
            self.recording.outputs[name] = self.node(tensor)
        for kind in unnamed_objects(result):
            self.builder.doubt(f"the model returns a {kind}, which holds tensors that are not looked at")
        return self.recording

    def forget(self) -> None:
        """Let go of all tensors: a circle of references would keep them until the next collection of garbage."""
        del self.memory


def _writes(call: Call) -> bool:
    """Whether arguments that are written without being a result change; normalisation does so in training only."""
    return "batch_norm" not in call.signature.base or call.given.get("training") is not False


def _is_own(tensor: Tensor) -> bool:
    """Whether memory is torch's alone: that of a NumPy array, or one that NumPy has been given, cannot be resized."""
    return Region.of(tensor).key is None or tensor.is_meta or tensor.untyped_storage().resizable()


def _statistics(call: Call) -> list[int]:
    """Places of running statistics that a normalisation in training writes to, although its schema does not say so."""
    if "batch_norm" not in call.signature.base or not call.given.get("training"):
        return []
    found = [place for place, name in call.signature.read if name in ("running_mean", "running_var")]
    return [place for place in found if place not in call.signature.written]
