"""What feeds a layer, in a recording: the activation, and the moments of the features as the core computes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

import convex_init_core as core
from convex_init.torch.behaviour import BATCH_NORMS, Factor, factor_moments
from convex_init.torch.recording import Node
from convex_init.torch.weights import REDUCTIONS, RESHAPES, base_name
from convex_init_core import Activation, FeatureMoments
from convex_init_core.signal.signal_moments import activated, added, concatenated, pre_activation, scaled

# By ATen name, from the numbers among the operation's arguments.
_ACTIVATIONS: dict[str, Callable[..., Activation]] = {
    "relu": core.relu,
    "leaky_relu": core.leaky_relu,
    "elu": core.elu,
    "celu": core.celu,
    "softplus": core.softplus,
}
_POOLS = ("max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool1d", "max_pool2d", "adaptive_max_pool2d")
_PASSED = {*RESHAPES, "native_dropout", "_to_copy", "to", "constant_pad_nd", "clone", "detach", "alias", "t"}
_ADDS = ("add", "sub")


def activation_at(node: Node) -> tuple[Activation, Node, float] | None:
    """Recognise an activation: which, what it takes, and a constant factor of its result."""
    name = base_name(node)
    numbers = [part for part in node.args[1:] if isinstance(part, (int, float)) and not isinstance(part, bool)]
    taken = next((part for part in node.inputs if not part.fixed and not part.value.is_constant), None)
    if taken is None:
        return None
    try:
        if name in ("clamp", "clamp_min", "threshold"):
            bounds = [part for part in node.args[1:] if part is not None]
            zeros = [part.bounds == (0.0, 0.0) if isinstance(part, Node) else part == 0 for part in bounds]
            upper = name == "clamp" and len(node.args) > 2 and node.args[2] is not None
            return (core.relu(), taken, 1.0) if bounds and all(zeros) and not upper else None
        if name in ("maximum", "fmax", "max") and len(node.inputs) == 2:
            other = next(part for part in node.inputs if part is not taken)
            return (core.relu(), taken, 1.0) if _is_zero(other) else None
        if name == "logaddexp" and len(node.inputs) == 2:
            other = next(part for part in node.inputs if part is not taken)
            return (core.softplus(), taken, 1.0) if _is_zero(other) else None
        if name == "elu" and len(numbers) == 3:
            # celu is executed as elu with a scale for the argument: its α is that of the exponential's width.
            if numbers[2] != 1.0:
                is_celu = abs(numbers[0] * numbers[2] - 1.0) < 1e-6 and numbers[1] == 1.0
                return (core.celu(numbers[0]), taken, 1.0) if is_celu else None
            return core.elu(numbers[0]), taken, float(numbers[1])
        if name == "elu" and len(numbers) == 2:
            return core.elu(numbers[0]), taken, float(numbers[1])
        if name == "_prelu_kernel" and isinstance(node.args[1], Node) and node.args[1].bounds is not None:
            low, high = node.args[1].bounds
            return (core.prelu(low), taken, 1.0) if low == high and 0.0 <= low <= 1.0 else None
        if name in _ACTIVATIONS:
            return _ACTIVATIONS[name](*numbers), taken, 1.0
    except ValueError:
        return None
    return None


def _is_zero(node: Node) -> bool:
    return node.value.is_constant and node.tensor is not None and not bool(node.tensor.any())


@dataclass(eq=False)
class Signals:
    """Moments of every value of a recording, from those of the sums that are decided so far.

    Attributes:
        decided: moments of the sums, by node.
        correlation: ρ* that a batch normalisation is assumed to keep.
        chosen: the user's activation for a node's layer, where there is one.
    """

    decided: dict[int, FeatureMoments] = field(default_factory=dict)
    correlation: float = 0.5
    weighted: Mapping[int, bool] = field(default_factory=dict)
    _known: dict[int, tuple[FeatureMoments, str]] = field(default_factory=dict)

    def of(self, node: Node) -> tuple[FeatureMoments, str]:
        """Return the moments of a value, and the operation that the theory does not know on the way; empty if none."""
        if id(node) in self.decided:
            return self.decided[id(node)], ""
        if id(node) not in self._known:
            self._known[id(node)] = self._compute(node)
        return self._known[id(node)]

    def _compute(self, node: Node) -> tuple[FeatureMoments, str]:
        if not self.weighted.get(id(node), True) and node.tensor is not None:
            return measured(node.tensor), ""
        name = base_name(node)
        found = activation_at(node)
        if found is not None:
            phi, taken, scale = found
            signal, doubt = self.of(taken)
            moments = activated(phi, signal)
            return (moments if scale == 1.0 else scaled(moments, scale)), doubt
        if name in _PASSED:
            return self.of(passed_by(node))
        if name in ("cat", "stack", "hstack", "vstack"):
            parts = [(part, *self.of(part)) for part in node.inputs]
            sizes = [(float(part.tensor.numel()) if part.tensor is not None else 1.0, m) for part, m, _ in parts]
            return concatenated(sizes), next((doubt for _, _, doubt in parts if doubt), "")
        if name in _ADDS:
            return self._sum(node)
        if name in ("mul", "div") and len(node.args) >= 2:
            for part, other in (node.args[:2], node.args[1::-1]):
                is_data = isinstance(part, Node) and not part.value.is_constant
                if is_data and (name == "mul" or part is node.args[0]):
                    factor = factor_moments(other) if not isinstance(other, Node) or other.value.is_constant else None
                    if factor is not None and (name == "mul" or factor[0] != 0.0):
                        signal, doubt = self.of(part)
                        mean, second = factor if name == "mul" else (1.0 / factor[0], 1.0 / factor[1])
                        return scaled(signal, mean, second), doubt
        if name in BATCH_NORMS:
            return pre_activation(0.0, 1.0, self.correlation), ""
        signal, _ = self.of(passed_by(node)) if node.inputs else (pre_activation(), "")
        return signal, node.at

    def _sum(self, node: Node) -> tuple[FeatureMoments, str]:
        parts, doubts = [], []
        for i, part in enumerate(node.args[:2]):
            sign = -1.0 if i == 1 and base_name(node) == "sub" else 1.0
            if isinstance(part, Node):
                signal, doubt = self.of(part)
                doubts.append(doubt)
                parts.append(scaled(signal, sign))
            elif isinstance(part, (int, float)):
                parts.append(FeatureMoments(sign * part, float(part) ** 2, 0.0, 0.0))
        return added(parts), next((doubt for doubt in doubts if doubt), "")


def is_passed_on(node: Node) -> bool:
    """Whether an operation moves, pools or sums features: the activation that feeds the next layer is before it."""
    name = base_name(node)
    return bool(node.inputs) and (name in _PASSED or name in REDUCTIONS or name in _POOLS)


def passed_by(node: Node) -> Node:
    """The value that such an operation takes."""
    return next((part for part in node.inputs if not part.fixed and not part.value.is_constant), node.inputs[0])


def feeding_activation(node: Node) -> Activation | None:
    """The one activation that feeds a layer, traced back from its input; the identity behind another layer."""
    while True:
        found = activation_at(node)
        if found is not None:
            return found[0]
        name = base_name(node)
        if name in ("cat", "stack", "hstack", "vstack") or name in _ADDS:
            leaves = {feeding_activation(part) for part in node.inputs if not part.value.curvature.is_affine}
            return leaves.pop() if len(leaves) == 1 else None
        if is_passed_on(node) or (node.inputs and name in ("mul", "div")):
            node = passed_by(node)
        elif name in ("mm", "addmm", "bmm", "convolution", "mv", "addmv", "baddbmm"):
            return core.identity()
        else:
            return None


def measured(values: Tensor) -> FeatureMoments:
    """Measure a value that no weight of the plan changes; units are the channels of an image, or the last dimension."""
    numbers = values.detach().double()
    if numbers.numel() == 0 or numbers.device.type == "meta":
        return pre_activation()
    mean, second = float(numbers.mean()), float(numbers.square().mean())
    variance = max(second - mean**2, 0.0)
    rows = numbers.reshape(1, -1) if numbers.ndim < 2 else numbers
    rows = rows.movedim(1, -1).flatten(0, -2) if rows.ndim > 3 else rows.flatten(0, -2)
    units = rows.shape[1]
    if units < 2 or rows.shape[0] < 2:
        return FeatureMoments(mean, second, variance, 0.0)
    centred = rows - mean
    pairs = float((centred.sum(1).square() - centred.square().sum(1)).mean()) / (units * (units - 1))
    return FeatureMoments(mean, second, variance, max(-variance, min(pairs, variance)))


def as_factor(factor: Factor, signal: FeatureMoments) -> FeatureMoments:
    """Return the moments of a value times a factor."""
    return signal if factor.mean == factor.second == 1.0 else scaled(signal, factor.mean, factor.second)
