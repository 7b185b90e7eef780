"""What can be reached from an object: tensors that hide in it, and Python state that a run may change."""

from __future__ import annotations

import functools
import gc
import itertools
import operator
import random
import sys
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FrameType,
    FunctionType,
    GetSetDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np
from torch import Tensor, nn

_MOST = 50_000  # objects
_LONGEST = 1000  # items of a container
_EMPTY = CellType()
_SCALARS = (bool, int, float, complex, str, bytes, type(None))
_CLOSED = (ModuleType, CodeType, FrameType, BuiltinFunctionType, GetSetDescriptorType)
_LIBRARIES = ("torch", "numpy", "builtins", "typing", "abc", "enum", "functools", "collections", "threading", "logging")
_ITERATORS: tuple[type, ...] = (
    type(iter([])),
    type(iter(())),
    type(iter(range(0))),
    itertools.count,
    itertools.cycle,
    itertools.repeat,
)


def tensors_within(tree: Any) -> Iterator[Tensor]:
    """Yield the tensors that an object holds anywhere: in attributes, slots, closures, iterators, its class."""
    for _, item in _reached("", tree, with_code=False):
        if isinstance(item, Tensor):
            yield item


def python_state(root: Any) -> dict[str, Any]:
    """Return what a run may change beside tensors, by path: numbers, sizes, the state of Python's generators.

    Looked at are attributes, containers, closures, the class, and global variables that methods name.
    """
    found: dict[str, Any] = {"random numbers": random.getstate()}
    if "numpy.random" in sys.modules:
        found["NumPy's random numbers"] = _of_numpy()
    for path, item in _reached("", root, with_code=True):
        if isinstance(item, _SCALARS):
            found[path] = item
        elif isinstance(item, (list, tuple, dict, set, frozenset, deque)):
            found[path] = len(item)
        elif isinstance(item, itertools.count):
            found[path] = repr(item)
        elif isinstance(item, _ITERATORS):
            found[path] = operator.length_hint(item, -1)
        elif isinstance(item, np.ndarray) and item.size <= _LONGEST:
            found[path] = item.tobytes()
    return found


def _of_numpy() -> tuple[Any, ...]:
    kind, keys, place, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return kind, np.asarray(keys).tobytes(), place, *rest


def _reached(path: str, root: Any, *, with_code: bool) -> Iterator[tuple[str, Any]]:
    known: set[int] = set()
    alive: list[Any] = []  # an id is only an object's own while the object lives
    waiting = deque([(path, root)])
    while waiting and len(known) < _MOST:
        path, item = waiting.popleft()
        yield path, item
        if isinstance(item, _SCALARS) or id(item) in known:
            continue
        known.add(id(item))
        alive.append(item)
        waiting.extend(itertools.islice(_parts(path, item, with_code), _LONGEST))


def _parts(path: str, item: Any, with_code: bool) -> Iterator[tuple[str, Any]]:
    if isinstance(item, _CLOSED):
        return
    if isinstance(item, type):
        if not _is_of_a_library(item):
            for base in item.__mro__:
                if not _is_of_a_library(base):
                    yield from _named(f"{path} {base.__name__}", vars(base))
        return
    if isinstance(item, Tensor):
        yield from _named(path, vars(item))
        return
    if isinstance(item, FunctionType):
        yield from _of_a_function(path, item, with_code)
        return
    if isinstance(item, MethodType):
        yield from ((f"{path}.self", item.__self__), (path, item.__func__))
        return
    if isinstance(item, functools.partial):
        yield from ((f"{path}.func", item.func), (f"{path}.args", item.args), (f"{path}.keywords", item.keywords))
    if isinstance(item, np.ndarray):
        yield from ((path, part) for part in (item.flat if item.dtype.hasobject else ()))
        return
    if isinstance(item, Mapping):
        yield from ((f"{path} key", key) for key in item if not isinstance(key, _SCALARS))
        yield from _named(path, item)
    elif isinstance(item, (list, tuple, set, frozenset, deque)):
        yield from ((f"{path}.{i}", part) for i, part in enumerate(item))
    elif not hasattr(item, "__dict__") and not _slots(type(item)):  # iterators, generators, cells, properties
        yield from ((f"{path}()", part) for part in gc.get_referents(item) if not isinstance(part, type))
    yield from _named(path, getattr(item, "__dict__", {}))
    yield from ((f"{path}.{name}", getattr(item, name, None)) for name in _slots(type(item)))
    if with_code or not isinstance(item, nn.Module):
        yield f"{path} class", type(item)


def _of_a_function(path: str, item: FunctionType, with_code: bool) -> Iterator[tuple[str, Any]]:
    for cell in item.__closure__ or ():
        if cell != _EMPTY:
            yield f"{path}.{item.__name__}", cell.cell_contents
    yield from ((f"{path}.{item.__name__}", part) for part in (item.__defaults__, item.__kwdefaults__) if part)
    yield from _named(path, item.__dict__)
    if with_code and not _is_of_a_library(item):
        yield from (
            (f"global {name}", item.__globals__[name]) for name in _names(item.__code__) if name in item.__globals__
        )


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _names(part)


def _named(path: str, parts: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    # Most of a module's own attributes are empty dicts for hooks.
    return (
        (f"{path}.{name}".lstrip("."), part)
        for name, part in list(parts.items())
        if part.__class__ not in (dict, OrderedDict) or part
    )


def _slots(kind: type) -> list[str]:
    found = (vars(base).get("__slots__", ()) for base in kind.__mro__)
    return [name for names in found for name in ((names,) if isinstance(names, str) else tuple(names))]


def _is_of_a_library(item: Any) -> bool:
    return str(getattr(item, "__module__", "builtins")).split(".")[0] in _LIBRARIES
