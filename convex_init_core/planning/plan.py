"""The plan: what would be done to each weight and bias of a model, and why."""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from convex_init_core.constraints.kept import Kept
from convex_init_core.framework import Fill
from convex_init_core.tables import fitted, html_table

if TYPE_CHECKING:
    from convex_init_core.methods.recipe import Recipe
    from convex_init_core.planning.measurement.to_measure import Measurement
    from convex_init_core.request import Request
    from convex_init_core.settings import InitSettings
    from convex_init_core.weights.laws import Normal

_HEAD = ("layer", "role", "fan_in", "fed by", "weight law", "mean", "variance", "bias", "through", "why")
_DROPPABLE = ("weight law", "through", "fan_in", "variance", "fed by", "bias", "mean")
"""Columns that a narrow terminal does without, the first one first."""


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """What would be done to one weight.

    Attributes:
        path: of the layer in the model; of the parameter itself where it belongs to no known layer.
        role: ``"free"``, ``"positive"`` or ``"skip"``.
        recipe: the laws of its effective weight and of its bias.
        reason: why it has this role.
        name: of the weight's parameter.
        note: anything to know besides, such as a bias that will be added; empty if nothing.
        shift_into: path of the layer or bias that takes the centring shift; empty if none does.
        add_bias: whether the layer gets a bias that it did not have.
        written: whether the weight is drawn here: ``False`` on a meta device, and for the later of two names of one
            weight.
        bias: name of the parameter that is its layer's bias; empty if it has none, and will have none.
        beside: the paths of the (other) positive layers that it is summed with.
        tied: name of the parameter that is drawn in its place; empty if it is drawn itself.
    """

    path: str
    role: str
    recipe: Recipe
    reason: str
    name: str
    note: str = ""
    shift_into: str = ""
    add_bias: bool = False
    written: bool = True
    bias: str = ""
    beside: tuple[str, ...] = ()
    tied: str = ""

    @property
    def why(self) -> str:
        """The reason, and the note if there is one."""
        return "; ".join(part for part in (self.reason, self.note) if part)

    def to_dict(self) -> dict[str, Any]:
        """Return the layer as numbers and texts."""
        statistics = self.recipe.statistics
        positive = self.role == "positive"
        return {
            "path": self.path,
            "parameter": self.name,
            "role": self.role,
            "fan_in": statistics.fan_in,
            "fed_by": str(self.recipe.activation) if positive else None,
            "law": type(self.recipe.weight).__name__,
            "mean": statistics.weight_mean,
            "variance": statistics.weight_variance,
            "bias_mean": self.recipe.bias.mean,
            "bias_variance": self.recipe.bias.std**2,
            "positivity": None if self.recipe.positivity is None else str(self.recipe.positivity),
            "shift_into": self.shift_into,
            "add_bias": self.add_bias,
            "written": self.written,
            "beside": list(self.beside),
            "tied": self.tied,
            "reason": self.reason,
            "note": self.note,
        }


@dataclass(frozen=True, eq=False)
class Plan:
    """The list of :class:`LayerPlan` for a model, in the order of the signal; prints as a table.

    Attributes:
        layers: one for each weight.
        request: that the plan was made for.
        biases: law of each bias that is written, by the name of its parameter.
        measured: what is measured afterwards, on the example inputs, in the order of the signal.
        left: weights that stay as they are, by path, and why.
        chose: which method ``"auto"`` is here, and why; empty for a method that was named.
        advice: what would suit the model better than the chosen method; empty if nothing is known to.
        kept: which parameters have to stay in which interval while the model trains, for it to stay convex: the
            weights that are drawn non-negative, and gates, scales, slopes and whatever else convexity depends on.
        rests_on: why the model may cease to be convex although all of these stay there, because its convexity rests
            on present numbers that nothing keeps; empty if it may not.
        doubts: why the model may compute something else for other inputs than for those that were shown, such as a
            branch on numbers; empty for most.
        positive_rate: share of the learning rate at which the positive weights learn best by Adam; see :attr:`rates`.
        sees_the_shift: why its weights may not go below 0 beside a carrier; empty for a classifier with a softmax.
    """

    layers: tuple[LayerPlan, ...]
    request: Request
    biases: dict[str, Normal] = field(default_factory=dict)
    measured: tuple[Measurement, ...] = ()
    left: dict[str, str] = field(default_factory=dict)
    advice: str = ""
    chose: str = ""
    kept: tuple[Kept, ...] = ()
    rests_on: str = ""
    doubts: tuple[str, ...] = ()
    positive_rate: float = 1.0
    sees_the_shift: str = ""

    @property
    def rates(self) -> dict[str, float]:
        """Share of the learning rate by the name of the weight, of those that learn best at another than the rest's.

        They are positive weights that are kept so by projection; see :mod:`convex_init_core.methods.choice.rates`.
        """
        if self.positive_rate == 1.0:
            return {}
        weights = {layer.name for layer in self.layers if layer.role == "positive" and not layer.tied}
        return {each.name: self.positive_rate for each in self.kept if each.name in weights}

    @property
    def settings(self) -> InitSettings:
        """What the recipes were made with; the method is one by name."""
        return self.request.settings

    @property
    def project(self) -> tuple[str, ...]:
        """Names of the parameters that have to be kept in an interval by projection; see :attr:`kept`."""
        return tuple(each.name for each in self.kept)

    def beside_carrier(self, bound: bool | float = True) -> Plan:
        """Return the plan of a classifier that trains beside a carrier (:mod:`convex_init_core.carrier`).

        The weights that it keeps at 0 and above may go down to −c, and those of the last layer anywhere.

        Args:
            bound: c > 0, or ``True`` for 0.03.

        Raises:
            ValueError: for a c that is not above 0, one output (a regression, an energy or a potential, where the shift
                counts), a sigmoid at the end, or a positivity map.
        """
        from convex_init_core.carrier.bound import bound as read_bound  # rarely needed
        from convex_init_core.carrier.bound import check_carried

        if self.sees_the_shift:
            raise ValueError(self.sees_the_shift)
        for layer in self.layers:
            if layer.role == "positive" and layer.recipe.positivity is not None:
                check_carried(layer.recipe.positivity, None)
        down = read_bound("bound", bound)
        if down <= 0.0:
            raise ValueError(f"bound must be above 0, got {bound!r}")
        drawn = {layer.name for layer in self.layers}
        last = self.layers[-1].name
        kept = [each for each in self.kept if each.name != last]
        return replace(self, kept=tuple(replace(each, low=-down) if each.name in drawn else each for each in kept))

    @property
    def unwritten(self) -> tuple[str, ...]:
        """Paths of the weights on a meta device, which have no numbers to be written."""
        return tuple(layer.path for layer in self.layers if not layer.written and not layer.tied)

    def fills(self) -> list[Fill]:
        """Return what is drawn, in order: weights, each followed by the bias of its layer, then all other biases.

        The order is that of the random stream, so that a draw does not depend on how a model was read.
        """
        biases = dict(self.biases)
        fills = []
        for layer in self.layers:
            if layer.written:
                fills.append(Fill(layer.name, layer.recipe.weight, layer.recipe.positivity))
            if layer.bias in biases:
                fills.append(Fill(layer.bias, biases.pop(layer.bias)))
        return fills + [Fill(name, law) for name, law in biases.items()]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as numbers and texts, to be written to a file or compared."""
        return {
            "layers": [layer.to_dict() for layer in self.layers],
            "biases": {name: {"mean": law.mean, "variance": law.std**2} for name, law in self.biases.items()},
            "measured": [str(found) for found in self.measured],
            "left": dict(self.left),
            "kept": [each.to_dict() for each in self.kept],
            "rests_on": self.rests_on,
            "doubts": list(self.doubts),
            "settings": asdict(self.settings),
            "chose": self.chose,
            "advice": self.advice,
        }

    def __str__(self) -> str:
        """Return the table, and below it what is left alone, and the advice."""
        return "\n".join([fitted(self._rows(), _DROPPABLE), *self._below()])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show the same at a prompt of IPython, and in notebooks that are read as text."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """Return the same for a notebook."""
        return html_table(self._rows()) + "".join(f"<p>{html.escape(line)}</p>" for line in self._below())

    def _below(self) -> list[str]:
        left = [f"{path} stays as it is: {why}" for path, why in self.left.items()]
        kept = [str(each) for each in self.kept if not each.drawn]
        rests_on = f"its convexity rests on numbers that nothing keeps as they are: {self.rests_on}"
        rest = [rests_on] if self.rests_on else []
        rest += [f"read for the inputs that were shown; for others it may differ: {doubt}" for doubt in self.doubts]
        rate = f"; by Adam its positive weights learn best at {self.positive_rate:g} of the learning rate (plan.rates)"
        chose = self.chose + rate * bool(self.chose and self.rates)
        return [*left, *kept, *rest, *filter(None, (chose, self.advice))]

    def _rows(self) -> list[tuple[str, ...]]:
        return [_HEAD, *map(_row, self.layers)]


def _row(layer: LayerPlan) -> tuple[str, ...]:
    stats, through = layer.recipe.statistics, layer.recipe.positivity
    bias = f"{stats.bias_mean:.4g}" if stats.bias_variance == 0 else f"{stats.bias_mean:.4g} ± {stats.bias_std:.3g}"
    return (
        layer.path or "(model)",
        layer.role,
        f"{stats.fan_in:g}",
        str(layer.recipe.activation) if layer.role == "positive" else "-",
        type(layer.recipe.weight).__name__,
        f"{stats.weight_mean:.4g}",
        f"{stats.weight_variance:.4g}",
        bias,
        "-" if through is None else str(through),
        layer.why,
    )
