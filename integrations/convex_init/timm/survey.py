"""Read a model by the shared reader: which layers and factors have to be non-negative, and what blocks convexity.

The model is traced as it would be with its replacements, and judged for all weights that it may come to have: numbers
of parameters do not count, only which of them will be kept non-negative.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from torch import Tensor, nn

from convex_init.timm.findings import Blocker, FoundLayer, FoundScale
from convex_init.timm.replacements import suggestion
from convex_init.torch.framework import TorchFramework
from convex_init_core import identity
from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Curvature, Sign, Value
from convex_init_core.convexity.judge import judge
from convex_init_core.graph.nodes import Kind, Node
from convex_init_core.graph.walks import consumers_of, parts_first
from convex_init_core.planning.build import numbers_of
from convex_init_core.reading.fed_by import Feeding
from convex_init_core.reading.products_and_sums import parameter_of, read

# Through these, a signal still meets the normalisation that re-sets it before the next non-linearity.
_LINEAR = ("add", "subtract", "multiply", "divide", "dropout", "concatenate", "stack", "join", "pad", "window_max")


class Survey:
    """What was found in a model.

    Attributes:
        blockers: what is in the way.
        layers: in the order of the signal.
        scales: likewise.

    Args:
        model: is left as it is.
        example: its input.
        replaced: what stands in the place of which module.

    Raises:
        ValueError: if the model cannot be traced.
    """

    def __init__(self, model: nn.Module, example: Tensor, replaced: Mapping[str, nn.Module]) -> None:
        """Trace the model, read it and judge it."""
        self.model, self._changed = model, _changed(model, replaced)
        self._framework = TorchFramework(self._changed, ((example,), {}))
        try:
            self._graph = self._framework.trace()
            doubts = "; ".join(self._graph.doubts)
        except Exception as error:  # whatever the tracer or the model raises, the answer is the same
            doubts = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        if doubts:
            raise ValueError(
                f"{type(model).__name__} cannot be traced on an input of shape {tuple(example.shape)} ({doubts})"
            )
        self._alive: dict[Node, None] = {}
        for name in self._graph.floating:
            output = self._graph.outputs[name]
            self._alive |= dict.fromkeys(parts_first(output, lambda node: node.inputs, self._alive))
        self._consumers = consumers_of(self._alive)
        values = judge(self._graph, framework=self._framework)
        self._reading = read(self._graph, values, numbers=numbers_of(self._framework))
        self.layers: list[FoundLayer] = []
        self.scales: list[FoundScale] = []
        self.blockers: list[Blocker] = []
        self._weights: dict[str, tuple[bool, object]] = {}
        self._by_node: dict[Node, str] = {}
        self._mapped: set[Node] = set()
        self._find_layers()
        self._find_scales()
        self._find_blockers()

    # Layers and factors

    def _find_layers(self) -> None:
        feeding = Feeding.of(self._graph, self._reading.values)
        meets_norm = self._meets_norm()
        for product in self._reading.products:
            node, source = product.node, product.source
            if node not in self._alive:
                continue
            weight = next(part for part in node.inputs if part.is_fixed)
            data = next(part for part in node.inputs if not part.is_fixed)
            positive = self._reading.is_convex(data)
            fed_by = feeding.activation_behind(data) if positive else None
            place = positive, None if fed_by == identity() else fed_by
            if self._weights.setdefault(source, place) != place:
                self._block(node, "its weight is used at two places that need different laws")
            if product.positivity is not None:
                self._mapped.add(weight)
            facts = self._framework.parameter(source)
            owner, name = facts.layer, "weight"
            if not facts.role:
                owner, _, name = source.rpartition(".")
            if node in self._by_node:
                continue
            self._by_node[node] = owner
            if any(layer.path == owner for layer in self.layers):
                continue
            module = self.model.get_submodule(owner)
            if name != "weight":
                self.scales.append(FoundScale(owner, module, name, positive))
                continue
            through = product.positivity or facts.positivity
            layer = FoundLayer(owner, module, *place, meets_norm[node], through, self._obstacle(source))
            self.layers.append(layer)

    def _obstacle(self, source: str) -> str:
        facts = self._framework.parameter(source)
        if not facts.role:
            kind = type(self._changed.get_submodule(source.rpartition(".")[0])).__name__
            return f"its weight belongs to a {kind}, whose fan-in is not known"
        named = facts.bias in self._framework.parameters()
        obstacles = facts.obstacle or (self._framework.parameter(facts.bias).obstacle if named else "")
        return obstacles.partition(", or leave the layer out")[0]

    def _find_scales(self) -> None:
        for node in self._alive:
            if node.is_fixed or node.name not in ("batch_norm", "multiply") or node in self._by_node:
                continue
            factors = node.inputs[1:2] if node.name == "batch_norm" else [p for p in node.inputs if p.is_fixed]
            data = next(part for part in node.inputs if not part.is_fixed)
            source = parameter_of(factors[0]) if factors and factors[0].parameters else ""
            positive = self._reading.is_convex(data)
            if not source or not (positive or node.name == "batch_norm"):
                continue
            owner, _, name = source.rpartition(".")
            if any((scale.path, scale.name) == (owner, name) for scale in self.scales):
                continue
            module, before = self.model.get_submodule(owner), ""
            if node.name == "batch_norm":
                before = self._by_node.get(self._without_bias(data), "")
            self.scales.append(FoundScale(owner, module, name, positive, before, self._shortcut(node)))

    def _without_bias(self, node: Node) -> Node:
        ahead = [part for part in node.inputs if not part.is_fixed] if node.name == "add" else []
        return ahead[0] if len(ahead) == 1 else node

    def _shortcut(self, node: Node) -> str:
        """With what a normalised signal is summed before the next non-linearity."""
        if node.name == "multiply":
            return ""
        for user in self._consumers.get(node, ()):
            if user.name == "add":
                others = [part for part in user.inputs if part is not node]
                return "normalised" if others and all(part.name == "batch_norm" for part in others) else "identity"
        return ""

    def _meets_norm(self) -> dict[Node, bool]:
        found: dict[Node, bool] = {}
        for node in reversed(self._graph.nodes):
            users = self._consumers.get(node, [])
            found[node] = bool(users) and all(
                user.name == "batch_norm"
                or ((user.op.moves or user.op.reduces or user.name in _LINEAR) and found[user])
                for user in users
            )
        return found

    # What is in the way

    def _find_blockers(self) -> None:
        kept = {source for source, (positive, _) in self._weights.items() if positive}
        kept |= {f"{scale.path}.{scale.name}".lstrip(".") for scale in self.scales if scale.positive}
        values = self._judged(kept)
        outputs = [values[self._graph.outputs[name]] for name in self._graph.floating]
        if all(value.is_constant for value in outputs):
            self._block(None, "the output does not depend on the input")
        elif not all(value.curvature.is_convex for value in outputs):
            self._judged(kept, blocks=True)
        blocked = {blocker.path for blocker in self.blockers}
        for source, reason in self._reading.problems:
            path = self._framework.parameter(source).layer
            if path not in blocked:
                self.blockers.append(Blocker(path, type(self._changed.get_submodule(path)).__name__, reason))

    def _judged(self, kept: Collection[str], *, blocks: bool = False) -> Mapping[Node, Value]:
        """Judge the graph if some parameters are non-negative; with ``blocks``, go on behind what is in the way."""

        def revised(node: Node, value: Value) -> Value:
            if node.name == "parameter" and node.params["name"] not in kept:
                return calculus.constant(Sign.ANY, value.label, f"{value.label} may be of either sign")
            if node in self._mapped:
                return replace(value, sign=Sign.NON_NEGATIVE)
            if not blocks or node.kind is not Kind.FLOATING or node not in self._alive:
                return value
            if value.curvature is Curvature.UNKNOWN:
                self._block(node, value.reason)
                return Value(Curvature.CONVEX, value.sign, value.monotone)
            if value.curvature is Curvature.CONCAVE:
                self._block(node, f"{node.at} subtracts a convex signal")
                return replace(value, curvature=Curvature.CONVEX)
            return value

        every = self._framework.parameters()  # their numbers are what they are by chance
        return judge(self._graph, assume_non_negative=every, framework=self._framework, revise=revised)

    def _block(self, node: Node | None, reason: str) -> None:
        path = "" if node is None else node.place.module
        if node is not None:
            reason = reason.replace(node.at, node.place.operation)
        kind = type(self._changed.get_submodule(path)).__name__
        remedy = next(filter(None, (suggestion(type(module).__name__) for module in self._around(path))), "")
        if not any((blocker.path, blocker.reason) == (path, reason) for blocker in self.blockers):
            self.blockers.append(Blocker(path, kind, reason, remedy))

    def _around(self, path: str) -> Iterator[nn.Module]:
        """The modules on the way to a path, the outermost first."""
        names = path.split(".")
        for end in range(1, len(names) + 1):
            yield self._changed.get_submodule(".".join(names[:end]))


def _changed(model: nn.Module, replaced: Mapping[str, nn.Module]) -> nn.Module:
    """The model with its replacements; a copy if there are any."""
    if not replaced:
        return model
    changed = copy.deepcopy(model)
    for path, module in replaced.items():
        changed.set_submodule(path, copy.deepcopy(module))
    return changed
