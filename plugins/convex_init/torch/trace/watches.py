"""What the recorder watches beside operations: which module runs, and numbers that leave torch's sight."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convex_init.torch.model.modules import hidden_modules

Weights = Iterable[tuple[str, str, Tensor]]
"""Kind (``"parameter"`` or ``"buffer"``), name and tensor of each weight."""

Modules = Sequence[tuple[str, nn.Module]]
"""Modules by path, see :func:`modules_of`."""

_WRAPPER = "_orig_mod."  # in the names of a compiled model


def modules_of(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield every module by path, each once, those in plain containers included, which torch does not look into."""
    prefix = _WRAPPER if type(model).__name__ == "OptimizedModule" else ""
    known: set[nn.Module] = set()
    for path, module in (*model.named_modules(), *hidden_modules(model)):
        if module not in known:
            known.add(module)
            yield f"{path}.".removeprefix(prefix).rstrip("."), module


def weights_of(modules: Modules) -> Iterator[tuple[str, str, Tensor]]:
    """Yield ``"parameter"`` or ``"buffer"``, the name, and the tensor, each tensor once."""
    known: set[Tensor] = set()
    for kind in ("parameter", "buffer"):
        for path, module in modules:
            held = module._parameters if kind == "parameter" else module._buffers
            for name, tensor in held.items():
                if tensor is not None and tensor not in known:
                    known.add(tensor)
                    yield kind, f"{path}.{name}".lstrip("."), tensor


@contextmanager
def watched(modules: Modules, running: list[str]) -> Iterator[None]:
    """Keep the path of the module that runs at the end of a list; the path of what calls it, if it has none."""
    handles = []

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        running.pop()

    for path, module in modules:
        if isinstance(module, torch.jit.ScriptModule):  # takes no hooks
            continue

        def enter(module: nn.Module, args: Any, path: str = path) -> None:
            running.append(path or (running[-1] if running else ""))

        handles.append(module.register_forward_pre_hook(enter))
        handles.append(module.register_forward_hook(leave, always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def scripted_reads(modules: Modules) -> Iterator[str]:
    """Yield the paths of scripted modules that turn tensors into lists of numbers, which nothing reports."""
    for path, module in modules:
        if isinstance(module, torch.jit.ScriptModule) and "prim::tolist" in str(getattr(module, "inlined_graph", "")):
            yield path


def eager() -> AbstractContextManager[Any]:
    """Run compiled functions as they were written; nothing to do unless the compiler was loaded."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


# Reads show numbers to the code; memory that is handed out may be written to as well.
READS = frozenset(("tolist", "__repr__", "__str__", "__format__"))
_MEMORY = frozenset(("numpy", "__array__", "data_ptr", "__dlpack__", "to_dlpack", "untyped_storage", "storage"))


class Escapes(TorchFunctionMode):
    """Tell when the model takes numbers, or memory, out of torch's sight.

    Args:
        report: is told the function's name and its arguments.
    """

    def __init__(self, report: Callable[[str, Any], None]) -> None:
        super().__init__()
        self.report = report

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function; a report comes first."""
        name = getattr(func, "__name__", "")
        if name in READS or name in _MEMORY:
            self.report(name, args)
        return func(*args, **(kwargs or {}))
