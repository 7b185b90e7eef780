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


_BY_NAME: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "celu": nn.CELU,
    "softplus": nn.Softplus,
}


def activation_module(spec: str | nn.Module) -> nn.Module:
    """Return a module for an activation's name; a module as it is.

    Raises:
        ValueError: if it is unknown, or may not be used in an input-convex network.
        TypeError: if it is neither.
    """
    if isinstance(spec, str):
        if spec not in _BY_NAME:
            as_activation(spec)  # refuses, with the reason
            raise ValueError(f"activation {spec!r} is no module of torch; pass one of yours, or {', '.join(_BY_NAME)}")
        return _BY_NAME[spec]()
    if not isinstance(spec, nn.Module):
        raise TypeError(f"activation must be a module such as torch.nn.Softplus(), or a name, got {spec!r}")
    return spec


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
            given = torch.from_numpy(np.ascontiguousarray(s))
            try:
                found = function(given)
            except Exception as error:  # whatever it says of numbers that it is not a function of
                first = str(error).partition("\n")[0]
                raise ValueError(
                    f"activation {function!r} is no function of one number in double precision: it fails with "
                    f"{type(error).__name__}: {first}"
                ) from error
        if not isinstance(found, Tensor) or found.shape != given.shape:
            raise ValueError(f"activation {function!r} must return a tensor of the shape that it was given")
        result: NDArray[np.float64] = found.numpy()
        return result

    return evaluate
