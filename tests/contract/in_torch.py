"""The described models as torch modules."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

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

    _batch_norm = _transposed = _convolution

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
    if step.kind == "transposed":
        return nn.ConvTranspose2d(known["inputs"], known["channels"], known["window"], known["stride"])
    return nn.Conv2d(known["inputs"], known["channels"], known["window"], known["stride"], groups=known["groups"])


@torch.no_grad()
def _take(layer: nn.Module, kernel: np.ndarray) -> None:
    axes = (1, 0) if isinstance(layer, nn.ConvTranspose2d) else (0, 1)
    layer.weight.copy_(torch.from_numpy(np.moveaxis(kernel, (-1, -2), axes)))
    if layer.bias is not None:
        layer.bias.zero_()


def _through_pickle(network: Network) -> Network:
    return pickle.loads(pickle.dumps(network))


def _through_a_checkpoint(network: Network) -> Network:
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    buffer.seek(0)
    fresh = Network(network.model).eval()
    fresh.load_state_dict(torch.load(buffer, weights_only=True))
    return fresh


class Adapter:
    """A described model in torch, as the tests of the contract ask for it."""

    copies: ClassVar[dict[str, Callable[[Network], Network]]] = {
        "deepcopy": copy.deepcopy,
        "pickle": _through_pickle,
        "a checkpoint": _through_a_checkpoint,
    }

    def __init__(self, model: Model) -> None:
        self.model, self.options = model, model.options
        self.network = Network(model).eval()
        self.inputs = tuple(map(_first, model.inputs()))
        self.optimizer: Any = None
        self.projection: Any = None

    def plan(self, **more: Any) -> Plan:
        return convex_init.torch.plan(self.network, self.inputs, **{**self.options, **more})

    def apply(self, seed: int = 0, **more: Any) -> None:
        generator = torch.Generator().manual_seed(seed)
        convex_init.torch.apply_(self.network, self.inputs, generator=generator, **{**self.options, **more})

    def report(self, **more: Any) -> Any:
        return convex_init.torch.signal_report(self.network, self.inputs, **more)

    def certificate(self) -> Any:
        convex = self.options.get("convex_inputs")
        return convex_init.torch.certify(self.network, self.inputs, convex, search=False)

    def layer_of(self, path: str) -> str:
        """The layer of the description that a path of the plan means."""
        return path

    @torch.no_grad()
    def run(self, *arrays: np.ndarray) -> np.ndarray:
        """The output in float64, with channels last, of inputs with channels last."""
        out = self.network(*(_first(x.astype(np.float32)) for x in arrays)).double().numpy()
        return np.moveaxis(out, 1, -1) if out.ndim == 4 else out

    def raw(self, layer: str) -> np.ndarray:
        """The parameter of a layer's weight, axes as in the description."""
        found = getattr(self.network, layer)
        axes = (1, 0) if isinstance(found, nn.ConvTranspose2d) else (0, 1)
        return np.moveaxis(found.weight.detach().double().numpy(), axes, (-1, -2))

    def effective(self, layer: str) -> np.ndarray:
        """What multiplies the layer's input."""
        through = self.model.layers[layer].known.get("through", "")
        return _THROUGH[through](torch.from_numpy(self.raw(layer).T.copy())).numpy().T if through else self.raw(layer)

    def bias(self, layer: str) -> np.ndarray:
        return getattr(self.network, layer).bias.detach().double().numpy()

    def write(self, layer: str, kernel: np.ndarray) -> None:
        with torch.no_grad():
            getattr(self.network, layer).weight.copy_(torch.from_numpy(kernel.T.copy()))

    def project(self) -> None:
        convex_init.torch.project_(self.network)

    def train(self, x: np.ndarray, y: np.ndarray, steps: int) -> None:
        """Fit, with what keeps weights non-negative from the first call on, until it is detached."""
        inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
        if self.optimizer is None:
            self.optimizer = torch.optim.Adam(self.network.parameters(), 1e-2)
            if convex_init.torch.projected_parameters(self.network):
                self.projection = convex_init.torch.project_after_step(self.optimizer, self.network)
        for _ in range(steps):
            self.optimizer.zero_grad()
            (self.network(inputs) - targets).square().mean().backward()
            self.optimizer.step()

    def detach(self) -> None:
        self.projection.remove()

    def state(self) -> list[str]:
        """Names of all that is saved."""
        return list(self.network.state_dict())

    def copied(self, way: str) -> Adapter:
        twin = copy.copy(self)
        twin.network, twin.optimizer = self.copies[way](self.network), None
        return twin

    @staticmethod
    def shared_numbers(between: Callable[[], None]) -> list[float]:
        """What the generators that a program shares give after a seed, with something else in between."""
        torch.manual_seed(7)
        np.random.seed(7)  # noqa: NPY002
        between()
        return [torch.rand(()).item(), np.random.random()]  # noqa: NPY002


def _first(x: np.ndarray) -> torch.Tensor:
    """Channels first."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1) if x.ndim == 4 else x))
