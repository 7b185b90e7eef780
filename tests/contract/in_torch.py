"""The described models as torch modules."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch
from convex_init_core.planning.plan import Plan
from tests.contract.description import Model, Step

_THROUGH = {
    "": lambda weight: weight,
    "softplus": F.softplus,
    "softplus_mean": lambda weight: F.softplus(weight) / weight.shape[1],
    "exp": torch.exp,
    "square": torch.square,
    "relu": F.relu,
}
_ACTS = {
    **{"relu": F.relu, "softplus": F.softplus, "elu": F.elu},
    **{"exp": torch.exp, "square": torch.square, "tanh": torch.tanh},
}


class Network(nn.Module):
    """Images come with their channels first."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        for name, step in model.layers.items():
            self.add_module(name, _layer(step, len(model.widths[step.inputs[0]]) - 1))
            if step.kind != "batch_norm":
                _take(getattr(self, name), model.kernel(name))

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        values: list[torch.Tensor] = []
        for number, step in enumerate(self.model.steps):
            if step.kind == "input":
                values.append(inputs[number])
            else:
                values.append(getattr(self, f"_{step.kind}")(step, *(values[i] for i in step.inputs)))
        return values[-1]

    def _dense(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        layer = getattr(self, step.layer)
        if not step.known["through"]:
            return layer(x)
        return F.linear(x, _THROUGH[step.known["through"]](layer.weight), layer.bias)

    def _convolution(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        return getattr(self, step.layer)(x)

    _batch_norm = _convolution

    def _act(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        return _ACTS[step.known["function"]](x)

    def _leaky_relu(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(x, step.known["slope"])

    def _scaled(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        return step.known["factor"] * x

    def _pooled(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        return (F.avg_pool2d if step.known["how"] == "average" else F.max_pool2d)(x, step.known["window"])

    def _flat(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)

    def _over_features(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        if step.known["how"] == "log_sum_exp":
            return torch.logsumexp(x, -1, keepdim=True)
        return x.sum(-1, keepdim=True) if step.known["how"] == "sum" else x.amax(-1, keepdim=True)

    def _pieces(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(-1, step.known["count"], step.known["units"]).amax(1)

    def _mean_over_steps(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        return x.mean(1)

    def _part(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        return x[..., step.known["start"] : step.known["stop"]]

    def _looked_up(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        return x[..., step.known["places"]]

    def _beside(self, step: Step, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, y], -1)

    def _add(self, step: Step, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y

    def _multiply(self, step: Step, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x * y


def _layer(step: Step, window: int) -> nn.Module:
    known = step.known
    if step.kind == "dense":
        return nn.Linear(known["inputs"], known["units"], bias=known["bias"])
    if step.kind == "batch_norm":
        return nn.BatchNorm1d(known["features"], affine=known["scale"])
    assert window == 2
    return nn.Conv2d(known["inputs"], known["channels"], known["window"], known["stride"], groups=known["groups"])


@torch.no_grad()
def _take(layer: nn.Module, kernel: np.ndarray) -> None:
    layer.weight.copy_(torch.from_numpy(np.moveaxis(kernel, (-1, -2), (0, 1))))
    if layer.bias is not None:
        layer.bias.zero_()


class Adapter:
    """A described model in torch, as the tests of the contract ask for it."""

    def __init__(self, model: Model) -> None:
        self.options = model.options
        self.network = Network(model).eval()
        arrays = [np.moveaxis(x, -1, 1) if x.ndim == 4 else x for x in model.inputs()]
        self.inputs = tuple(map(torch.from_numpy, arrays))

    def plan(self) -> Plan:
        return convex_init.torch.plan(self.network, self.inputs, **self.options)

    def apply(self) -> None:
        convex_init.torch.apply_(self.network, self.inputs, generator=torch.Generator(), **self.options)

    def certificate(self) -> Any:
        convex = self.options.get("convex_inputs")
        return convex_init.torch.certify(self.network, self.inputs, convex, search=False)

    def layer_of(self, path: str) -> str:
        """The layer of the description that a path of the plan means."""
        return path
