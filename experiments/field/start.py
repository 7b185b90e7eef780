"""What a start is like, measured: why one learns faster, or ends lower, than another.

For one network, on inputs of its task: the tangent kernel (the Gram matrix of the output's gradients in all
parameters), where the units bend, how many inputs a convex unit listens to, where the output starts, and which layers
the loss pulls.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from experiments.field.networks import ConvexNet
from experiments.field.stack import Stack

SAMPLES, HELD_OUT = 384, 256
RIDGE = 1e-3  # of the kernel's mean eigenvalue


def network_of(stack: Stack, row: int) -> ConvexNet:
    """Return one network of a stack on its own."""
    network = ConvexNet(stack.shape)
    network.load_state_dict({name: parameter[row].detach() for name, parameter in stack.parameters.items()})
    return network


def measured(network: ConvexNet, inputs: Tensor, targets: Tensor) -> dict[str, float]:
    """Return the measures of a network with one output.

    Args:
        network: at its start, or anywhere in training.
        inputs: at least ``SAMPLES + HELD_OUT`` of them.
        targets: of the output, ``[samples, 1]``.

    Returns:
        ``mean`` and ``deviation`` of the output, in deviations of the target; ``bent``, the share of its variance that
        no affine function has; ``modes``, the effective number of eigenvalues of the centred kernel, (Σλ)²/Σλ²;
        ``common``, the share of the kernel's trace in the mode that is alike on all inputs; ``kernel_error``, what the
        kernel alone would reach on other inputs, in variances of the target; ``kinks``, the number of different
        hyperplanes or bent surfaces that part the inputs, by the number of hidden units; ``listens``, the median of
        (Σw)²/Σw² over convex units; and the share of the squared gradient of the loss by kind of parameter, and by
        layer, ``layer_0`` being the first.
    """
    network = network.double()
    x, y = inputs[: SAMPLES + HELD_OUT].double(), targets[: SAMPLES + HELD_OUT, 0].double()
    y = (y - y.mean()) / y.std()
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}

    def output(of: Mapping[str, Tensor], sample: Tensor) -> Tensor:
        found: Tensor = functional_call(network, dict(of), (sample[None],))
        return found[0, 0]

    gradients = vmap(grad(output), (None, 0))(parameters, x)
    values = vmap(output, (None, 0))(parameters, x)
    flat = torch.cat([each.flatten(1) for each in gradients.values()], 1)
    kernel = flat @ flat.T
    affine = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    rest = values - affine @ torch.linalg.lstsq(affine, values[:, None]).solution[:, 0]
    pull = 2.0 * (values - y)
    shares = {name: float((torch.tensordot(pull, each, 1) / len(x)).square().sum()) for name, each in gradients.items()}
    total = sum(shares.values()) or 1.0
    return {
        "mean": float(values.mean()),
        "deviation": float(values.std()),
        "bent": float(rest.var() / values.var().clamp(min=1e-30)),
        "modes": _modes(kernel),
        "common": float(kernel.mean() / kernel.diagonal().mean().clamp(min=1e-30)),
        "kernel_error": _kernel_error(kernel, y),
        "kinks": _kinks(network, x),
        "listens": _listens(network),
        **{f"pull_{kind}": sum(of for name, of in shares.items() if _kind(name) == kind) / total for kind in KINDS},
        **{
            f"layer_{place}": sum(of for name, of in shares.items() if _layer(name) == place) / total
            for place in range(len(network.layers) + 1)
        },
    }


KINDS = ("first", "convex", "skips", "biases")


def _kind(name: str) -> str:
    if name.endswith("bias"):
        return "biases"
    return "first" if name.startswith("first") else "convex" if name.startswith("layers") else "skips"


def _layer(name: str) -> int:
    """The layer of a parameter, from the input on; a skip belongs to the layer that it leads into."""
    return 0 if name.startswith("first") else int(name.split(".")[1]) + 1


def _modes(kernel: Tensor) -> float:
    centred = kernel - kernel.mean(0) - kernel.mean(1, keepdim=True) + kernel.mean()
    return float(centred.trace().square() / centred.square().sum().clamp(min=1e-30))


def _kernel_error(kernel: Tensor, y: Tensor) -> float:
    """Of kernel regression with a small ridge; the constant comes from the kernel too, as it does in training."""
    known = kernel[:SAMPLES, :SAMPLES]
    ridge = RIDGE * known.trace() / SAMPLES * torch.eye(SAMPLES, dtype=known.dtype)
    weights = torch.linalg.solve(known + ridge, y[:SAMPLES])
    return float((kernel[SAMPLES:, :SAMPLES] @ weights - y[SAMPLES:]).square().mean())


def _kinks(network: ConvexNet, x: Tensor) -> float:
    """Different patterns of units being above 0, over inputs; those that are always or never above 0 are no kink."""
    z = network.first(x)
    patterns = [z > 0]
    for place, layer in enumerate(network.linears(free=False)[:-1]):
        z = torch.nn.functional.linear(network.activation(z), network.map(layer.weight, layer.in_features), layer.bias)
        if network.shape.skip:
            z = z + network.skips[place](x)
        patterns.append(z > 0)
    found = torch.cat(patterns, 1).T
    share = found.double().mean(1)
    return len(torch.unique(found[(share > 0) & (share < 1)], dim=0)) / len(found)


def _listens(network: ConvexNet) -> float:
    found = []
    for layer in network.linears(free=False):
        weight = network.map(layer.weight.detach(), layer.in_features).clamp(min=0.0)
        found.append(weight.sum(1).square() / weight.square().sum(1).clamp(min=1e-30))
    return float(torch.cat(found).median())
