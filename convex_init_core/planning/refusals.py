"""Why a model, a weight or a bias cannot be planned: every such reason, with its remedy, in one place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from convex_init_core.carrier.stages import ONE_OUTPUT, SIGMOID
from convex_init_core.reading.axes_of_weight import summed_axes
from convex_init_core.weights.positivity import Positivity

if TYPE_CHECKING:
    from convex_init_core.convexity.calculus import Value
    from convex_init_core.convexity.inputs.parts import Part
    from convex_init_core.framework import Framework, Parameter
    from convex_init_core.graph.nodes import Graph, Node
    from convex_init_core.planning.facts import Facts
    from convex_init_core.reading.parts import Product, Reading
    from convex_init_core.request import Chosen


class Judge(Protocol):
    """Says what the calculus knows of each node of a graph."""

    def __call__(
        self,
        graph: Graph,
        convex_inputs: Mapping[str, Part | None] | Iterable[str] | None,
        *,
        assume_within: Mapping[str, tuple[float, float]] | None = ...,
        overwritten: Collection[str] = ...,
        on_a_grid: bool = ...,
        framework: Framework | None = ...,
    ) -> Mapping[Node, Value]:
        """Return what is known if some parameters stay in intervals, and some will be drawn anew."""


def shown(path: str) -> str:
    """Return a path for a message; the model itself has an empty one."""
    return repr(path) if path else "the model itself"


def check_selections(positive: Collection[str], free: Collection[str], framework: Framework) -> None:
    """Refuse a weight that the user names as both.

    Raises:
        ValueError: with the layers.
    """
    if both := sorted(set(positive) & set(free)):
        named = ", ".join(dict.fromkeys(shown(framework.parameter(name).layer) for name in both))
        raise ValueError(f"positive= and free= both name {named}: take it out of one of them")


def check_map(own: Positivity | None, wanted: Positivity | None, factor: float) -> None:
    """Refuse a map that contradicts the weight's own, or that nothing applies.

    Args:
        own: the map that the weight has; ``None`` if it has none.
        wanted: the user's.
        factor: by which the model scales a weight without a map.

    Raises:
        ValueError: with the reason.
    """
    if own is not None and wanted not in (None, own):
        raise ValueError(
            f"positivity={str(wanted)!r} was given, but its weight is made non-negative by {own} (a parametrization, a "
            "mark, or what the forward does); leave positivity out, or build it anew"
        )
    if own is None and wanted is not None and wanted.reparametrises:
        raise ValueError(
            f"positivity={str(wanted)!r} was given, but its weight is used as it is: drawn for that map it would be "
            "used raw, and would not stay non-negative; build the layer with the map (or parametrize its weight), or "
            "leave positivity out and project after each step"
        )
    if factor != 1.0 and own is None:
        raise ValueError(
            f"its weight is scaled by {factor:g} without a positivity map; scale the layer's input instead"
        )


def check_factor(factor: float, root: Node) -> None:
    """Refuse a convex term that is subtracted, or times 0.

    Raises:
        ValueError: with the reason.
    """
    if factor <= 0.0:
        raise ValueError(
            f"{root.at} subtracts it, or scales it by a factor that is not positive: a convex term has to be added"
        )


def check_free(product: Product, parameter: Parameter, role: str, reason: str, is_named: bool) -> None:
    """Refuse a weight of either sign that something makes non-negative.

    Raises:
        ValueError: with the reason.
    """
    through = product.positivity or parameter.positivity
    if through is not None:
        raise ValueError(
            f"its weight is made non-negative (by {through}), but it is {role} ({reason}); make it a plain layer, or "
            "name it in positive="
        )
    if parameter.kept_by and not is_named:
        raise ValueError(
            f"{parameter.kept_by} makes its weight non-negative, but it is {role} ({reason}); if it may be of either "
            "sign, name it in free= and take it out of that method, else name it in positive="
        )


def used_in_two_ways(reading: Reading, facts: Facts, excluded: Iterable[str]) -> list[str]:
    """Name the weights that are used several times, and not in one way."""
    problems = []
    left_out = set(excluded)
    first: dict[str, Product] = {}
    for product in reading.products:
        before = first.setdefault(product.source, product)
        if product.source in left_out or before is product:
            continue
        name = shown(facts.parameter(product.source).layer)
        if before.positive != product.positive:
            was, now = ("positive", "free") if before.positive else ("free", "positive")
            one, other = (summed_axes(each.node, each.source) for each in (before, product))
            if one and other and one != other:
                problems.append(
                    f"{name}: its weight is used as it is and transposed, as in the gradient of a potential, and the "
                    "gradient of a convex function is no convex function: read the potential itself"
                )
            elif product.columns is not None:
                problems.append(
                    f"{name}: its columns {_columns(before)} are {was}, and {_columns(product)} {now}: it multiplies a "
                    "concatenation of both kinds; split it into two layers, one for each part"
                )
            else:
                problems.append(f"{name}: its weight is used both as {was} and as {now}; untie them")
        elif product.positive and product.columns == before.columns:
            a, b = (facts.feeding.activation_behind(each.data) for each in (before, product))
            if a is not None and b is not None and a != b:
                problems.append(f"{name}: its weight is fed by {a} and by {b}; untie them")
    return problems


def _columns(product: Product) -> str:
    if product.columns is None:
        return "(all)"
    return f"{product.columns[0]} to {product.columns[1] - 1}"


def behind_moves(node: Node, kind: str) -> str:
    """Return the name of the parameter or buffer that a fixed node shows, moved but not changed; else nothing."""
    while node.op.moves and node.inputs:
        node = node.inputs[0]
    return str(node.params["name"]) if node.name == kind else ""


def without_theory(path: str, doubt: str) -> str:
    """Say that a sum has to be measured, and may not."""
    return (
        f"{shown(path)}: there is no theory for {doubt}; leave calibrate out to have its sum measured on "
        "example_inputs, or say what feeds it with fed_by="
    )


def why_not_convex(
    reading: Reading,
    facts: Facts,
    judge: Judge,
    framework: Framework,
    convex_inputs: Mapping[str, Part | None] | None,
    chosen: Chosen,
    written: Collection[str],
    kept: Mapping[str, tuple[float, float]],
) -> list[str]:
    """Say what keeps the model from being known to be convex (or concave), were some parameters kept in intervals.

    Where the user excludes weights, what follows them is the user's business: then it is asked of what the other
    positive weights multiply.
    """
    if lacks_numbers(reading.graph):
        return []
    values = judge(
        reading.graph,
        convex_inputs,
        assume_within=kept,
        overwritten=written,
        on_a_grid=True,
        framework=framework,
    )
    if chosen.excluded:
        taken = {product.data: product for product in reading.products if product.source not in chosen.excluded}
        asked = {f"what {shown(facts.parameter(product.source).layer)} takes": node for node, product in taken.items()}
        return [f"{name} {_unknown(values[node])}" for name, node in asked.items() if _is_unknown(values[node])]
    reasons = []
    for name in reading.graph.floating:
        value = values[in_front_of_links(reading.graph.outputs[name])]
        if not _is_unknown(value):
            return []  # a model may return more than its convex function
        reasons.append(f"{name} {_unknown(value)}")
    return reasons


def _is_unknown(value: Value) -> bool:
    return not (value.curvature.is_convex or value.curvature.is_concave)


def _unknown(value: Value) -> str:
    return (
        f"is not known to be convex, whatever its weights: {value.reason}; use relu, leaky_relu, elu, celu or softplus "
        "for an activation, and remove what else stands in the way; where you know better, name the layers of either "
        "sign in free="
    )


_LINKS = ("sigmoid", "log_sigmoid", "tanh", "softmax", "log_softmax")


def in_front_of_links(node: Node) -> Node:
    """Return what a model makes before it turns it into probabilities, or the like: what is convex in a classifier."""
    while node.inputs and (node.name in _LINKS or node.op.moves):
        node = node.inputs[0]
    return node


def sees_the_shift(graph: Graph) -> str:
    """Say why no output may have a carrier beside it, for each sees the shift that it adds; empty if one may."""
    batches = [node.shape[0] for node in graph.inputs.values() if len(node.shape) > 1]
    reasons = [_sees_the_shift(graph.outputs[name], batches) for name in graph.floating]
    return reasons[0] if reasons and all(reasons) else ""


def _sees_the_shift(output: Node, batches: Collection[int]) -> str:
    node = output
    while node.op.moves and node.inputs:
        node = node.inputs[0]
    if node.name in ("sigmoid", "log_sigmoid"):
        return SIGMOID
    is_one = output.size == 1 or (output.shape[0] in batches and output.size == output.shape[0])
    return ONE_OUTPUT if is_one else ""


def beside_carrier(graph: Graph, weights: Iterable[Parameter]) -> Iterator[str]:
    """Refuse weights that may go below 0 beside a carrier, in a model whose outputs see what it adds to them."""
    paths = list(dict.fromkeys(shown(each.layer) for each in weights if each.carrier > 0.0))
    if paths and (why := sees_the_shift(graph)):
        yield f"{', '.join(paths)}: {why}"


def unseen(graph: Graph) -> str:
    """Return a line for each operation that runs functions whose own operations, and weights, are not in the graph."""
    hidden = [node for node in graph if node.op.name == "opaque" and not node.inputs and not node.is_fixed]
    return "".join(f"\n{line}" for line in dict.fromkeys(f"{node.at} {node.params['why']}" for node in hidden))


def without_inputs(graph: Graph) -> str:
    """Return a line if no input holds floating-point numbers, so that there is nothing that a model is convex in."""
    return (
        ""
        if graph.inputs
        else "\nno input holds floating-point numbers: pass x.float(), or name in entry= the part behind an embedding"
    )


def check_output(graph: Graph) -> None:
    """Refuse a model of which no output can be followed: there is nothing that could be convex, or be measured."""
    if not graph.floating:
        raise ValueError(
            "the model returns no floating-point tensor: let it return its output as one (in a tuple, list or dict, "
            "too), or name in entry= the method that does"
        )


def lacks_numbers(graph: Graph) -> bool:
    """Whether a model is on a meta device, or sharded, so that there are no numbers to judge by."""
    return any(
        node.name == "parameter" and node.size > 0 and node.constant is not None and node.constant.bounds is None
        for node in graph
    )


def obstacles(names: Iterable[str], facts: Facts) -> Iterator[str]:
    """Name the parameters that cannot be written, and why."""
    for name in names:
        parameter = facts.parameter(name)
        if parameter.obstacle:
            yield f"{shown(parameter.layer)}: {parameter.obstacle}"
        elif 0 in parameter.shape:
            yield (
                f"{shown(parameter.layer)}: its {parameter.role or 'shape'} of {parameter.shape} has no elements; give "
                "the layer inputs and outputs, or leave it out with exclude="
            )
