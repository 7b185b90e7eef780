"""Follow the signal through a model, operation by operation, and say what stands in the way of convexity.

The model is traced into a graph of torch's own operations (:func:`torch.export.export`, in evaluation mode and on fake
tensors), so that functions in a ``forward`` count as well as modules and no name is trusted.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from convex_init.timm.replacing import suggestion
from convex_init.timm.rules import CONVOLVING, ELEMENTWISE, KEEPING, LARGEST, LINEAR, REASONS
from convex_init.timm.values import Blocker, FoundLayer, FoundScale, Value, joined
from convex_init.torch import read_activation
from convex_init.torch.sites import join
from convex_init.torch.write.positivity import read_positivity
from convex_init_core import Activation, as_activation, celu, custom, elu, identity, leaky_relu, softplus
from convex_init_core.convexity.calculus import Curvature


class Refusal(Exception):
    """What is wrong at one operation."""


def trace(model: nn.Module, example: Tensor) -> Any:
    """Return torch's exported program of ``model`` in evaluation mode; modes are put back.

    Raises:
        ValueError: if the model cannot be traced.
    """
    training = {module: module.training for module in model.modules()}
    try:
        model.eval()
        return torch.export.export(model, (example,), strict=False)
    except Exception as error:  # whatever the tracer or the model raises, the answer is the same
        first = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{type(model).__name__} cannot be traced on an input of shape {tuple(example.shape)} "
            f"({type(error).__name__}: {first})"
        ) from error
    finally:
        for module, mode in training.items():
            module.training = mode


class Flow:
    """The walk over a traced model; afterwards ``blockers``, ``layers`` and ``scales`` hold what was found."""

    def __init__(self, model: nn.Module, program: Any, replaced: Mapping[str, nn.Module]) -> None:
        """Walk over ``program``, the trace of ``model``, as if the modules at some paths were replaced."""
        self.model, self.replaced = model, replaced
        self.blockers: list[Blocker] = []
        self.layers: list[FoundLayer] = []
        self.scales: list[FoundScale] = []
        self._values: dict[fx.Node, Value] = {}
        self._roots: dict[fx.Node, fx.Node] = {}  # the tensor that a node is a view of, or the node itself
        self._calls: dict[str, tuple[fx.Node, Value]] = {}  # input and output of each call of a replaced module
        self._weights: dict[str, tuple[fx.Node, Value]] = {}
        self._factors: dict[str, tuple[fx.Node, bool]] = {}
        self._sorted_out: set[tuple[str, str]] = set()
        signature = program.graph_signature
        self._parameters = dict(signature.inputs_to_parameters)
        self._constants = {
            **{name: program.state_dict.get(key, program.constants.get(key))
               for name, key in signature.inputs_to_buffers.items()},
            **{name: program.constants[key] for name, key in signature.inputs_to_lifted_tensor_constants.items()},
        }  # fmt: skip
        self._inputs = set(signature.user_inputs)
        for node in program.graph.nodes:
            self._visit(node)
        self._collect()

    # The walk

    def _visit(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            self._values[node] = self._placeholder(node)
        elif node.op == "output":
            if all(value.curvature is Curvature.CONSTANT for value in self._read(node.args)):
                self._block(node, "the output does not depend on the input")
        elif node.op == "call_function":
            self._values[node] = self._called(node)
        else:
            self._block(node, f"uses {node.op} {node.target}, of which nothing is known")
            self._values[node] = Value(Curvature.CONVEX)

    def _placeholder(self, node: fx.Node) -> Value:
        if node.name in self._inputs:
            return Value(Curvature.AFFINE)
        return Value(Curvature.CONSTANT, self._parameters.get(node.name, ""), self._constants.get(node.name))

    def _called(self, node: fx.Node) -> Value:
        call = self._replaced_call(node)
        name = _name(node)
        written = node.args[0] if name.endswith("_") and not name.endswith("__") and node.args else None
        try:
            value = self._through_replacement(node, *call) if call else self._operation(node, name.rstrip("_"))
            if value.curvature is not Curvature.CONSTANT and not _is_floating(node):
                raise Refusal(f"turns the signal into integers or truth values ({name})")
        except Refusal as refusal:
            self._block(node, str(refusal))
            value = Value(Curvature.CONVEX)  # go on, to find the other offenders, too
        self._note_views(node, name, written)
        if isinstance(written, fx.Node):
            self._overwrite(written, value)
        return value

    def _note_views(self, node: fx.Node, name: str, written: Any) -> None:
        first = node.args[0] if node.args else None
        may_be_view = written is not None or name in KEEPING or name == "dropout"
        self._roots[node] = self._roots.get(first, first) if isinstance(first, fx.Node) and may_be_view else node

    def _overwrite(self, written: fx.Node, value: Value) -> None:
        """An in-place operation changes every view of the tensor."""
        root = self._roots.get(written, written)
        for node, seen in list(self._values.items()):
            if node is written:
                self._values[node] = value
            elif self._roots.get(node, node) is root and seen.curvature | value.curvature is not seen.curvature:
                self._values[node] = Value(value.curvature)

    def _read(self, arguments: Any) -> list[Value]:
        found: list[Value] = []
        fx.node.map_arg(arguments, lambda node: found.append(self._values[node]))
        return found

    def _block(self, node: fx.Node, reason: str) -> None:
        path, kind, remedy = "", type(self.model).__name__, ""
        for module_path, class_name in _stack(node).values():
            path, kind = module_path, class_name.rpartition(".")[2]
            remedy = remedy or suggestion(kind)
        if (path, reason) not in self._sorted_out:
            self._sorted_out.add((path, reason))
            self.blockers.append(Blocker(path, kind, reason, remedy))

    # Replaced modules

    def _replaced_call(self, node: fx.Node) -> tuple[str, str] | None:
        for key, (path, _) in _stack(node).items():
            if path in self.replaced:
                return key, path
        return None

    def _through_replacement(self, node: fx.Node, key: str, path: str) -> Value:
        """Nodes inside a replaced module have the value that the replacement makes of the module's one input."""
        outside = [
            other
            for other in node.all_input_nodes
            if (self._replaced_call(other) or ("",))[0] != key
            and self._values[other].curvature is not Curvature.CONSTANT
        ]
        if key not in self._calls:
            if len(outside) != 1:
                return Value(Curvature.CONSTANT)
            value = self._values[outside[0]]
            if not isinstance(self.replaced[path], nn.Identity):
                value = Value(Curvature.CONVEX, fed_by=read_activation(self.replaced[path]))
            self._calls[key] = outside[0], value
        source, value = self._calls[key]
        if any(other is not source for other in outside):
            raise Refusal("takes more than one signal, so that it cannot be replaced")
        return value

    # Operations

    def _operation(self, node: fx.Node, name: str) -> Value:
        values = self._read((node.args, node.kwargs))
        if all(value.curvature is Curvature.CONSTANT for value in values):
            return self._folded(node)
        if name in CONVOLVING:
            return self._convolution(node)
        if name in ("batch_norm", "_native_batch_norm_legit_no_training"):
            return self._batch_norm(node, name)
        if name in KEEPING:
            return self._kept(node, name, values)
        if name in LARGEST:
            return Value(Curvature.CONVEX, fed_by=joined(values).fed_by)
        if name in ELEMENTWISE or name in ("clamp", "clamp_min"):
            return self._elementwise(node, name)
        rule: Callable[[fx.Node], Value] | None = getattr(self, f"_rule_{name}", None)
        if rule is None:
            raise Refusal(f"{name}: {REASONS.get(name, 'nothing is known of its convexity')}")
        return rule(node)

    def _folded(self, node: fx.Node) -> Value:
        """Compute a constant that involves no parameter, such as a blur filter; know a reshaped parameter again."""
        constants = self._read((node.args, node.kwargs))
        if len(constants) == 1 and constants[0].parameter and _name(node) in KEEPING:
            return constants[0]
        unknown = any(value.number is None for value in constants) or _name(node).endswith("_")
        if unknown or not isinstance(node.target, torch._ops.OpOverload):
            return Value(Curvature.CONSTANT)
        arguments = fx.node.map_arg((node.args, node.kwargs), lambda other: self._values[other].number)
        with torch.no_grad():
            return Value(Curvature.CONSTANT, number=node.target(*arguments[0], **arguments[1]))

    def _kept(self, node: fx.Node, name: str, values: list[Value]) -> Value:
        signals = [value for value in values if value.curvature is not Curvature.CONSTANT]
        if name not in ("cat", "concat", "stack") and len(signals) > 1:
            raise Refusal(f"{name}: the signal chooses places in another signal")
        if name == "getitem" and _name(node.args[0]) in LARGEST and node.args[1] != 0:  # type: ignore[arg-type]
            return Value(Curvature.CONVEX) if not node.users else self._refuse(f"{_name(node.args[0])}: uses the place")  # type: ignore[arg-type]
        return joined(values)

    def _refuse(self, reason: str) -> Value:
        raise Refusal(reason)

    def _convolution(self, node: fx.Node) -> Value:
        signal, weight = (self._of(argument) for argument in node.args[:2])
        if weight.curvature is not Curvature.CONSTANT or signal.curvature is Curvature.CONSTANT:
            raise Refusal("its weight depends on the input")
        if any(value.curvature is not Curvature.CONSTANT for value in self._read(node.args[2:])):
            raise Refusal("its bias depends on the input")
        if weight.number is None and not weight.parameter:
            weight = self._behind_a_map(node)
        if signal.curvature is Curvature.CONVEX and "parametrizations" not in weight.parameter:
            self._non_negative(weight, node)
        if weight.parameter:
            known = self._weights.get(weight.parameter)
            if known and (known[1].curvature, known[1].fed_by) != (signal.curvature, signal.fed_by):
                raise Refusal("its weight is used at two places that need different laws")
            self._weights.setdefault(weight.parameter, (node, signal))
        return signal.plain()

    def _behind_a_map(self, node: fx.Node) -> Value:
        """Return the raw parameter of a weight that a known positivity map computes."""
        path = list(_stack(node).values())[-1][0] if _stack(node) else ""
        module = self.model.get_submodule(path)
        if parametrize.is_parametrized(module, "weight"):
            try:
                read_positivity(module)
            except ValueError as error:
                raise Refusal(str(error)) from error
            return Value(Curvature.CONSTANT, join(path, "parametrizations.weight.original"))
        return Value(Curvature.CONSTANT)

    def _batch_norm(self, node: fx.Node, name: str) -> Value:
        signal, weight = self._of(node.args[0]), self._of(node.args[1])
        if name == "batch_norm" and node.args[5]:
            raise Refusal("normalises by the batch in evaluation mode, too (it keeps no running statistics)")
        if signal.curvature is Curvature.CONVEX:
            self._non_negative(weight, node)
        elif weight.parameter:
            self._factors.setdefault(weight.parameter, (node, False))
        return signal.plain()

    def _non_negative(self, factor: Value, node: fx.Node) -> None:
        """Make sure that a factor of a convex signal is, or will be, non-negative."""
        if factor.parameter:
            self._factors[factor.parameter] = node, True
        elif factor.number is None:
            raise Refusal("multiplies a convex signal by a weight that is computed (standardised?), so of unknown sign")
        elif bool((torch.as_tensor(factor.number) < 0).any()):
            raise Refusal("multiplies a convex signal by a negative number")

    def _of(self, argument: Any) -> Value:
        if isinstance(argument, fx.Node):
            return self._values[argument]
        return Value(Curvature.CONSTANT, number=1.0 if argument is None else argument)

    def _elementwise(self, node: fx.Node, name: str) -> Value:
        try:
            return Value(Curvature.CONVEX, fed_by=_activation(name, _arguments(node)))
        except ValueError as error:
            raise Refusal(f"{name}: {error}") from error

    def _rule_add(self, node: fx.Node) -> Value:
        one, other = self._of(node.args[0]), self._of(node.args[1])
        if other.curvature is Curvature.CONVEX:
            self._non_negative(Value(Curvature.CONSTANT, number=node.kwargs.get("alpha", 1)), node)
        return joined([one, other])

    def _rule_sub(self, node: fx.Node) -> Value:
        one, other = self._of(node.args[0]), self._of(node.args[1])
        return self._difference(one, other, node.kwargs.get("alpha", 1))

    def _rule_rsub(self, node: fx.Node) -> Value:
        return self._difference(self._of(node.args[1]), self._of(node.args[0]), 1)

    def _difference(self, one: Value, other: Value, alpha: Any) -> Value:
        if other.curvature is Curvature.CONVEX and alpha > 0:
            raise Refusal("subtracts a convex signal")
        return joined([one, other]) if other.curvature is Curvature.CONSTANT else Value(one.curvature | other.curvature)

    def _rule_neg(self, node: fx.Node) -> Value:
        return self._difference(Value(Curvature.CONSTANT), self._of(node.args[0]), 1)

    def _rule_mul(self, node: fx.Node) -> Value:
        one, other = self._of(node.args[0]), self._of(node.args[1])
        if Curvature.CONSTANT not in (one.curvature, other.curvature):
            raise Refusal("multiplies two signals (a gate or attention)")
        signal, factor = (one, other) if other.curvature is Curvature.CONSTANT else (other, one)
        if signal.curvature is Curvature.CONVEX:
            self._non_negative(factor, node)
        return signal.plain()

    def _rule_div(self, node: fx.Node) -> Value:
        signal, divisor = self._of(node.args[0]), self._of(node.args[1])
        if divisor.curvature is not Curvature.CONSTANT:
            raise Refusal("divides by a signal")
        if signal.curvature is Curvature.CONVEX:
            if divisor.number is None:
                raise Refusal("divides a convex signal by a learnt number, of unknown sign")
            self._non_negative(divisor, node)
        return signal.plain()

    def _rule_dropout(self, node: fx.Node) -> Value:
        if node.args[2]:
            raise Refusal("drops units in evaluation mode, too")
        return self._of(node.args[0])

    # What was found

    def _collect(self) -> None:
        owners = dict(self.model.named_modules(remove_duplicate=False))
        places = {node: key for key, (node, _) in self._weights.items()}
        for key, (node, signal) in self._weights.items():
            path, _, name = key.replace("parametrizations.weight.original", "weight").rpartition(".")
            positive = signal.curvature is Curvature.CONVEX
            if name == "weight" and path in owners:
                fed_by = signal.fed_by if positive else None
                self.layers.append(FoundLayer(path, owners[path], positive, fed_by, self._meets_norm(node)))
            else:
                self.scales.append(FoundScale(path, owners[path], name, positive))
        for key, (node, positive) in self._factors.items():
            if key in self._weights:
                continue
            path, _, name = key.rpartition(".")
            normalises, shortcut = "", ""
            if _is_norm(node):
                normalises = places.get(node.args[0], "").rpartition(".")[0]  # type: ignore[arg-type]
                shortcut = _shortcut(node)
            self.scales.append(FoundScale(path, owners[path], name, positive, normalises, shortcut))

    def _meets_norm(self, node: fx.Node) -> bool:
        users = list(node.users)
        return bool(users) and all(
            _is_norm(u) or (_name(u).rstrip("_") in LINEAR and self._meets_norm(u)) for u in users
        )


def _name(node: fx.Node) -> str:
    target = node.target
    if target is operator.getitem:
        return "getitem"
    return str(getattr(getattr(target, "overloadpacket", target), "__name__", target))


def _stack(node: fx.Node) -> dict[str, tuple[str, str]]:
    return node.meta.get("nn_module_stack") or {}


def _is_floating(node: fx.Node) -> bool:
    value = node.meta.get("val")
    tensors = value if isinstance(value, (tuple, list)) else [value]
    if _name(node) in LARGEST:
        tensors = tensors[:1]
    if _name(node) == "getitem" and _name(node.args[0]) in LARGEST:  # type: ignore[arg-type]
        return True  # judged by its own rule
    return all(tensor.is_floating_point() for tensor in tensors if isinstance(tensor, Tensor))


def _is_norm(node: fx.Node) -> bool:
    return "batch_norm" in _name(node)


def _shortcut(node: fx.Node) -> str:
    """With what a normalised signal is summed before the next non-linearity."""
    for user in node.users:
        name = _name(user).rstrip("_")
        if name == "add":
            others = [other for other in user.all_input_nodes if other is not node]
            return "normalised" if others and all(_is_norm(other) for other in others) else "identity"
        if name == "dropout":
            return _shortcut(user)
    return ""


def _arguments(node: fx.Node) -> dict[str, Any]:
    """The arguments of an operation by the names of its schema, without the signal."""
    assert isinstance(node.target, torch._ops.OpOverload)
    schema = node.target._schema.arguments
    given = {spec.name: value for spec, value in zip(schema, node.args, strict=False)} | dict(node.kwargs)
    return {spec.name: given.get(spec.name, spec.default_value) for spec in schema[1:]}


def _activation(name: str, arguments: dict[str, Any]) -> Activation:
    """Return the core's activation of an element-wise operation, or raise the core's reason."""
    if name in ("clamp", "clamp_min", "hardtanh"):
        lowest, highest = arguments.get("min", arguments.get("min_val")), arguments.get("max", arguments.get("max_val"))
        if highest is not None:
            raise ValueError(f"its slope drops to 0 at its upper end, {highest:g}")
        if lowest is None:
            return identity()
        return as_activation("relu") if lowest == 0 else _clamp(float(lowest))
    if name == "leaky_relu":
        return leaky_relu(float(arguments["negative_slope"]))
    if name == "celu":
        return celu(float(arguments["alpha"]))
    if name == "softplus":
        return softplus(float(arguments["beta"]), float(arguments["threshold"]))
    if name == "elu":
        if float(arguments["scale"]) != 1.0 or float(arguments["input_scale"]) != 1.0:
            raise ValueError("a scaled elu has a slope that drops at 0")
        return elu(float(arguments["alpha"]))
    return as_activation(name)


def _clamp(lowest: float) -> Activation:
    return custom(partial(np.maximum, lowest), bends=(lowest,), name=f"clamp_min({lowest:g})")
