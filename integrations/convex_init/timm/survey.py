"""Read a model by the shared reader: its layers and learnt factors, and which of them have to be non-negative."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from functools import cached_property

from torch import Tensor, nn

from convex_init.timm.findings import FoundLayer, FoundScale
from convex_init.torch.framework import TorchFramework
from convex_init_core.convexity.judge import judge
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.walks import consumers_of, parts_first
from convex_init_core.planning.build import numbers_of
from convex_init_core.reading.fed_by import Feeding
from convex_init_core.reading.parts import Product, Reading
from convex_init_core.reading.products_and_sums import parameter_of, read
from convex_init_core.theory.activation import Activation
from convex_init_core.theory.activations import identity

# Through these, a signal still meets the normalisation that re-sets it before the next non-linearity.
_LINEAR = ("add", "subtract", "multiply", "divide", "dropout", "concatenate", "stack", "join", "pad", "window_max")


class Survey:
    """What one run of a model shows.

    Args:
        model: is left as it is.
        example: its input.
        replaced: what is to stand in the place of which module.

    Attributes:
        changed: the model with its replacements.
        framework: of that model.
        alive: the nodes that the floating-point outputs are made of, in order.
        reading: the shared reader's, for the weights that the model has now.
        layers: in the order of the signal.
        scales: likewise.
        mapped: weights that a map in the model makes non-negative, and running variances.
        untied: products with a weight that was used before, in a place that needs another law.

    Raises:
        ValueError: if the model cannot be traced.
    """

    def __init__(self, model: nn.Module, example: Tensor, replaced: Mapping[str, nn.Module]) -> None:
        """Trace the model and read it."""
        self._model, self.changed = model, with_replacements(model, replaced)
        self.framework = TorchFramework(self.changed, ((example,), {}), with_numbers=True)
        self.reading = self._read(example)
        graph = self.reading.graph
        self.alive: dict[Node, None] = {}
        for name in graph.floating:
            self.alive |= dict.fromkeys(parts_first(graph.outputs[name], lambda node: node.inputs, self.alive))
        self._consumers = consumers_of(self.alive)
        self.layers: list[FoundLayer] = []
        self.scales: list[FoundScale] = []
        self.mapped: set[Node] = set()
        self.untied: list[Node] = []
        self._layer_at: dict[Node, str] = {}
        self._find_layers()
        self._find_scales()
        self.mapped |= {node.inputs[4] for node in self.alive if node.name == "batch_norm"}  # variances

    def _read(self, example: Tensor) -> Reading:
        try:
            graph = self.framework.trace()
            doubts = "; ".join(graph.doubts)
        except Exception as error:  # whatever the tracer or the model raises, the answer is the same
            doubts = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        if doubts:
            raise ValueError(
                f"{type(self._model).__name__} cannot be traced on an input of shape {tuple(example.shape)} ({doubts})"
            )
        return read(graph, judge(graph, framework=self.framework), numbers=numbers_of(self.framework))

    @property
    def kept(self) -> set[str]:
        """Names of the parameters that have to be kept non-negative, since no map of the model does it."""
        owned = [(layer.path, "weight") for layer in self.layers if layer.is_projected]
        owned += [(scale.path, scale.name) for scale in self.scales if scale.positive]
        return {f"{path}.{name}".lstrip(".") for path, name in owned}

    @property
    def problems(self) -> list[tuple[str, str]]:
        """Weights of a convex signal that the reader cannot follow back to a parameter, by name, and why."""
        taken = [node for node in self.alive if not node.is_fixed and node.name in ("contract", "convolve", "multiply")]
        convex = {
            name for node in taken if self.reading.is_convex(_data(node)) for p in node.inputs for name in p.parameters
        }
        return [(source, without_exclude(why)) for source, why in self.reading.problems if source in convex]

    # Layers

    def _find_layers(self) -> None:
        places: dict[str, object] = {}
        for product in self.reading.products:
            node = product.node
            if node not in self.alive:
                continue
            if product.positivity is not None:
                self.mapped.add(next(part for part in node.inputs if part.is_fixed))
            data = _data(node)
            positive = self.reading.is_convex(data)
            fed_by = self._feeding.activation_behind(data) if positive else None
            place = positive, None if fed_by == identity() else fed_by
            if product.source not in places:
                places[product.source] = place
                self._layer(product, *place)
            elif places[product.source] != place:
                self.untied.append(node)

    def _layer(self, product: Product, positive: bool, fed_by: Activation | None) -> None:
        facts = self.framework.parameter(product.source)
        plain = product.source.replace("parametrizations.weight.original", "weight")
        path, _, name = plain.rpartition(".")
        module, through = self._model.get_submodule(path), product.positivity or facts.positivity
        if name != "weight":
            self.scales.append(FoundScale(path, module, name, positive and through is None))
            return
        self._layer_at[product.node] = path
        normalised = self._meets_norm[product.node]
        obstacle = self._obstacle(product.source, module)
        self.layers.append(FoundLayer(path, module, positive, fed_by, normalised, through, obstacle))

    @cached_property
    def _feeding(self) -> Feeding:
        return Feeding.of(self.reading.graph, self.reading.values)

    def _obstacle(self, source: str, module: nn.Module) -> str:
        facts = self.framework.parameter(source)
        if not facts.role:
            return f"its weight belongs to a {type(module).__name__}, whose fan-in is not known"
        names = [source, facts.bias] if facts.bias in self.framework.parameters() else [source]
        found = filter(None, (self.framework.parameter(name).obstacle for name in names))
        return without_exclude(next(found, ""))

    @cached_property
    def _meets_norm(self) -> dict[Node, bool]:
        """Whether every way from a node leads to a batch normalisation before the next non-linearity."""
        found: dict[Node, bool] = {}
        for node in reversed(self.alive):
            users = self._consumers.get(node, [])
            found[node] = bool(users) and all(
                user.name == "batch_norm" or (_is_linear(user) and found[user]) for user in users
            )
        return found

    # Factors

    def _find_scales(self) -> None:
        known = {(scale.path, scale.name) for scale in self.scales}
        for node in self.alive:
            if node.is_fixed or node.name not in ("batch_norm", "multiply"):
                continue
            is_norm = node.name == "batch_norm"
            factor = node.inputs[1] if is_norm else next((part for part in node.inputs if part.is_fixed), node)
            source = parameter_of(factor) if factor.parameters else ""
            path, _, name = source.rpartition(".")
            positive = self.reading.is_convex(_data(node))
            if source and (is_norm or positive) and (path, name) not in known:
                known.add((path, name))
                ends = (self._normalised_by(node), self._shortcut(node)) if is_norm else ()
                self.scales.append(FoundScale(path, self._model.get_submodule(path), name, positive, *ends))

    def _normalised_by(self, norm: Node) -> str:
        """The path of the layer whose output a batch normalisation takes as it is."""
        taken = norm.inputs[0]
        if taken.name == "add" and any(part.is_fixed for part in taken.inputs):
            taken = _data(taken)
        return self._layer_at.get(taken, "")

    def _shortcut(self, norm: Node) -> str:
        """With what a normalised signal is summed before the next non-linearity."""
        for user in self._consumers.get(norm, ()):
            if user.name == "add":
                others = [part for part in user.inputs if part is not norm]
                return "normalised" if others and all(part.name == "batch_norm" for part in others) else "identity"
        return ""


def with_replacements(model: nn.Module, replaced: Mapping[str, nn.Module]) -> nn.Module:
    """Return the model with modules in the place of others; a copy if there are any."""
    if not replaced:
        return model
    changed = copy.deepcopy(model)
    for path, module in replaced.items():
        changed.set_submodule(path, copy.deepcopy(module))
    return changed


def without_exclude(message: str) -> str:
    """Return the core's message without the remedy that ``convexify`` does not have."""
    return re.sub(r",? (or|and) leave (it|the layer) out with exclude=", "", message)


def _data(node: Node) -> Node:
    return next(part for part in node.inputs if not part.is_fixed)


def _is_linear(node: Node) -> bool:
    return node.op.moves or node.op.reduces or node.name in _LINEAR
