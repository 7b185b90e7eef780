"""What is changed in a model beside numbers: biases that are added, constraints; and how all of it is undone."""

from __future__ import annotations

from typing import Any

import keras

from convex_init.keras.constraints import Between, NonNeg, interval_of
from convex_init.keras.model.variables import Slot, Variables, constraint_name
from convex_init_core.constraints.kept import ANY, NON_NEGATIVE, Interval, together


def add_bias(variables: Variables, weight: str, name: str) -> Slot:
    """Register a bias of zeros in the layer of a weight, under a name."""
    slot = variables.slots[weight]
    layer = slot.layer
    layer._tracker.unlock()
    try:
        variable = layer.add_weight(
            shape=(units(layer),),
            initializer="zeros",
            name="bias",
            dtype=slot.variable.dtype,
            regularizer=layer.bias_regularizer,
            constraint=layer.bias_constraint,
        )
        variable._path = name
        layer.bias, layer.use_bias = variable, True
    finally:
        layer._tracker.lock()
    forget_compiled(variables.model)
    variables.slots[name] = found = Slot(variable, layer, slot.path, learnt=True)
    return found


def units(layer: Any) -> int:
    """Return the number of outputs of a layer with one kernel."""
    shape = [int(size) for size in layer.kernel.shape]
    if hasattr(layer, "depth_multiplier"):
        return shape[-2] * shape[-1]
    return shape[-2] if type(layer).__name__.endswith("Transpose") else shape[-1]


def mark(variables: Variables, name: str, interval: Interval) -> Any:
    """Put the constraint of an interval on a variable, and on its layer, unless it has one of ours that is as strict.

    Returns:
        The constraint that it had before.
    """
    slot = variables.slots[name]
    before = slot.variable.constraint
    known = interval_of(before) if isinstance(before, keras.constraints.NonNeg) else ANY
    is_keras_own = type(before) is keras.constraints.NonNeg  # does not reach averages
    if is_keras_own or known[0] < interval[0] or known[1] > interval[1]:
        interval = together(known, interval) or interval
        set_constraint(slot, NonNeg() if interval == NON_NEGATIVE else Between(*interval))
        forget_compiled(variables.model)
    return before


def set_constraint(slot: Slot, constraint: Any) -> None:
    """Give a variable and its layer a constraint, or none."""
    slot.variable.constraint = constraint
    attribute = constraint_name(slot)
    if attribute:
        setattr(slot.layer, attribute, constraint)


def forget_compiled(model: Any) -> None:
    """Let a compiled model build its functions anew: they hold the layers as they were."""
    for name in ("train_function", "test_function", "predict_function"):
        if getattr(model, name, None) is not None:
            setattr(model, name, None)


class Journal:
    """What was there before it was written, and what was added, to undo all of it.

    Args:
        variables: of the model.
    """

    def __init__(self, variables: Variables) -> None:
        self.variables = variables
        self.before: dict[str, tuple[keras.Variable, Any]] = {}
        self.added: list[tuple[str, Slot]] = []
        self.marked: list[tuple[Slot, Any]] = []

    def keep(self, name: str, variable: keras.Variable) -> None:
        """Keep the numbers of a variable before they are written for the first time."""
        if name not in self.before:
            self.before[name] = variable, keras.ops.copy(variable.value)

    def undo(self) -> None:
        """Write back what was kept, and remove what was added."""
        for variable, values in self.before.values():
            variable.assign(values)
        for name, slot in self.added:
            slot.layer._untrack_variable(slot.variable)
            slot.layer.bias, slot.layer.use_bias = None, False
            del self.variables.slots[name]
        for slot, constraint in reversed(self.marked):
            set_constraint(slot, constraint)
        forget_compiled(self.variables.model)
