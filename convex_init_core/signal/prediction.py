"""What the equations predict for a chain of layers, one behind the other, from the moments of the weights they have.

The prediction is for weights drawn independently of each other. Of an isometric layer it would be wrong: there every
feature is read by one unit, and all rows have the same sum. From such a layer on there is none, which NaN says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convex_init_core.methods.isometric import BACKGROUND
from convex_init_core.signal.propagation import backward, forward
from convex_init_core.theory.activation import Activation
from convex_init_core.theory.statistics import GradientStatistics, LayerStatistics, SignalStatistics
from convex_init_core.weights.weight_axes import Geometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EQUAL = 1.02  # ratio of two row sums that are the same, in half precision

UNKNOWN = SignalStatistics(math.nan, math.nan, math.nan)
"""The statistics of a signal of which nothing is predicted."""


@dataclass(frozen=True)
class Stage:
    """A layer of the chain.

    Attributes:
        layer: the moments of its weights and biases.
        activation: φ, which feeds it; the identity in front of a free layer.
        fan_out: number of pre-activations that one feature reaches.
        incoming: statistics of its input, for a layer that does not go on from the one before; else ``None``.
        independent: whether the weights can have been drawn one by one; see :func:`is_isometric`.
    """

    layer: LayerStatistics
    activation: Activation
    fan_out: float
    incoming: SignalStatistics | None = None
    independent: bool = True


def predict_signals(stages: Sequence[Stage]) -> list[SignalStatistics]:
    """Return mean, variance and correlation behind every layer: equations (5), (6), (16)–(19).

    NaN from a layer of dependent weights on, and behind a signal so large or so far from the bends of φ that it has no
    moments to speak of, until a layer with a measured input begins anew.

    Raises:
        ValueError: if the first stage has no ``incoming``.
    """
    found: list[SignalStatistics] = []
    for stage in stages:
        if stage.incoming is None and not found:
            raise ValueError("stages: the first one needs incoming, the statistics of its input")
        found.append(_behind(stage, stage.incoming or found[-1]))
    return found


def predict_gradients(
    stages: Sequence[Stage], signals: Sequence[SignalStatistics], last: GradientStatistics
) -> list[float]:
    """Return the root mean square of the gradient at every layer: equations (24)–(27).

    Args:
        stages: as for :func:`predict_signals`.
        signals: behind every layer, as :func:`predict_signals` returns them.
        last: statistics of the gradient at the output, as measured.

    Returns:
        One number for each stage; NaN where a layer behind it has dependent weights or a signal without moments.
    """
    found, gradient = [math.sqrt(last.second)], last
    for place in range(len(stages) - 1, 0, -1):
        stage, signal = stages[place], signals[place - 1]
        try:
            if not stage.independent or math.isnan(signal.variance):
                raise ValueError
            with np.errstate(over="ignore", invalid="ignore"):
                gradient = backward(gradient, stage.layer, stage.fan_out, signal, stage.activation)
        except (ValueError, OverflowError):
            return [math.nan] * place + found[::-1]
        found.append(math.sqrt(max(gradient.second, 0.0)))
    return found[::-1]


def is_isometric(weight: NDArray[np.float64], geometry: Geometry) -> bool:
    """Return whether a weight is that of an isometric layer.

    That is: nothing is negative, all outputs sum to the same, and, up to a background, each output reads one feature or
    each feature is read by one output. A single unit, or units that have one feature to read, are not: that holds of
    any weight there. Nor is a layer any more that training has moved.

    Args:
        weight: effective weights.
        geometry: of the weight.
    """
    total = float(weight.sum())
    if not math.isfinite(total) or total <= 0.0 or float(weight.min()) < 0.0:
        return False
    matrices = _by_group(weight, geometry)
    rows = matrices.sum((2, 3))
    groups, outputs, inputs, taps = matrices.shape
    if float(rows.max()) > _EQUAL * float(rows.min()) or groups * outputs < 2 or inputs * taps < 2:
        return False
    enough = (1.0 - 2.0 * BACKGROUND) * total
    each_output_one_feature = float(matrices.max((2, 3)).sum()) >= enough
    each_feature_one_output = outputs > 1 and float(matrices.max(1).sum()) >= enough
    each_phase_one_input = geometry.transposed and inputs > 1 and float(matrices.max(2).sum()) >= enough
    return each_output_one_feature or each_feature_one_output or each_phase_one_input


def _by_group(weight: NDArray[np.float64], geometry: Geometry) -> NDArray[np.float64]:
    """The weights as ``[groups, outputs of a group, inputs of a group, taps]``."""
    axes = (*geometry.outputs, *geometry.inputs, *geometry.window)
    groups, outputs, inputs = geometry.groups, geometry.outputs_of_group, geometry.inputs_of_group
    if geometry.transposed:
        return np.moveaxis(weight.transpose(axes).reshape(outputs, groups, inputs, -1), 1, 0)
    return weight.transpose(axes).reshape(groups, outputs, inputs, -1)


def _behind(stage: Stage, incoming: SignalStatistics) -> SignalStatistics:
    if not stage.independent or math.isnan(incoming.variance):
        return UNKNOWN
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return forward(incoming, stage.layer, stage.activation)
    except (ValueError, OverflowError):  # a dead signal, or one that exploded
        return UNKNOWN
