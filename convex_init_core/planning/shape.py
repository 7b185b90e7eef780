"""What the rule of ``method="auto"`` looks at, from a reading."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from convex_init_core.methods.choice.auto import Shape
from convex_init_core.planning.measurement.kinks import kinked_sums
from convex_init_core.theory.activations import relu
from convex_init_core.weights.positivity import Positivity, as_positivity

if TYPE_CHECKING:
    from convex_init_core.planning.facts import Facts
    from convex_init_core.reading.parts import Product, Reading
    from convex_init_core.request import Request


def shape_of(reading: Reading, facts: Facts, request: Request, excluded: Collection[str] = ()) -> Shape:
    """Return the shape of a model; of one whose method is named, only what is counted anyway.

    Args:
        reading: of the model.
        facts: of the reading.
        request: of the user.
        excluded: names of parameters that are left alone.
    """
    inputs, is_relu_chain, takes_zero = 0.0, False, True
    if request.settings.method == "auto":
        fans = (term.product.fan_in for found in kinked_sums(reading, facts, excluded) for term in found.terms)
        inputs = max(fans, default=0.0)
        is_whole = request.positive is request.free is request.exclude is None and not request.calibrate
        positive = [product for product in reading.products if product.positive]
        is_relu_chain = is_whole and facts.in_a_row > 0 and all(_is_fed_by_relu(product, facts) for product in positive)
        takes_zero = all(map_of(product, facts, request).takes_zero for product in positive)
    return Shape(facts.depth, facts.in_a_row, facts.with_skips, inputs, is_relu_chain, takes_zero)


def map_of(product: Product, facts: Facts, request: Request) -> Positivity:
    """Return the map of a positive weight: its own, or the one that the user wants."""
    own = product.positivity or facts.parameter(product.source).positivity
    return own or request.positivity or as_positivity("projection")


def _is_fed_by_relu(product: Product, facts: Facts) -> bool:
    return facts.feeding.activation_behind(product.data) == relu()
