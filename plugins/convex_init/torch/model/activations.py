"""Which core activation a torch activation is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convex_init_core.theory.activation import Activation, custom
from convex_init_core.theory.activations import (
    NOT_CONVEX,
    as_activation,
    celu,
    elu,
    identity,
    leaky_relu,
    prelu,
    relu,
    softplus,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

ActivationLike: TypeAlias = "str | Activation | nn.Module | Callable[[Tensor], Tensor]"


def _prelu(module: nn.PReLU) -> Activation:
    slopes = module.weight.detach().float().cpu()
    if bool((slopes != slopes[0]).any()):
        raise ValueError("prelu with different slopes per channel has no single law; initialise them to one value")
    return prelu(float(slopes[0]))


def _threshold(module: nn.Threshold) -> Activation:
    if module.threshold == 0.0 and module.value == 0.0:
        return relu()
    return as_activation("threshold")  # refuses, with the reason


_MODULES: dict[type[nn.Module], Callable[[Any], Activation]] = {
    nn.Identity: lambda m: identity(),
    nn.ReLU: lambda m: relu(),
    nn.LeakyReLU: lambda m: leaky_relu(m.negative_slope),
    nn.PReLU: _prelu,
    nn.ELU: lambda m: elu(m.alpha),
    nn.CELU: lambda m: celu(m.alpha),
    nn.Softplus: lambda m: softplus(m.beta, m.threshold),
    nn.Threshold: _threshold,
}

_FUNCTIONS: dict[Any, Callable[[], Activation]] = {
    torch.relu: relu,
    F.relu: relu,
    F.leaky_relu: leaky_relu,
    F.elu: elu,
    F.celu: celu,
    F.softplus: softplus,
}


def is_activation(module: nn.Module) -> bool:
    """Whether ``module`` is one of torch's element-wise activations, usable here or not."""
    return type(module) in _MODULES or type(module).__name__.lower() in NOT_CONVEX


def read_activation(spec: ActivationLike) -> Activation:
    """Turn a name, a torch activation module, a torch function or a core activation into a core activation.

    Any other callable is evaluated on float64 tensors, and its convexity checked on a grid.

    Raises:
        ValueError: if it may not be used in an input-convex network; the message says why.
        TypeError: if it is none of these.
    """
    if isinstance(spec, (str, Activation)):
        return as_activation(spec)
    if isinstance(spec, nn.Module):
        if type(spec) in _MODULES:
            return as_activation(_MODULES[type(spec)](spec))
        if type(spec).__name__.lower() in NOT_CONVEX:
            return as_activation(type(spec).__name__)
    elif spec in _FUNCTIONS:
        return _FUNCTIONS[spec]()
    if not callable(spec):
        raise TypeError(f"fed_by must be a name, a module or a function, got {spec!r}")
    name = getattr(spec, "__name__", type(spec).__name__)
    if name in NOT_CONVEX:
        return as_activation(name)
    return custom(_on_arrays(spec), name=name)


def _on_arrays(function: Callable[[Tensor], Tensor]) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    def evaluate(s: NDArray[np.float64]) -> NDArray[np.float64]:
        with torch.no_grad():
            result: NDArray[np.float64] = function(torch.from_numpy(np.ascontiguousarray(s))).numpy()
        return result

    return evaluate
