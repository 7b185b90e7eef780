"""A model's own methods: which make weights non-negative outside of its forward, and which could be called instead."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from types import FunctionType

import torch
from torch import nn

from convex_init.torch.model.modules import all_modules, hidden_parameters, source_path

# A method is tried only if its code mentions one of these, and nothing that reaches beyond the model.
_CLAMPS = frozenset(
    """
    clamp clamp_ clamp_min clamp_min_ clip clip_ relu relu_ abs abs_ maximum fmax where threshold threshold_ softplus
    exp apply project
    """.split()  # noqa: SIM905
)
_BEYOND = frozenset(
    """
    open save load write unlink remove rmdir mkdir makedirs rename replace system popen Popen run exit request urlopen
    connect send print input backward fit step optimizer exec eval download
    """.split()  # noqa: SIM905
)


@torch.no_grad()
def kept_non_negative(model: nn.Module, modules: Mapping[str, nn.Module]) -> dict[str, str]:
    """Return the parameters that become non-negative when a method of the model is called, with the method's name.

    Tried are methods without required arguments of the model's own classes whose code clamps something, on a copy of
    the model whose parameters have all been made negative.

    Args:
        model: any module.
        modules: of it, as :func:`~convex_init.torch.model.modules.all_modules` returns them.
    """
    found: dict[str, str] = {}
    candidates = list(_candidates(modules))
    if not candidates:
        return found
    tried = copy.deepcopy(model)
    copies = all_modules(tried)
    parameters = dict((*tried.named_parameters(), *hidden_parameters(tried)))
    start = {name: -(parameter.detach().abs() + 0.01) for name, parameter in parameters.items()}
    for path, name in candidates:
        for key, parameter in parameters.items():
            parameter.data = start[key].clone()
        try:
            with torch.random.fork_rng(devices=[]):
                getattr(copies[path], name)()
        except Exception:  # whatever a foreign method raises, it then shows nothing
            continue
        now = dict((*tried.named_parameters(), *hidden_parameters(tried)))
        for key, parameter in now.items():
            if parameter.numel() and parameter.shape == start[key].shape and float(parameter.min()) >= 0.0:
                found.setdefault(key, f"{source_path(path, name)}()")
    return found


_MOST = 6  # modules that are worth a try


def other_entries(model: nn.Module, positions: int, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield methods of a model that take as many inputs as it does, and modules inside of it, the largest first.

    Args:
        model: any module.
        positions: number of positional inputs.
        names: of keyword inputs.
    """
    for name, method in _own_methods(type(model)):
        if not name.startswith("_") and not set(_names(method)) & _BEYOND and _takes(method, positions, names):
            yield name, f"the method {name!r}"
    inside = [(path, module) for path, module in model.named_modules() if path and next(module.children(), None)]
    sizes = {path: sum(parameter.numel() for parameter in module.parameters()) for path, module in inside}
    large = sorted((path for path, size in sizes.items() if size), key=lambda path: -sizes[path])
    for path in large[:_MOST]:
        yield path, f"the module {path!r}"


def _takes(method: Callable[..., object], positions: int, names: Collection[str]) -> bool:
    try:
        inspect.signature(method).bind(None, *(None,) * positions, **dict.fromkeys(names))
    except TypeError:
        return False
    return True


def _candidates(modules: Mapping[str, nn.Module]) -> Iterator[tuple[str, str]]:
    seen: set[int] = set()
    for path, module in modules.items():
        if id(module) in seen:
            continue
        seen.add(id(module))
        for name, method in _own_methods(type(module)):
            names = set(_names(method))
            if names & _CLAMPS and not names & _BEYOND and _needs_nothing(method):
                yield path, name


def _own_methods(kind: type) -> Iterator[tuple[str, FunctionType]]:
    for owner in kind.__mro__:
        if owner.__module__.partition(".")[0] in ("torch", "builtins", "convex_init"):
            return
        for name, value in vars(owner).items():
            if isinstance(value, FunctionType) and not name.startswith("__") and name != "forward":
                yield name, value


def _names(function: FunctionType) -> Iterator[str]:
    """The names that a function's code uses, those of functions inside it included."""
    codes = [inspect.unwrap(function).__code__]  # torch.no_grad wraps what it decorates
    while codes:
        code = codes.pop()
        yield from code.co_names
        codes += [constant for constant in code.co_consts if inspect.iscode(constant)]


def _needs_nothing(method: Callable[..., object]) -> bool:
    parameters = list(inspect.signature(method).parameters.values())[1:]
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return all(p.default is not inspect.Parameter.empty or p.kind in kinds for p in parameters)
