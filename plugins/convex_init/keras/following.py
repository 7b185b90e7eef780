"""Follow a Keras model operation by operation, through the graph of every layer's ``call``, on any backend.

A layer that is called on symbolic tensors shows the operations (``keras.ops``) that it is made of, with its variables
as they are: effective kernels, whatever made them. Nothing is computed but what the layer computes from its variables
alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import layers

from convex_init.keras.rules import Step, result_of
from convex_init_core.convexity import calculus
from convex_init_core.convexity import functions as convex_functions
from convex_init_core.convexity.calculus import Sign, Value


class Follower:
    """What the calculus knows of the symbolic tensors of a model.

    Args:
        model: whose variables are named in messages.
    """

    def __init__(self, model: Any) -> None:
        self.known: dict[int, Value] = {}
        self.steps: dict[int, Step] = {}
        self.kept: list[Any] = []  # a tensor that lives on keeps its id to itself
        self.model = model

    def hold(self, tensor: Any, value: Value, step: Step | None = None) -> None:
        """Note what is known of a symbolic tensor."""
        self.known[id(tensor)] = value
        self.kept.append(tensor)
        if step is not None:
            self.steps[id(tensor)] = step

    def through(self, operation: Any, args: Any, kwargs: dict[str, Any], path: str) -> Any:
        """Call a layer (or a model) on fresh symbolic tensors in place of those known, and follow what it does.

        Returns:
            What the call returns, with symbolic tensors that are known, too.

        Raises:
            Exception: whatever the layer raises on symbolic tensors.
        """
        fresh_args, fresh_kwargs = keras.tree.map_structure(self._fresh, (list(args), kwargs))
        # A model hands down `training` to every layer, whether it takes it or not.
        training = fresh_kwargs.pop("training", None)
        if "training" in inspect.signature(operation.call).parameters:
            fresh_kwargs["training"] = bool(training)
        result = operation.call(*fresh_args, **fresh_kwargs)
        for tensor in keras.tree.flatten(result):
            if isinstance(tensor, keras.KerasTensor):
                self.reach(tensor, path)
        return result

    def value_of(self, tensor: Any) -> Value:
        """What is known of a result: a symbolic tensor, or one that depends on no input."""
        return self.known[id(tensor)] if isinstance(tensor, keras.KerasTensor) else self.constant(tensor, "")[0]

    def _fresh(self, part: Any) -> Any:
        if not isinstance(part, keras.KerasTensor):
            return part
        tensor = keras.Input(batch_shape=part.shape, dtype=part.dtype, name="followed")
        self.hold(tensor, self.known[id(part)], self.steps.get(id(part)))
        return tensor

    def reach(self, tensor: Any, path: str) -> None:
        """Make a symbolic tensor known, with all that it is made of."""
        waiting = [tensor]
        while waiting:
            top = waiting[-1]
            if id(top) in self.known:
                waiting.pop()
                continue
            history = getattr(top, "_keras_history", None)
            if history is None or history.operation is None or isinstance(history.operation, layers.InputLayer):
                self.hold(top, calculus.unknown(f"a tensor in {path!r} that comes from outside the model"))
                continue
            node = history.operation._inbound_nodes[history.node_index]
            needed = [part for part in node.arguments.keras_tensors if id(part) not in self.known]
            if needed:
                waiting.extend(needed)
                continue
            self._node(node, path)

    def _node(self, node: Any, path: str) -> None:
        operation, arguments = node.operation, node.arguments
        if isinstance(operation, keras.Layer):
            values = self._layer(operation, arguments, len(node.outputs), f"{path}/{operation.name}".lstrip("/"))
            for tensor, (value, step) in zip(node.outputs, values, strict=True):
                self.hold(tensor, value, step)
            return
        step = self._step(operation, arguments, path)
        for index, tensor in enumerate(node.outputs):
            if any(isinstance(part, keras.KerasTensor) for part in keras.tree.flatten(list(vars(operation).values()))):
                value = step.unknown("takes a tensor as a parameter")
            else:
                floating = keras.backend.is_float_dtype(tensor.dtype)
                value = result_of(step, index, floating, tensor.dtype == "bool")
            self.hold(tensor, value, step)

    def _step(self, operation: Any, arguments: Any, path: str) -> Step:
        name = type(operation).__name__
        parts = keras.tree.flatten((list(arguments.args), arguments.kwargs))
        read = [self._operand(part, path) for part in parts]
        first = parts[0] if parts else None
        same = len(parts) > 1 and isinstance(first, keras.KerasTensor) and first is parts[1]
        made_by = self.steps.get(id(first)) if isinstance(first, keras.KerasTensor) else None
        place = f"{name} in {path!r}" if path else name
        return Step(operation, name, place, [value for value, _ in read], same, made_by, [b for _, b in read])

    def _operand(self, part: Any, path: str) -> tuple[Value | None, tuple[float, float] | None]:
        if isinstance(part, keras.KerasTensor):
            return self.known[id(part)], None
        if part is None or isinstance(part, (str, bool, slice, type(Ellipsis))):
            return None, None
        try:
            return self.constant(part, path)
        except (TypeError, ValueError):
            return None, None

    def constant(self, part: Any, path: str) -> tuple[Value, tuple[float, float] | None]:
        """What is known of a variable, an array, or a number, and its bounds."""
        if isinstance(part, (int, float)):
            return calculus.numbers(part, part, f"the number {part:g}"), (float(part), float(part))
        array = np.asarray(keras.ops.convert_to_numpy(part), dtype=np.float64)
        label = repr(part.path) if isinstance(part, keras.Variable) else self._named(array, path)
        if not array.size:
            return calculus.constant(Sign.ZERO, label), None
        low, high = float(array.min()), float(array.max())
        return calculus.numbers(low, high, label), (low, high)

    def _named(self, array: np.ndarray, path: str) -> str:
        """The variable whose numbers these are, if there is one."""
        if array.size > 1:
            for variable in self.model.variables:
                if int(np.prod(variable.shape)) == array.size and "seed" not in variable.name:
                    held = np.asarray(keras.ops.convert_to_numpy(variable), dtype=np.float64)
                    if np.array_equal(held.ravel(), array.ravel(), equal_nan=True):
                        return repr(variable.path)
        return f"a weight computed in {path!r}"

    def _layer(self, layer: Any, arguments: Any, count: int, path: str) -> list[tuple[Value, Step | None]]:
        step = self._step(layer, arguments, path)
        rule = _LAYERS.get(type(layer))
        if rule is not None:
            return [(rule(layer, step, self), step)]
        try:
            result = self.through(layer, arguments.args, arguments.kwargs, path)
            tensors = keras.tree.flatten(result)
            if len(tensors) != count:
                raise ValueError(f"it returned {len(tensors)} tensors instead of {count}")
            return [self._result(tensor, path) for tensor in tensors]
        except Exception as error:  # whatever a layer does with a tensor that has no numbers
            first = str(error).strip().partition("\n")[0][:160]
            kind = type(layer).__name__
            value = step.unknown(f"({kind}) cannot be followed, as it does more than keras.ops: {first}")
            return [(value, step)] * count

    def _result(self, tensor: Any, path: str) -> tuple[Value, Step | None]:
        if isinstance(tensor, keras.KerasTensor):
            return self.known[id(tensor)], self.steps.get(id(tensor))
        return self.constant(tensor, path)[0], None


# Layers of Keras that compute with their backend's functions, which take no symbolic tensors; exact types only.


def _rescaling(layer: Any, step: Step, follower: Follower) -> Value:
    scale, offset = (follower.constant(np.asarray(part), step.at)[0] for part in (layer.scale, layer.offset))
    return calculus.add([calculus.multiply(scale, step.operands[0], step.at), offset], step.at)


def _normalization(layer: Any, step: Step, follower: Follower) -> Value:
    if layer.invert:
        return step.unknown("has no rule when it inverts")
    centred = calculus.add([step.operands[0], calculus.constant(Sign.ANY)], step.at)
    return calculus.multiply(calculus.constant(Sign.NON_NEGATIVE), centred, step.at)


def _prelu(layer: Any, step: Step, follower: Follower) -> Value:
    value, bounds = follower.constant(layer.alpha, step.at)
    if bounds is None or not value.finite:
        return step.unknown(f"has slopes {value.label} that cannot be read")
    return calculus.apply(convex_functions.leaky_relu(*bounds, name="prelu"), step.operands[0], step.at)


def _unchanged(layer: Any, step: Step, follower: Follower) -> Value:
    return step.operands[0]


_LAYERS: dict[type, Any] = {
    layers.Rescaling: _rescaling,
    layers.Normalization: _normalization,
    layers.PReLU: _prelu,
    layers.ActivityRegularization: _unchanged,
}


@contextmanager
def unchanged_graph(layers_: Iterable[Any]) -> Iterator[None]:
    """Forget the symbolic calls that are made meanwhile, so that the layers' own graph stays as it was."""
    kept = [(layer, len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in layers_]
    try:
        yield
    finally:
        for layer, inbound, outbound in kept:
            del layer._inbound_nodes[inbound:], layer._outbound_nodes[outbound:]
