"""The clients: which class of which library, how it is built, and what is known of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tests.torchvision_operators import define_missing_operators

FEATURES, CONTEXT, SIDE = 8, 3, 8


@dataclass(frozen=True)
class Client:
    """One class of a library.

    Attributes:
        distribution: the name under which its library is installed.
        build: makes the model with the library's own initialisation.
        shapes: the shapes of its inputs, without the batch.
        settings: what `plan`, `apply_` and `certify` need to know beyond the inputs.
        positive: how many weights have to be non-negative.
        certified: whether the certificate proves it convex; if not, `remark` says why.
        remark: what a user of this class should know.
        behind: whether its own start is ahead of ours in the committed figures.
        broken: what its own forward raises in the versions that are tested, if it does not run.
    """

    distribution: str
    build: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...] = ((FEATURES,),)
    settings: Mapping[str, Any] = field(default_factory=dict)
    positive: int = 0
    certified: bool = True
    remark: str = ""
    behind: bool = False
    broken: str = ""

    def inputs(self, count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return a batch of standard normal inputs."""
        return tuple(torch.randn(count, *shape, generator=generator) for shape in self.shapes)


def _made(module: str, name: str, *args: Any, **settings: Any) -> nn.Module:
    define_missing_operators()  # deepinv imports torchvision
    model: nn.Module = getattr(importlib.import_module(module), name)(*args, **settings)
    return model


def _lyapunov() -> nn.Module:
    blocks = "neuromancer.modules.blocks"
    return _made(blocks, "PosDef", _made(blocks, "InputConvexNN", FEATURES, 1, hsizes=[32, 32]))


def _flow(name: str, positive: int, behind: bool = False, **settings: Any) -> Client:
    """Return a potential of a convex potential flow."""
    build = partial(_made, "cpflows.icnn", name, dim=FEATURES, dimh=32, **settings)
    return Client("cpflows", build, positive=positive, behind=behind)


def _conditional(name: str, **known: Any) -> Client:
    """Return a potential that is convex in the first input and has a context."""
    build = partial(_made, "cpflows.icnn", name, dim=FEATURES, dimh=32, dimc=CONTEXT, num_hidden_layers=3)
    return Client("cpflows", build, ((FEATURES,), (CONTEXT,)), {"convex_inputs": "0"}, positive=3, **known)


def _broken(name: str) -> Client:
    said = "TypeError: Conv2d._conv_forward() missing 1 required positional argument: 'bias'"
    return Client("cpflows", partial(_made, "cpflows.icnn", name), ((1, SIDE, SIDE),), broken=said)


CLIENTS = {
    "deepinv ICNN": Client(
        "deepinv",
        partial(_made, "deepinv.models", "ICNN", 1, num_filters=8, kernel_dim=3, num_layers=2, strong_convexity=0.0),
        ((1, SIDE, SIDE),),
        positive=3,
    ),
    "neuromancer InputConvexNN": Client(
        "neuromancer",
        partial(_made, "neuromancer.modules.blocks", "InputConvexNN", FEATURES, 1, hsizes=[32] * 3),
        positive=3,
    ),
    "neuromancer PosDef": Client(
        "neuromancer",
        _lyapunov,
        positive=2,
        behind=True,
    ),
    "hessQuik ICNN": Client(
        "hessQuik", partial(_made, "hessQuik.networks", "ICNN", FEATURES, [None, 32, 32, 1]), positive=2
    ),
    "cpflows ICNN": _flow("ICNN", 3, behind=True, num_hidden_layers=3),
    "cpflows ICNN2": _flow("ICNN2", 3, behind=True, num_hidden_layers=3),
    "cpflows ICNN3": _flow("ICNN3", 3, num_hidden_layers=3),
    "cpflows LseICNN": _flow("LseICNN", 0),
    "cpflows ResICNN2": _flow("ResICNN2", 5, num_hidden_layers=3),
    "cpflows DenseICNN2": _flow("DenseICNN2", 3, behind=True, num_hidden_layers=3),
    "cpflows PICNN": _conditional("PICNN"),
    "cpflows PICNN2": _conditional("PICNN2", behind=True),
    "cpflows PICNNFW": _conditional("PICNNFW"),
    "cpflows DensePICNN": _conditional("DensePICNN"),
    "cpflows ConvICNN": _broken("ConvICNN"),
    "cpflows ConvICNN2": _broken("ConvICNN2"),
    "cpflows ConvICNN3": _broken("ConvICNN3"),
    "cpflows DenseNetICNN": _broken("DenseNetICNN"),
}
