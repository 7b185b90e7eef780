"""From a reading to the plan of each weight: the core's variance budget, sum by sum."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from convex_init.torch.activations import ActivationLike
from convex_init.torch.behaviour import BATCH_NORMS, Product, Reading, Sum, Term, parameter_of, read_behaviour
from convex_init.torch.calibration import Measured, Normalised, Weighted, calibrate_
from convex_init.torch.composites import Composites
from convex_init.torch.evidence import kept_non_negative
from convex_init.torch.fans import caveats, geometry_of
from convex_init.torch.feeding import Signals, as_factor, feeding_activation
from convex_init.torch.planning import LayerPlan, Plan, advise, check_patterns, check_weight
from convex_init.torch.positivity import read_positivity
from convex_init.torch.reading import Selection, activation_for
from convex_init.torch.recording import Node, record
from convex_init.torch.sites import shown
from convex_init.torch.slots import Slot, hidden_parameters, slot_of
from convex_init.torch.weights import base_name
from convex_init_core import (
    InitSettings,
    LayerStatistics,
    Normal,
    Part,
    Positivity,
    Recipe,
    as_positivity,
    identity,
    isometric_sum,
    needs_geometry,
    relu,
)
from convex_init_core.normalised import normalised_recipe
from convex_init_core.recipe import free_recipe_of, recipe_of
from convex_init_core.signals import activated, pre_activation
from convex_init_core.summed import TIED_GAIN, Budget, Fed, gain_limit, solve_sum

LEFT_ALONE = 1.5
"""By this factor may the measured variance of a sum be off before its theory is overruled, by default."""


SHARE_OF_STEPS = 2 / 3
"""Share of a free map that is a skip in some sums and alone in others, as at the first step of a recurrent network."""


@dataclass(eq=False)
class Decision:
    """What is decided for one weight.

    Attributes:
        product: the use of the weight that decides.
        role: ``"free"``, ``"positive"`` or ``"skip"``.
        recipe: laws of weight and, for the layer that carries it, the shift.
        beside: the other positive layers of its sum.
        shift: the bias that takes the sum's shift, for a positive layer.
        doubt: the operation for which there is no theory, if the sum has to be measured.
        reason: why it has the role.
        notes: anything else.
    """

    product: Product
    role: str
    recipe: Recipe
    beside: tuple[str, ...] = ()
    shift: Slot | None = None
    doubt: str = ""
    reason: str = ""
    notes: list[str] = field(default_factory=list)


def plan_by_running(
    model: nn.Module,
    example_inputs: Any,
    settings: InitSettings,
    *,
    convex_inputs: Iterable[str | int] | str | int | None,
    entry: str,
    positive: Selection | None,
    free: Selection | None,
    exclude: Selection | None,
    activation: ActivationLike | Mapping[str, ActivationLike] | None,
    positivity: Positivity | None,
    register_missing_bias: bool,
    calibrate: bool | None,
) -> Plan:
    """Return the plan of a model that was read by running a copy; see :func:`convex_init.torch.plan`.

    Raises:
        ValueError: if a weight cannot be decided, or the model would not be convex; nothing has been written.
    """
    named = frozenset() if free is None else frozenset(choose("free", free, model))
    forced = frozenset() if positive is None else frozenset(choose("positive", positive, model))
    reading = read_behaviour(model, example_inputs, convex_inputs, entry, forced, named)
    excluded = frozenset() if exclude is None else frozenset(choose("exclude", exclude, model))
    budgeting = _Budgeting(model, reading, settings, activation, positivity, register_missing_bias, excluded, named)
    for found in reading.sums:
        budgeting.sum(found)
    order = dict.fromkeys(product.source for product in reading.products)
    decisions = [budgeting.decisions[source] for source in order if source in budgeting.decisions]
    problems = list(budgeting.problems)
    if not decisions and not problems:
        raise ValueError(f"{type(model).__name__} has no weight to initialise: no product with a parameter was found")
    check_patterns(activation, [decision.product.slot.path for decision in decisions])
    layers = []
    for decision in decisions:
        try:
            layers.append(_layer_plan(decision, register_missing_bias))
        except ValueError as error:
            problems.append(f"{shown(decision.product.slot.path)}: {error}")
        if decision.doubt and calibrate is False:
            problems.append(
                f"{shown(decision.product.slot.path)}: there is no theory for {decision.doubt}; leave calibrate out to "
                "have its sum measured on example_inputs, or say what feeds it with activation="
            )
    if not problems:
        problems += [] if named else why_not_convex(reading)  # free= is the user's word against the calculus
    if problems:
        raise ValueError("nothing was written: " + "\n".join(dict.fromkeys(problems)))
    sums = [
        _measured(model, reading, found, budgeting, bool(calibrate))
        if found.normalised is None
        else _normalised(model, reading, found)
        for found in budgeting.to_measure(calibrate)
    ]
    calibration = None
    if sums and all(layer.written for layer in layers):
        inputs, convex = reading.inputs, reading.convex_inputs

        def calibration() -> None:
            calibrate_(model, entry, inputs, convex, sums, settings.variance)

    biases = tuple(
        (slot, Normal(0.0, 0.0) if budget is None else Normal(budget.bias_mean, math.sqrt(budget.bias_variance)))
        for slot, budget in budgeting.biases.values()
    )
    biases += tuple((Slot(layer.module, "bias", layer.path), layer.recipe.bias) for layer in layers if layer.add_bias)
    return Plan(tuple(layers), settings, biases, calibration, advise(settings, budgeting.in_a_row))


def choose(argument: str, selection: Selection, model: nn.Module) -> set[str]:
    """Return the paths of the weights that a selection means: layers, and parameters that belong to none.

    Raises:
        ValueError: if a pattern means nothing.
    """
    slots = [slot_of(model, name) for name, _ in (*model.named_parameters(), *hidden_parameters(model))]
    if callable(selection):
        return {slot.path for slot in slots if selection(slot.path, slot.module)}
    chosen: set[str] = set()
    for pattern in [selection] if isinstance(selection, str) else selection:
        found = {slot.path for slot in slots if fnmatchcase(slot.path, pattern)}
        found |= {slot.path for slot in slots if fnmatchcase(f"{slot.path}.{slot.name}", pattern)}
        if not found:
            known = ", ".join(dict.fromkeys(slot.path for slot in slots))
            raise ValueError(f"{argument}= pattern {pattern!r} matches no layer or parameter; there are: {known}")
        chosen |= found
    return chosen


def why_not_convex(reading: Reading) -> list[str]:
    """Say why the model would not be convex (or concave) even if its positive weights were non-negative."""
    model, entry = reading.model, reading.entry
    if any(parameter.device.type == "meta" for parameter in model.parameters()):
        return []  # there are no numbers to judge by
    with torch.no_grad():
        for product in reading.products:  # those that are excluded are their user's business
            through = product.positivity or read_positivity(product.slot.module, product.slot.name)
            if product.positive and (through is None or not through.reparametrises):
                slot_of(model, product.source).raw.abs_()
    args, kwargs = reading.inputs
    call = model if entry == "forward" else getattr(model, entry)
    outputs = record(model, args, kwargs, reading.convex_inputs, call, revise=Composites()).outputs
    reasons = []
    for name, node in outputs.items():
        curvature = node.value.curvature
        if curvature.is_convex or curvature.is_concave:
            return []  # a model may return more than its convex function
        reasons.append(f"{name} would not be convex: {node.value.reason}")
    return reasons


def _layer_plan(decision: Decision, register_missing_bias: bool) -> LayerPlan:
    product, recipe = decision.product, decision.recipe
    slot = product.slot
    weight = check_weight(slot)
    notes = [caveats(slot.module), *decision.notes]
    on_meta = weight.device.type == "meta"
    if on_meta:
        notes.append("on the meta device: not written")
    shift_into, add_bias = "", False
    if decision.role == "positive":
        if decision.shift is not None:
            shift_into = decision.shift.path
            if shift_into != slot.path:
                notes.append(f"centring shift in the bias of {shown(shift_into)}")
        elif register_missing_bias and (recipe.bias.mean != 0.0 or recipe.bias.std != 0.0):
            shift_into, add_bias = slot.path, True
            notes.append("a bias is added for the centring shift")
    if decision.doubt:
        notes.append(f"measured on example_inputs: no theory for {decision.doubt}")
    note = "; ".join(part for part in notes if part)
    return LayerPlan(
        *(slot.path, slot.module, decision.role, recipe, decision.reason, note, shift_into, add_bias, not on_meta),
        name=slot.name,
        beside=decision.beside,
    )


def _normalised(model: nn.Module, reading: Reading, found: Sum) -> Normalised:
    assert found.normalised is not None
    names = [part.path for part in found.normalised.args[3:5] if isinstance(part, Node) and part.operation == "buffer"]
    buffers = dict(model.named_buffers())
    mean, variance = (buffers.get(name) for name in (*names, "", "")[:2])
    return Normalised(reading.place[id(found.normalised.inputs[0])], mean, variance)


def _measured(model: nn.Module, reading: Reading, found: Sum, budgeting: _Budgeting, exactly: bool) -> Measured:
    weights: list[Weighted] = []
    for term in found.terms:
        decision = budgeting.decisions.get(term.product.source)
        if decision is not None and decision.product is term.product:
            power = 0.5 if term.squares else 1.0
            weights.append(Weighted(term.product.slot, decision.recipe.positivity, power))
    slots = [(source, slot_of(model, source), factor) for source, factor in found.biases]
    own = next(((slot, factor) for source, slot, factor in slots if budgeting.carrier.get(id(found)) == source), None)
    present = [
        (reading.place[id(node)], factor.mean, _is_convex(node) and bool(found.positive))
        for node, factor in found.present
        if id(node) in reading.place
    ]
    return Measured(
        reading.place[id(found.root)],
        tuple(weights),
        own,
        tuple((slot, factor) for _, slot, factor in slots),
        tuple(present),
        1.0 if exactly or id(found) in budgeting.doubtful else LEFT_ALONE,
    )


class _Budgeting:
    def __init__(
        self,
        model: nn.Module,
        reading: Reading,
        settings: InitSettings,
        activation: ActivationLike | Mapping[str, ActivationLike] | None,
        positivity: Positivity | None,
        register_missing_bias: bool,
        excluded: frozenset[str],
        named_free: frozenset[str],
    ) -> None:
        self.excluded, self.named_free = excluded, named_free
        self.carrier: dict[int, str] = {}
        self.doubtful: set[int] = set()
        self.model, self.reading, self.settings = model, reading, settings
        self.activation, self.positivity = activation, positivity
        self.register_missing_bias = register_missing_bias
        self.problems = [text for path, text in reading.problems if path not in excluded]
        self.decisions: dict[str, Decision] = {}
        self.biases: dict[str, tuple[Slot, Budget | None]] = {}
        self.signals = Signals(correlation=settings.correlation, weighted=reading.weighted())
        self.residuals = sum(1 for found in reading.sums if any(map(_is_convex, (n for n, _ in found.present))))
        self.as_skip = {term.product.source for found in reading.sums if found.positive for term in found.free}
        self.depth = _depth(reading)
        positive = [found for found in reading.sums if found.positive]
        is_plain = not any(found.free or found.present or found.normalised is not None for found in positive)
        self.in_a_row = self.depth if is_plain else 0
        self.uses = Counter(product.source for product in reading.products)
        self.kept = kept_non_negative(model)
        # A bias of a free map that is a skip elsewhere, as in a recurrent network, is there for the shift.
        self.shifting = {source for found in reading.sums if found.positive for source, _ in found.biases}
        self.alone = {term.product.source for found in reading.sums if not found.positive for term in found.free}
        self._check_uses()
        self._check_scales()

    def _check_uses(self) -> None:
        """A weight that is used several times has to be used in one way."""
        first: dict[str, Product] = {}
        for product in self.reading.products:
            before = first.setdefault(product.source, product)
            name = shown(product.slot.path)
            if product.slot.path in self.excluded:
                continue
            if before.positive != product.positive:
                was, now = ("positive", "free") if before.positive else ("free", "positive")
                self.problems.append(f"{name}: its weight is used both as {was} and as {now}; untie them")
            elif product.positive and before is not product:
                a, b = feeding_activation(before.data), feeding_activation(product.data)
                if a is not None and b is not None and a != b:
                    self.problems.append(f"{name}: its weight is fed by {a} and by {b}; untie them")

    def _check_scales(self) -> None:
        """A batch normalisation of a convex signal needs a scale that something keeps non-negative."""
        for node in self.reading.recording.nodes:
            if base_name(node) not in BATCH_NORMS or node.index or node.inputs[0].value.curvature.is_affine:
                continue
            scale = next((part for part in node.args[1:2] if isinstance(part, Node)), None)
            source = "" if scale is None else parameter_of(scale)
            if source:
                slot = slot_of(self.model, source)
                if read_positivity(slot.module, slot.name) is None and source not in self.kept:
                    self.problems.append(
                        f"{node.at} rescales a convex signal, and nothing keeps its scale {source!r} non-negative: "
                        "call mark_projected(layer, 'weight') on it, parametrize it, or remove it"
                    )

    def to_measure(self, calibrate: bool | None) -> list[Sum]:
        """The sums that decide a weight, if they are to be measured."""
        if calibrate is False or (calibrate is None and needs_geometry(self.settings)):
            return []  # an isometric signal is not centred, and has not the variance that is measured for
        deciding = {id(decision.product): decision for decision in self.decisions.values()}
        tied = {source for source, count in self.uses.items() if count > 1}
        return [
            found
            for found in self.reading.sums
            if any(id(term.product) in deciding for term in found.terms)
            # One weight in many sums cannot be right in each of them: the first says nothing of a fixed point.
            and (
                calibrate or id(found) in self.doubtful or not any(term.product.source in tied for term in found.terms)
            )
        ]

    def sum(self, found: Sum) -> None:
        """Decide the weights of one sum, and the signal that it passes on."""
        try:
            self._sum(found)
        except (ValueError, TypeError) as error:
            paths = ", ".join(dict.fromkeys(shown(term.product.slot.path) for term in found.terms))
            if all(term.product.slot.path in self.excluded for term in found.terms):
                paths = ""
            self.problems += [f"{paths}: {error}"] if paths else []
            self.signals.decided[id(found.root)] = pre_activation(
                0.0, self.settings.variance, self.settings.correlation
            )

    def _sum(self, found: Sum) -> None:
        settings = self.settings
        doubts: list[str] = []
        fed = []
        for term in found.positive:
            if term.factor.mean <= 0.0:
                raise ValueError(
                    f"{found.root.at} subtracts it, or scales it by a factor that is not positive: a convex term has "
                    "to be added"
                )
            fed.append(self._fed(term, doubts))
        present, kept = [], 0.0
        for node, factor in found.present:
            moments, doubt = self.signals.of(node)
            present.append(as_factor(factor, moments))
            kept += present[-1].mean if _is_convex(node) and fed else 0.0
            doubts += [doubt] if doubt and _is_convex(node) else []
        biases = list(dict.fromkeys(source for source, _ in found.biases)) or (
            [found.fallback_bias] if found.fallback_bias else []
        )
        linear = [term for term in found.free if not term.squares]
        quadratic = [term for term in found.free if term.squares]
        can_add = self.register_missing_bias and any(_can_take_bias(term.product.slot) for term in found.positive)
        has_bias = bool(biases) or can_add or not found.positive
        is_tied = any(self.uses[term.product.source] > 1 for term in found.positive)
        share = settings.skip_share
        if fed and any(term.product.source in self.alone for term in found.free):
            share = max(share, SHARE_OF_STEPS)
        budget = solve_sum(
            fed,
            settings.correlation,
            settings.variance,
            settings.bias_noise,
            share,
            free=len(linear),
            squares=[term.squares for term in quadratic],
            present=present,
            kept=kept,
            residuals=max(self.residuals, 1),
            has_bias=has_bias and found.normalised is None,
            equal_sums=settings.match_moments,
            gain_limit=TIED_GAIN if is_tied else gain_limit(max(self.depth, 1)),
        )
        outgoing = budget.outgoing
        if found.normalised is not None:
            outgoing = pre_activation(0.0, 1.0, settings.correlation)
        self.signals.decided[id(found.root)] = outgoing
        recipes: list[Recipe] = []
        if needs_geometry(settings) and found.positive and found.normalised is None:
            recipes = self._structured(found, bool(linear or quadratic))
            bias = recipes[0].bias.mean if has_bias else 0.0
            layers = tuple(recipe.statistics for recipe in recipes)
            budget = replace(budget, layers=layers, bias_mean=bias, bias_variance=0.0)
        shift = self._shift(found, biases, budget)
        beside = tuple(dict.fromkeys(term.product.slot.path for term in found.positive))
        doubt = "; ".join(dict.fromkeys(doubt for doubt in doubts if doubt))
        if doubt:
            self.doubtful.add(id(found))
        for index, (term, statistics) in enumerate(zip(found.positive, budget.layers, strict=True)):
            self._positive(term, found, statistics, shift, doubt, budget, recipes[index] if recipes else None)
        for term in linear:
            variance = budget.free_variance / max(term.factor.second, 1e-30) / self._second(term.product.data)
            self._free(term, found, variance, beside, doubt)
        for term, variance in zip(quadratic, budget.inner_variances, strict=True):
            scaled = variance / max(abs(term.factor.mean), 1e-30) / self._second(term.product.data)
            self._free(term, found, scaled, beside, doubt, f"squares, {term.squares:g} to a sum")

    def _structured(self, found: Sum, has_free: bool) -> list[Recipe]:
        """The recipes of a sum whose weights are not drawn one by one."""
        parts = []
        for product in (term.product for term in found.positive):
            phi = activation_for(self.activation, product.slot.path) or feeding_activation(product.data)
            where = geometry_of(product.slot.module, product.slot.name, product.fan_in)
            parts.append(Part(where, phi or identity(), self._through(product)))
        beside = any(_is_convex(node) for node, _ in found.present)
        return isometric_sum(parts, self.settings, has_free=has_free, residuals=self.residuals if beside else 0)

    def _fed(self, term: Term, doubts: list[str]) -> Fed:
        product = term.product
        chosen = activation_for(self.activation, product.slot.path)
        moments, doubt = self.signals.of(product.data)
        if chosen is not None:
            moments = activated(chosen, pre_activation(0.0, self.settings.variance, self.settings.correlation))
        elif doubt:
            doubts.append(doubt)
        return Fed(product.fan_in, moments, term.factor.mean / _outer_scale(term))

    def _second(self, data: Node) -> float:
        """Second moment of what a free layer multiplies, 1 for the input itself: LeCun's assumption."""
        node = data
        while node.inputs and not node.fixed and node.operation not in ("input", "mul", "div", "cat"):
            node = node.inputs[0]
        if node.operation == "input":
            return 1.0
        second = self.signals.of(data)[0].second
        return second if second > 0.0 else 1.0

    def _positive(
        self,
        term: Term,
        found: Sum,
        statistics: LayerStatistics,
        shift: Slot | None,
        doubt: str,
        budget: Budget,
        structured: Recipe | None = None,
    ) -> None:
        product = term.product
        if product.source in self.decisions or product.slot.path in self.excluded:
            return
        through = self._through(product)
        if _outer_scale(term) != 1.0:
            through = through.scaled(_outer_scale(term))
        chosen = activation_for(self.activation, product.slot.path)
        phi = chosen or feeding_activation(product.data)
        notes: list[str] = []
        if found.normalised is not None:
            recipe = normalised_recipe(product.fan_in, phi or relu(), self.settings, through)
            notes.append("its scale is set by the normalisation behind it")
        elif structured is not None:
            recipe = replace(structured, bias=Normal(budget.bias_mean, 0.0))
        else:
            with_bias = replace(statistics, bias_mean=budget.bias_mean, bias_variance=budget.bias_variance)
            recipe = recipe_of(with_bias, phi or identity(), self.settings, through)
            if shift is None and budget.outgoing.mean != 0.0:
                notes.append(f"no bias: the mean goes on as {budget.outgoing.mean:.3g}")
        others = tuple(p.slot.path for p in dict.fromkeys(t.product for t in found.positive) if p is not product)
        if others:
            notes.append(f"summed with {', '.join(others)}")
        convex = [node.operation for node, _ in found.present if _is_convex(node)]
        if convex:
            notes.append(f"beside {', '.join(convex)} as it is")
        reason = f"fed by {phi}" if phi is not None else "behind a non-linearity"
        if not through.reparametrises:
            kept = self.kept.get(product.source)
            notes.append(f"kept non-negative by {kept}" if kept else "for project_ or project_after_step to keep so")
        self.decisions[product.source] = Decision(product, "positive", recipe, others, shift, doubt, reason, notes)

    def _through(self, product: Product) -> Positivity:
        own = product.positivity
        if own is None:
            own = read_positivity(product.slot.module, product.slot.name)
        if own is not None and self.positivity not in (None, own):
            raise ValueError(
                f"positivity={str(self.positivity)!r} was given, but its weight is made non-negative by {own} "
                "(a parametrization, a mark, or what the forward does); leave positivity out, or build it anew"
            )
        through = own or self.positivity or as_positivity("projection")
        if product.factor != 1.0 and own is None:
            raise ValueError(
                f"its weight is scaled by {product.factor:g} without a positivity map; scale the layer's input instead"
            )
        return through

    def _free(
        self, term: Term, found: Sum, variance: float, beside: tuple[str, ...], doubt: str, note: str = ""
    ) -> None:
        product = term.product
        if product.source in self.decisions or (product.source in self.as_skip and not beside):
            return
        if product.slot.path in self.excluded:
            return
        through = product.positivity or read_positivity(product.slot.module, product.slot.name)
        role = "skip" if beside else "free"
        reason = f"summed with {', '.join(beside)}" if beside else "sees the input through affine maps only"
        if product.slot.path in self.named_free:
            reason = "named in free="
        if through is not None:
            raise ValueError(
                f"its weight is made non-negative (by {through}), but it is {role} ({reason}); make it a "
                "plain layer, or name it in positive="
            )
        if product.source in self.kept and product.slot.path not in self.named_free:
            raise ValueError(
                f"{self.kept[product.source]} makes its weight non-negative, but it is {role} ({reason}); if it may "
                "be of either sign, name it in free= and take it out of that method, else name it in positive="
            )
        if variance <= 0.0:
            raise ValueError("skip_share must be above 0 for a network with free skips, got 0: they would start at 0")
        recipe = free_recipe_of(product.fan_in, variance / product.factor**2)
        self.decisions[product.source] = Decision(
            product, role, recipe, beside, None, doubt, reason, [note] if note else []
        )

    def _shift(self, found: Sum, biases: list[str], budget: Budget) -> Slot | None:
        """Choose the bias that takes the shift: a positive layer's own first; the others of the sum become 0."""
        slots = {source: slot_of(self.model, source) for source in biases}
        writable = {source: slot for source, slot in slots.items() if source not in self.biases}
        own = {term.product.slot.module for term in found.positive}
        if not found.positive:
            for source, slot in writable.items():
                if source != found.fallback_bias and source not in self.shifting:
                    self.biases[source] = (slot, budget if budget.bias_mean != 0.0 else None)
                    self.carrier[id(found)] = source
                    budget = replace(budget, bias_mean=0.0)
            return None
        ranked = sorted(writable, key=lambda source: writable[source].module not in own)
        for source in ranked[1:]:
            self.biases[source] = (writable[source], None)
        if ranked:
            self.biases[ranked[0]] = (writable[ranked[0]], budget)
            self.carrier[id(found)] = ranked[0]
            return writable[ranked[0]]
        if slots:
            return next(iter(slots.values()))  # a bias that another sum has already: tied layers
        return None


def _outer_scale(term: Term) -> float:
    """A number by which the model multiplies the product of a weight behind a positivity map belongs to that map."""
    return term.factor.literal if term.product.positivity is not None and term.factor.literal > 0.0 else 1.0


def _can_take_bias(slot: Slot) -> bool:
    return slot.name == "weight" and "bias" in slot.module._parameters and slot.module._parameters["bias"] is None


def _is_convex(node: Node) -> bool:
    return not node.fixed and not node.value.curvature.is_affine


def _depth(reading: Reading) -> int:
    """How many sums with positive layers stand one behind the other."""
    counted = {id(found.root) for found in reading.sums if found.positive}
    depth: dict[int, int] = {}
    for node in reading.recording.nodes:
        before = max((depth.get(id(part), 0) for part in node.inputs), default=0)
        depth[id(node)] = before + (id(node) in counted)
    return max(depth.values(), default=0)
