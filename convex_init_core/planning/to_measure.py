"""Which sums are measured on the example inputs, and what the calibration has to know of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convex_init_core.planning.facts import readers
from convex_init_core.planning.refusals import behind_moves, shown
from convex_init_core.reading.axes_of_weight import axes_of_weight

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from convex_init_core.graph.nodes import Graph, Node
    from convex_init_core.planning.decisions import Decisions
    from convex_init_core.planning.facts import Facts
    from convex_init_core.reading.parts import Product, Reading, Sum, Term
    from convex_init_core.request import Request
    from convex_init_core.weights.positivity import Positivity

LEFT_ALONE = 1.5
"""By this factor may the measured variance of a sum be off before its theory is overruled, by default."""

SAMPLES = 32
"""What all units share varies from sample to sample only, so few of them do not overrule the theory. The positions of
a convolution are samples, too."""


@dataclass(frozen=True)
class Weighted:
    """One weight of a measured sum.

    Attributes:
        name: of its parameter.
        positivity: its map; ``None`` for one of free sign.
        power: with which a scale of the sum enters the weight: ½ for one that is squared.
        rows: shape in which numbers for each unit meet the weight, where there are some.
    """

    name: str
    positivity: Positivity | None
    power: float = 1.0
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Measured:
    """One sum to be measured.

    Attributes:
        root: the sum.
        paths: of the layers of its weights, for messages.
        weights: that are scaled together.
        bias: that takes the shift, with its factor; ``None`` if there is none.
        biases: all that are added, with their factors.
        present: values that are added as they are, with their factors, and whether their mean is kept.
        tolerance: ratio of variances, above 1, within which the sum is left as the theory has it; 1 for none.
        variance: that the sum is to have: one number, or one for each unit.
        mean: likewise; ``None`` for that of the residual identities among the values that are present.
        axis: of the units, counted from the last.
        is_output: whether the user wants mean or variance of it.
        is_last: whether the model has to be run anew behind it, because what is changed here is also used elsewhere.
    """

    root: Node
    paths: tuple[str, ...]
    weights: tuple[Weighted, ...]
    bias: tuple[str, float] | None = None
    biases: tuple[tuple[str, float], ...] = ()
    present: tuple[tuple[Node, float, bool], ...] = ()
    tolerance: float = 1.0
    variance: NDArray[np.float64] | float = 1.0
    mean: NDArray[np.float64] | float | None = None
    axis: int = -1
    is_output: bool = False
    is_last: bool = False

    def __str__(self) -> str:
        """Name the layers."""
        return ", ".join(path or "(model)" for path in self.paths)


@dataclass(frozen=True, eq=False)
class Normalised:
    """What a batch normalisation takes, and its running statistics, which are set by it as a step of training would.

    Attributes:
        root: the value that is normalised.
        at: where, for messages.
        axis: of its channels.
        mean: name of the running mean; empty if there is none.
        variance: likewise.
    """

    root: Node
    at: str
    axis: int
    mean: str
    variance: str

    def __str__(self) -> str:
        """Name the normalisation."""
        return self.at


def to_measure(
    reading: Reading, decisions: Decisions, request: Request, has_inputs: bool
) -> tuple[Measured | Normalised, ...]:
    """Return the sums that are to be measured, in the order of the signal.

    With ``calibrate`` these are all. By default, they are those without a theory and, with the method
    ``"bounded_gain"``, those that are off by more than :data:`LEFT_ALONE` on enough samples; and the statistics of
    batch normalisations. An isometric signal is not centred, and has not the variance that is measured for.

    Args:
        reading: of the model.
        decisions: on all sums.
        request: of the user.
        has_inputs: whether the inputs are the user's; made-up ones are not measured on.
    """
    if request.calibrate is False or not has_inputs:
        return ()
    exactly, method = bool(request.calibrate), request.settings.method
    readers_of = readers(reading)
    tied = {source for source, count in decisions.facts.uses.items() if count > 1}
    chosen: list[Measured | Normalised] = []
    for found in reading.sums:
        if found.normalised is not None:
            if found.positive or not request.settings.needs_geometry:
                chosen += _normalised(found)
            continue
        deciding = [term for term in found.terms if _decision(decisions, term) is not None]
        if deciding and request.outputs.is_asked and found in decisions.outputs and samples(found) >= SAMPLES:
            chosen.append(_measured(reading, found, decisions, True, readers_of, request))
            continue
        if not deciding or (request.settings.needs_geometry and not exactly):
            continue
        # One weight in many sums cannot be right in each of them: the first says nothing of a fixed point.
        is_tied = any(term.product.source in tied for term in found.terms)
        by_default = method == "bounded_gain" and not is_tied and samples(found) >= SAMPLES
        if exactly or found in decisions.doubtful or by_default:
            chosen.append(_measured(reading, found, decisions, exactly, readers_of, request))
    return tuple(chosen)


def _decision(decisions: Decisions, term: Term) -> object | None:
    """The decision on the weight of a term, if this is the use of the weight that decided."""
    decision = decisions.of_weight.get(term.product.source)
    return decision if decision is not None and decision.product is term.product else None


def _normalised(found: Sum) -> list[Measured | Normalised]:
    node = found.normalised
    assert node is not None
    mean, variance = (behind_moves(part, "buffer") for part in node.inputs[3:5])
    if not mean or not variance:
        return []
    return [Normalised(node.inputs[0], node.label, node.params["axis"], mean, variance)]


def _measured(
    reading: Reading,
    found: Sum,
    decisions: Decisions,
    exactly: bool,
    readers_of: dict[str, list[Node]],
    request: Request,
) -> Measured:
    facts = decisions.facts
    variance, mean = _variance(found, decisions, request), _mean(found, decisions, request)
    by_unit = not (isinstance(variance, float) and (mean is None or isinstance(mean, float)))
    weights = []
    for term in found.terms:
        decision = decisions.of_weight.get(term.product.source)
        if decision is not None and decision.product is term.product:
            source, power = term.product.source, 0.5 if term.squares else 1.0
            rows = _rows(reading.graph, source, facts) if by_unit else ()
            weights.append(Weighted(source, decision.recipe.positivity, power, rows))
    biases = tuple((name, facts.factor(found, name)) for name in facts.biases(found) if name != found.fallback_bias)
    carrier = decisions.carrier.get(found, "")
    is_added = found in decisions.adding  # it is not there yet
    bias = (carrier, facts.factor(found, carrier)) if carrier and not is_added else None
    present = tuple(
        (node, factor.mean, reading.is_convex(node) and bool(found.positive)) for node, factor in found.present
    )
    names = [term.product.source for term in found.terms] + [name for name, _ in biases]
    return Measured(
        root=found.root,
        paths=facts.paths(found.terms),
        weights=tuple(weights),
        bias=bias,
        biases=biases,
        present=present,
        variance=variance,
        mean=mean,
        axis=_axis(found),
        is_output=found in decisions.outputs and request.outputs.is_asked,
        tolerance=1.0 if exactly or found in decisions.doubtful else LEFT_ALONE,
        is_last=len(weights) < len(found.terms) or any(len(readers_of.get(name, ())) > 1 for name in names),
    )


def _rows(graph: Graph, source: str, facts: Facts) -> tuple[int, ...]:
    """The shape in which numbers of units meet a weight."""
    try:
        where = axes_of_weight(graph, source)
    except ValueError:
        raise ValueError(
            f"{shown(facts.parameter(source).layer)}: no product shows which axis of {source!r} counts the outputs; "
            "pass one number for all outputs"
        ) from None
    return tuple(size if axis in where.outputs else 1 for axis, size in enumerate(where.shape))


def _variance(found: Sum, decisions: Decisions, request: Request) -> NDArray[np.float64] | float:
    outputs = request.outputs
    if found not in decisions.outputs:
        return request.settings.variance
    return outputs.shared_variance if outputs.variance is None or outputs.variance.size == 1 else outputs.variance


def _mean(found: Sum, decisions: Decisions, request: Request) -> NDArray[np.float64] | float | None:
    mean = request.outputs.mean if found in decisions.outputs else None
    return mean if mean is None or mean.size > 1 else float(mean[0])


def _axis(found: Sum) -> int:
    """The axis of the units of a sum, from behind: of a convolution its channels."""
    fields = [term.product.node for term in found.terms if term.product.node.name == "convolve"]
    return fields[0].params["data_axes"][1] - len(fields[0].shape) if fields else -1


def samples(found: Sum) -> int:
    """Return how many samples of each unit a sum holds: examples, times the positions of a convolution."""
    return max((term.product.node.size // max(units_of(term.product), 1) for term in found.terms), default=0)


def units_of(product: Product) -> int:
    """Return the number of outputs of a product's weight."""
    node = product.node
    weight = next((part for part in node.inputs if product.source in part.parameters), node)
    if node.name == "convolve":
        outputs: int = weight.shape[node.params["weight_axes"][0]]
        return outputs * int(node.params["groups"] if node.params["transposed"] else 1)
    if node.name == "contract":
        summed: int = math.prod(weight.shape[axis] for axis in node.params["axes"][node.inputs.index(weight)])
        return _size_of_one(weight) // max(summed, 1)
    return node.shape[-1] if node.shape else 1


def _size_of_one(weight: Node) -> int:
    """Size of a weight without the copies that a broadcast makes of it."""
    smallest = weight.size
    while len(parts := [part for part in weight.inputs if part.parameters]) == 1:  # not into the parts of a whole
        weight = parts[0]
        smallest = min(smallest, weight.size)
    return smallest
