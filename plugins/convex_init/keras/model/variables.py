"""The variables of a model by name, and what the core has to know of each."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import layers

from convex_init.keras.constraints import interval_of
from convex_init.keras.model.fans import AFFINE, layer_geometry, layer_layout
from convex_init_core.framework import Parameter
from convex_init_core.weights.fans import has_even_overlap
from convex_init_core.weights.positivity import as_positivity
from convex_init_core.weights.weight_axes import Geometry

_CAN_TAKE_BIAS = tuple(kind for kind in AFFINE if kind is not layers.EinsumDense)  # which needs the axes of one


@dataclass(frozen=True, eq=False)
class Slot:
    """A variable in its layer.

    Attributes:
        variable: of Keras.
        layer: that holds it.
        path: of the layer: names from the model down, joined by ``/``.
        learnt: whether the layer made it to be trained, frozen or not.
    """

    variable: Any
    layer: Any
    path: str
    learnt: bool

    @property
    def role(self) -> str:
        """``"weight"`` or ``"bias"`` of a layer with one kernel; else empty."""
        if isinstance(self.layer, AFFINE):
            if self.variable is kernel_of(self.layer):
                return "weight"
            if self.variable is self.layer.bias:
                return "bias"
        return ""


class Variables:
    """All variables of a model.

    Args:
        model: that is built.
    """

    def __init__(self, model: Any) -> None:
        """Walk through the layers once."""
        self.model = model
        self.slots: dict[str, Slot] = {}
        self._layers = dict(layers_of(model))
        known: set[int] = set()
        for path, layer in self._layers.items():
            for learnt, variables in ((True, layer._trainable_variables), (False, layer._non_trainable_variables)):
                for variable in variables:
                    if id(variable) not in known:
                        known.add(id(variable))
                        self._add(variable.path, Slot(variable, layer, path, learnt))
        for variable in model.variables:  # states of random generators
            if id(variable) not in known:
                self._add(variable.path, Slot(variable, model, "", learnt=False))

    def _add(self, name: str, slot: Slot) -> None:
        """Keep a slot; names of Keras need not be unique."""
        found, count = name, 1
        while found in self.slots:
            count += 1
            found = f"{name}#{count}"
        self.slots[found] = slot

    @property
    def learnt(self) -> list[str]:
        """Names of the parameters, in the order of the layers."""
        return [name for name, slot in self.slots.items() if slot.learnt]

    def assigned(self, ids: Collection[int]) -> tuple[frozenset[str], list[str]]:
        """Return which variables a call has assigned to, by name, and a doubt for others than the model's."""
        own = {id(slot.variable): name for name, slot in self.slots.items()}
        doubt = "the model assigns to a variable that is not its own, such as that of Keras' global random generator"
        return frozenset(own[key] for key in ids if key in own), [doubt] if any(key not in own for key in ids) else []

    def name_of(self, variable: Any) -> str:
        """Return the name of a variable; empty if there is none."""
        return next((name for name, slot in self.slots.items() if slot.variable is variable), "")

    def path_in(self, scope: list[str], *, numbered: bool = False) -> str:
        """Return the path of the layer in which a scope of names lies, as far as it is one.

        Args:
            scope: names from the outside in; that of the model may be the first.
            numbered: whether the backend numbers the scopes of a layer that is entered again, so that ``"dense_1"`` is
                ``"dense"``.
        """
        names = [(_unnumbered(part), part) if numbered else (part,) for part in scope]
        if names and self.model.name in names[0]:
            names = names[1:]
        path = ""
        for known in names:
            ahead = (f"{path}/{name}".lstrip("/") for name in known)
            found = next((name for name in ahead if name in self._layers), None)
            if found is None:
                break
            path = found
        return path

    def __getitem__(self, name: str) -> Parameter:
        """Return what the core has to know of a parameter."""
        slot = self.slots[name]
        layer, variable, role = slot.layer, slot.variable, slot.role
        known = Parameter(
            name,
            slot.path if role else f"{slot.path}/{variable.name}".lstrip("/"),
            role,
            tuple(int(size) for size in variable.shape),
            obstacle=_obstacle(slot),
            trains=bool(variable.trainable and layer.trainable),
            keeper="NonNeg",
        )
        if isinstance(variable.constraint, keras.constraints.NonNeg):
            below = max(-interval_of(variable.constraint)[0], 0.0)  # a carrier makes up for it
            known = replace(known, positivity=as_positivity("projection"), carrier=below)
        if role == "bias":
            return known
        own = getattr(layer, "bias", None)
        if isinstance(own, keras.Variable):
            known = replace(known, bias=self.name_of(own))
        if role != "weight":
            return known
        if own is None and isinstance(layer, _CAN_TAKE_BIAS):
            known = replace(known, bias=f"{name.rpartition('/')[0]}/bias".lstrip("/"), may_take_bias=True)
        return replace(known, caveat=_caveat(layer))

    def geometry(self, name: str, fan_in: float) -> Geometry:
        """Return the axes of a weight.

        Raises:
            ValueError: for a bare weight whose shape does not say which axis is summed.
        """
        slot = self.slots[name]
        if slot.role == "weight":
            return layer_geometry(slot.layer)
        shape = tuple(int(size) for size in slot.variable.shape)
        if len(shape) == 2 and fan_in in shape:
            summed = shape.index(int(fan_in))
            return Geometry(shape, (1 - summed,), (summed,))
        raise ValueError(f"the shape {shape} of {name!r} does not say which axes are summed; use a layer of Keras")


def kernel_of(layer: Any) -> Any:
    """Return the variable that is the kernel of one of :data:`AFFINE`, behind LoRA, too; ``None`` if unbuilt."""
    return getattr(layer, "_kernel", None) if getattr(layer, "_kernel", None) is not None else layer.kernel


def layers_of(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield every layer once, the model first, with its path: names from the model down, joined by ``/``."""
    known: set[int] = {id(model)}
    paths: set[str] = set()
    waiting = [("", model)]
    while waiting:
        path, layer = waiting.pop(0)
        yield path, layer
        for inner in layer._layers:
            if id(inner) in known:
                continue
            known.add(id(inner))
            own, count = f"{path}/{inner.name}".lstrip("/"), 1
            found = own
            while found in paths:
                count += 1
                found = f"{own}#{count}"
            paths.add(found)
            waiting.append((found, inner))


def constraint_name(slot: Slot) -> str:
    """Return the attribute of a layer that holds the constraint of a variable; empty if there is none."""
    names = [f"{slot.variable.name}_constraint"]
    if slot.role == "weight":
        names += ["kernel_constraint", "depthwise_constraint"]
    return next((name for name in names if hasattr(slot.layer, name)), "")


def _unnumbered(name: str) -> str:
    return re.sub(r"_\d+$", "", name)


def _obstacle(slot: Slot) -> str:
    """Why a variable cannot be written, with the remedy."""
    layer, variable = slot.layer, slot.variable
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        return "its kernel is quantised or has a LoRA part; initialise before either"
    if not keras.backend.is_float_dtype(variable.dtype):
        return f"its {variable.name} is {variable.dtype}; initialise before quantising or converting"
    if not variable.trainable or not layer.trainable:
        return "it is frozen (trainable=False); unfreeze it, or leave it out with exclude="
    constraint = variable.constraint
    if constraint is not None and not isinstance(constraint, keras.constraints.NonNeg):
        return (
            f"its {constraint_name(slot) or 'constraint'} is {type(constraint).__name__}, which would undo the "
            "initialisation or the convexity; remove it (NonNeg is the only one that fits)"
        )
    return ""


def _caveat(layer: Any) -> str:
    _, strides = layer_layout(layer)
    if strides is not None and not has_even_overlap(layer.kernel_size, strides, layer.dilation_rate):
        return "uneven overlap: fan_in is an average over positions"
    if getattr(layer, "padding", "valid") != "valid" and any(size > 1 for size in layer.kernel_size):
        return "zero padding: borders sum fewer features"
    return ""
