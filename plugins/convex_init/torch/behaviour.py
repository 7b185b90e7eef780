"""Read from what a model does when it runs: its products with weights, and the sums that these are part of."""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

import convex_init_core as core
from convex_init.torch.inputs import arguments_of, floating_inputs, names_of
from convex_init.torch.recording import Node, Recording, is_linear, record
from convex_init.torch.sites import Slot, shown
from convex_init.torch.slots import slot_of
from convex_init.torch.weights import RESHAPES, base_name, trace
from convex_init_core import Positivity

_FINITE = 0.01  # stands for NaN and infinite numbers in the copy that is run
_ADDS = ("add", "sub", "rsub")
_WITH_BIAS = ("addmm", "baddbmm", "addmv")  # input + a × b, where the input may be another layer's output
_NORMS = ("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm")
BATCH_NORMS = (*_NORMS, "batch_norm", "_batch_norm_with_update", "_batch_norm_no_update")


@dataclass(eq=False)
class Product:
    """One use of a weight.

    Attributes:
        node: the product.
        slot: of the weight's parameter in the model.
        source: the parameter's name.
        data: what is multiplied.
        fan_in: number of elements of ``data`` that one result sums, from the operation itself.
        positivity: the map that makes the weight non-negative, as far as the forward shows it.
        factor: of the weight, for one without such a map.
        positive: whether ``data`` is already a non-linear function of a convex input.
        bias: the bias that the operation adds itself; ``None`` if it has none.
    """

    node: Node
    slot: Slot
    source: str
    data: Node
    fan_in: float
    positivity: Positivity | None
    factor: float
    positive: bool
    bias: Node | None = None


@dataclass(frozen=True, eq=False)
class Factor:
    """A factor on the way from a term to its sum.

    Attributes:
        mean: over its elements.
        second: mean square.
        literal: the part of it that is a number in the model's code, neither learnt nor dependent on context.
    """

    mean: float = 1.0
    second: float = 1.0
    literal: float = 1.0

    def times(self, other: Factor) -> Factor:
        """Return the product of two independent factors."""
        return Factor(self.mean * other.mean, self.second * other.second, self.literal * other.literal)


@dataclass(frozen=True, eq=False)
class Term:
    """A product in a sum, times a factor; or, if ``squares`` is not 0, a sum of that many squares of it."""

    product: Product
    factor: Factor
    squares: float = 0.0


@dataclass(eq=False)
class Sum:
    """Everything that is added up to one pre-activation.

    Attributes:
        root: the node of the whole sum.
        terms: products with weights.
        biases: parameters that are added, by name, with their factors.
        present: values that are added as they are.
        fallback_bias: a bias inside a term that only depends on context.
        cancelled: parameters that also enter the sum another way, so that a bias among them cannot shift it.
        normalised: the batch normalisation that takes the sum, if one does.
        offset: what numbers in the model's code add to the sum.
    """

    root: Node
    terms: list[Term] = field(default_factory=list)
    biases: list[tuple[str, float]] = field(default_factory=list)
    present: list[tuple[Node, Factor]] = field(default_factory=list)
    fallback_bias: str = ""
    cancelled: set[str] = field(default_factory=set)
    normalised: Node | None = None
    offset: float = 0.0

    @property
    def positive(self) -> list[Term]:
        """Terms with non-negative weights."""
        return [term for term in self.terms if term.product.positive]

    @property
    def free(self) -> list[Term]:
        """Terms with weights of either sign."""
        return [term for term in self.terms if not term.product.positive]


@dataclass(eq=False)
class Reading:
    """What one run of a model showed.

    Attributes:
        model: the copy that was run, in evaluation mode.
        recording: of that run.
        products: uses of weights, in the order of the signal.
        sums: likewise.
        inputs: positional and keyword inputs.
        convex_inputs: names of the inputs in which the model is convex.
        entry: name of the method that was called.
        problems: paths of weights that could not be read, and why.
    """

    model: nn.Module
    recording: Recording
    products: list[Product]
    sums: list[Sum]
    inputs: tuple[tuple[Any, ...], dict[str, Any]]
    convex_inputs: list[str]
    entry: str
    problems: list[tuple[str, str]]

    def __post_init__(self) -> None:
        """Index the nodes."""
        self.place = {id(node): i for i, node in enumerate(self.recording.nodes)}

    def weighted(self) -> dict[int, bool]:
        """Whether each node depends on a weight that is read; only the others have numbers that will stay."""
        products = {id(product.node) for product in self.products}
        found: dict[int, bool] = {}
        for node in self.recording.nodes:
            found[id(node)] = id(node) in products or any(found.get(id(part), True) for part in node.inputs)
        return found


def read_behaviour(
    model: nn.Module,
    example_inputs: Any,
    convex_inputs: Iterable[str | int] | str | int | None = None,
    entry: str = "forward",
    positive: frozenset[str] = frozenset(),
    free: frozenset[str] = frozenset(),
) -> Reading:
    """Run a copy of ``model`` and return its products with weights and their sums.

    Args:
        model: any module; it is left as it is.
        example_inputs: one input, a tuple of inputs, or a dict of keyword inputs.
        convex_inputs: in which of them the model is convex; all floating-point ones by default.
        entry: the method to call.
        positive: paths of weights that are positive whatever they multiply.
        free: paths of weights that are free whatever they multiply.
    """
    args, kwargs = arguments_of(example_inputs)
    chosen = names_of(convex_inputs) if convex_inputs is not None else list(floating_inputs(args, kwargs))
    copied = _copy(model)
    if not callable(getattr(copied, entry, None)):
        raise ValueError(f"entry {entry!r} is no method of {type(model).__name__}")
    call = copied if entry == "forward" else getattr(copied, entry)
    recording = record(copied, args, kwargs, chosen, call)
    reader = _Reader(model, recording, positive, free)
    reader.read()
    return Reading(
        copied, recording, list(reader.products.values()), reader.sums, (args, kwargs), chosen, entry, reader.problems
    )


def _copy(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode, with finite parameters: what they hold is to be overwritten anyway."""
    try:
        copied = copy.deepcopy(model).eval()
    except (TypeError, RuntimeError) as error:
        raise ValueError(
            f"{type(model).__name__} cannot be copied to be run ({error}); take what cannot be copied off it while it "
            "is initialised, or leave example_inputs out and say which layers are positive with positive="
        ) from error
    with torch.no_grad():
        for parameter in copied.parameters():
            if parameter.is_floating_point() and parameter.device.type != "meta":
                parameter.nan_to_num_(_FINITE, _FINITE, _FINITE)
    return copied


class _Reader:
    """Collect products and sums of one recording, and what could not be read."""

    def __init__(self, model: nn.Module, recording: Recording, positive: frozenset[str], free: frozenset[str]) -> None:
        self.model, self.recording, self.positive, self.free = model, recording, positive, free
        self.products: dict[int, Product] = {}  # by node
        self.sums: list[Sum] = []
        self.problems: list[tuple[str, str]] = []
        self.consumers: dict[int, list[Node]] = defaultdict(list)
        self.absorbed: set[int] = set()
        for node in recording.nodes:
            if node.index > 0 and base_name(node) in BATCH_NORMS:
                continue  # its statistics; the parts of a split are consumers of their own
            for part in {id(part): part for part in node.inputs}.values():
                self.consumers[id(part)].append(node)

    def read(self) -> None:
        for node in self.recording.nodes:
            if is_linear(node) and not node.fixed and not node.value.is_constant:
                self._product(node)
        for node in reversed(self.recording.nodes):  # the outermost sum comes first and takes those inside
            if id(node) not in self.absorbed and self._may_be_root(node):
                found, taken = self._sum(node)
                if found.terms:
                    self.sums.append(found)
                    self.absorbed |= taken
        self.sums.reverse()

    def _product(self, node: Node) -> None:
        with_bias = base_name(node) in _WITH_BIAS
        factors = node.inputs[1:3] if with_bias else node.inputs[:2]
        weight = next((part for part in factors if part.fixed and part.sources), None)
        data = next((part for part in factors if not part.fixed), None)
        if weight is None or data is None or data.value.is_constant:
            return
        try:
            traced = trace(weight)
        except ValueError as error:
            paths = list(dict.fromkeys(slot_of(self.model, source).path for source in weight.sources))
            self.problems.append((paths[0], f"{', '.join(map(shown, paths))}: {error}"))
            return
        slot = slot_of(self.model, traced.source)
        positive = not data.value.curvature.is_affine
        if slot.path in self.positive or slot.path in self.free:
            positive = slot.path in self.positive
        self.products[id(node)] = Product(
            node,
            slot,
            traced.source,
            data,
            _fan_in(node, weight, data),
            traced.positivity,
            traced.factor,
            positive,
            _bias(node),
        )

    def _may_be_root(self, node: Node) -> bool:
        name = base_name(node)
        if node.fixed or node.value.is_constant or (node.index > 0 and name in BATCH_NORMS):
            return False
        return (
            id(node) in self.products or name in (*_ADDS, *_WITH_BIAS, *BATCH_NORMS) or self._scaling(node) is not None
        )

    def _scaling(self, node: Node) -> tuple[Node, Factor] | None:
        """For a product or quotient with what does not depend on the convex inputs: the other part, and the factor."""
        name = base_name(node)
        if name == "neg":
            return node.inputs[0], Factor(-1.0, 1.0, -1.0)
        if name not in ("mul", "div") or not node.args:
            return None
        first, second = node.args[0], node.args[1]
        if not isinstance(first, Node) or (isinstance(second, Node) and not second.value.is_constant):
            first, second = second, first
            if name == "div":
                return None
        if not isinstance(first, Node) or first.value.is_constant or id(first) == id(second):
            return None
        moments = factor_moments(second)
        if moments is None or (isinstance(second, Node) and not second.value.is_constant):
            return None
        mean, square = moments
        if name == "div":
            if mean == 0.0:
                return None
            mean, square = 1.0 / mean, 1.0 / square
        is_literal = not isinstance(second, Node) or (second.fixed and not second.sources and second.shape == ())
        return first, Factor(mean, square, mean if is_literal else 1.0)

    def _sum(self, root: Node) -> tuple[Sum, set[int]]:
        found, taken = Sum(root), set()
        if base_name(root) in BATCH_NORMS:
            found.normalised = root
            taken.add(id(root))
            self._walk(root.inputs[0], Factor(), found, taken, outermost=False)
        else:
            self._walk(root, Factor(), found, taken, outermost=True)
        if any(source in found.cancelled for source, _ in found.biases):
            found.biases = [(source, factor) for source, factor in found.biases if source not in found.cancelled]
            found.fallback_bias = ""
        return found, taken

    def _walk(self, node: Node, factor: Factor, found: Sum, taken: set[int], outermost: bool) -> None:
        name = base_name(node)
        if node.fixed:
            source = parameter_of(node)
            if source:
                found.biases.append((source, factor.mean))
            elif not node.sources:
                found.present.append((node, factor))
            else:  # its value, such as f(0) in f(x) − f(0), is not known before the weights are written
                found.cancelled |= _sources(node)
            return
        if id(node) in self.products:
            product = self.products[id(node)]
            if outermost or self._belongs_to_sums(product):
                taken.add(id(node))
                found.terms.append(Term(product, factor))
                if product.bias is not None:
                    self._walk(product.bias, factor, found, taken, outermost=False)
            else:
                found.present.append((node, factor))
            return
        quadratic = self._quadratic(node)
        if quadratic is not None:
            product, squares = quadratic
            taken |= {id(node), id(product.node)}
            found.terms.append(Term(product, factor, squares))
            if product.bias is not None:
                self._walk(product.bias, Factor(0.0, 0.0, 0.0), found, taken, outermost=False)
            return
        if node.value.is_constant:
            found.cancelled |= _sources(node)
            found.fallback_bias = found.fallback_bias or _bias_inside(node)
            found.present.append((node, factor))
            return
        if not outermost and len(self.consumers[id(node)]) > 1:
            found.present.append((node, factor))
            return
        if name in (*_ADDS, *_WITH_BIAS):
            taken.add(id(node))
            for part, sign in _summands(node):
                if isinstance(part, Node):
                    self._walk(part, factor.times(Factor(sign, sign**2, sign)), found, taken, outermost=False)
                else:
                    found.offset += factor.mean * sign * part
            return
        scaling = self._scaling(node)
        if scaling is not None:
            taken.add(id(node))
            self._walk(scaling[0], factor.times(scaling[1]), found, taken, outermost=False)
        elif name in RESHAPES and not outermost:
            taken.add(id(node))
            self._walk(node.inputs[0], factor, found, taken, outermost=False)
        else:
            found.present.append((node, factor))

    def _belongs_to_sums(self, product: Product) -> bool:
        """Whether the product is a term only: it has one consumer, or is free and all of its consumers are sums."""
        consumers = self.consumers[id(product.node)]
        if len(consumers) <= 1:
            return True
        return not product.positive and all(base_name(node) in (*_ADDS, *_WITH_BIAS) for node in consumers)

    def _quadratic(self, node: Node) -> tuple[Product, float] | None:
        """Recognise ``Σ (A x)²``: the product, and how many squares one element sums."""
        inner = node
        while base_name(inner) in (*RESHAPES, "sum") and inner.inputs and not inner.fixed:
            inner = inner.inputs[0]
        name = base_name(inner)
        is_square = name == "square" or (name == "pow" and inner.args[1:] == (2,))
        is_square = is_square or (name == "mul" and len(inner.inputs) == 2 and inner.inputs[0] is inner.inputs[1])
        if not is_square or node.tensor is None or inner.tensor is None:
            return None
        base = inner.inputs[0]
        while base_name(base) in (*RESHAPES, *_ADDS) and id(base) not in self.products and base.inputs:
            base = next((part for part in base.inputs if not part.fixed), base.inputs[0])
        product = self.products.get(id(base))
        if product is None or product.positive or len(self.consumers[id(product.node)]) > 1:
            return None
        return product, inner.tensor.numel() / max(node.tensor.numel(), 1)


def _bias(node: Node) -> Node | None:
    name = base_name(node)
    if name in _WITH_BIAS:
        return node.inputs[0]
    if name == "convolution" and isinstance(node.args[2], Node):
        return node.args[2]
    return None


def _summands(node: Node) -> Iterator[tuple[Node | float, float]]:
    """The parts of an addition, tensors and numbers, with their signs and scales."""
    name = base_name(node)
    if name in _WITH_BIAS:
        yield node.inputs[0], 1.0
        return
    numbers = [part for part in node.args[2:] if isinstance(part, (int, float))]
    alpha = float(numbers[0]) if numbers else 1.0
    for place, part in enumerate(node.args[:2]):
        if name == "rsub":
            sign = 1.0 if place else -alpha
        else:
            sign = alpha * (-1.0 if name == "sub" else 1.0) if place else 1.0
        if isinstance(part, (Node, int, float)):
            yield part, sign


def _sources(node: Node) -> set[str]:
    """The parameters that a node is made of."""
    found: set[str] = set()
    seen: set[int] = set()
    parts = [node]
    while parts:
        part = parts.pop()
        if id(part) not in seen:
            seen.add(id(part))
            found |= set(part.sources)
            parts += part.inputs
    return found


def parameter_of(node: Node) -> str:
    """The parameter that a fixed node shows, moved but not changed; empty if it is something else."""
    while node.operation != "parameter":
        if base_name(node) not in (*RESHAPES, "t", "to", "_to_copy") or not node.inputs:
            return ""
        node = node.inputs[0]
    return node.path


def _bias_inside(node: Node) -> str:
    """A bias that is added in the last step of what makes a node from context."""
    name = base_name(node)
    if name in _WITH_BIAS or name in _ADDS:
        for part in node.inputs:
            source = parameter_of(part) if part.fixed else ""
            if source:
                return source
    if (name in RESHAPES or name in _ADDS) and node.inputs:
        return next((found for part in node.inputs if (found := _bias_inside(part))), "")
    return ""


def _fan_in(node: Node, weight: Node, data: Node) -> float:
    assert weight.tensor is not None
    if base_name(node) == "convolution":
        stride, dilation, transposed, groups = node.args[3], node.args[5], node.args[6], node.args[8]
        kernel = tuple(weight.tensor.shape[2:])
        if not transposed:
            return weight.tensor.shape[1] * math.prod(kernel)
        strides, dilations = (tuple(given) * (len(kernel) // len(given)) for given in (stride, dilation))
        return core.transposed_convolution_fan_in(weight.tensor.shape[0], kernel, strides, groups, dilations)
    factors = node.inputs[1:3] if base_name(node) in _WITH_BIAS else node.inputs[:2]
    left = factors[0].tensor
    assert left is not None
    return left.shape[-1]  # the last dimension of the left factor is the one that is summed


def factor_moments(part: object) -> tuple[float, float] | None:
    """Mean and mean square of a number, or of a tensor that does not depend on the convex inputs."""
    if isinstance(part, (int, float)):
        return float(part), float(part) ** 2
    if not isinstance(part, Node) or part.tensor is None or not part.tensor.is_floating_point():
        return None
    if part.tensor.numel() == 0 or part.tensor.device.type == "meta":
        return None
    numbers = part.tensor.detach().double()
    return float(numbers.mean()), float(numbers.square().mean())
