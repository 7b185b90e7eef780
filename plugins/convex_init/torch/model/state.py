"""Whether a model changes itself when it runs, as a layer does that initialises itself by the first batch it sees."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

_PLAIN = (bool, int, float, str, bytes, type(None))
_MOSTLY = frozenset(_PLAIN)  # looked up, which is faster than to ask of what class something is
_SIZED = frozenset((list, tuple, dict, set))


def state_of(model: nn.Module) -> dict[str, Any]:
    """Return by module what a run may change: plain Python attributes, and how often each tensor was written.

    Two of these are equal if nothing that they hold has changed between them.
    """
    found: dict[str, Any] = {}
    for path, module in model.named_modules():
        state: dict[str, Any] = {}
        for key, value in vars(module).items():
            kind = type(value)
            if kind in _MOSTLY:
                state[key] = value
            elif kind in _SIZED:
                if not key.startswith("_"):
                    state[key] = repr(value) if len(value) < 100 else len(value)
            elif isinstance(value, Tensor):
                state[key] = _written(value)
            elif isinstance(value, _PLAIN):
                state[key] = value
        for held in (module._parameters, module._buffers):
            for key, tensor in held.items():
                state[key] = None if tensor is None else _written(tensor)
        found[path] = state
    return found


def _written(tensor: Tensor) -> tuple[int, int]:
    try:
        return id(tensor), tensor._version
    except RuntimeError:  # one made in inference mode keeps no count
        return id(tensor), -1
