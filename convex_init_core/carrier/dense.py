"""The convex form of a chain of dense layers, in NumPy: for networks that are functions of their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convex_init_core.carrier.activations import BesideCarrier, beside_carrier
from convex_init_core.carrier.rounding import Measured, checked
from convex_init_core.carrier.stages import (
    AsItIs,
    Bend,
    CarriedBend,
    CarriedProduct,
    Product,
    Stage,
    convex_stages,
)
from convex_init_core.theory.activation import Activation

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class DenseForm:
    """A chain of dense layers whose logits are convex in the input.

    Attributes:
        weights: ``[outputs, inputs]`` of each layer; of the second one on at least 0, the carrier last on either axis.
        biases: ``[outputs]`` of each.
        beside: what takes the place of the activation behind the second layer and all further ones but the last; behind
            the first the activation is itself.
        measured: what rounding does on the examples.
    """

    weights: tuple[NDArray[Any], ...]
    biases: tuple[NDArray[Any], ...]
    beside: BesideCarrier
    measured: Measured


def dense_form(
    layers: Sequence[tuple[Any, Any]],
    activation: Activation,
    examples: NDArray[Any],
    dtype: Any,
    tolerance: float,
    evaluate: Callable[[DenseForm, NDArray[Any]], Any],
) -> DenseForm:
    """Return the convex form of a classifier of dense layers with one activation between them.

    Args:
        layers: weight ``[outputs, inputs]`` and bias ``[outputs]`` or ``None`` of each, in order.
        activation: φ, behind each but the last.
        examples: ``[batch, inputs]``, whose means centre the carriers.
        dtype: of the weights that are returned.
        tolerance: how much a class probability may differ on the examples.
        evaluate: returns the logits of a form on examples of that dtype, as the framework computes them.

    Raises:
        ValueError: if a layer has no convex form, there is one output, or rounding exceeds the tolerance.
    """
    x = np.asarray(examples, np.float64)
    stages: list[Stage] = []
    for place, (weight, bias) in enumerate(layers):
        stages += [Bend(activation, f"activation behind layers[{place - 1}]")] if place else []
        given = None if bias is None else np.asarray(bias, np.float64)
        stages.append(Product(np.asarray(weight, np.float64), given, f"layers[{place}]"))
    weights: list[NDArray[np.float64]] = []
    biases: list[NDArray[np.float64]] = []
    sums, u, z = [], x, x
    for stage in convex_stages(stages):
        if isinstance(stage, CarriedProduct):
            z = z @ stage.weight.T + stage.bias
            mean = float(z[:, -1].mean() if stage.makes else z.mean())
            z = z - mean
            weights.append(stage.weight)
            biases.append(stage.bias - mean)
            sums.append(stage.row_sum)
        elif isinstance(stage, AsItIs) and isinstance(stage.stage, Product):
            product = stage.stage
            weights.append(product.weight)
            biases.append(np.zeros(len(product.weight)) if product.bias is None else product.bias)
            z = z @ weights[-1].T + biases[-1]
        elif isinstance(stage, CarriedBend):
            r = z[:, -1:]
            z = np.concatenate([stage.form(z[:, :-1], r), r], axis=1)
        else:
            z = activation(z)
    for place, (weight, bias) in enumerate(layers):
        u = u if place == 0 else activation(u)
        u = u @ np.asarray(weight, np.float64).T + (0.0 if bias is None else np.asarray(bias, np.float64))
    beside = beside_carrier(activation)
    form = DenseForm(
        tuple(each.astype(dtype) for each in weights), tuple(each.astype(dtype) for each in biases), beside, Measured()
    )
    found = np.asarray(evaluate(form, x.astype(dtype)), np.float64)
    error = np.abs(_softmax(found) - _softmax(u)).max()
    measured = checked(Measured(tuple(sums), float(np.abs(z - u).max()), float(error)), tolerance, str(np.dtype(dtype)))
    return DenseForm(form.weights, form.biases, beside, measured)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return found
