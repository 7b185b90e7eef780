"""Read a model's sites from what it does when it runs, whatever its forward looks like."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

import convex_init_core as core
from convex_init.torch.fans import AFFINE
from convex_init.torch.inputs import arguments_of, floating_inputs, names_of
from convex_init.torch.recording import Node, is_linear, record
from convex_init.torch.rules import MOVES
from convex_init.torch.sites import Site, shown
from convex_init_core import Activation, Positivity, as_positivity
from convex_init_core.positivity import Softplus

# By ATen name, from the numbers among the operation's arguments. A clamp from below at 0 is a ReLU.
_ACTIVATIONS: dict[str, Callable[..., Activation]] = {
    "relu": core.relu,
    "leaky_relu": core.leaky_relu,
    "elu": core.elu,
    "celu": core.celu,
    "softplus": core.softplus,
    **dict.fromkeys(("threshold", "clamp_min", "clamp"), lambda *_: core.relu()),
}
_POOLS = ("max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool1d", "max_pool2d", "adaptive_max_pool2d")
_PASSED = {*MOVES, *_POOLS, "native_dropout", "_to_copy", "to", "constant_pad_nd"}
_PARAMETRIZED = ".parametrizations.weight.original"


def read_behaviour(
    model: nn.Module, example_inputs: Any, convex_inputs: Iterable[str | int] | str | int | None = None
) -> list[Site]:
    """Run a copy of ``model`` and return the sites of its Linear and convolution layers, in the order of the signal.

    A layer is positive if its input is already a non-linear function of a convex input, free if it is an affine one,
    and a skip if it is free and its output is summed with that of a positive layer. Layers that see only context are no
    sites.

    Args:
        model: any module; it is left as it is.
        example_inputs: one input, a tuple of inputs, or a dict of keyword inputs.
        convex_inputs: in which of them the model is convex; all floating-point ones by default.

    Raises:
        ValueError: if a weight is used in a way that is not known; all such places are listed.
    """
    args, kwargs = arguments_of(example_inputs)
    chosen = names_of(convex_inputs) if convex_inputs is not None else list(floating_inputs(args, kwargs))
    recording = record(copy.deepcopy(model), args, kwargs, chosen)
    reader = _Reader(model)
    for node in recording.nodes:
        if is_linear(node) and not node.fixed and not node.value.is_constant:
            reader.linear(node)
    for node in recording.nodes:
        if node.operation in ("add", "sub", *_WITH_BIAS) and not node.fixed:
            reader.sum(node)
    for node in recording.nodes:
        if "batch_norm" in node.operation and not node.inputs[0].value.curvature.is_affine:
            reader.problems.append(
                f"{node.at} rescales a convex signal: its scale would have to stay non-negative and it sets mean and "
                "variance by itself; remove it, or name the positive layers with positive="
            )
    if reader.problems:
        raise ValueError("nothing was written: " + "\n".join(dict.fromkeys(reader.problems)))
    return list(reader.sites.values())


_WITH_BIAS = ("addmm", "baddbmm", "addmv")  # input + a × b, where the input may be another layer's output


class _Reader:
    """Collect the sites of one recording, and what could not be read."""

    def __init__(self, model: nn.Module) -> None:
        self.modules = dict(model.named_modules(remove_duplicate=False))
        self.sites: dict[str, Site] = {}
        self.made_by: dict[int, str] = {}  # which layer's product a node is
        self.problems: list[str] = []

    def linear(self, node: Node) -> None:
        """Note the layer behind a product with a weight."""
        factors = node.inputs[1:] if node.operation in _WITH_BIAS else node.inputs[:2]
        weight = next((part for part in factors if part.fixed and part.sources), None)
        data = next((part for part in factors if not part.fixed), None)
        if weight is None or data is None or data.value.is_constant:
            return
        if len(weight.sources) != 1:
            made_of = ", ".join(map(repr, weight.sources))
            self.problems.append(f"{node.at} multiplies by a weight made of {made_of}; {_BARE}")
            return
        source = weight.sources[0]
        path = source.removesuffix(_PARAMETRIZED).removesuffix(".weight") if "." in source else ""
        module = self.modules.get(path)
        if module is None or not isinstance(module, AFFINE) or source not in _names_of_weight(path):
            self.problems.append(f"{node.at} multiplies by the bare parameter {source!r}; {_BARE}")
            return
        positivity = None
        if not source.endswith(_PARAMETRIZED):  # a parametrization is read from the layer itself
            try:
                positivity = _map_of(weight)
            except ValueError as error:
                self.problems.append(f"{shown(path)}: {error}")
                return
        if data.value.curvature.is_affine:
            site = Site(path, module, "free", positivity=positivity, reason="sees the input through affine maps only")
        else:
            fed_by = _feeding(data)
            reason = f"fed by {fed_by}" if fed_by is not None else "behind a non-linearity"
            site = Site(path, module, "positive", fed_by, positivity, reason=reason)
        before = self.sites.setdefault(path, site)
        if before.role != site.role:
            self.problems.append(
                f"{shown(path)}: its weight is used both as {before.role} and as {site.role}; untie them"
            )
        elif before.activation != site.activation and before.role == "positive":
            self.problems.append(
                f"{shown(path)}: its weight is fed by {before.activation} and by {site.activation}; untie them"
            )
        self.made_by[id(node)] = path

    def sum(self, node: Node) -> None:
        """Find free layers that are summed with a positive one."""
        terms = list(_terms(node))
        layers = [self.made_by[id(term)] for term in terms if id(term) in self.made_by]
        positive = [path for path in layers if self.sites[path].role == "positive"]
        free = [path for path in layers if self.sites[path].role == "free"]
        others = [term for term in terms if id(term) not in self.made_by and not term.value.is_constant]
        if not positive:
            return
        problem = ""
        if len(set(positive)) > 1:
            problem = f"sums the positive layers {', '.join(map(repr, positive))}"
        elif len(set(free)) > 1:
            named = ", ".join(map(repr, free))
            problem = f"sums {positive[0]!r} with several free layers, {named}"
        elif others:
            problem = f"sums {positive[0]!r} with {others[0].at}, which no weight of a layer scales"
        if problem:
            self.problems.append(
                f"{node.at} {problem}: how they share the variance is not known; leave them out with exclude=, or say "
                "which layers are positive with positive="
            )
        for path in free:
            site = self.sites[path]
            reason = f"summed with {positive[0]}"
            self.sites[path] = Site(
                path, site.module, "skip", positivity=site.positivity, beside=positive[0], reason=reason
            )


_BARE = (
    "initialise it with icnn_(tensor, bias, fan_in=...) and mark it with mark_projected, and name the other layers "
    "with positive="
)


def _names_of_weight(path: str) -> tuple[str, str]:
    prefix = f"{path}." if path else ""
    return f"{prefix}weight", f"{path}{_PARAMETRIZED}".lstrip(".")


def _terms(node: Node) -> Iterable[Node]:
    """The terms of a sum, through sums of sums and through what only moves elements; constants too."""
    if node.operation in ("add", "sub"):
        for part in node.inputs:
            yield from _terms(part)
    elif node.operation in _WITH_BIAS and not node.inputs[0].fixed:
        yield from _terms(node.inputs[0])
        yield node
    elif node.operation in MOVES and node.inputs and not node.fixed:
        yield from _terms(node.inputs[0])
    else:
        yield node


def _feeding(node: Node) -> Activation | None:
    """The activation that feeds a layer, traced back from its input; the identity behind another layer."""
    while node.operation in _PASSED:
        moved = next((part for part in node.inputs if not part.fixed), None)
        if moved is None:
            return None
        node = moved
    numbers = [part for part in node.args[1:] if isinstance(part, (int, float)) and not isinstance(part, bool)]
    name = node.operation.rstrip("_") if node.operation not in _ACTIVATIONS else node.operation
    if name in ("clamp", "clamp_min", "threshold") and any(number != 0.0 for number in numbers):
        return None
    if name == "clamp" and (len(node.args) > 2 and node.args[2] is not None):
        return None
    if name in _ACTIVATIONS:
        # celu is executed as elu with a scale for the argument: its α is that of the exponential's width.
        if name == "elu" and len(numbers) == 3:
            if numbers[2] != 1.0:
                return core.celu(numbers[0]) if abs(numbers[0] * numbers[2] - 1.0) < 1e-6 else None
            numbers = numbers[:1]
        try:
            return _ACTIVATIONS[name](*numbers)
        except ValueError:
            return None
    if name == "_prelu_kernel" and node.args[1].bounds is not None:
        low, high = node.args[1].bounds
        return core.prelu(low) if low == high and 0.0 <= low <= 1.0 else None
    if is_linear(node):
        return core.identity()
    return None


def _map_of(weight: Node) -> Positivity | None:
    """The positivity map between a parameter and the weight that is multiplied with.

    Raises:
        ValueError: if it is none of the known maps.
    """
    scale = 1.0
    maps: list[Positivity] = []
    while weight.operation != "parameter":
        name = weight.operation.rstrip("_")
        parts = [part for part in weight.inputs if part.sources]
        if not parts:
            raise ValueError(f"its weight is made by {weight.operation}, which is no known positivity map")
        if name in ("mul", "div") and not (len(parts) == 2 and parts[0] is parts[1]):
            factor = _number(weight.args[1] if weight.inputs[0].sources else weight.args[0])
            if factor is None or factor <= 0.0:
                raise ValueError(f"its weight is scaled by {weight.operation} in a way that is not known")
            if maps:
                raise ValueError("its weight is scaled inside its positivity map, which is not known")
            scale *= factor if name == "mul" else 1.0 / factor
        elif name not in MOVES and name not in ("t", "to", "_to_copy"):
            maps.append(_named_map(name, weight))
        weight = parts[0]
    if len(maps) > 1:
        raise ValueError(f"its weight goes through {len(maps)} maps, which together are not known")
    if not maps:
        if scale != 1.0:
            raise ValueError(
                f"its weight is scaled by {scale:g} without a positivity map; scale the layer's input instead"
            )
        return None
    return maps[0] if scale == 1.0 else maps[0].scaled(scale)


def _named_map(name: str, node: Node) -> Positivity:
    numbers = [part for part in node.args[1:] if isinstance(part, (int, float))]
    if name in ("relu", "exp", "square", "abs"):
        return as_positivity(name)
    if name == "mul" or (name == "pow" and numbers == [2]):
        return as_positivity("square")
    if name in ("clamp", "clamp_min") and numbers == [0] and (len(node.args) < 3 or node.args[2] is None):
        return as_positivity("relu")
    if name == "softplus":
        return Softplus(beta=float(numbers[0])) if numbers else as_positivity("softplus")
    raise ValueError(f"its weight goes through {name}, which is no known positivity map")


def _number(part: Any) -> float | None:
    if isinstance(part, Node):
        return part.bounds[0] if part.bounds is not None and part.bounds[0] == part.bounds[1] else None
    return float(part) if isinstance(part, (int, float)) else None
