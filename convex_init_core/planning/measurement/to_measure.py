"""Which sums are measured on the example inputs, and what the calibration has to know of each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from convex_init_core.planning.facts import readers
from convex_init_core.planning.measurement.few import chance
from convex_init_core.planning.measurement.kinks import Spread
from convex_init_core.planning.measurement.sizes import SAMPLES, axis_of_units, samples
from convex_init_core.planning.outputs.level import Level, level_of, moved_by
from convex_init_core.planning.refusals import behind_moves, shown
from convex_init_core.reading.axes_of_weight import axes_of_weight
from convex_init_core.reading.products_and_sums import parameter_of
from convex_init_core.weights.laws import Normal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from convex_init_core.graph.nodes import Graph, Node
    from convex_init_core.planning.decisions import Decision, Decisions
    from convex_init_core.planning.facts import Facts
    from convex_init_core.reading.parts import Reading, Sum, Term
    from convex_init_core.request import Request
    from convex_init_core.weights.positivity import Positivity

LEFT_ALONE = 1.5
"""By this factor may the measured variance of a sum be off before its theory is overruled, by default."""


Measurement: TypeAlias = "Measured | Normalised | Spread | Level"


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
        is_without_theory: whether a few numbers are better than none.
        few: how many samples there are beside a theory, if they are few; else 0.
        seen: for values that are present, a later one that shows them, and the bias that it adds to them, by name.
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
    is_without_theory: bool = False
    few: int = 0
    seen: Mapping[Node, tuple[Node, str]] = field(default_factory=dict)

    def seen_at(self, node: Node) -> tuple[Node, str]:
        """Return the value of a run that shows a value that is present, and the bias that it has in addition."""
        return self.seen.get(node, (node, ""))

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


def to_measure(reading: Reading, decisions: Decisions, request: Request, has_inputs: bool) -> tuple[Measurement, ...]:
    """Return the sums that are to be measured, in the order of the signal.

    With ``calibrate`` these are all. By default, they are those without a theory and, with the method
    ``"bounded_gain"``, those that are off by more than :data:`LEFT_ALONE` on enough samples; the statistics of batch
    normalisations; and an output that lies behind a maximum or a log-sum-exp.

    Of an isometric network without free skips these are the free layers that see the input, so that inputs of any
    scale give the signal that the others keep; that is not centred, and has not the variance that is measured for.

    Args:
        reading: of the model.
        decisions: on all sums.
        request: of the user.
        has_inputs: whether the inputs are the user's; made-up ones are not measured on.
    """
    level = _level(reading, decisions, request, has_inputs)
    if request.calibrate is False or not has_inputs:
        return ()
    exactly = bool(request.calibrate)
    readers_of = readers(reading)
    chosen: list[Measurement] = []
    for found in reading.sums:
        if found in decisions.kinked and samples(found) >= SAMPLES:
            chosen.append(_spread(found, decisions, request))
            continue
        if found.normalised is not None:
            if found.positive or not request.settings.needs_geometry:
                chosen += _normalised(found)
            continue
        deciding = [term for term in found.terms if _decision(decisions, found, term) is not None]
        if deciding and request.outputs.is_asked and found in decisions.outputs and samples(found) >= SAMPLES:
            chosen.append(_measured(reading, found, decisions, True, readers_of, request))
            continue
        if not deciding or (request.settings.needs_geometry and found.positive and not exactly):
            continue
        # One weight in sums of different kinds cannot be right in each: the first says nothing of a fixed point.
        by_default = _scales_by_itself(decisions, request) and found in decisions.facts.alike and samples(found) > 1
        if exactly or found in decisions.doubtful or by_default:
            chosen.append(_measured(reading, found, decisions, exactly, readers_of, request))
            if found in decisions.doubtful and found.root.size < SAMPLES:
                _note_few(found, decisions)
    if level is not None:
        _note(level, decisions)
        chosen.append(level)
    return tuple(chosen)


def _level(reading: Reading, decisions: Decisions, request: Request, has_inputs: bool) -> Level | None:
    """How the mean of an output is set that moves as one with its last sum.

    Raises:
        ValueError: if the user wants a mean of such an output, and it cannot be set.
    """
    is_asked = request.outputs.mean is not None and not decisions.problems
    if not (is_asked or request.calibrate or _scales_by_itself(decisions, request)):
        return None
    moved = moved_by(reading, decisions.outputs)
    if moved is None:
        return None
    found = level_of(reading, decisions, request.outputs.shared_mean)
    paths = ", ".join(map(shown, decisions.facts.paths(moved[0].terms)))
    if is_asked and found is None:
        raise ValueError(
            f"nothing was written: {paths}: output_mean= needs a bias that moves the output and nothing else; give the "
            "last layer one of its own, or leave output_mean= out"
        )
    is_shown = has_inputs and request.calibrate is not False and found is not None and found.root.size >= SAMPLES
    if is_asked and not is_shown:
        raise ValueError(
            f"nothing was written: {paths}: output_mean= of an output behind a maximum or a log-sum-exp is set by "
            f"measuring: pass {SAMPLES} example_inputs or more, and leave calibrate=False out"
        )
    return found if is_shown else None


def _note(level: Level, decisions: Decisions) -> None:
    """Say it in the plan, at the layer whose bias it is."""
    name, _ = level.bias
    carriers = [found for found, bias in decisions.carrier.items() if bias == name]
    for term in (term for found in carriers for term in found.terms):
        decision = decisions.of_weight.get(term.product.source)
        if decision is not None:
            decision.notes.append(f"the mean of {level.root.label} is set by the bias {name!r}")
            return


def _note_few(found: Sum, decisions: Decisions) -> None:
    """Say in the plan that a sum without a theory shows few numbers."""
    for term in found.terms:
        decision = _decision(decisions, found, term)
        if decision is not None:
            few = f"its sum shows {found.root.size} numbers only"
            decision.notes.append(f"{few}, so that its scale is uncertain: pass {SAMPLES} examples or more")


def _scales_by_itself(decisions: Decisions, request: Request) -> bool:
    """Whether a sum with a theory is scaled where it is far off; an isometric one beside skips would be alone in it."""
    method = request.settings.method
    return method == "bounded_gain" or (method == "isometric" and not decisions.facts.skips)


def _decision(decisions: Decisions, found: Sum, term: Term) -> Decision | None:
    """The decision on the weight of a term, if its scale is set in this sum.

    That is the last of sums that are alike, such as the readouts of a recurrent network, whose signal the others come
    to have; else the one that decided.
    """
    decision = decisions.of_weight.get(term.product.source)
    alike = decisions.facts.alike.get(found)
    if decision is None or alike is None:
        return decision if decision is not None and decision.product is term.product else None
    return decision if found is alike[-1] else None


def _normalised(found: Sum) -> list[Measured | Normalised]:
    node = found.normalised
    assert node is not None
    mean, variance = (behind_moves(part, "buffer") for part in node.inputs[3:5])
    if not mean or not variance:
        return []
    return [Normalised(node.inputs[0], node.label, node.params["axis"], mean, variance)]


def _spread(found: Sum, decisions: Decisions, request: Request) -> Spread:
    facts, name = decisions.facts, decisions.carrier[found]
    decisions.biases[name] = Normal(0.0, 0.0)  # they are not drawn, then
    tolerance = LEFT_ALONE if _scales_by_itself(decisions, request) else math.inf
    return Spread(
        root=found.root,
        paths=facts.paths(found.terms),
        weights=tuple(dict.fromkeys(term.product.source for term in found.terms)),
        bias=(name, facts.factor(found, name)),
        variance=request.settings.variance,
        tolerance=1.0 if request.calibrate else tolerance,
        axis=axis_of_units(found),
    )


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
    weights, heard = [], [*found.positive, *found.heard]  # what is not heard yet is not scaled
    for term in heard:
        decision = _decision(decisions, found, term)
        if decision is not None:
            source, power = term.product.source, 0.5 if term.squares else 1.0
            rows = _rows(reading.graph, source, facts) if by_unit else ()
            weights.append(Weighted(source, decision.recipe.positivity, power, rows))
    biases = tuple((name, facts.factor(found, name)) for name in facts.biases(found) if name != found.fallback_bias)
    alike = facts.alike.get(found, [found])
    carrier = next((decisions.carrier[each] for each in alike if each in decisions.carrier), "")
    is_added = any(each in decisions.adding for each in alike)  # it is not there yet
    bias = (carrier, facts.factor(found, carrier)) if carrier and not is_added else None
    present = tuple(
        (node, factor.mean, reading.is_convex(node) and bool(found.positive)) for node, factor in found.present
    )
    names = [term.product.source for term in found.terms] + [name for name, _ in biases]
    is_doubtful = found in decisions.doubtful
    return Measured(
        root=found.root,
        paths=facts.paths(found.terms),
        weights=tuple(weights),
        bias=bias,
        biases=biases,
        present=present,
        variance=variance,
        mean=mean,
        axis=axis_of_units(found),
        is_output=found in decisions.outputs and request.outputs.is_asked,
        tolerance=1.0 if exactly or is_doubtful else LEFT_ALONE * chance(samples(found)),
        is_last=len(weights) < len(heard) or any(len(readers_of.get(name, ())) > 1 for name in names),
        is_without_theory=is_doubtful,
        few=0 if exactly or is_doubtful or samples(found) >= SAMPLES else samples(found),
        seen=_behind_biases(reading, [node for node, _, _ in present]),
    )


def _behind_biases(reading: Reading, present: list[Node]) -> dict[Node, tuple[Node, str]]:
    """For products that are left as they are, the sum with their own bias: one operation may make both, and shows that.

    The bias may take the shift, so it is no part of what is present.
    """
    waiting = {node for node in present if node.name in ("contract", "convolve")}
    found: dict[Node, tuple[Node, str]] = {}
    for node in reading.graph if waiting else ():
        product = next((part for part in node.inputs if part in waiting), None)
        bias = next((name for part in node.inputs if part.is_fixed and (name := parameter_of(part))), "")
        if node.name == "add" and product is not None and bias and node.shape == product.shape:
            found.setdefault(product, (node, bias))
    return found


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
