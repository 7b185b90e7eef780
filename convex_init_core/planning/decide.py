"""From a reading to what is decided for each weight and each bias, one sum after another in the order of the signal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from convex_init_core.methods.bends.kinks import spread_budget
from convex_init_core.methods.isometric_sum import Part, isometric_sum
from convex_init_core.methods.normalised import normalised_recipe
from convex_init_core.methods.recipe import Recipe
from convex_init_core.methods.recipes import free_recipe_of, recipe_of
from convex_init_core.methods.sum_budget import (
    Budget,
    Fed,
    fixed_point_budget,
    gain_limit,
    scaled_budget,
    solve_sum,
)
from convex_init_core.planning import refusals
from convex_init_core.planning.decisions import UNNAMED, Decision, Decisions, add_bias, beside_notes, term_notes
from convex_init_core.planning.facts import Facts, shows_input
from convex_init_core.planning.measurement.kinks import NOTHING_TO_SPREAD, kinked_sums
from convex_init_core.planning.outputs.returned_sums import output_sums
from convex_init_core.reading.factors import Numbers
from convex_init_core.reading.signals import Signals, as_factor
from convex_init_core.request import Chosen, Request
from convex_init_core.signal.signal_moments import activated, are_close, pre_activation
from convex_init_core.theory.activation import Activation
from convex_init_core.theory.activations import identity, relu
from convex_init_core.weights.laws import Normal
from convex_init_core.weights.positivity import Positivity, as_positivity

if TYPE_CHECKING:
    from convex_init_core.framework import Framework
    from convex_init_core.graph.nodes import Node
    from convex_init_core.reading.parts import Product, Reading, Sum, Term
    from convex_init_core.theory.moments import FeatureMoments
    from convex_init_core.theory.statistics import LayerStatistics

SHARE_OF_STEPS = 2 / 3
"""Share of a free map that is a skip in some sums and alone in others, as at the first step of a recurrent network."""


def decide(
    reading: Reading,
    framework: Framework,
    request: Request,
    chosen: Chosen | None = None,
    facts: Facts | None = None,
) -> Decisions:
    """Decide all weights and biases of a reading; nothing is raised for what cannot be, all problems are listed.

    Args:
        reading: of the model.
        framework: that the model belongs to.
        request: with a method other than ``"auto"``; its threshold is for all sums together, and no concern of this
            function.
        chosen: what the user's selections mean.
        facts: of the reading, if they were counted before.
    """
    decider = _Decider(reading, framework, request, chosen or Chosen(), facts or Facts(reading, framework))
    for found in reading.sums:
        decider.sum(found)
    return decider.made


class _Decider:
    """Decides one sum after another, keeping account of the signal that each passes on."""

    def __init__(self, reading: Reading, framework: Framework, request: Request, chosen: Chosen, facts: Facts) -> None:
        self.reading, self.framework, self.request, self.chosen = reading, framework, request, chosen
        self.settings = replace(request.settings, threshold=0.0)
        self.facts = facts
        self.made = Decisions(facts)
        self.kinked = kinked_sums(reading, facts, chosen.excluded) if self.settings.spreads_kinks else frozenset()
        if self.settings.spreads_kinks and not self.kinked:
            self.made.problems.append(NOTHING_TO_SPREAD)
        self.made.outputs, problems = output_sums(reading, request.outputs, framework, self.facts)
        self.made.problems += problems
        numbers = Numbers(framework.moments, framework.measured)
        self.signals = Signals(reading, self.facts.feeding, numbers, self.settings.correlation)

    def sum(self, found: Sum) -> None:
        """Decide the weights of one sum, and the signal that it passes on."""
        try:
            self._sum(found)
        except (ValueError, TypeError) as error:
            if not all(term.product.source in self.chosen.excluded for term in found.terms):
                paths = ", ".join(map(refusals.shown, self.facts.paths(found.terms)))
                self.made.problems.append(f"{paths}: {error}")
            self.signals.decided[found.root] = self._target()

    def _sum(self, found: Sum) -> None:
        doubts: list[str] = []
        fed = [self._fed(term, found, doubts) for term in found.positive]
        doubts += [found.mixed] if fed else []
        present, kept = [], 0.0
        for node, factor in found.present:
            moments, doubt = self.signals.of(node)
            present.append(as_factor(factor, moments))
            if self.reading.is_convex(node):
                kept += present[-1].mean if fed else 0.0
                doubts += [doubt] if doubt else []
        frozen = self._frozen(found)
        biases = [source for source in self.facts.biases(found) if source not in {*self.chosen.excluded, *frozen}]
        can_add = self.request.register_missing_bias and self.facts.can_take_bias(found)
        has_bias = can_add or not found.positive or any(self.facts.factor(found, source) for source in biases)
        budget = self._budget(found, fed, present, kept, has_bias)
        if found in self.kinked:
            budget = spread_budget(budget)
            self.made.kinked.add(found)
        self.signals.decided[found.root] = (
            budget.outgoing if found.normalised is None else pre_activation(0.0, 1.0, self.settings.correlation)
        )
        recipes: list[Recipe] = []
        if found.normalised is None:
            if self.settings.needs_geometry and found.positive:
                recipes = self._structured(found)
                mean = recipes[0].bias.mean if has_bias else 0.0
                layers = tuple(recipe.statistics for recipe in recipes)
                linear = sum(1 for term in found.heard if not term.squares)
                free = recipes[0].statistics.skip_variance / max(linear, 1)
                budget = replace(budget, layers=layers, bias_mean=mean, bias_variance=0.0, free_variance=free)
            if has_bias:
                mean = self._mean(found)
                budget = replace(budget, bias_mean=budget.bias_mean - found.offset - sum(frozen.values()) + mean)
        shift = self._shift(found, biases, budget)
        doubt = "; ".join(dict.fromkeys(filter(None, doubts)))
        if doubt:
            self.made.doubtful.add(found)
        for index, (term, statistics) in enumerate(zip(found.positive, budget.layers, strict=True)):
            self._positive(term, found, statistics, shift, doubt, budget, recipes[index] if recipes else None)
        self._free_terms(found, budget, doubt)

    def _frozen(self, found: Sum) -> dict[str, float]:
        """Biases of an output that are not trained, with what they add: they stay as they are."""
        if found not in self.made.outputs:
            return {}
        names = (source for source in self.facts.biases(found) if self.facts.parameter(source).is_frozen)
        return {name: self.facts.factor(found, name) * self.framework.mean(name) for name in names}

    def _fed(self, term: Term, found: Sum, doubts: list[str]) -> Fed:
        refusals.check_factor(term.factor.mean, found.root)
        moments, doubt = self.signals.of(term.product.data)
        chosen = self.request.feeding(self.facts.path(term))
        if chosen is not None:
            moments = activated(chosen, self._target())
        elif doubt:
            doubts.append(doubt)
        return Fed(term.product.fan_in, moments, term.factor.mean / term.outer_scale)

    def _budget(
        self, found: Sum, fed: Sequence[Fed], present: Sequence[FeatureMoments], kept: float, has_bias: bool
    ) -> Budget:
        settings, share, limit, loop = self.settings, self.settings.skip_share, math.inf, None
        if settings.method == "log_normal":
            if has_bias and not present and found.normalised is None:
                plain = self._fixed_point(found, fed)
                if plain is not None:
                    return scaled_budget(plain, self._variance(found) / settings.variance)
        else:
            loop = self.facts.gain_of_loop(found)
            limit = gain_limit(max(self.facts.depth, 1)) if loop is None else loop
            has_bias = has_bias and not self.facts.is_long_loop(found)
            if fed and any(term.product.source in self.facts.alone for term in found.free):
                share = max(share, SHARE_OF_STEPS)
        squares = [term.squares for term in found.heard if term.squares]
        settled = self.made.settled(found, fed)
        budget = solve_sum(
            [each for each, moments in zip(fed, settled, strict=True) if moments is None],
            settings.correlation,
            self._variance(found),
            settings.bias_noise,
            share,
            free=len(found.heard) - len(squares),
            squares=squares,
            present=present,
            settled=[moments for moments in settled if moments is not None],
            kept=kept,
            residuals=max(self.facts.residuals, 1),
            has_bias=has_bias and found.normalised is None,
            equal_sums=settings.match_moments,
            gain_limit=limit,
            is_strict=loop is not None,
        )
        return replace(budget, layers=self.made.with_settled(found, settled, budget.layers))

    def _fixed_point(self, found: Sum, fed: Sequence[Fed]) -> Budget | None:
        """The paper's equations, for one layer behind a signal at its target, and free skips; else ``None``."""
        if len(fed) != 1 or fed[0].factor != 1.0 or any(term.squares for term in found.free):
            return None
        phi, data = self._feeding(found.positive[0]), found.positive[0].product.data
        if phi is None:
            return None
        first = self.facts.feeding.activation_at(data)  # of the input itself, which stands for a pre-activation then
        is_first = first is not None and shows_input(first[1])
        if not is_first and not are_close(activated(phi, self._target()), fed[0].features):
            return None
        return fixed_point_budget(fed[0].fan_in, phi, self.settings, len(found.free))

    def _structured(self, found: Sum) -> list[Recipe]:
        """The recipes of a sum whose weights are not drawn one by one."""
        parts = []
        for term in found.positive:
            where = self.framework.geometry(term.product.source, term.product.fan_in)
            parts.append(Part(where, self._feeding(term) or identity(), self._through(term.product)))
        beside = any(self.reading.is_convex(node) for node, _ in found.present)
        residuals, variance = (self.facts.residuals if beside else 0), self._variance(found)
        return isometric_sum(parts, self.settings, has_free=bool(found.free), residuals=residuals, variance=variance)

    def _positive(
        self,
        term: Term,
        found: Sum,
        statistics: LayerStatistics,
        shift: str,
        doubt: str,
        budget: Budget,
        structured: Recipe | None,
    ) -> None:
        product = term.product
        if product.source in self.made.of_weight or product.source in self.chosen.excluded:
            return
        through = self._through(product)
        if term.outer_scale != 1.0:
            through = through.scaled(term.outer_scale)
        phi, notes = self._feeding(term), list[str]()
        is_affine = self.reading.values[product.data].curvature.is_affine
        if found.normalised is not None:
            recipe = normalised_recipe(product.fan_in, phi or relu(), self.settings, through)
            notes.append("its scale is set by the normalisation behind it")
        elif structured is not None:
            recipe = replace(structured, bias=Normal(budget.bias_mean, 0.0))
        else:
            with_bias = replace(statistics, bias_mean=budget.bias_mean, bias_variance=budget.bias_variance)
            recipe = recipe_of(with_bias, phi or (identity() if is_affine else UNNAMED), self.settings, through)
            if not shift and budget.outgoing.mean != 0.0:
                notes.append(f"no bias: the mean goes on as {budget.outgoing.mean:.3g}")
        notes += [f"its frozen bias {name!r} stays as it is" for name in self._frozen(found)]
        others = self.facts.paths([each for each in found.positive if each.product.source != product.source])
        if others:
            notes.append(f"summed with {', '.join(others)}")
        notes += beside_notes(found, self.reading, self.signals, self._variance(found))
        if not through.reparametrises:
            weight = self.facts.parameter(product.source)
            kept = f"kept non-negative by {weight.kept_by}" if weight.kept_by else f"for {weight.keeper} to keep so"
            notes.append(kept)
        if is_affine and product.source not in self.chosen.positive:
            kept = self.facts.parameter(product.source).kept_by
            by = kept if kept and not through.reparametrises else str(through)
            reason = f"made non-negative (by {by}), so that its outputs rise with all that it sees"
        else:
            reason = f"fed by {phi}" if phi is not None else "behind a non-linearity"
        adds = self.made.adding.get(found) is product
        self.made.of_weight[product.source] = Decision(
            product, "positive", recipe, others, shift, adds, doubt, reason, notes
        )

    def _through(self, product: Product) -> Positivity:
        own = product.positivity or self.facts.parameter(product.source).positivity
        wanted = self.request.positivity
        refusals.check_map(own, wanted, product.factor)
        return own or wanted or as_positivity("projection")

    def _free_terms(self, found: Sum, budget: Budget, doubt: str) -> None:
        beside = self.facts.paths(found.positive)
        linear = [term for term in found.heard if not term.squares]
        quadratic = [term for term in found.heard if term.squares]
        silent = [term for term in found.free if not term.factor.second]
        variances = [budget.free_variance / max(term.factor.second, 1e-30) for term in linear]
        inner = zip(quadratic, budget.inner_variances, strict=True)
        variances += [variance / max(abs(term.factor.mean), 1e-30) for term, variance in inner]
        variances += [self.settings.variance / max(term.squares, 1.0) for term in silent]
        for term, variance in zip((*linear, *quadratic, *silent), variances, strict=True):
            source = term.product.source
            decided = source in self.made.of_weight or source in self.chosen.excluded
            if not decided and (beside or source not in self.facts.skips):  # a skip is decided where it is one
                noise = budget.bias_variance if found in self.made.kinked else 0.0
                self._free(term, variance / self._second(term.product.data), beside, doubt, noise)

    def _free(self, term: Term, variance: float, beside: tuple[str, ...], doubt: str, noise: float = 0.0) -> None:
        product = term.product
        role = "skip" if beside else "free"
        reason = f"summed with {', '.join(beside)}" if beside else "sees the input through affine maps only"
        is_named = product.source in self.chosen.free
        if is_named:
            reason = "named in free="
        refusals.check_free(product, self.facts.parameter(product.source), role, reason, is_named)
        if variance <= 0.0:
            raise ValueError("skip_share must be above 0 for a network with free skips, got 0: they would start at 0")
        recipe = free_recipe_of(product.fan_in, variance / product.factor**2)
        notes = term_notes(term)
        if noise > 0.0:
            statistics = replace(recipe.statistics, bias_variance=noise)
            recipe = replace(recipe, statistics=statistics, bias=Normal(0.0, math.sqrt(noise)))
            notes.append("its units bend all over its inputs")
        if is_named and self.reading.is_convex(product.data):
            notes.append("against the data flow: it multiplies a convex value, so nothing keeps the model convex")
        self.made.of_weight[product.source] = Decision(product, role, recipe, beside, "", False, doubt, reason, notes)

    def _shift(self, found: Sum, biases: list[str], budget: Budget) -> str:
        """Choose the bias that takes the shift: a positive layer's own first; the others of the sum become 0."""
        made, facts = self.made, self.facts
        writable = [source for source in biases if source not in made.biases]
        able = [source for source in writable if facts.factor(found, source) != 0.0]
        if found not in facts.behind:  # a bias that also stands behind a non-linearity is needed there
            left = facts.shifting if found.positive else {*facts.shifting, found.fallback_bias}
            able = [source for source in able if source not in left]
            writable = [source for source in writable if source in able or facts.factor(found, source) == 0.0]
        own = {facts.parameter(term.product.source).bias for term in found.positive}
        ranked = sorted(able, key=lambda source: source not in own)
        for source in writable:
            made.biases[source] = Normal(0.0, 0.0)
        if ranked:
            taken = facts.before_scaling(budget, found, ranked[0])
            made.biases[ranked[0]] = Normal(taken.bias_mean, math.sqrt(taken.bias_variance))
            made.carrier[found] = ranked[0]
        if not found.positive or found.normalised is not None:  # a normalisation takes out what is added in front of it
            return ""
        shared = [source for source in biases if facts.factor(found, source) != 0.0]  # another sum may have it: tied
        if not shared and self.request.register_missing_bias and (budget.bias_mean or budget.bias_variance):
            return add_bias(made, found, Normal(budget.bias_mean, math.sqrt(budget.bias_variance)))
        return (ranked or shared or [""])[0]

    def _feeding(self, term: Term) -> Activation | None:
        chosen = self.request.feeding(self.facts.path(term))
        return chosen or self.facts.feeding.activation_behind(term.product.data)

    def _target(self) -> FeatureMoments:
        return pre_activation(0.0, self.settings.variance, self.settings.correlation)

    def _variance(self, found: Sum) -> float:
        """σ*²; of what the model returns, what is wanted of that."""
        return self.request.outputs.shared_variance if found in self.made.outputs else self.settings.variance

    def _mean(self, found: Sum) -> float:
        return self.request.outputs.shared_mean if found in self.made.outputs else 0.0

    def _second(self, data: Node) -> float:
        """Second moment of what a free layer multiplies, 1 for the input itself: LeCun's assumption."""
        if shows_input(data, is_scaled=not self.framework.has_inputs):
            return 1.0
        second = self.signals.of(data)[0].second
        return second if second > 0.0 else 1.0
