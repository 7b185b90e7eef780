"""Models described once, for all frameworks: a list of steps that a builder in each framework writes out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SAMPLES = 256


@dataclass(frozen=True)
class Step:
    """One operation.

    Attributes:
        kind: of the operation; each builder has a function of this name.
        inputs: numbers of the steps whose results it takes.
        layer: name of the layer that holds its weights; empty if it has none.
        known: its other arguments.
    """

    kind: str
    inputs: tuple[int, ...]
    layer: str = ""
    known: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """A described model.

    Attributes:
        name: of the model.
        shapes: of one sample of each input, in their order; images have their channels last.
        steps: in order; the first are the inputs, the last is the output.
        options: for ``plan``, ``apply`` and, as far as they are its own, ``certify``.
        widths: shape of each step's result without the samples.
    """

    name: str
    shapes: tuple[tuple[int, ...], ...]
    steps: tuple[Step, ...]
    options: dict[str, Any]
    widths: tuple[tuple[int, ...], ...]

    @property
    def layers(self) -> dict[str, Step]:
        """The first step of each layer, which says what it looks like."""
        found: dict[str, Step] = {}
        for step in self.steps:
            if step.layer:
                found.setdefault(step.layer, step)
        return found

    def inputs(self) -> list[np.ndarray]:
        """Numbers for the inputs: of mean 0 and variance 1."""
        rng = np.random.default_rng(7)
        return [rng.standard_normal((SAMPLES, *shape)).astype(np.float32) for shape in self.shapes]

    def kernel(self, layer: str) -> np.ndarray:
        """The numbers that a layer has before: inputs (of a convolution behind the window), then outputs."""
        known = self.layers[layer].known
        if self.layers[layer].kind == "dense":
            shape: tuple[int, ...] = (known["inputs"], known["units"])
        else:
            shape = (known["window"], known["window"], known["inputs"] // known["groups"], known["channels"])
        rng = np.random.default_rng(list(layer.encode()))
        return (rng.standard_normal(shape) / math.sqrt(math.prod(shape[:-1]))).astype(np.float32)


class Value:
    """The result of a step, with which further steps are written."""

    def __init__(self, description: Description, number: int, shape: tuple[int, ...]) -> None:
        self.description, self.number, self.shape = description, number, shape

    def dense(self, layer: str, units: int, *, bias: bool = True, through: str = "") -> Value:
        """``x @ through(W) + b``; ``through``: softplus, softplus_mean (softplus over fan_in), exp, square or relu."""
        known = {"inputs": self.shape[-1], "units": units, "bias": bias, "through": through}
        return self._then("dense", (*self.shape[:-1], units), layer=layer, **known)

    def convolution(self, layer: str, channels: int, *, window: int = 3, stride: int = 1, groups: int = 1) -> Value:
        """Without padding."""
        sides = ((size - window) // stride + 1 for size in self.shape[:-1])
        known = {"inputs": self.shape[-1], "channels": channels, "window": window, "stride": stride, "groups": groups}
        return self._then("convolution", (*sides, channels), layer=layer, **known)

    def transposed(self, layer: str, channels: int, *, window: int = 4, stride: int = 2) -> Value:
        """A transposed convolution without padding."""
        sides = ((size - 1) * stride + window for size in self.shape[:-1])
        known = {"inputs": self.shape[-1], "channels": channels, "window": window, "stride": stride, "groups": 1}
        return self._then("transposed", (*sides, channels), layer=layer, **known)

    def batch_norm(self, layer: str, *, scale: bool = False) -> Value:
        """With running statistics; ``scale``: with a learnt scale and shift."""
        return self._then("batch_norm", self.shape, layer=layer, features=self.shape[-1], scale=scale)

    def act(self, function: str) -> Value:
        """relu, softplus, elu, exp, square or tanh."""
        return self._then("act", self.shape, function=function)

    def leaky_relu(self, slope: float) -> Value:
        return self._then("leaky_relu", self.shape, slope=slope)

    def scaled(self, factor: float) -> Value:
        return self._then("scaled", self.shape, factor=factor)

    def pooled(self, how: str, window: int = 2) -> Value:
        """``how``: "average" or "max"."""
        sides = (size // window for size in self.shape[:-1])
        return self._then("pooled", (*sides, self.shape[-1]), how=how, window=window)

    def flat(self) -> Value:
        return self._then("flat", (math.prod(self.shape),))

    def over_features(self, how: str) -> Value:
        """``how``: "sum", "max" or "log_sum_exp", over the last axis, which stays with length 1."""
        return self._then("over_features", (*self.shape[:-1], 1), how=how)

    def pieces(self, count: int) -> Value:
        """The largest of ``count`` pieces of the features each: maxout."""
        units = self.shape[-1] // count
        return self._then("pieces", (units,), count=count, units=units)

    def mean_over_steps(self) -> Value:
        return self._then("mean_over_steps", self.shape[1:])

    def part(self, start: int, stop: int) -> Value:
        """Some of the features, one beside the other."""
        return self._then("part", (*self.shape[:-1], stop - start), start=start, stop=stop)

    def looked_up(self, *places: int) -> Value:
        """The features at some places."""
        return self._then("looked_up", (*self.shape[:-1], len(places)), places=list(places))

    def beside(self, other: Value) -> Value:
        """Concatenated along the features."""
        return self._then("beside", (*self.shape[:-1], self.shape[-1] + other.shape[-1]), other)

    def __add__(self, other: Value) -> Value:
        return self._then("add", self.shape, other)

    def __mul__(self, other: Value) -> Value:
        return self._then("multiply", self.shape, other)

    def _then(self, kind: str, shape: tuple[int, ...], *others: Value, layer: str = "", **known: Any) -> Value:
        numbers = (self.number, *(other.number for other in others))
        return self.description.step(Step(kind, numbers, layer, known), shape)


class Description:
    """A model while it is written down."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.widths: list[tuple[int, ...]] = []

    def step(self, step: Step, shape: tuple[int, ...]) -> Value:
        self.steps.append(step)
        self.widths.append(shape)
        return Value(self, len(self.steps) - 1, shape)


def described(write: Callable[..., Value], *shapes: tuple[int, ...], **options: Any) -> Model:
    """The model that a function of its inputs writes, by one method: what ``"auto"`` prefers has a test of its own."""
    description = Description()
    inputs = [description.step(Step("input", ()), shape) for shape in shapes]
    write(*inputs)
    chosen = {"method": "bounded_gain", **options}
    return Model(write.__name__, shapes, tuple(description.steps), chosen, tuple(description.widths))
