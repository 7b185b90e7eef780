"""What can be reached from an object: arrays that hide in it, and Python state that a run of a model may change."""

from __future__ import annotations

import functools
import gc
import itertools
import operator
import random
import re
import sys
import sysconfig
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
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

_MOST = 500_000  # objects: a network of 1,000 layers has some 20,000
_LONGEST = 1000  # items of a container
_EMPTY = CellType()
_SCALARS = (bool, int, float, complex, str, bytes, type(None))
_PLAIN = frozenset(_SCALARS)  # looked up, which is faster than to ask of what class something is
_CLOSED = (ModuleType, CodeType, FrameType, BuiltinFunctionType, GetSetDescriptorType)
_NOT_OPENED = (*_SCALARS, *_CLOSED)
_DICTS = (dict, OrderedDict)
_ITERATORS: tuple[type[Any], ...] = (
    *(type(iter([])), type(iter(())), type(iter(range(0)))),
    *(itertools.count, itertools.cycle, itertools.repeat),
)
_STANDARD = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_BESIDE_NUMPY = str(Path(np.__file__).parents[1])  # where NumPy lies, other libraries do: `pip install --target`
_OURS = ("convex_init_core", "convex_init")  # a library as well where they lie in a checkout
_OF_LIBRARIES = re.compile(r"[/\\](site|dist)-packages[/\\]")  # of the user, of the system, of another environment

Closed = Callable[[Any], bool]
"""Whether an object is not looked into, such as an array of a framework."""


def within(tree: Any, is_closed: Closed) -> Iterator[Any]:
    """Yield what an object holds anywhere: in attributes, slots, sets, closures, iterators, its class."""
    return (item for _, item in _Walk(is_closed, with_globals=False).items("", tree))


def holds(tree: Any, is_wanted: Callable[[Any], bool]) -> bool:
    """Whether something is :func:`within` an object."""
    return any(map(is_wanted, within(tree, is_wanted)))


def python_state(root: Any, is_closed: Closed) -> dict[str, Any]:
    """Return what a run may change beside arrays, by path: numbers, sizes, the state of Python's generators.

    Looked at are attributes, containers, closures, classes, and global variables that functions name; not those of
    libraries.

    Args:
        root: a model, or a function.
        is_closed: what is not looked into.
    """
    found: dict[str, Any] = {"random numbers": random.getstate(), "NumPy's random numbers": _of_numpy()}
    for path, item in _Walk(is_closed, with_globals=True).items("", root):
        if type(item) in _PLAIN or isinstance(item, _SCALARS):
            found[path] = item
        elif isinstance(item, (list, tuple, dict, set, frozenset, deque)):
            found[path] = len(item)
        elif isinstance(item, itertools.count):
            found[path] = repr(item)
        elif isinstance(item, _ITERATORS):
            found[path] = operator.length_hint(item, -1)
        elif isinstance(item, np.ndarray) and item.size <= _LONGEST:
            found[path] = np.asarray(item).tobytes()  # one that is masked refuses its own
    return found


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the paths at which two states differ."""
    both = [path for path, item in after.items() if path in before and not _same(before[path], item)]
    return both + [path for path in (*before, *after) if path not in before or path not in after]


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) or (a != a and b != b)  # two that are no numbers


def _of_numpy() -> tuple[Any, ...]:
    kind, keys, place, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 the generator that others draw from
    return kind, np.asarray(keys).tobytes(), place, *rest


class _Walk:
    """From an object through all that it holds; what was found of a class or a module is kept."""

    def __init__(self, is_closed: Closed, *, with_globals: bool) -> None:
        self.is_closed, self.with_globals = is_closed, with_globals
        self.slots: dict[type, list[str]] = {}
        self.is_mapping: dict[type, bool] = {}
        self.libraries: dict[str, bool] = {}

    def items(self, path: str, root: Any) -> Iterator[tuple[str, Any]]:
        """Yield the object and what it holds, the nearest first, each with its path."""
        known: set[int] = set()
        alive: list[Any] = []  # an id is only an object's own while the object lives
        waiting = deque([(path, root)])
        while waiting and len(known) < _MOST:
            path, item = waiting.popleft()
            yield path, item
            if type(item) in _PLAIN or id(item) in known or isinstance(item, _NOT_OPENED) or self.is_closed(item):
                continue
            known.add(id(item))
            alive.append(item)
            waiting.extend(itertools.islice(self._parts(path, item), _LONGEST))

    def _parts(self, path: str, item: Any) -> Iterator[tuple[str, Any]]:
        kind = type(item)
        if isinstance(item, type):
            for base in item.__mro__:
                if not self._is_of_a_library(base):
                    yield from _named(f"{path} {base.__name__}", vars(base))
            return
        if kind is FunctionType:
            yield from self._of_a_function(path, item)
            return
        if kind is MethodType:
            yield from ((f"{path}.self", item.__self__), (path, item.__func__))
            return
        if isinstance(item, functools.partial):
            yield from ((f"{path}.func", item.func), (f"{path}.args", item.args), (f"{path}.keywords", item.keywords))
        if isinstance(item, np.ndarray):
            yield from ((path, part) for part in (item.flat if item.dtype.hasobject else ()))
            return
        if self._is_a_mapping(kind):
            yield from ((f"{path} key", key) for key in item if not isinstance(key, _SCALARS))
            yield from _named(path, item)
        elif isinstance(item, (list, tuple, set, frozenset, deque)):
            yield from ((f"{path}.{i}", part) for i, part in enumerate(item))
        elif not hasattr(item, "__dict__") and not self._slots(kind):  # iterators, generators, cells, properties
            yield from ((f"{path}()", part) for part in gc.get_referents(item) if not isinstance(part, type))
        yield from _named(path, getattr(item, "__dict__", {}))
        for name in self._slots(kind):
            yield f"{path}.{name}", getattr(item, name, None)
        yield f"{path} class", kind

    def _of_a_function(self, path: str, item: FunctionType) -> Iterator[tuple[str, Any]]:
        if self._is_of_a_library(item) and not item.__closure__:
            return
        for cell in item.__closure__ or ():
            if cell != _EMPTY:
                yield f"{path}.{item.__name__}", cell.cell_contents
        yield from ((f"{path}.{item.__name__}", part) for part in (item.__defaults__, item.__kwdefaults__) if part)
        yield from _named(path, item.__dict__)
        if self.with_globals and not self._is_of_a_library(item):
            named = (name for name in _names(item.__code__) if name in item.__globals__)
            yield from ((f"global {name}", item.__globals__[name]) for name in named)

    def _is_a_mapping(self, kind: type) -> bool:
        if kind not in self.is_mapping:
            self.is_mapping[kind] = issubclass(kind, Mapping)
        return self.is_mapping[kind]

    def _slots(self, kind: type) -> list[str]:
        if kind not in self.slots:
            found = (vars(base).get("__slots__", ()) for base in kind.__mro__ if not self._is_of_a_library(base))
            self.slots[kind] = [name for names in found for name in ((names,) if isinstance(names, str) else names)]
        return self.slots[kind]

    def _is_of_a_library(self, item: Any) -> bool:
        """Whether a class or a function was installed, or comes with Python: its global state is not the user's."""
        name = str(getattr(item, "__module__", None) or "builtins")
        if name not in self.libraries:
            self.libraries[name] = _is_a_library(name)
        return self.libraries[name]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _names(part)


def _named(path: str, parts: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    # Many objects have attributes for what nobody gave them, such as a module of torch a dozen empty dicts for hooks.
    start = f"{path}." if path else ""
    for name, part in list(parts.items()):
        if part.__class__ not in _DICTS or part:
            yield f"{start}{name}", part


def _is_a_library(name: str) -> bool:
    """Whether a module of this name was installed, or comes with Python."""
    if name == "builtins" or name.partition(".")[0] in _OURS:
        return True
    where = getattr(sys.modules.get(name), "__file__", None)
    if where is None:
        return False
    return where.startswith((*_STANDARD, _BESIDE_NUMPY)) or _OF_LIBRARIES.search(where) is not None
