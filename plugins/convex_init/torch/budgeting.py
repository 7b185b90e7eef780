"""The core's variance budget, sum by sum: from a reading to what is decided for each weight and bias."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import nn

from convex_init.torch.activations import ActivationLike
from convex_init.torch.behaviour import Product, Reading, Sum, Term
from convex_init.torch.evidence import kept_non_negative
from convex_init.torch.fans import geometry_of
from convex_init.torch.feeding import Signals, as_factor, feeding_activation
from convex_init.torch.objections import unkept_scales, used_in_two_ways
from convex_init.torch.positivity import nothing_applies, read_positivity
from convex_init.torch.reading import activation_for
from convex_init.torch.recording import Node
from convex_init.torch.sites import Slot, shown
from convex_init.torch.slots import slot_of
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
from convex_init_core.methods.normalised import normalised_recipe
from convex_init_core.methods.recipes import free_recipe_of, recipe_of
from convex_init_core.methods.sum_budget import TIED_GAIN, Budget, Fed, gain_limit, solve_sum
from convex_init_core.signal.signal_moments import activated, pre_activation

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


class Budgeting:
    """Decides the weights of a reading, one sum after another.

    Attributes:
        decisions: by the name of the weight's parameter.
        biases: what each bias gets: the slot, and the budget whose shift it takes, or ``None`` for 0.
        carrier: the bias that takes the shift of each sum, by the sum.
        doubtful: sums for which there is no theory.
        problems: what could not be decided, and why.
        in_a_row: number of positive layers one behind the other, if nothing stands beside any of them.
        uses: how often each weight is used.
    """

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
        self.residuals = sum(1 for found in reading.sums if any(map(is_convex, (n for n, _ in found.present))))
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
        self.problems += used_in_two_ways(reading, excluded) + unkept_scales(model, reading, self.kept)

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
            kept += present[-1].mean if is_convex(node) and fed else 0.0
            doubts += [doubt] if doubt and is_convex(node) else []
        biases = list(dict.fromkeys(source for source, _ in found.biases)) or (
            [found.fallback_bias] if found.fallback_bias else []
        )
        biases = [source for source in biases if slot_of(self.model, source).path not in self.excluded]
        linear = [term for term in found.free if not term.squares]
        quadratic = [term for term in found.free if term.squares]
        can_add = self.register_missing_bias and any(can_take_bias(term.product.slot) for term in found.positive)
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
        if has_bias and found.normalised is None:
            budget = replace(budget, bias_mean=budget.bias_mean - found.offset)
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
        beside = any(is_convex(node) for node, _ in found.present)
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
        convex = [node.operation for node, _ in found.present if is_convex(node)]
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
        if own is None and self.positivity is not None and self.positivity.reparametrises:
            raise ValueError(nothing_applies(self.positivity))  # the forward has been seen, and it has no map
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
                    shifts = budget.bias_mean != 0.0
                    self.biases[source] = (slot, before_scaling(budget, found, source) if shifts else None)
                    self.carrier[id(found)] = source
                    budget = replace(budget, bias_mean=0.0)
            return None
        ranked = sorted(writable, key=lambda source: writable[source].module not in own)
        for source in ranked[1:]:
            self.biases[source] = (writable[source], None)
        if ranked:
            self.biases[ranked[0]] = (writable[ranked[0]], before_scaling(budget, found, ranked[0]))
            self.carrier[id(found)] = ranked[0]
            return writable[ranked[0]]
        if slots:
            return next(iter(slots.values()))  # a bias that another sum has already: tied layers
        return None


def before_scaling(budget: Budget, found: Sum, source: str) -> Budget:
    """What a bias gets whose sum adds it times a factor, such as −1 where it is subtracted."""
    # One that is added twice counts twice; with a factor of 0 nothing can be shifted.
    factor = sum(scale for name, scale in found.biases if name == source) or 1.0
    return replace(budget, bias_mean=budget.bias_mean / factor, bias_variance=budget.bias_variance / factor**2)


def _outer_scale(term: Term) -> float:
    """A number by which the model multiplies the product of a weight behind a positivity map belongs to that map."""
    return term.factor.literal if term.product.positivity is not None and term.factor.literal > 0.0 else 1.0


def can_take_bias(slot: Slot) -> bool:
    """Whether a bias can be registered in the layer of this weight."""
    return slot.name == "weight" and "bias" in slot.module._parameters and slot.module._parameters["bias"] is None


def is_convex(node: Node) -> bool:
    """Whether a value is a non-linear function of a convex input."""
    return not node.fixed and not node.value.curvature.is_affine


def _depth(reading: Reading) -> int:
    """How many sums with positive layers stand one behind the other."""
    counted = {id(found.root) for found in reading.sums if found.positive}
    depth: dict[int, int] = {}
    for node in reading.recording.nodes:
        before = max((depth.get(id(part), 0) for part in node.inputs), default=0)
        depth[id(node)] = before + (id(node) in counted)
    return max(depth.values(), default=0)
