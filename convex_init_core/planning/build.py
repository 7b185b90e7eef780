"""From a framework's model to its plan, and from the plan to the model's new weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from convex_init_core.checks import warn_caller
from convex_init_core.collector import collector_paused
from convex_init_core.constraints.of_plan import Constraints, constraints, is_unmapped
from convex_init_core.convexity.judge import judge
from convex_init_core.methods.choice.auto import candidates
from convex_init_core.methods.choice.depth_advice import warn_of_depth
from convex_init_core.methods.choice.rates import positive_rate
from convex_init_core.planning import refusals
from convex_init_core.planning.bend_chain import is_chain, spread_over_chain
from convex_init_core.planning.decide import decide
from convex_init_core.planning.decisions import Decision, Decisions
from convex_init_core.planning.facts import Facts
from convex_init_core.planning.measurement.calibrate import calibrate
from convex_init_core.planning.measurement.to_measure import Measured, to_measure
from convex_init_core.planning.plan import LayerPlan, Plan
from convex_init_core.planning.refusals import shown
from convex_init_core.planning.remedies.other_requests import that_would_do
from convex_init_core.planning.shape import shape_of
from convex_init_core.reading.factors import Numbers
from convex_init_core.reading.products import sees_both_signs
from convex_init_core.reading.products_and_sums import read
from convex_init_core.reading.select import choose
from convex_init_core.request import Chosen, Request

if TYPE_CHECKING:
    from convex_init_core.constraints.kept import Kept
    from convex_init_core.framework import Framework
    from convex_init_core.graph.nodes import Graph
    from convex_init_core.reading.parts import Reading


@collector_paused
def plan(framework: Framework, request: Request) -> Plan:
    """Return what would be done to each weight of a model, and why; nothing is written.

    Args:
        framework: of the model.
        request: of the user.

    Raises:
        ValueError: if a weight cannot be decided, or the model is not known to be convex. All problems are listed with
            the paths of their layers.

    Warns:
        UserWarning: if the method is not known to carry so many positive layers in a row, or the model's convexity
            rests on numbers that nothing keeps as they are.
    """
    try:
        return _planned(framework, request)
    except _Refused as refused:
        others = that_would_do(framework, request, refused.graph, _planned) if refused.is_of_structure else []
        raise ValueError("\n".join([str(refused), *others])) from None


class _Refused(ValueError):
    """There is no plan.

    Attributes:
        graph: of the model.
        is_of_structure: whether what the model computes is in the way, so that a part of it may have a plan.
    """

    def __init__(self, problems: list[str], graph: Graph, *, is_of_structure: bool) -> None:
        super().__init__("nothing was written: " + "\n".join(dict.fromkeys(problems)))
        self.graph, self.is_of_structure = graph, is_of_structure


def _planned(framework: Framework, request: Request) -> Plan:
    if request.calibrate and not framework.has_inputs:
        raise ValueError("calibrate=True measures the signal: pass example_inputs")
    reading, chosen = read_model(framework, request)
    request, decisions, chose = _decided(reading, framework, request, chosen)
    order = dict.fromkeys(product.source for product in reading.products)
    made = [decisions.of_weight[source] for source in order if source in decisions.of_weight]
    problems = list(_problems(reading, decisions, request, chosen, made))
    if not made and not problems:
        left = "".join(f"\n{shown(framework.parameter(name).layer)}: {why}" for name, why in reading.left)
        left += refusals.unseen(reading.graph) or refusals.without_inputs(reading.graph)
        raise ValueError(f"the model has no weight to initialise: no product with a parameter was found{left}")
    measured = to_measure(reading, decisions, request, framework.has_inputs)
    layers, tied = _layers(made, decisions, measured)
    problems += tied
    unread = any(name in chosen.excluded for name, _ in (*reading.problems, *reading.left))
    is_of_structure = bool(refusals.used_in_two_ways(reading, decisions.facts, chosen.excluded))
    found, rests_on = Constraints(), ""
    if not problems:
        of_either_sign = [layer.name for layer in layers if layer.written and layer.role != "positive"]
        of_either_sign += [name for name in decisions.biases if _is_written(name, decisions)]
        found = constraints(reading, framework, request.convex_inputs, _projected(layers), chosen, of_either_sign)
        problems += refusals.obstacles((each.name for each in found.kept if not each.drawn), decisions.facts)
    if not problems and request.free is None and not unread:  # free= is the user's word against the calculus
        if chosen.excluded or not found.is_enough:
            facts, written = decisions.facts, decisions.of_weight
            asked = request.convex_inputs, chosen, written, found.assumed
            problems += refusals.why_not_convex(reading, facts, judge, framework, *asked)
            is_of_structure = True
        if not (problems or chosen.excluded or found.is_enough or refusals.lacks_numbers(reading.graph)):
            rests_on = found.unsolved
            warn_caller(f"the model is convex now, and may cease to be in training: {rests_on}")
    if problems:
        problems = [reading.graph.instead] if reading.graph.instead else problems
        is_of_structure |= bool(reading.graph.instead)
        raise _Refused(problems, reading.graph, is_of_structure=is_of_structure)
    return Plan(
        layers=tuple(layers),
        request=request,
        biases={name: law for name, law in decisions.biases.items() if _is_written(name, decisions)},
        measured=measured if all(layer.written or layer.tied for layer in layers) else (),
        left={decisions.facts.parameter(name).layer: why for name, why in reading.left if name not in chosen.excluded},
        advice=_advice(request, decisions),
        chose=chose,
        kept=found.kept,
        rests_on=rests_on,
        doubts=tuple(reading.graph.doubts),
        positive_rate=positive_rate(decisions.facts.depth, decisions.facts.with_skips),
        sees_the_shift=refusals.sees_the_shift(reading.graph),
    )


def _decided(
    reading: Reading, framework: Framework, request: Request, chosen: Chosen
) -> tuple[Request, Decisions, str]:
    """Decide by the first method that the model allows; return the request with it, and which it is and why."""
    facts = Facts(reading, framework)
    asked, decisions, chose = request, Decisions(facts), ""
    for settings, why in candidates(
        shape_of(reading, facts, request, chosen.excluded), request.settings, request.named
    ):
        asked, chose = replace(request, settings=settings), why
        decisions = decide(reading, framework, asked, chosen, facts)
        if settings.threshold > 0.0:
            spread_over_chain(reading, decisions, asked)
        is_tried = why and settings.method == "isometric"  # by the rule, which knows chains with a theory alone
        is_known = is_tried and not decisions.doubtful and is_chain(reading, decisions, asked)
        if not decisions.problems and (is_known or not is_tried):
            break
    return asked, decisions, chose


def what_to_keep(framework: Framework, request: Request) -> tuple[Kept, ...]:
    """Return which parameters have to stay in which interval for a model to stay convex, whatever its weights are now.

    Args:
        framework: of the model.
        request: of the user; of its settings only the selections and the convex inputs matter.

    Raises:
        ValueError: if the model is not known to be convex even then.

    Warns:
        UserWarning: if its convexity rests on numbers that nothing keeps as they are.
    """
    reading, chosen = read_model(framework, request)
    facts = Facts(reading, framework)
    weights = [product.source for product in reading.products if is_unmapped(product, framework)]
    weights = [name for name in dict.fromkeys(weights) if name not in chosen.excluded]
    found = constraints(reading, framework, request.convex_inputs, weights, chosen)
    problems = refusals.used_in_two_ways(reading, facts, chosen.excluded)
    problems += refusals.obstacles((each.name for each in found.kept), facts)
    if not (problems or found.is_enough or request.free is not None or chosen.excluded):
        asked = request.convex_inputs, chosen, (), found.assumed
        problems += refusals.why_not_convex(reading, facts, judge, framework, *asked)
        if not problems:
            warn_caller(f"the model may cease to be convex in training: {found.unsolved}")
    if problems:
        raise ValueError("nothing was changed: " + "\n".join(dict.fromkeys(problems)))
    return found.kept


def read_model(framework: Framework, request: Request) -> tuple[Reading, Chosen]:
    """Trace a model and return what the graph shows of its weights, and what the user's selections mean."""
    graph = framework.trace()
    refusals.check_output(graph)
    values = judge(
        graph, request.convex_inputs, overwritten=framework.parameters(), on_a_grid=True, framework=framework
    )
    positive, free, excluded = (_chosen(name, framework, request) for name in ("positive", "free", "exclude"))
    refusals.check_selections(positive, free, framework)
    reading = read(graph, values, positive=positive, free=free, numbers=numbers_of(framework))
    _take_evidence(reading, framework, free)
    return reading, Chosen(excluded, free, positive)


def numbers_of(framework: Framework) -> Numbers:
    """Return what numbers stand behind the nodes of a graph."""
    return Numbers(framework.moments, framework.measured)


@collector_paused
def execute(made: Plan, framework: Framework, seed: Any = None) -> None:
    """Draw every parameter as planned, and measure what is to be measured. If anything fails, all is as it was.

    Args:
        made: by :func:`plan`, of the framework's model as it is now.
        framework: of the model.
        seed: or generator, as the framework takes it.

    Raises:
        ValueError: if a measured sum is not finite.
        RuntimeError: if weights come back wrong through their maps.
    """
    before = framework.snapshot()
    try:
        measured, added = made.measured, [layer.bias for layer in made.layers if layer.add_bias]
        for name in added:
            framework.add_bias(name)
        if added and measured:
            measured = plan(framework, made.request).measured  # other operations may run where a bias is added
        for each in made.kept:
            if not each.drawn:
                framework.clip(each.name, *each.interval)
        framework.write(made.fills(), seed)
        calibrate(framework, measured)
        framework.mark(made.kept)
    except BaseException:
        framework.restore(before)
        raise


def _chosen(argument: str, framework: Framework, request: Request) -> frozenset[str]:
    """The names of the parameters that a selection of the user means, and all other names of the same ones."""
    selection = getattr(request, argument)
    if selection is None:
        return frozenset()
    known = [framework.parameter(name) for name in framework.parameters()]
    chosen = choose(argument, selection, [(each.name, each.layer, f"{each.layer}.{each.role}") for each in known])
    own = {each.tied_to or each.name for each in known if each.name in chosen}
    return frozenset(each.name for each in known if (each.tied_to or each.name) in own)


def _take_evidence(reading: Reading, framework: Framework, free: frozenset[str]) -> None:
    """Take weights for positive that something makes non-negative, although they see the input through affine maps."""
    for product in reading.products:
        if not product.positive and product.source not in free:
            own = framework.parameter(product.source)
            through = product.positivity or own.positivity
            product.positive = through is not None or (bool(own.kept_by) and sees_both_signs(product.data))


def _problems(
    reading: Reading, decisions: Decisions, request: Request, chosen: Chosen, made: list[Decision]
) -> Iterator[str]:
    facts = decisions.facts
    for name, text in reading.problems:
        if name not in chosen.excluded:
            yield f"{shown(facts.parameter(name).layer)}: {text}"
    yield from refusals.used_in_two_ways(reading, facts, chosen.excluded)
    yield from refusals.beside_carrier(reading.graph, (facts.parameter(each.product.source) for each in made))
    yield from decisions.problems
    paths = [facts.parameter(each.product.source).layer for each in made]
    for pattern in request.fed_by:
        if made and not any(fnmatchcase(path, pattern) for path in paths):
            yield f"fed_by= pattern {pattern!r} matches no layer; there are: {', '.join(paths)}"
    added = {facts.parameter(product.source).bias for product in decisions.adding.values()}
    written = (*(each.product.source for each in made), *(name for name in decisions.biases if name not in added))
    yield from refusals.obstacles(written, facts)
    if request.calibrate is False:
        for each in made:
            if each.doubt:
                yield refusals.without_theory(facts.parameter(each.product.source).layer, each.doubt)


def _layers(made: list[Decision], decisions: Decisions, measured: tuple[Any, ...]) -> tuple[list[LayerPlan], list[str]]:
    """The rows of a plan, and why some cannot be."""
    names = {weight.name for found in measured if isinstance(found, Measured) for weight in found.weights}
    layers, problems, first = list[LayerPlan](), list[str](), dict[str, LayerPlan]()
    for decision in made:
        weight = decisions.facts.parameter(decision.product.source)
        layer = _layer(decision, decisions, decision.product.source in names)
        before = first.get(weight.tied_to)
        if before is not None and before.recipe != layer.recipe:
            problems.append(
                f"{shown(layer.path)}: its weight is tied to that of {shown(before.path)}, which needs another law "
                f"(mean, variance and bias {before.recipe.moments} there, {layer.recipe.moments} here); untie "
                "them, or leave one out with exclude="
            )
        first[layer.name] = layer
        layers.append(layer)
    return layers, problems


def _layer(decision: Decision, decisions: Decisions, is_measured: bool) -> LayerPlan:
    facts, recipe = decisions.facts, decision.recipe
    weight = facts.parameter(decision.product.source)
    tied = weight.tied_to if weight.tied_to in decisions.of_weight else ""
    elsewhere = f"tied to {shown(facts.parameter(tied).layer)}" if tied else _other_uses(weight.name, facts)
    notes = [weight.caveat, *decision.notes, elsewhere]
    if not weight.has_numbers:
        notes.append("on the meta device: not written")
    shift_into = facts.parameter(decision.shift).layer if decision.shift and not decision.adds_bias else ""
    if decision.adds_bias:
        shift_into = weight.layer
        notes.append("a bias is added for the centring shift")
    elif shift_into not in ("", weight.layer):
        notes.append(f"centring shift in the bias of {shown(shift_into)}")
    if decision.doubt:
        what = "measured on example_inputs" if is_measured else "not measured"
        notes.append(f"{what}: no theory for {decision.doubt}")
    return LayerPlan(
        path=weight.layer,
        role=decision.role,
        recipe=recipe,
        reason=decision.reason,
        name=weight.name,
        note="; ".join(filter(None, notes)),
        shift_into=shift_into,
        add_bias=decision.adds_bias,
        written=weight.has_numbers and not tied,
        bias=weight.bias if weight.bias in decisions.biases else "",
        beside=decision.beside,
        tied=tied,
    )


def _projected(layers: list[LayerPlan]) -> list[str]:
    """Names of the weights that are drawn non-negative, and that nothing but a projection keeps so."""
    maps = ((layer.name, layer.recipe.positivity) for layer in layers)
    return [name for name, through in maps if through is not None and not through.reparametrises]


def _other_uses(name: str, facts: Facts) -> str:
    """Say where else a weight is used; empty if nowhere."""
    uses = len(facts.used_in.get(name, ()))
    others = facts.tied_layers(name) if uses > 1 else ()
    return f"tied to {', '.join(map(shown, others))}" if others else f"used {uses} times" if uses > 1 else ""


def _is_written(bias: str, decisions: Decisions) -> bool:
    if any(decisions.facts.parameter(each.source).bias == bias for each in decisions.adding.values()):
        return True  # it is registered first
    return decisions.facts.parameter(bias).has_numbers


def _advice(request: Request, decisions: Decisions) -> str:
    facts = decisions.facts
    if max(facts.in_a_row, facts.with_skips) <= 1:
        return ""
    return warn_of_depth(request.settings, facts.in_a_row, facts.with_skips)
