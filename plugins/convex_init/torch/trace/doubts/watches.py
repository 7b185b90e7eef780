"""What the recorder watches beside operations: which module and line runs, and numbers that leave torch's sight."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import convex_init
from convex_init.torch.model.modules import hidden_modules
from convex_init_core import checks

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


@contextmanager
def scripts(report: Callable[[str], None]) -> Iterator[None]:
    """Tell when a scripted function or method runs that turns tensors into lists or text, which torch does not report.

    Args:
        report: is told the operation's name.
    """
    kinds = (torch._C.ScriptFunction, torch._C.ScriptMethod)
    calls = [kind.__call__ for kind in kinds]

    def watching(call: Callable[..., Any]) -> Callable[..., Any]:
        def watched_call(self: Any, *args: Any, **kwargs: Any) -> Any:
            text = str(self.graph if isinstance(self, torch._C.ScriptMethod) else self.inlined_graph)
            for name in _READS_OF_SCRIPTS:
                if name in text:
                    report(name)
            return call(self, *args, **kwargs)

        return watched_call

    try:
        for kind, call in zip(kinds, calls, strict=True):
            kind.__call__ = watching(call)  # type: ignore[method-assign]
        yield
    finally:
        for kind, call in zip(kinds, calls, strict=True):
            kind.__call__ = call  # type: ignore[method-assign]


_READS_OF_SCRIPTS = ("prim::tolist", "aten::str(", "aten::format(", "aten::percentFormat(", "aten::hash(")


@contextmanager
def threads(report: Callable[[], None]) -> Iterator[None]:
    """Tell when a thread is started, in which nothing is recorded."""
    before = threading.getprofile()

    def started(*event: Any) -> None:
        sys.setprofile(before)
        report()

    threading.setprofile(started)
    try:
        yield
    finally:
        threading.setprofile(before)


def eager() -> AbstractContextManager[Any]:
    """Run compiled functions as they were written; nothing to do unless the compiler was loaded."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


# Reads show numbers to the code; memory that is handed out may be written to as well.
READS = frozenset(("tolist", "__repr__", "__str__", "__format__"))
DERIVATIVES = frozenset(("grad", "backward"))
_MEMORY = frozenset(("numpy", "__array__", "data_ptr", "__dlpack__", "to_dlpack", "untyped_storage", "storage"))
_MEMORY |= frozenset(("map_", "map2_", "apply_"))


def _is_tensor(item: Any) -> bool:
    return isinstance(item, Tensor)


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
        is_a_split = name == "tensor_split" and any(map(_is_tensor, args[1:]))
        if name in READS or name in _MEMORY or is_a_split or (name in DERIVATIVES and inspect.isfunction(func)):
            self.report(name, args)
        return func(*args, **(kwargs or {}))


_TORCH = str(Path(torch.__file__).parent)
_OURS = (*convex_init.__path__, str(Path(checks.__file__).parent))
_RECORDER = str(Path(__file__).parent.parent)
_BEGINS = "_recorded"  # of the recorder's functions, the one that calls the model


def source() -> tuple[str, int] | None:
    """Return file and line of the innermost frame that lies outside of torch and of this library.

    ``None`` where a layer of torch's own, or of ours, stands between: its path says more. It takes microseconds, since
    only of the frame that is found a line is asked.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        kind = _kind(frame.f_code)
        if kind == "user":
            return frame.f_code.co_filename, frame.f_lineno
        frame = None if kind == "layer" else frame.f_back
    return None


@functools.lru_cache(maxsize=4096)
def _kind(code: CodeType) -> str:
    """Whose code it is: the ``"user"``'s, a ``"layer"``'s, or what stands ``"between"`` those and an operation."""
    file, name = code.co_filename, code.co_name
    if file.startswith(_RECORDER):
        return "layer" if name == _BEGINS else "between"
    if file.startswith(_TORCH):
        return "layer" if "modules" in Path(file).parts and name == "forward" else "between"
    if file.startswith(tuple(getattr(sys.modules.get("keras"), "__path__", ()))):
        return "layer" if name in ("call", "_run_through_graph") else "between"
    return "layer" if file.startswith(_OURS) else "user"


@contextmanager
def on_example_inputs() -> Iterator[None]:
    """Turn what a model raises, when it runs on the inputs that its user gave, into an error that says so.

    Raises:
        ValueError: with the error and the line of the user's code, or the layer's.
    """
    try:
        yield
    except Warning:
        raise
    except Exception as error:
        if isinstance(error, ValueError) and _is_ours(error):
            raise  # a refusal, which says what to do
        frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)]
        ours = [frame for frame, _ in frames if _kind(frame.f_code) != "between" or _is_recorder(frame.f_code)]
        if not ours or (_is_recorder(ours[-1].f_code) and ours[-1].f_code.co_name not in _CALLS):
            raise  # a fault of the recorder, and none of the model's
        users = [(frame.f_code.co_filename, line) for frame, line in frames if _kind(frame.f_code) == "user"]
        first = str(error).strip().partition("\n")[0]
        at = f" ({Path(users[-1][0]).name}:{users[-1][1]})" if users else ""
        raise ValueError(
            f"example_inputs: the model fails on them with {type(error).__name__}: {first}{at}; pass what model(...) "
            "takes: one tensor, a tuple of positional inputs, or a dict of keyword inputs"
        ) from error


_CALLS = (_BEGINS, "__torch_dispatch__", "__torch_function__", "_operation", "_function_of_functions")


def _is_ours(error: Exception) -> bool:
    """Whether this library raised an error itself, not what a model called."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code.co_filename.startswith(_OURS)


def _is_recorder(code: CodeType) -> bool:
    return code.co_filename.startswith(_RECORDER)
