"""What is in the way of convexity, for all weights that a model may come to have.

Numbers of parameters do not count, since training changes them; only which parameters will be kept non-negative.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from torch import nn

from convex_init.timm.findings import Blocker
from convex_init.timm.replacements import suggestion
from convex_init.timm.survey import Survey
from convex_init_core.constraints.kept import ANY, NON_NEGATIVE
from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Curvature, Sign, Value
from convex_init_core.convexity.judge import judge
from convex_init_core.graph.nodes import Kind, Node
from convex_init_core.graph.walks import parts_first

_SCALES = ("add", "subtract", "multiply", "negate", "divide")


def blockers(survey: Survey) -> tuple[Blocker, ...]:
    """Return what is in the way in the model of a survey."""
    return tuple(_Search(survey).found)


class _Search:
    """A list of blockers, in the order of the signal."""

    def __init__(self, survey: Survey) -> None:
        self.survey, self.model, self.graph = survey, survey.changed, survey.reading.graph
        self.found: list[Blocker] = []
        outputs = [self.graph.outputs[name] for name in self.graph.floating]
        values = self._judged(goes_on=False)
        if all(values[output].is_constant for output in outputs):
            self._block("", "the output does not depend on the input")
        elif not all(values[output].curvature.is_convex for output in outputs):
            values = self._judged(goes_on=True)
            for output in outputs:
                self._block_concave(output, values)
        for node in survey.untied:
            self._block_at(node, "its weight is used at two places that need different laws")
        for source, reason in survey.problems:
            path = survey.framework.parameter(source).layer
            if path not in (blocker.path for blocker in self.found):
                self._block(path, reason)

    def _judged(self, *, goes_on: bool) -> Mapping[Node, Value]:
        """Judge the graph; if asked, note each value of which nothing is known, and go on as if it were convex."""
        kept = self.survey.kept

        def revised(node: Node, value: Value) -> Value:
            if node.name == "parameter" and node.params["name"] not in kept:
                return calculus.constant(Sign.ANY, value.label, f"{value.label} may be of either sign")
            if node in self.survey.mapped:
                return replace(value, sign=Sign.NON_NEGATIVE)
            is_blocked = value.curvature is Curvature.UNKNOWN and node.kind is Kind.FLOATING
            if not (goes_on and is_blocked and node in self.survey.alive):
                return value
            self._block_at(node, value.reason)
            return Value(Curvature.CONVEX, value.sign, value.monotone)

        framework = self.survey.framework
        within = {name: NON_NEGATIVE if name in kept else ANY for name in framework.parameters()}
        return judge(self.graph, assume_within=within, framework=framework, revise=revised)

    def _block_concave(self, output: Node, values: Mapping[Node, Value]) -> None:
        """Note where an output became concave."""

        def concave(node: Node) -> list[Node]:
            return [part for part in node.inputs if values[part].curvature is Curvature.CONCAVE]

        if values[output].curvature is Curvature.CONCAVE:
            for node in parts_first(output, concave):
                if not concave(node):
                    why = ": it subtracts a convex value, or scales it by a negative number"
                    self._block_at(node, f"{node.at} is concave" + why * (node.name in _SCALES))

    def _block_at(self, node: Node, reason: str) -> None:
        self._block(node.place.module, reason.replace(node.at, node.place.operation.rstrip("_")))

    def _block(self, path: str, reason: str) -> None:
        if not any((blocker.path, blocker.reason) == (path, reason) for blocker in self.found):
            kind = type(self.model.get_submodule(path)).__name__
            remedies = filter(None, (suggestion(type(module).__name__) for module in self._around(path)))
            self.found.append(Blocker(path, kind, reason, next(remedies, "")))

    def _around(self, path: str) -> Iterator[nn.Module]:
        """The modules on the way to a path, the outermost first."""
        names = path.split(".")
        for end in range(1, len(names) + 1):
            yield self.model.get_submodule(".".join(names[:end]))
