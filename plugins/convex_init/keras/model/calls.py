"""How a model is called: on arrays by name, in inference, without a trace in the model."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any

import keras

from convex_init_core.convexity.inputs.names import other_names

_PLAIN = (bool, int, float, str, bytes, type(None))


@dataclass(frozen=True, eq=False)
class Call:
    """A model with the structure of its inputs.

    Attributes:
        model: of Keras.
        structure: of the inputs, with an array at each place.
        names: of the inputs, in the order of ``keras.tree.flatten``.
        positional: whether the structure is a tuple of several arguments.
        entry: name of the method that is called; ``""`` for the model itself.
        inference: whether it is told ``training=False``.
        lasting: whether the model's Python attributes keep what a call makes of them.
    """

    model: Any
    structure: Any
    names: tuple[str, ...]
    positional: bool = False
    entry: str = ""
    inference: bool = True
    lasting: bool = False

    @property
    def arrays(self) -> dict[str, Any]:
        """The inputs by name."""
        return dict(zip(self.names, keras.tree.flatten(self.structure), strict=True))

    @property
    def other_names(self) -> dict[str, str]:
        """Further names of inputs: those in the signature of what is called."""
        function = getattr(self.model, self.entry or "call")
        count = len(self.structure) if self.positional else 0
        return other_names(function, count, ())

    @property
    def floating(self) -> list[str]:
        """Names of the floating-point inputs."""
        return [name for name, array in self.arrays.items() if keras.backend.is_float_dtype(str(array.dtype))]

    def __call__(self, **inputs: Any) -> Any:
        """Return what the model returns for inputs by name, with ``training=False``.

        What it assigns to its variables meanwhile is gone afterwards.
        """
        return self.within(inputs, ())[0]

    def within(self, inputs: Mapping[str, Any], state: Iterable[tuple[Any, Any]]) -> tuple[Any, set[int]]:
        """Do the same with other numbers in some variables.

        Args:
            inputs: by name.
            state: pairs of a variable and its numbers.

        Returns:
            what the model returns, and the ``id`` of each variable that it assigned to.
        """
        given = keras.tree.pack_sequence_as(self.structure, [inputs[name] for name in self.names])
        scope = keras.StatelessScope(state_mapping=list(state) or None)
        before = dict(scope.state_mapping)
        with nullcontext() if self.lasting else unchanged(self.model), scope:
            result = self.run(given)
        return result, {key for key, value in scope.state_mapping.items() if before.get(key) is not value}

    def run(self, given: Any) -> Any:
        """Call the model as it is."""
        call = getattr(self.model, self.entry) if self.entry else self.model
        options = {"training": False} if self.inference and _takes_training(call) else {}
        return call(*given, **options) if self.positional else call(given, **options)


def _takes_training(call: Any) -> bool:
    parameters = inspect.signature(call).parameters.values()
    return any(part.name == "training" or part.kind is part.VAR_KEYWORD for part in parameters)


@contextmanager
def on_example_inputs(call: Call) -> Iterator[None]:
    """Turn what a model raises, when it runs on the inputs that its user gave, into an error that says so.

    Raises:
        ValueError: with the error's first line that says anything.
    """
    try:
        yield
    except Warning:
        raise
    except Exception as error:  # whatever a backend raises
        if isinstance(error, ValueError) and str(error).startswith("example_inputs"):
            raise
        shapes = ", ".join(f"{name} {tuple(array.shape)}" for name, array in call.arrays.items())
        raise ValueError(
            f"example_inputs: the model fails on them ({shapes}) with {type(error).__name__}: {said(error)}; pass what "
            "model(...) takes: one array, a list, a dict, or a tuple of positional inputs"
        ) from error


def said(error: Exception) -> str:
    """Return the first line of an error that is not Keras' heading, without colours."""
    lines = (re.sub(r"\x1b\[\d*m", "", line).strip() for line in str(error).splitlines())
    found = next((line for line in lines if line and not line.startswith("Exception encountered")), "")
    return found[:200] or type(error).__name__


@contextmanager
def unchanged(model: Any) -> Iterator[None]:
    """Give the model's layers back the plain Python attributes that they had."""
    layers = list(model._flatten_layers(include_self=True))
    plain = [{key: value for key, value in vars(layer).items() if isinstance(value, _PLAIN)} for layer in layers]
    try:
        yield
    finally:
        for layer, before in zip(layers, plain, strict=True):
            for key, value in before.items():
                if vars(layer).get(key) is not value:
                    object.__setattr__(layer, key, value)


def is_closed(item: Any) -> bool:
    """Whether an object of Keras or its backend is not looked into for Python state: all but layers and containers."""
    if isinstance(item, (keras.Layer, list, dict, tuple, set, FunctionType, MethodType)):
        return False
    return type(item).__module__.partition(".")[0] in ("keras", "tensorflow", "jax", "jaxlib", "torch")
