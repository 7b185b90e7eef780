"""The setting ``kinks="spread"``: which sums it is for, and what is measured for it."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convex_init_core.methods.bends.kinks import SHARE, gaussian_shifts, spread_shifts
from convex_init_core.planning.measurement.sizes import axis_of_units
from convex_init_core.reading.fed_by import JOINS, is_passed_on
from convex_init_core.theory.activations import identity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from convex_init_core.framework import Framework
    from convex_init_core.graph.nodes import Node
    from convex_init_core.planning.facts import Facts
    from convex_init_core.reading.parts import Reading, Sum


NOTHING_TO_SPREAD = (
    "kinks='spread' moves the biases of a free layer that feeds an activation, one for each unit, and there is none: "
    "give the first layer a bias, or leave kinks out"
)

_ALIKE = 1e-12
"""Share of a sum's mean square below which its variance is rounding: the inputs are copies of one."""


@dataclass(frozen=True, eq=False)
class Spread:
    """A sum of free maps whose biases become quantiles of what they are added to.

    Attributes:
        root: the sum; its biases are 0 when it is measured.
        paths: of the layers of its weights, for messages.
        weights: names of these.
        bias: its bias, with its factor.
        variance: that the sum is to have, over units and samples.
        tolerance: factor, above 1, by which the measured variance may be off before the weights are scaled.
        axis: of the units, counted from the last.
    """

    root: Node
    paths: tuple[str, ...]
    weights: tuple[str, ...]
    bias: tuple[str, float]
    variance: float
    tolerance: float
    axis: int

    def __str__(self) -> str:
        """Name the layers."""
        return ", ".join(path or "(model)" for path in self.paths)


def kinked_sums(reading: Reading, facts: Facts, excluded: Collection[str] = ()) -> frozenset[Sum]:
    """Return the sums of free maps and one bias for each unit that an activation takes, wherever it feeds a layer.

    Args:
        reading: of the model.
        facts: of the reading.
        excluded: names of parameters that are left alone, and their sums with them.
    """
    plain = {found.root: found for found in reading.sums if _can_bend_anywhere(found, facts, excluded)}
    found: set[Sum] = set()
    seen: set[Node] = set()
    waiting = [product.data for product in reading.products if product.positive]
    while waiting and len(found) < len(plain):
        node = waiting.pop()
        if node in seen or node.is_fixed:
            continue
        seen.add(node)
        activation = facts.feeding.activation_at(node)
        if activation is not None:
            if activation[0] != identity():
                root = _before_moves(activation[1], plain, facts)
                found |= {plain[root]} if root in plain else set()
        elif node.name in (*JOINS, "add", "subtract"):
            waiting += node.inputs
        elif is_passed_on(node):
            waiting.append(facts.feeding.passed_by(node))
    return frozenset(found)


def spread(framework: Framework, found: Spread, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Write the biases of one sum, and the scale of its weights if that is far off; return the sum as it is then.

    Args:
        framework: of the model.
        found: the sum.
        values: of it, with biases 0. Where all samples are alike (a batch of zeros to try a model with), they say
            nothing of where inputs lie.
    """
    axis = found.axis % values.ndim
    others = tuple(each for each in range(values.ndim) if each != axis)
    within, wanted, scale = float(values.var(axis=others).mean()), (1.0 - SHARE) * found.variance, 1.0
    if within <= _ALIKE * float(np.square(values).mean()):
        shifts = gaussian_shifts(values.shape[axis], SHARE * found.variance)
    else:
        shifts = spread_shifts(values, axis)
        if max(within / wanted, wanted / within) > found.tolerance:
            scale = math.sqrt(wanted / within)
            for name in found.weights:
                framework.scale(name, scale, None)
    name, factor = found.bias
    framework.shift(name, (scale / factor * shifts).reshape(framework.parameter(name).shape))
    along = [1] * values.ndim
    along[axis] = -1
    whole: NDArray[np.float64] = scale * (values + shifts.reshape(along))
    return whole


def _can_bend_anywhere(found: Sum, facts: Facts, excluded: Collection[str]) -> bool:
    """Whether a sum holds nothing but free maps that are used once, and a bias of its own for each unit."""
    biases = facts.biases(found)
    if found.positive or found.present or found.mixed or found.normalised is not None or len(biases) != 1:
        return False
    if not {biases[0], *(term.product.source for term in found.terms)}.isdisjoint(excluded):
        return False
    if any(term.squares or facts.uses[term.product.source] > 1 for term in found.terms):
        return False
    bias = facts.parameter(biases[0])
    one_each = bool(found.root.shape) and math.prod(bias.shape) == found.root.shape[axis_of_units(found)]
    alone = facts.sums_of_bias[biases[0]] == 1 and facts.factor(found, biases[0]) != 0.0
    return one_each and alone and biases[0] != found.fallback_bias and not (bias.is_frozen or bias.obstacle)


def _before_moves(node: Node, roots: dict[Node, Sum], facts: Facts) -> Node:
    while node not in roots and is_passed_on(node) and not node.op.reduces:
        node = facts.feeding.passed_by(node)
    return node
