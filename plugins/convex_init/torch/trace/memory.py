"""Which node each tensor is: tensors that share memory, writes in place, and views that torch does not report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor

from convex_init.torch.trace.builder import Builder, name_of
from convex_init.torch.trace.constants import constant, parameters_of, preserve
from convex_init_core.graph.nodes import Node

Key: TypeAlias = "tuple[str, int] | None"  # of a block of memory; None where there is none
Later: TypeAlias = "Node | Callable[[], Node]"  # a node that is made when it is first asked for


class Region(NamedTuple):
    """The elements of a block of memory that a tensor consists of."""

    key: Key
    dtype: Any
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    contiguous: bool

    @classmethod
    def of(cls, tensor: Tensor) -> Region:
        """Return the region of a tensor."""
        shape, dtype = tuple(tensor.shape), tensor.dtype
        try:
            offset = int(tensor.storage_offset())
            return cls(_block_of(tensor, offset), dtype, offset, shape, tensor.stride(), tensor.is_contiguous())
        except (RuntimeError, NotImplementedError):  # sparse, or a tensor of another kind
            return cls(None, dtype, 0, shape, (), False)

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    def is_same_as(self, other: Region) -> bool:
        """Whether both are the same elements in the same order."""
        if self.key is None or (self.key, self.dtype, self.offset) != (other.key, other.dtype, other.offset):
            return False
        if (self.shape, self.strides) == (other.shape, other.strides):
            return True
        return self.size == other.size and self.contiguous and other.contiguous

    def holds(self, inner: Region) -> bool:
        """Whether all elements of ``inner`` are among these."""
        if self.key is None or self.key != inner.key or self.dtype != inner.dtype:
            return False
        if not self.contiguous or not inner.size:
            return False
        first = inner.offset - self.offset
        last = first + sum((size - 1) * stride for size, stride in zip(inner.shape, inner.strides, strict=True))
        return first >= 0 and last < self.size


def _block_of(tensor: Tensor, offset: int) -> Key:
    try:
        first = 0 if tensor.is_meta else tensor.data_ptr()  # much cheaper than to ask for the storage
    except RuntimeError:
        first = 0
    if first:
        return "memory", first - offset * tensor.element_size()
    storage = tensor.untyped_storage()
    pointer = storage.data_ptr()
    return ("memory", pointer) if pointer else ("meta", storage._cdata)


@dataclass(eq=False, slots=True)
class _Held:
    tensor: Tensor
    node: Later
    region: Region
    seen: int  # writes to its memory that the node has in it
    version: int  # torch's own count of writes


class Memory:
    """The nodes of tensors; a tensor that shares memory with one that was written gets a new node when it is used.

    Args:
        builder: of the graph.
        made: is told of each node that is made here for a tensor that has had one.
    """

    def __init__(self, builder: Builder, made: Callable[[Tensor, Node], None]) -> None:
        self.builder, self._made = builder, made
        # A tensor is hashed by its identity; as a key, it lives on, so that no other one takes its place.
        self._held: dict[Tensor, _Held] = {}
        self._sharing: dict[Key, dict[Tensor, None]] = {}
        self._latest: dict[tuple[Any, ...], Tensor] = {}  # by region
        self._writes: dict[Key, list[tuple[Region, Node]]] = {}
        self._constants: dict[Key, list[Node]] = {}

    def put(self, tensor: Tensor, node: Later) -> None:
        """Give a tensor its node."""
        region = Region.of(tensor)
        seen = len(self._writes.get(region.key, ()))
        self._held[tensor] = _Held(tensor, node, region, seen, _version(tensor))
        if region.key is None:
            return
        self._sharing.setdefault(region.key, {})[tensor] = None
        self._latest[region[:5]] = tensor
        if isinstance(node, Node) and node.is_fixed:
            self._constants.setdefault(region.key, []).append(node)

    def before_write(self, tensor: Tensor) -> None:
        """Let constants that share a tensor's memory keep their numbers."""
        for node in self._constants.pop(Region.of(tensor).key, ()):
            preserve(node)

    def write(self, tensor: Tensor, node: Node) -> None:
        """Note that a tensor was written to, and is now this node."""
        region = Region.of(tensor)
        if region.key is not None:
            self._writes.setdefault(region.key, []).append((region, node))
        self.put(tensor, node)

    def find(self, tensor: Tensor) -> Node | None:
        """Return the node of a tensor; ``None`` if it has none, or is no longer what it was."""
        held = self._held.get(tensor)
        if held is None or held.region != Region.of(tensor):
            return None
        if not isinstance(held.node, Node):
            held.node = held.node()
            self._made(tensor, held.node)
        writes = self._writes.get(held.region.key, [])
        if held.seen < len(writes):
            held.node = self._after(held, held.node, writes[held.seen :])
            held.seen, held.version = len(writes), _version(tensor)
            self._made(tensor, held.node)
            if held.node.is_fixed:
                self._constants.setdefault(held.region.key, []).append(held.node)
        return held.node

    def settle(self, tensor: Tensor, writes: int) -> None:
        """Take torch's count of writes to a tensor as it is when an operation is over; only then views share it.

        Args:
            tensor: that was made or written to.
            writes: by which the count may have grown, if it shares its memory with no other tensor.
        """
        held = self._held.get(tensor)
        if held is None:
            return
        count = _version(tensor)
        if count - held.version <= writes or len(self._sharing.get(held.region.key, ())) > 1:
            held.version = count

    def sharing(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors that share a tensor's memory."""
        return list(self._sharing.get(Region.of(tensor).key, ()))

    def was_changed(self, tensor: Tensor) -> bool:
        """Whether torch counts writes to a tensor that were not recorded, such as those of another thread."""
        return self._held[tensor].version != _version(tensor)

    def view(self, tensor: Tensor, module: str) -> Node | None:
        """Return the node of a view that torch did not report, such as ``x.data``; ``None`` if it is none."""
        region = Region.of(tensor)
        if region.key is None:
            return None
        place: dict[str, Any] = {"name": "alias", "module": module, "tensor": tensor}
        latest = self._latest.get(region[:5])
        same = None if latest is None else self.find(latest)
        if same is not None:
            return self.builder.emit("reshape", (same,), **place)
        known = list(self._others(tensor, region.key))
        if not known:
            return None
        same = next((node for other, node in known if other.is_same_as(region)), None)
        if same is not None:
            return self.builder.emit("reshape", (same,), **place)
        nodes = [node for _, node in known]
        if all(node.is_fixed for node in nodes):
            found = constant(tensor, parameters_of(nodes))
            return self.builder.emit("join", nodes[:1], constant=found, **place)
        why = {"why": "is a view that torch did not report", "non_negative": False}
        return self.builder.emit("opaque", nodes, why, may_be_fixed=False, **place)

    def _others(self, tensor: Tensor, key: Key) -> Iterator[tuple[Region, Node]]:
        for other in list(self._sharing.get(key, ())):
            held = self._held[other]
            if other is not tensor and held.region.key == key:
                node = self.find(other)
                if node is not None:
                    yield held.region, node

    def _after(self, held: _Held, before: Node, writes: Sequence[tuple[Region, Node]]) -> Node:
        """What a tensor is after its memory was written to."""
        last = writes[-1][1]
        place: dict[str, Any] = {"name": last.place.operation, "module": last.place.module, "tensor": held.tensor}
        parts = [] if is_unset(before) else [before]
        whole: Region | None = None  # of the one write that replaced everything
        for region, node in writes:
            if region.dtype != held.region.dtype or region.key is None:
                why = {"why": "writes to memory that is read as another type", "non_negative": False}
                return self.builder.emit("opaque", (before, node), why, may_be_fixed=False, **place)
            if region.is_same_as(held.region) or region.holds(held.region):
                parts, whole = [node], region
            else:
                parts, whole = [*parts, node], None
        if whole is None:
            return self.builder.emit("join", parts, **place)
        if not whole.is_same_as(held.region):
            return self.builder.emit("rearrange", parts, **place)
        if parts[0].shape == held.region.shape and parts[0].dtype == name_of(held.region.dtype):
            return parts[0]
        return self.builder.emit("reshape", parts, **place)


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def is_unset(node: Node) -> bool:
    """Whether a tensor holds whatever lay in its memory."""
    while node.op.moves and node.inputs:
        node = node.inputs[0]
    return node.name == "unset"
