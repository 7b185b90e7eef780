"""What a plan keeps in intervals: the weights that it draws non-negative, and whatever else convexity depends on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convex_init_core.constraints.kept import ANY, NON_NEGATIVE, Interval, Kept
from convex_init_core.constraints.needed import needed
from convex_init_core.planning.refusals import in_front_of_links
from convex_init_core.reading.behind_a_weight import NoMap, trace
from convex_init_core.reading.factors import Numbers

if TYPE_CHECKING:
    from convex_init_core.convexity.inputs.parts import Part
    from convex_init_core.framework import Framework
    from convex_init_core.graph.nodes import Node
    from convex_init_core.reading.parts import Product, Reading
    from convex_init_core.request import Chosen


@dataclass(frozen=True, eq=False)
class Constraints:
    """What was found.

    Attributes:
        kept: one for each parameter, those that are drawn first, in the order of the signal.
        assumed: the intervals that were taken for granted, those of parameters that are their user's business included.
        is_enough: whether the model is convex wherever its parameters are, as long as these stay in their intervals.
        unsolved: why not, if it is not.
    """

    kept: tuple[Kept, ...] = ()
    assumed: dict[str, Interval] = field(default_factory=dict)
    is_enough: bool = False
    unsolved: str = ""


def constraints(
    reading: Reading,
    framework: Framework,
    convex_inputs: Mapping[str, Part | None] | Iterable[str] | None,
    drawn: Collection[str],
    chosen: Chosen,
    written: Collection[str] = (),
) -> Constraints:
    """Return which parameters must stay where.

    Args:
        reading: of the model.
        framework: that it belongs to.
        convex_inputs: names of the inputs in which it is to be convex; by default all.
        drawn: names of the parameters that are non-negative, and have no map that keeps them so.
        chosen: what the user's selections mean; excluded and free parameters are the user's business.
        written: names of the parameters that will be given numbers of either sign, such as the shift of a bias:
            nothing can be asked of them.
    """
    names = [name for name in framework.parameters() if framework.parameter(name).trains and name not in written]
    outputs = {name: in_front_of_links(reading.graph.outputs[name]) for name in reading.graph.floating}
    given = dict.fromkeys(written, ANY)
    given |= {product.source: NON_NEGATIVE for product in reading.products if is_unmapped(product, framework)}
    found = needed(
        reading.graph,
        outputs,
        names,
        convex_inputs=convex_inputs,
        given=given | dict.fromkeys(drawn, NON_NEGATIVE),
        is_mapped=lambda node: _is_mapped(node, Numbers(framework.moments, framework.measured)),
        framework=framework,
    )
    kept = []
    for name in dict.fromkeys((*drawn, *found.intervals)):
        if name in drawn or name not in chosen.excluded | chosen.free:
            low, high = found.intervals.get(name, NON_NEGATIVE)
            known = framework.parameter(name)
            if low == 0.0 and known.carrier > 0.0:  # what it takes away, the carrier gives to all units alike
                low = -known.carrier
            if (low, high) == ANY:
                continue
            path = known.layer if known.role == "weight" else name
            at = found.why.get(name, "")
            why = f"{at} needs it" if at else "it multiplies a convex value"
            kept.append(Kept(name, path, low, high, why, drawn=name in drawn))
    return Constraints(tuple(kept), given | found.intervals, bool(found.convex), "; ".join(found.unsolved))


def is_unmapped(product: Product, framework: Framework) -> bool:
    """Whether a weight must be non-negative, and no map makes it so."""
    through = product.positivity or framework.parameter(product.source).positivity
    return product.positive and (through is None or not through.reparametrises)


def _is_mapped(node: Node, numbers: Numbers) -> bool:
    try:
        through = trace(node, numbers).positivity
    except NoMap:
        return False
    return through is not None and through.reparametrises
